"""The errors of smtptls as programs that were written for ssl expect them: both at once."""

from __future__ import annotations

import ipaddress
import ssl
from typing import TYPE_CHECKING, Any

from ._enums import Action, Code
from ._errors import (
    CertificateError,
    ClosedError,
    ConfigError,
    Error,
    InjectionError,
    PolicyError,
    ProtocolError,
    Timeout,
    TlsError,
    WantInput,
    WantOutput,
)

if TYPE_CHECKING:
    from ._native import Info


class _Wanted:
    """What stands once for all in errors that are raised at every other turn, and must cost little."""

    alert: int | None = None
    action: Action = Action.FAIL
    tlsrpt: str | None = None
    tlsrpt_reason: str | None = None
    enhanced_status: str | None = None
    reply: str | None = None
    reason: str = ""
    library: str = ""
    __new__: Any = OSError.__new__
    __init__: Any = OSError.__init__
    __str__ = OSError.__str__

    def __reduce__(self) -> Any:
        return type(self), self.args  # type: ignore[attr-defined]


class WantRead(_Wanted, WantInput, ssl.SSLWantReadError):
    """The peer's next bytes are wanted first."""

    code = Code.WANT_INPUT
    message = "The operation did not complete (read)"


class WantWrite(_Wanted, WantOutput, ssl.SSLWantWriteError):
    """Bytes have to be sent to the peer first."""

    code = Code.WANT_OUTPUT
    message = "The operation did not complete (write)"


class ZeroReturn(TlsError, ssl.SSLZeroReturnError):
    """The peer has closed as well."""


class SSLPlainError(Error, ssl.SSLError):
    """An Error that has no class of its own."""


class SSLConfigError(ConfigError, ssl.SSLError):
    """A mistake on this side."""


class SSLFileError(ConfigError, FileNotFoundError):
    """There is no such file."""


class SSLUnsupported(ConfigError, NotImplementedError):
    """What rustls cannot do."""


class SSLProtocolError(ProtocolError, ssl.SSLError):
    """The peer does not speak TLS."""


class SSLInjectionError(InjectionError, ssl.SSLError):
    """Plaintext came where TLS should begin."""


class SSLPolicyError(PolicyError, ssl.SSLError):
    """There is to be no session."""


for _class in list(vars().values()):
    if isinstance(_class, type) and issubclass(_class, Error) and _class.__module__ == __name__:
        _class.__module__ = "smtptls._sslerrors"

# The first that fits.
_TWINS: list[tuple[type[Error], type[Error]]] = [
    (TlsError, TlsError),
    (Timeout, Timeout),
    (InjectionError, SSLInjectionError),
    (ProtocolError, SSLProtocolError),
    (PolicyError, SSLPolicyError),
    (ConfigError, SSLConfigError),
    (Error, SSLPlainError),
]

# How OpenSSL names an alert of the peer (RFC 8446 section 6).
_ALERTS = {
    10: "SSLV3_ALERT_UNEXPECTED_MESSAGE",
    20: "SSLV3_ALERT_BAD_RECORD_MAC",
    22: "TLSV1_ALERT_RECORD_OVERFLOW",
    40: "SSLV3_ALERT_HANDSHAKE_FAILURE",
    42: "SSLV3_ALERT_BAD_CERTIFICATE",
    43: "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    44: "SSLV3_ALERT_CERTIFICATE_REVOKED",
    45: "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    46: "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    47: "SSLV3_ALERT_ILLEGAL_PARAMETER",
    48: "TLSV1_ALERT_UNKNOWN_CA",
    49: "TLSV1_ALERT_ACCESS_DENIED",
    50: "TLSV1_ALERT_DECODE_ERROR",
    51: "TLSV1_ALERT_DECRYPT_ERROR",
    70: "TLSV1_ALERT_PROTOCOL_VERSION",
    71: "TLSV1_ALERT_INSUFFICIENT_SECURITY",
    80: "TLSV1_ALERT_INTERNAL_ERROR",
    86: "TLSV1_ALERT_INAPPROPRIATE_FALLBACK",
    90: "TLSV1_ALERT_USER_CANCELLED",
    109: "TLSV13_ALERT_MISSING_EXTENSION",
    110: "TLSV1_UNSUPPORTED_EXTENSION",
    112: "TLSV1_UNRECOGNIZED_NAME",
    113: "TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE",
    115: "TLSV1_ALERT_UNKNOWN_PSK_IDENTITY",
    116: "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    120: "TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
}

