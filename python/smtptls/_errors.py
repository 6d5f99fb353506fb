"""The exceptions. They stand here because each has a second base among Python's own."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Self

from ._enums import Action, Code


class Error(OSError):
    """Why something failed. `Error(code, message)` is an instance of the subclass that fits the code.

    code: what went wrong, one of Code; its number is that of the C library.
    message: one line of English for logs; its wording may change.
    errno: that of a failed system call, or None.
    alert: the number of the TLS alert that the peer sent (RFC 8446 section 6), or None.
    action: what the policy lets the program do now, one of Action.
    tlsrpt: the result type for an SMTP TLS report (RFC 8460), such as "certificate-expired", or None.
    tlsrpt_reason: the failure-reason-code for that report, such as "dane-no-match", or None.
    enhanced_status: the enhanced status code (RFC 3463) for the deferral or the bounce, such as "4.7.5"; None
        on a server, and where there is nothing to defer.
    reply: what the server said, where it refused (the code is REFUSED), its lines joined by "\\n"; else None.
    """

    code: Code
    message: str
    strerror: str | None
    alert: int | None
    action: Action
    tlsrpt: str | None
    tlsrpt_reason: str | None
    enhanced_status: str | None
    reply: str | None

    def __new__(cls, code: int, message: str, **details: Any) -> Self:
        chosen: type[Any] = _CLASSES.get(Code(code), cls) if cls is Error else cls
        made: Self = super().__new__(chosen, message)
        return made

    def __init__(
        self,
        code: int,
        message: str,
        *,
        errno: int | None = None,
        alert: int | None = None,
        action: int = Action.FAIL,
        tlsrpt: str | None = None,
        tlsrpt_reason: str | None = None,
        enhanced_status: str | None = None,
        reply: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = Code(code)
        self.message = message
        self.errno = errno
        self.strerror = message
        self.alert = alert
        self.action = Action(action)
        self.tlsrpt = tlsrpt
        self.tlsrpt_reason = tlsrpt_reason
        self.enhanced_status = enhanced_status
        self.reply = reply

    @property
    def name(self) -> str:
        """The name of the code, the same in Rust, in C and in logs: SMTPTLS_ERR_CERT_NAME."""
        prefix = "SMTPTLS_" if self.code.name.startswith("WANT_") else "SMTPTLS_ERR_"
        return prefix + self.code.name

    @property
    def is_temporary(self) -> bool:
        """Whether it is worth trying later."""
        return not (self.enhanced_status or "").startswith("5")

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, {self.message!r})"

    def __reduce__(self) -> tuple[Callable[..., Error], tuple[Any, ...]]:
        details = {name: getattr(self, name) for name in _DETAILS}
        return _restored, (type(self), self.code, self.message, details, self.args, dict(self.__dict__))


_DETAILS = ("errno", "alert", "action", "tlsrpt", "tlsrpt_reason", "enhanced_status", "reply")


def _restored(
    kind: type[Error],
    code: int,
    message: str,
    details: dict[str, Any],
    args: tuple[Any, ...],
    attributes: dict[str, Any],
) -> Error:
    error = kind(code, message, **details)
    error.args = args
    error.__dict__.update(attributes)
    return error


class WantInput(Error, BlockingIOError):
    """The session does not wait, and wants bytes from the peer first."""


class WantOutput(Error, BlockingIOError):
    """The session does not wait, and has bytes to send to the peer first."""


class WantSignature(Error):
    """start wants something signed with a private key that is elsewhere: see Session.signature_request."""


class Timeout(Error, TimeoutError):
    """The time allowed ran out."""


class ConfigError(Error, ValueError):
    """A mistake on this side, found before a byte was sent: an argument, a file, the trust anchors."""


class ProtocolError(Error):
    """The peer does not speak SMTP as it should."""


class StarttlsUnavailable(ProtocolError):
    """There is no STARTTLS: the server does not offer it, or refused; the client did not ask for it; or the
    policy wants no TLS.
    """


class InjectionError(ProtocolError):
    """Plaintext came where TLS should begin: somebody is on the path."""


class TlsError(Error, ssl.SSLError):
    """TLS failed."""


class CertificateError(TlsError, ssl.SSLCertVerificationError):
    """The peer's certificate does not meet the policy."""


class PolicyError(Error):
    """There is to be no session: what the DNS or the domain's policy says."""


class ClosedError(TlsError, ssl.SSLEOFError):
    """The peer closed the connection."""


_CLASSES = {
    Code.WANT_INPUT: WantInput,
    Code.WANT_OUTPUT: WantOutput,
    Code.WANT_SIGNATURE: WantSignature,
    Code.ARGUMENT: ConfigError,
    Code.FROZEN: ConfigError,
    Code.FILE: ConfigError,
    Code.CERTIFICATE_PARSE: ConfigError,
    Code.KEY_PARSE: ConfigError,
    Code.KEY_MISMATCH: ConfigError,
    Code.KEY_ENCRYPTED: ConfigError,
    Code.CRL_PARSE: ConfigError,
    Code.STS_INVALID: ConfigError,
    Code.NO_ROOTS: ConfigError,
    Code.NO_KEYPAIR: ConfigError,
    Code.EOF: ClosedError,
    Code.TRUNCATED: ClosedError,
    Code.TIMEOUT: Timeout,
    Code.NOT_OFFERED: StarttlsUnavailable,
    Code.REFUSED: StarttlsUnavailable,
    Code.NOT_REQUESTED: StarttlsUnavailable,
    Code.NOT_WANTED: StarttlsUnavailable,
    Code.SMTP_SYNTAX: ProtocolError,
    Code.TOO_LONG: ProtocolError,
    Code.UNSOLICITED: ProtocolError,
    Code.PLAINTEXT_INJECTED: InjectionError,
    Code.HANDSHAKE: TlsError,
    Code.ALERT: TlsError,
    Code.TLS: TlsError,
    Code.CERT_INVALID: CertificateError,
    Code.CERT_TIME: CertificateError,
    Code.CERT_UNTRUSTED: CertificateError,
    Code.CERT_NAME: CertificateError,
    Code.FINGERPRINT: CertificateError,
    Code.CERT_REQUIRED: CertificateError,
    Code.CERT_REVOKED: CertificateError,
    Code.CRL_EXPIRED: CertificateError,
    Code.DANE_MISMATCH: CertificateError,
    Code.DANE_REQUIRED: PolicyError,
    Code.DNSSEC: PolicyError,
    Code.STS_MX: PolicyError,
    Code.REQUIRETLS: PolicyError,
}

for _class in (Error, *_CLASSES.values()):
    _class.__module__ = "smtptls"

# What a session without waiting wants first: raised at every other turn, and so made here as far as can be.
_WANTED: dict[int, tuple[type[Error], str, dict[str, Any]]] = {
    error.code: (type(error), error.message, vars(error))
    for error in (
        Error(Code.WANT_INPUT, "bytes from the peer are wanted first"),
        Error(Code.WANT_OUTPUT, "bytes have to be sent to the peer first"),
        Error(Code.WANT_SIGNATURE, "a signature is wanted first: see signature_request"),
    )
}


def wanted(code: int, taken: int) -> Error:
    """Such an error; `taken` bytes of what was to be written were taken."""
    kind, message, attributes = _WANTED[code]
    made: Any = OSError.__new__(kind, message)
    OSError.__init__(made, message)
    made.strerror = message
    made.characters_written = taken
    made.__dict__.update(attributes)
    error: Error = made
    return error
