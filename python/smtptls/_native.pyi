# Written by stubs.py from the Rust sources.
from io import BufferedIOBase
from os import PathLike
from types import EllipsisType
from typing import Any, Final, SupportsFloat, SupportsIndex, final

from _typeshed import ReadableBuffer, SupportsGetItem, WriteableBuffer

from smtptls._enums import Auth, Close, Entry, FingerprintOf, Level, Protocol, TlsVersion
from smtptls._errors import Error

__all__ = ["Config", "Info", "Policy", "Session", "__version__", "escape", "tables"]

__version__: Final[str]

@final
class Config:
    """
    Who we are and whom we trust.

    It is read-only, and good for any number of sessions in any thread and, after fork, in any child. Files
    are read when it is made, so a daemon makes it before it gives up its privileges.

    hostname: the name that this host gives in EHLO and in its greeting; the default is the system's.
    min_version: the oldest version of TLS to accept.
    system_roots: trust the authorities that the system trusts.
    roots: paths of PEM files; every certificate in them is trusted.
    roots_pem: the same as PEM text.
    keypairs: pairs of paths, a certificate chain and its private key in PEM; they may be the same file.
    keypairs_pem: the same as PEM text.

    Raises ConfigError if something cannot be read or does not fit together.
    """
    def __new__(
        cls,
        /,
        *,
        hostname: str | None = None,
        min_version: TlsVersion = ...,
        system_roots: bool = False,
        roots: SupportsGetItem[int, str | PathLike[str]] = ...,
        roots_pem: SupportsGetItem[int, str | ReadableBuffer] = ...,
        keypairs: SupportsGetItem[int, tuple[str | PathLike[str], str | PathLike[str]]] = ...,
        keypairs_pem: SupportsGetItem[int, tuple[str | ReadableBuffer, str | ReadableBuffer]] = ...,
    ) -> Config: ...
    @property
    def has_keypair(self, /) -> bool:
        """
        Whether it has a key pair, without which no server session offers STARTTLS.
        """
    @property
    def hostname(self, /) -> str:
        """
        The name that this host gives in EHLO and in its greeting.
        """

@final
class Info:
    """
    The facts of an established TLS connection: a snapshot, read-only.
    """
    def __repr__(self, /) -> str: ...
    @property
    def auth(self, /) -> Auth:
        """
        How the peer was authenticated.
        """
    @property
    def certificate_present(self, /) -> bool:
        """
        Whether the peer sent a certificate.
        """
    @property
    def channel_binding(self, /) -> bytes | None:
        """
        The tls-exporter channel binding (RFC 9266) for SASL SCRAM-*-PLUS. At TLS 1.2 there is none.
        """
    @property
    def cipher(self, /) -> str:
        """
        The cipher suite by its IANA name.
        """
    @property
    def cipher_bits(self, /) -> int:
        """
        The strength of the cipher in bits.
        """
    @property
    def doubt(self, /) -> str | None:
        """
        Why the peer is not authenticated, in one line; None if it is.
        """
    @property
    def group(self, /) -> str | None:
        """
        The key exchange group by its IANA name.
        """
    @property
    def level(self, /) -> Level:
        """
        The level that was in force.
        """
    @property
    def matched_name(self, /) -> str | None:
        """
        The expected name that the certificate is for.
        """
    @property
    def name_matched(self, /) -> bool:
        """
        Whether its certificate is for an expected name, whoever signed it.
        """
    @property
    def peer_certificates(self, /) -> tuple[bytes, ...]:
        """
        The certificates that the peer sent, in DER, its own first.
        """
    def peer_fingerprint(self, /, of: FingerprintOf = ...) -> str | None:
        """
        The digest of the peer's certificate or public key: "sha256:" and lower case hex.
        """
    @property
    def peer_issuer(self, /) -> str | None:
        """
        The issuer of the peer's certificate as in RFC 4514.
        """
    @property
    def peer_subject(self, /) -> str | None:
        """
        The subject of the peer's certificate as in RFC 4514.
        """
    @property
    def received_clause(self, /) -> str:
        """
        The clause for a Received header (RFC 8314 section 4.3).
        """
    @property
    def resumed(self, /) -> bool:
        """
        Whether an earlier TLS session was resumed.
        """
    @property
    def server_name(self, /) -> str | None:
        """
        The server name (SNI) that the client sent, on a server.
        """
    @property
    def summary(self, /) -> str:
        """
        One line for logs.
        """
    @property
    def trusted(self, /) -> bool:
        """
        Whether its certificate has a valid chain to a trust anchor, whatever name it is for.
        """
    @property
    def version(self, /) -> str:
        """
        The protocol version, "TLSv1.2" or "TLSv1.3".
        """

@final
class Policy:
    """
    What is demanded of a destination.

    level: for a client, what is demanded of the server: "may", "encrypt" or "verify". For a server, whether
    STARTTLS is offered ("may") or required ("encrypt").
    names: the names that the certificate may be for, in place of the session's host: host names, IP
    addresses, or ".example.com" for any host below that domain.
    sni: the name to send in the TLS handshake; None sends none. The default is the session's host.
    """
    def __new__(
        cls,
        /,
        level: Level | str = ...,
        *,
        names: SupportsGetItem[int, str] = ...,
        sni: str | EllipsisType | None = ...,
    ) -> Policy: ...
    @property
    def level(self, /) -> Level:
        """
        The level that was asked for.
        """