# What OpenSSL calls other failures.
_REASONS = {
    Code.PLAINTEXT_INJECTED: "WRONG_VERSION_NUMBER",
    Code.CERT_REQUIRED: "PEER_DID_NOT_RETURN_A_CERTIFICATE",
    Code.NO_KEYPAIR: "NO_SHARED_CIPHER",
    Code.KEY_MISMATCH: "KEY_VALUES_MISMATCH",
    Code.CERTIFICATE_PARSE: "NO_CERTIFICATE_OR_CRL_FOUND",
}

# The number and the words of OpenSSL's X509_verify_cert_error_string, for codes that have one of their own.
_VERIFY = {
    Code.CERT_TIME: (10, "certificate has expired"),
    Code.CERT_REVOKED: (23, "certificate revoked"),
    Code.CRL_EXPIRED: (12, "CRL has expired"),
    Code.FINGERPRINT: (65, "No matching DANE TLSA records"),
    Code.DANE_MISMATCH: (65, "No matching DANE TLSA records"),
    Code.CERT_UNTRUSTED: (20, "unable to get local issuer certificate"),
    Code.NO_ROOTS: (20, "unable to get local issuer certificate"),
}


def shaped(error: Error, *, number: int = ssl.SSL_ERROR_SSL, reason: str | None = None) -> Error:
    """The same error with ssl's class, errno, args and reason."""
    kind = next(twin for own, twin in _TWINS if isinstance(error, own))
    if reason is None:
        reason = _ALERTS.get(error.alert or 0) or _REASONS.get(error.code) or error.code.name
    message = f"[SSL: {reason}] {error.message}"
    return _made(kind, error, number, reason, message)


def unverified(error: Error, host: str | None, info: Info | None) -> Error:
    """The error of a peer whose certificate will not do. host is who it should be."""
    number, text = _VERIFY.get(error.code, (1, "unspecified certificate verification error"))
    if error.tlsrpt_reason == "certificate-not-yet-valid":
        number, text = 9, "certificate is not yet valid"
    elif error.code == Code.CERT_UNTRUSTED and info and info.peer_subject == info.peer_issuer:
        number, text = 18, "self-signed certificate"
    elif error.code == Code.CERT_NAME or error.code == Code.ARGUMENT:
        what = "IP address" if _is_address(host) else "Hostname"
        number = 64 if _is_address(host) else 62
        text = f"{what} mismatch, certificate is not valid for '{host}'."
    message = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {text} ({error.message})"
    made = _made(CertificateError, error, ssl.SSL_ERROR_SSL, "CERTIFICATE_VERIFY_FAILED", message)
    assert isinstance(made, CertificateError)
    made.verify_code = number
    made.verify_message = text
    return made


def ended() -> Error:
    """The peer closed the connection without close_notify."""
    message = "EOF occurred in violation of protocol"
    return _made(ClosedError, ClosedError(Code.TRUNCATED, message), ssl.SSL_ERROR_EOF, "EOF", message)


def closed() -> Error:
    """Nothing more comes, and we have said that nothing more goes."""
    message = "TLS/SSL connection has been closed (EOF)"
    return _made(ZeroReturn, ZeroReturn(Code.STATE, message), ssl.SSL_ERROR_ZERO_RETURN, None, message)


def plain(code: Code, reason: str, message: str) -> Error:
    """An error that is not the engine's."""
    return shaped(Error(code, message), reason=reason)


def unsupported(what: str) -> Error:
    """What was asked for cannot be had."""
    return SSLUnsupported(Code.ARGUMENT, what)


def missing(error: FileNotFoundError, path: object) -> Error:
    """A file that does not exist."""
    made = SSLFileError(Code.FILE, f"{error.strerror}: {path!r}", errno=error.errno)
    made.args = (error.errno, error.strerror)
    made.filename = path
    return made


def _made(kind: type[Error], error: Error, number: int, reason: str | None, message: str) -> Error:
    made = kind(
        error.code,
        message,
        errno=int(number),
        alert=error.alert,
        action=error.action,
        tlsrpt=error.tlsrpt,
        tlsrpt_reason=error.tlsrpt_reason,
        enhanced_status=error.enhanced_status,
    )
    made.args = (int(number), message)
    vars(made).update(reason=reason, library="SSL")
    return made


def _is_address(host: str | None) -> bool:
    try:
        ipaddress.ip_address(host or "")
    except ValueError:
        return False
    return True
