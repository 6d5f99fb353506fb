# Written by stubs.py from the engine's tables.
from enum import IntEnum

class Code(IntEnum):
    """What went wrong, or what is wanted first."""

    ARGUMENT = -10
    STATE = -11
    FROZEN = -12
    INTERNAL = -13
    FILE = -20
    CERTIFICATE_PARSE = -21
    KEY_PARSE = -22
    KEY_MISMATCH = -23
    NO_ROOTS = -24
    NO_KEYPAIR = -25
    KEY_ENCRYPTED = -26
    IO = -30
    EOF = -31
    TIMEOUT = -32
    TRUNCATED = -33
    NOT_OFFERED = -40
    REFUSED = -41
    SMTP_SYNTAX = -42
    PLAINTEXT_INJECTED = -43
    TOO_LONG = -44
    UNSOLICITED = -45
    NOT_REQUESTED = -46
    HANDSHAKE = -50
    ALERT = -51
    TLS = -52
    CERT_INVALID = -60
    CERT_TIME = -61
    CERT_UNTRUSTED = -62
    CERT_NAME = -63
    WANT_INPUT = -1
    WANT_OUTPUT = -2

class Action(IntEnum):
    """What the policy lets a program do after a failure."""

    FAIL = 0
    CONTINUE = 1
    RECONNECT = 2
    NEXT_HOST = 3
    @property
    def label(self) -> str: ...

class Level(IntEnum):
    """How much security is demanded of a peer; each level is stricter than the one before it."""

    MAY = 1
    ENCRYPT = 2
    VERIFY = 7
    @property
    def label(self) -> str: ...

class Entry(IntEnum):
    """Where in the dialogue of RFC 3207 a session takes over."""

    GREETING = 0
    COMMAND = 1
    HANDSHAKE = 2

class Auth(IntEnum):
    """How the peer was authenticated."""

    NONE = 0
    PKIX = 4

class Close(IntEnum):
    """How to close: send close_notify, wait for the peer's too, or go on reading."""

    SEND = 0
    WAIT = 1
    HALF = 2

class Protocol(IntEnum):
    """SMTP (RFC 5321) or LMTP (RFC 2033)."""

    SMTP = 0
    LMTP = 1

class TlsVersion(IntEnum):
    """A version of TLS, by its number on the wire."""

    TLS1_2 = 771
    TLS1_3 = 772

class FingerprintOf(IntEnum):
    """What a fingerprint is the digest of."""

    CERTIFICATE = 0
    PUBLIC_KEY = 1

class Tlsrpt(IntEnum):
    """A result type for an SMTP TLS report (RFC 8460)."""

    STARTTLS_NOT_SUPPORTED = 201
    CERTIFICATE_HOST_MISMATCH = 202
    CERTIFICATE_NOT_TRUSTED = 203
    CERTIFICATE_EXPIRED = 204
    VALIDATION_FAILURE = 205
    @property
    def label(self) -> str: ...
