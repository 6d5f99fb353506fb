# Written by stubs.py from the engine's tables.
from enum import IntEnum

class Code(IntEnum):
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
    FAIL = 0
    CONTINUE = 1
    RECONNECT = 2
    NEXT_HOST = 3
    @property
    def label(self) -> str: ...

class Level(IntEnum):
    MAY = 1
    ENCRYPT = 2
    VERIFY = 7
    @property
    def label(self) -> str: ...

class Entry(IntEnum):
    GREETING = 0
    COMMAND = 1
    HANDSHAKE = 2

class Auth(IntEnum):
    NONE = 0
    PKIX = 4

class Close(IntEnum):
    SEND = 0
    WAIT = 1
    HALF = 2

class Protocol(IntEnum):
    SMTP = 0
    LMTP = 1

class TlsVersion(IntEnum):
    TLS1_2 = 771
    TLS1_3 = 772

class FingerprintOf(IntEnum):
    CERTIFICATE = 0
    PUBLIC_KEY = 1

class Tlsrpt(IntEnum):
    STARTTLS_NOT_SUPPORTED = 201
    CERTIFICATE_HOST_MISMATCH = 202
    CERTIFICATE_NOT_TRUSTED = 203
    CERTIFICATE_EXPIRED = 204
    VALIDATION_FAILURE = 205
    @property
    def label(self) -> str: ...
