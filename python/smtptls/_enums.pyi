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
    CRL_PARSE = -27
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
    NOT_WANTED = -47
    HANDSHAKE = -50
    ALERT = -51
    TLS = -52
    CERT_INVALID = -60
    CERT_TIME = -61
    CERT_UNTRUSTED = -62
    CERT_NAME = -63
    FINGERPRINT = -64
    CERT_REQUIRED = -65
    CERT_REVOKED = -66
    CRL_EXPIRED = -67
    DANE_MISMATCH = -70
    DANE_REQUIRED = -71
    DNSSEC = -72
    STS_MX = -80
    STS_INVALID = -81
    REQUIRETLS = -90
    WANT_INPUT = -1
    WANT_OUTPUT = -2
    WANT_SIGNATURE = -4

class Action(IntEnum):
    """What the policy lets a program do after a failure."""

    FAIL = 0
    CONTINUE = 1
    RECONNECT = 2
    NEXT_HOST = 3
    @property
    def label(self) -> str: ...

class Level(IntEnum):
    """How much security is demanded of a peer, each level as Postfix defines it."""

    NONE = 0
    MAY = 1
    ENCRYPT = 2
    FINGERPRINT = 3
    DANE = 5
    DANE_ONLY = 6
    VERIFY = 7
    SECURE = 8
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
    FINGERPRINT = 1
    DANE_EE = 2
    DANE_TA = 3
    PKIX = 4
    @property
    def label(self) -> str: ...

class ClientAuth(IntEnum):
    """Whether a server asks for client certificates."""

    NONE = 0
    ASK = 1
    REQUIRE = 2
    @property
    def label(self) -> str: ...

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

class Digest(IntEnum):
    """A digest algorithm, numbered as TLS numbers hashes."""

    SHA1 = 2
    SHA256 = 4
    SHA384 = 5
    SHA512 = 6
    @property
    def label(self) -> str: ...

class Dnssec(IntEnum):
    """How far a DNS answer can be believed, as the program's resolver says."""

    NONE = 0
    SECURE = 1
    INSECURE = 2
    BOGUS = 3
    ERROR = 4
    @property
    def label(self) -> str: ...

class StsMode(IntEnum):
    """What an MTA-STS policy demands (RFC 8461 section 5)."""

    NONE = 0
    TESTING = 1
    ENFORCE = 2
    @property
    def label(self) -> str: ...

class Tlsrpt(IntEnum):
    """A result type for an SMTP TLS report (RFC 8460)."""

    STARTTLS_NOT_SUPPORTED = 201
    CERTIFICATE_HOST_MISMATCH = 202
    CERTIFICATE_NOT_TRUSTED = 203
    CERTIFICATE_EXPIRED = 204
    VALIDATION_FAILURE = 205
    STS_POLICY_FETCH_ERROR = 301
    STS_POLICY_INVALID = 302
    STS_WEBPKI_INVALID = 303
    TLSA_INVALID = 304
    DNSSEC_INVALID = 305
    DANE_REQUIRED = 306
    @property
    def label(self) -> str: ...