@final
class Session:
    """
    One SMTP connection on its way to TLS, and then in it. Made by Session.client and Session.server.

    With a socket, calls wait for the peer as long as the socket's timeout says, or that of settimeout. The
    socket stays the caller's, and is never closed here. A call that runs out of time raises Timeout; after
    start the session can go on all the same. Without a socket the program carries the bytes, with feed,
    output and sent.

    A session is for one thread at a time; a call while another one is going on raises Error (STATE).
    """
    @staticmethod
    def client(
        config: Config, policy: Policy, host: str, sock: Any | None = None, *, protocol: Protocol = ...
    ) -> Session:
        """
        A client's session. host is the name that the policy is about; in mail routing that is the MX host.
        """
    def close(self, /, how: Close = ...) -> None:
        """
        Tells the peer that nothing more will be sent; the socket stays open. Raises Error (TRUNCATED) if the
        peer had closed the connection without saying so.
        """
    @property
    def error(self, /) -> Error | None:
        """
        Why the session failed.
        """
    def feed(self, data: ReadableBuffer, /) -> int:
        """
        Without a socket: takes bytes that came from the peer, as many as there is room for, and says how
        many. b"" means that the peer closed the connection.
        """
    def fileno(self, /) -> int:
        """
        The descriptor of the socket.
        """
    def flush(self, /) -> None:
        """
        Sends everything that waits for company.
        """
    @property
    def hello(self, /) -> str | None:
        """
        The last hello that a server answered in plaintext, as it came. Forgotten when TLS begins.
        """
    @property
    def info(self, /) -> Info | None:
        """
        The facts of the TLS connection, once the handshake is done; also if the policy is not met.
        """
    def insecure_continue(self, /) -> None:
        """
        Goes on although the policy is not met. The peer is not who it should be: use it for a warning that
        a person reads, and for nothing else.
        """
    @property
    def is_tls(self, /) -> bool:
        """
        Whether TLS is active: the handshake is done, and nobody has closed.
        """
    @property
    def is_truncated(self, /) -> bool:
        """
        Whether the peer closed the connection without close_notify.
        """
    def leftover(self, /) -> bytes:
        """
        Bytes that came and belong to the program: on a server that the client left in plaintext, from the
        command on that made it so; after the peer's close_notify, what followed it.
        """
    def makefile(self, /, mode: str = "rb", buffering: SupportsIndex = ...) -> BufferedIOBase:
        """
        A file object over the session: "rb", "wb" or "rwb". Closing it does not close the session.
        """
    def output(self, /) -> bytes:
        """
        Without a socket: the bytes to send to the peer. They stay until sent is called.
        """
    def pending(self, /) -> int:
        """
        How many bytes recv can give without anything from the peer. Look here before waiting for a
        descriptor.
        """
    def recv(self, n: SupportsIndex, /) -> bytes:
        """
        Up to n decrypted bytes; b"" is the end, with or without close_notify, and is_truncated tells which.
        """
    def recv_into(self, buffer: WriteableBuffer, /) -> int:
        """
        As recv, into a writable buffer; says how many bytes.
        """
    def refuse(self, /) -> None:
        """
        Leaves politely, as RFC 3207 section 4.1 asks: a client says QUIT at once; a server answers 554 to all
        but QUIT until the client leaves.
        """
    @property
    def reply(self, /) -> str | None:
        """
        The last SMTP reply that a client received, its lines joined by "\\n". Forgotten when TLS begins.
        """
    def send(self, /, data: ReadableBuffer, more: bool = False) -> int:
        """
        As sendall, but says how much of data was taken: all of it, unless the session does not wait.
        """
    def sendall(self, /, data: ReadableBuffer, more: bool = False) -> None:
        """
        Encrypts and sends all of data. With more it may wait for what is sent next, and leave in one TLS
        record with it; recv, flush, close, and sending without more let it go.

        A session that does not wait raises WantOutput when much is waiting to be sent; its characters_written
        says how much of data was taken.
        """
    def sent(self, n: SupportsIndex, /) -> None:
        """
        Without a socket: drops the first n bytes of the output; they were sent.
        """
    @staticmethod
    def server(
        config: Config,
        policy: Policy | None = None,
        sock: Any | None = None,
        *,
        protocol: Protocol = ...,
        extensions: SupportsGetItem[int, str] = ...,
    ) -> Session:
        """
        A server's session. Without a policy STARTTLS is offered and not required. The extensions are lines of
        the EHLO reply before TLS; PIPELINING, ENHANCEDSTATUSCODES and STARTTLS are there already.
        """
    def set_command(self, /, line: str | ReadableBuffer) -> None:
        """
        For a server that starts from the command: the line that its program has read.
        """
    def set_deadline(self, seconds: SupportsFloat | SupportsIndex | None, /) -> None:
        """
        So many seconds from now all further calls have to be done, beside their timeouts; None lifts it.
        """
    def settimeout(self, seconds: SupportsFloat | SupportsIndex | None, /) -> None:
        """
        Sets how long a call may wait, in place of the socket's timeout: None for ever, 0 not at all.
        """
    def start(self, /, entry: Entry = ..., unread: SupportsIndex = 0) -> None:
        """
        Does what is left of the dialogue, then the TLS handshake, then the judgement.

        It returns if TLS is up and the policy is met, and raises Error otherwise; the error's action says
        what the policy lets the program do. The timeout is for the whole of it.

        unread is how many bytes the program has read from the peer beyond what entry says, and not used. It
        must be 0: anything else was injected, and fails before a byte is sent.
        """

def escape(data: ReadableBuffer, /) -> str:
    """
    Text from the peer, fit for one line of a log: no control character, none that is not ASCII, and cut where
    it gets long.
    """

def tables() -> list[tuple[str, list[tuple[str, int]]]]:
    """
    The name and the members of each enum, as the engine has them.
    """
