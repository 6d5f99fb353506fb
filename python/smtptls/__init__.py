"""STARTTLS for SMTP (RFC 3207), client and server, on rustls.

`Config` is who we are and whom we trust, `Policy` what we demand of a destination. A `Session` is one
connection: the dialogue up to TLS, then TLS. `Info` is what TLS came out as, and who the peer proved to be.
An `Error` says why something failed, and what to do next. `Tlsa` and `StsPolicy` are what is known of a
destination.

For programs that have TLS from ssl there are `SSLContext`, `create_default_context` and
`inject_into_smtplib`; for others `SMTP`, `aio` and `send`. docs/python.md says how.

    config = smtptls.Config(system_roots=True)
    with socket.create_connection(("mx.example.com", 25), timeout=30) as connection:
        session = smtptls.Session.client(config, smtptls.Policy("verify"), "mx.example.com", connection)
        session.start()
        session.sendall(b"QUIT\\r\\n")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._enums import (
    Action,
    Auth,
    ClientAuth,
    Close,
    Code,
    Digest,
    Dnssec,
    Entry,
    FingerprintOf,
    Level,
    Protocol,
    StsMode,
    Tlsrpt,
    TlsVersion,
)
from ._errors import (
    CertificateError,
    ClosedError,
    ConfigError,
    Error,
    InjectionError,
    PolicyError,
    ProtocolError,
    StarttlsUnavailable,
    Timeout,
    TlsError,
    WantInput,
    WantOutput,
    WantSignature,
)
from ._native import (
    Config,
    Info,
    KeyPair,
    Policy,
    Session,
    SignatureRequest,
    StsPolicy,
    StsRecord,
    Tlsa,
    __version__,
    escape,
    fingerprint,
)

if TYPE_CHECKING:
    from . import aio
    from ._inject import extract_from_smtplib, inject_into_smtplib
    from ._send import Sent, send
    from ._smtp import LMTP, SMTP, SMTP_SSL, InsecureLoginError
    from ._sslcontext import SSLContext, SSLObject, SSLSocket, create_default_context

# Where things are that not every program needs: they are imported when they are asked for.
_LATER = {
    "InsecureLoginError": "_smtp",
    "LMTP": "_smtp",
    "SMTP": "_smtp",
    "SMTP_SSL": "_smtp",
    "SSLContext": "_sslcontext",
    "SSLObject": "_sslcontext",
    "SSLSocket": "_sslcontext",
    "Sent": "_send",
    "aio": None,
    "create_default_context": "_sslcontext",
    "extract_from_smtplib": "_inject",
    "inject_into_smtplib": "_inject",
    "send": "_send",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = _LATER[name]
    module = import_module(f".{place or name}", __name__)
    globals()[name] = value = module if place is None else getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


__all__ = [
    "LMTP",
    "SMTP",
    "SMTP_SSL",
    "Action",
    "Auth",
    "CertificateError",
    "ClientAuth",
    "Close",
    "ClosedError",
    "Code",
    "Config",
    "ConfigError",
    "Digest",
    "Dnssec",
    "Entry",
    "Error",
    "FingerprintOf",
    "Info",
    "InjectionError",
    "InsecureLoginError",
    "KeyPair",
    "Level",
    "Policy",
    "PolicyError",
    "Protocol",
    "ProtocolError",
    "SSLContext",
    "SSLObject",
    "SSLSocket",
    "Sent",
    "Session",
    "SignatureRequest",
    "StarttlsUnavailable",
    "StsMode",
    "StsPolicy",
    "StsRecord",
    "Timeout",
    "TlsError",
    "TlsVersion",
    "Tlsa",
    "Tlsrpt",
    "WantInput",
    "WantOutput",
    "WantSignature",
    "__version__",
    "aio",
    "create_default_context",
    "escape",
    "extract_from_smtplib",
    "fingerprint",
    "inject_into_smtplib",
    "send",
]
