"""STARTTLS for SMTP (RFC 3207), client and server, on rustls.

`Config` is who we are and whom we trust, `Policy` what we demand of a destination. A `Session` is one
connection: the dialogue up to TLS, then TLS. `Info` is what TLS came out as, and who the peer proved to be.
An `Error` says why something failed, and what to do next. `Tlsa` and `StsPolicy` are what is known of a
destination.

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
    from ._sslcontext import SSLContext, SSLObject, SSLSocket, create_default_context

# Where things are that not every program needs: they are imported when they are asked for.
_LATER = {
    "SSLContext": "_sslcontext",
    "SSLObject": "_sslcontext",
    "SSLSocket": "_sslcontext",
    "create_default_context": "_sslcontext",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f".{_LATER[name]}", __name__), name)
    return value


__all__ = [
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
    "KeyPair",
    "Level",
    "Policy",
    "PolicyError",
    "Protocol",
    "ProtocolError",
    "SSLContext",
    "SSLObject",
    "SSLSocket",
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
    "create_default_context",
    "escape",
    "fingerprint",
]
