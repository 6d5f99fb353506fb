"""STARTTLS for SMTP (RFC 3207), client and server, on rustls.

`Config` is who we are and whom we trust, `Policy` what we demand of a destination. A `Session` is one
connection: the dialogue up to TLS, then TLS. `Info` is what TLS came out as, and who the peer proved to be.
An `Error` says why something failed, and what to do next.

    config = smtptls.Config(system_roots=True)
    with socket.create_connection(("mx.example.com", 25), timeout=30) as connection:
        session = smtptls.Session.client(config, smtptls.Policy("verify"), "mx.example.com", connection)
        session.start()
        session.sendall(b"QUIT\\r\\n")
"""

from ._enums import (
    Action,
    Auth,
    Close,
    Code,
    Entry,
    FingerprintOf,
    Level,
    Protocol,
    Tlsrpt,
    TlsVersion,
)
from ._errors import (
    CertificateError,
    ClosedError,
    ConfigError,
    Error,
    InjectionError,
    ProtocolError,
    StarttlsUnavailable,
    Timeout,
    TlsError,
    WantInput,
    WantOutput,
)
from ._native import Config, Info, Policy, Session, __version__, escape

__all__ = [
    "Action",
    "Auth",
    "CertificateError",
    "Close",
    "ClosedError",
    "Code",
    "Config",
    "ConfigError",
    "Entry",
    "Error",
    "FingerprintOf",
    "Info",
    "InjectionError",
    "Level",
    "Policy",
    "Protocol",
    "ProtocolError",
    "Session",
    "StarttlsUnavailable",
    "Timeout",
    "TlsError",
    "TlsVersion",
    "Tlsrpt",
    "WantInput",
    "WantOutput",
    "__version__",
    "escape",
]
