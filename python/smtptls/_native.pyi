# Written by stubs.py from the Rust sources.
from datetime import datetime
from io import BufferedIOBase
from os import PathLike
from pathlib import Path
from types import EllipsisType
from typing import Any, Final, Literal, SupportsFloat, SupportsIndex, final

from _typeshed import ReadableBuffer, SupportsGetItem, WriteableBuffer
from typing_extensions import disjoint_base

from smtptls._enums import (
    Auth,
    ClientAuth,
    Close,
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
from smtptls._errors import Error

__all__ = [
    "Channel",
    "Config",
    "ConfigBuilder",
    "Info",
    "KeyPair",
    "Policy",
    "Session",
    "SignatureRequest",
    "StsPolicy",
    "StsRecord",
    "Tlsa",
    "__version__",
    "certificate_dict",
    "claim_interpreter",
    "escape",
    "fingerprint",
    "tables",
]

__version__: Final[str]

@disjoint_base
class Channel:
    """
    TLS over a socket, or between two memory buffers. A subclass has `_shaped`, which makes an exception of
    ssl's of an Error.

    The engine is never locked while a call waits for the socket: one thread may read while another writes.
    """
    def __new__(
        cls,
        /,
        config: Config,
        policy: Policy,
        host: str | None,
        *,
        socket: tuple[Any, Any, Any, Any, Any | None] | None = None,
        buffers: tuple[Any, Any] | None = None,
    ) -> Channel:
        """
        host is the server that the policy is about; None for a server's side. socket and buffers are what is
        described in `wire`.
        """
    def choose(self, /, config: Config, policy: Policy) -> None:
        """
        Goes on from the ClientHello that was read, as a server with this Config.
        """
    def close(self, /) -> None:
        """
        Sends close_notify and waits for the peer's. Data that the peer has sent before it is an error.
        """
    def handshake(self, /) -> None:
        """
        Does the handshake, and judges the peer.
        """
    @property
    def info(self, /) -> Info | None:
        """
        The facts of the connection, once the handshake is done.
        """
    def pending(self, /) -> int:
        """
        How many bytes read can give without anything from the peer.
        """
    def read(self, /, n: SupportsIndex = 1024, buffer: WriteableBuffer | None = None) -> Any:
        """
        Up to n decrypted bytes, or with a buffer how many are in it. Nothing is the peer's close_notify.
        """
    def read_hello(self, /) -> str | None:
        """
        Reads the ClientHello and no further; gives the name that it asks for. Then `choose` says with which
        Config and Policy to go on.
        """
    def refuse(self, /, alert: SupportsIndex) -> None:
        """
        Refuses the ClientHello that was read with this alert (RFC 8446 section 6).
        """
    def write(self, data: Any, /) -> int:
        """
        Encrypts and sends; says how much of data was taken: all, unless the socket does not wait.
        """

@final
class Config:
    """
    Who we are and whom we trust.

    It is good for any number of sessions in any thread and, after fork, in any child. Files are read when
    it is made, so a daemon makes it before it gives up its privileges. Only key pairs and ticket keys
    change afterwards, atomically and from any thread: by reload_keypairs, replace_keypairs,
    reload_ticket_keys and set_ticket_keys. Sessions that have begun go on with what they had.

    hostname: the name that this host gives in EHLO and in its greeting; the default is the system's.
    min_version: the oldest version of TLS to accept.
    max_version: the newest version of TLS to use.
    ciphers: the cipher suites to use, in order of preference: names of IANA or of OpenSSL, as a sequence,
    or as one str with colons, commas or blanks between. What names none that the library has is in
    unknown_ciphers; a list without one that it has is an error. The default are all, and they are all good
    (RFC 9325 section 4.2); AES-128-GCM comes first. A server goes by its own order. A list is for the
    versions of TLS that it names suites of: one without a suite of TLS 1.3 leaves those as they are, as
    with OpenSSL. To do without a version there are min_version and max_version.
    groups: the key exchange groups to use, in order of preference, given as ciphers are; what names none is
    in unknown_groups. A client's key share is for the first of them. By default a client begins with x25519
    and a server with X25519MLKEM768: a key share of the latter makes a ClientHello longer than a segment,
    which some SMTP servers cannot take, and at level may mail would then go in plaintext. A server that
    prefers X25519MLKEM768 gets it, by a HelloRetryRequest or from a client that begins with it.
    system_roots: trust the authorities that the system trusts.
    roots: paths of PEM files; every certificate in them is trusted.
    roots_pem: the same as PEM text.
    roots_dirs: directories whose PEM files are read for the same, as "openssl rehash" fills one.
    crls: paths of certificate revocation lists, in PEM or DER. They hold at the levels that go by trust
    anchors, for every certificate of a chain whose issuer has a list here; a list that has expired makes such
    a certificate fail. DANE and fingerprints know no revocation.
    crls_pem: the same from memory.
    keypairs: pairs of paths, a certificate chain and its private key in PEM, which may be the same file; or
    KeyPair, for one with further names or a staple. A server chooses by the name that the client asks for,
    and by the kinds of key that it can verify; the first key pair serves clients that name none or an unknown
    one. A client shows the first key pair that the server can verify, and only if the server asks for one.
    keypairs_files: paths of PEM files with any number of key pairs each, such as Postfix's chain files: each
    key before its chain, or each behind it. They come after keypairs.
    keypairs_pem: pairs of PEM texts, a certificate chain and its private key. They come last.
    client_auth: whether a server asks for client certificates, by ClientAuth or its name: none, which is the
    default; ask takes any certificate or none, and Info says what it is worth; with require start fails
    without one that is trusted, or whose fingerprint the policy has, and TLS is up then: refuse answers 554.
    They are judged after the handshake, and a session never fails in it for one.
    client_auth_names: name the authorities that it trusts: some clients choose by these names, and the list
    can be long.
    alpn: the application protocols (RFC 7301) to offer, or as a server to take. None by default: no protocol
    is registered for SMTP, and a server without any ignores what clients offer. A server that has some is
    strict, against attacks that pass off one protocol as another: a client that offers ALPN must offer
    exactly one protocol, and one of these; a client that offers none is served.
    client_sessions: keep the sessions of clients with this many servers, in memory, so that they can be
    resumed; a resumed one is judged anew, by the policy of its time. The default keeps none.
    service: the name of the service. A ticket of one service is nothing to another, so that a client that
    is let in by the one is not by the other.
    ticket_keys: keys for a server's session tickets, 32 random bytes each: the first seals new tickets, and
    each opens those that it has sealed. All processes and hosts with the same keys resume each other's
    sessions. Without keys, the default, nothing is resumed.
    ticket_key_file: the same from a file that holds the current key, the next and the previous one; it goes
    without ticket_keys. "python -m smtptls.tickets" makes and rotates it, and reload_ticket_keys reads it
    again.
    ticket_lifetime: for how many seconds a ticket is good; a week at most (RFC 8446 section 4.6.1).
    tickets: how many tickets a server gives after a handshake of TLS 1.3: 0, 1 or 2.

    Raises ConfigError if something cannot be read or does not fit together.
    """
    def __new__(
        cls,
        /,
        *,
        hostname: str | None = None,
        min_version: TlsVersion = ...,
        max_version: TlsVersion = ...,
        ciphers: str | SupportsGetItem[int, str] | None = None,
        groups: str | SupportsGetItem[int, str] | None = None,
        system_roots: bool = False,
        roots: SupportsGetItem[int, str | PathLike[str]] = ...,
        roots_pem: SupportsGetItem[int, str | ReadableBuffer] = ...,
        roots_dirs: SupportsGetItem[int, str | PathLike[str]] = ...,
        crls: SupportsGetItem[int, str | PathLike[str]] = ...,
        crls_pem: SupportsGetItem[int, str | ReadableBuffer] = ...,
        keypairs: SupportsGetItem[int, KeyPair | tuple[str | PathLike[str], str | PathLike[str]]] = ...,
        keypairs_files: SupportsGetItem[int, str | PathLike[str]] = ...,
        keypairs_pem: SupportsGetItem[int, tuple[str | ReadableBuffer, str | ReadableBuffer]] = ...,
        client_auth: ClientAuth | str = ...,
        client_auth_names: bool = False,
        alpn: SupportsGetItem[int, str | ReadableBuffer] = ...,
        client_sessions: SupportsIndex = 0,
        service: str = "smtp",
        ticket_keys: SupportsGetItem[int, ReadableBuffer] = ...,
        ticket_key_file: str | PathLike[str] | None = None,
        ticket_lifetime: SupportsIndex = 3600,
        tickets: SupportsIndex = 1,
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
    def judge(
        self,
        /,
        policy: Policy,
        host: str,
        chain: SupportsGetItem[int, ReadableBuffer],
        *,
        now: float | None = None,
    ) -> Auth:
        """
        What a session under this policy would make of a server host that shows these certificates, in DER and
        its own first: how it is authenticated, or it raises the error. No handshake, so nothing says that the
        server has the key: for tools that explain, and for policies that are weighed after a session.

        now: another time than the present, in seconds since 1970: the dates of certificates and revocation
        lists count as they would then.
        """
    def reload_keypairs(self, /) -> None:
        """
        Reads the files of its key pairs again; pairs from memory stay. All are checked first, and if one is
        bad the old ones go on serving, and the error says which file and why.
        """
    def reload_ticket_keys(self, /) -> None:
        """
        Reads ticket_key_file again: a program does so now and then, and after a rotation. On an error the old
        keys stay.
        """
    def replace_keypairs(
        self,
        /,
        *,
        keypairs: SupportsGetItem[int, KeyPair | tuple[str | PathLike[str], str | PathLike[str]]] = ...,
        keypairs_files: SupportsGetItem[int, str | PathLike[str]] = ...,
        keypairs_pem: SupportsGetItem[int, tuple[str | ReadableBuffer, str | ReadableBuffer]] = ...,
    ) -> None:
        """
        Takes these key pairs in place of its own: for a program that cannot read its files any more, or whose
        names have changed. All are checked first. A bad one, or none at all, raises ConfigError and changes
        nothing.
        """
    def set_ticket_keys(self, /, keys: SupportsGetItem[int, ReadableBuffer]) -> None:
        """
        The keys for session tickets from now on, in place of ticket_keys. To rotate, put the new key first
        and leave the old ones behind it for as long as their tickets are good. No key at all: no tickets, and
        none is taken.
        """
    @property
    def unknown_ciphers(self, /) -> tuple[str, ...]:
        """
        The words in ciphers that name no cipher suite which the library has, escaped.
        """
    @property
    def unknown_groups(self, /) -> tuple[str, ...]:
        """
        The words in groups that name no key exchange group which the library has, escaped.
        """

@final
class ConfigBuilder:
    """
    A Config in the making. A call that fails changes nothing.
    """
    def __new__(cls, /) -> ConfigBuilder: ...
    def add_roots_der(self, /, der: ReadableBuffer) -> None: ...
    def add_roots_directory(self, /, path: str | PathLike[str]) -> None: ...
    def add_roots_file(self, /, path: str | PathLike[str]) -> None: ...
    def add_roots_pem(self, /, pem: ReadableBuffer) -> None: ...
    def add_system_roots(self, /) -> None: ...
    def alpn(self, /, protocols: SupportsGetItem[int, ReadableBuffer]) -> None: ...
    def ciphers(self, /, list: str | SupportsGetItem[int, str]) -> list[str]:
        """
        Gives the words that name none which the library has.
        """
    def freeze(
        self,
        /,
        min_version: TlsVersion,
        max_version: TlsVersion,
        client_auth: ClientAuth | str,
        tickets: SupportsIndex,
    ) -> Config:
        """
        A Config of what is set now, and of these.
        """
    def groups(self, /, list: str | SupportsGetItem[int, str]) -> list[str]: ...
    def replace_keypair_file(self, /, chain: str | PathLike[str], key: str | PathLike[str]) -> None: ...
    def ticket_keys(self, /, keys: SupportsGetItem[int, ReadableBuffer]) -> None: ...

@final
class Info:
    """
    The facts of an established TLS connection: a snapshot, read-only. Plain values, which can be compared,
    and carried to another process: by pickle, or by to_bytes.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __reduce__(self, /) -> tuple[Any, tuple[bytes]]:
        """
        For pickle and copy: its bytes, read again.
        """
    def __repr__(self, /) -> str: ...
    @property
    def alpn(self, /) -> bytes | None:
        """
        The application protocol (RFC 7301) that was agreed on.
        """
    @property
    def auth(self, /) -> Auth:
        """
        How the peer was authenticated. At the levels may and encrypt, which ask for nothing, this is a fact
        for the log: an attacker could have done without.
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
    def cipher_openssl(self, /) -> str:
        """
        The cipher suite by OpenSSL's name; the same in TLS 1.3.
        """
    @property
    def client_digest(self, /) -> str | None:
        """
        The digest of that signature.
        """
    @property
    def client_signature(self, /) -> str | None:
        """
        The algorithm of the client's signature; None if it showed no certificate.
        """
    @property
    def doubt(self, /) -> str | None:
        """
        Why the peer is not authenticated, in one line; None if it is.
        """
    @property
    def doubt_depth(self, /) -> int | None:
        """
        At which depth of the peer's chain the reason for that lies: 0 is its own certificate, 1 that of the
        authority that signed it, and so on. The one nearest to the peer's own counts.
        """
    @property
    def exim_cipher(self, /) -> str:
        """
        What Exim has in $tls_in_cipher: "TLS1.3:TLS_AES_256_GCM_SHA384:256".
        """
    @staticmethod
    def from_bytes(data: ReadableBuffer, /) -> Info:
        """
        What to_bytes of another process gave. Whoever hands them over is believed. Raises ConfigError if they
        are no Info, or one of another version.
        """
    @property
    def group(self, /) -> str | None:
        """
        The key exchange group by its IANA name. None where a resumed session of TLS 1.2 had none.
        """
    @property
    def level(self, /) -> Level:
        """
        The level that was in force, which is not always the one that was asked for: see
        Policy.effective_level.
        """
    @property
    def matched_fingerprint(self, /) -> str | None:
        """
        The fingerprint that vouches for the peer: "sha256:" and lower case hex.
        """
    @property
    def matched_name(self, /) -> str | None:
        """
        The expected name that the certificate is for.
        """
    @property
    def matched_tlsa(self, /) -> Tlsa | None:
        """
        The TLSA record that vouches for the peer.
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
    @property
    def peer_chain_pem(self, /) -> str:
        """
        The certificates that the peer sent, in PEM, its own first; empty if it sent none.
        """
    @property
    def peer_common_name(self, /) -> str | None:
        """
        The common name of the peer's certificate, escaped: for logs, since names are compared with nothing of
        it.
        """
    def peer_fingerprint(self, /, of: FingerprintOf = ..., digest: Digest | str = ...) -> str | None:
        """
        The digest of the peer's certificate or public key: the algorithm, a colon and lower case hex.
        """
    @property
    def peer_issuer(self, /) -> str | None:
        """
        The issuer of the peer's certificate as in RFC 4514.
        """
    @property
    def peer_issuer_common_name(self, /) -> str | None:
        """
        The common name of the issuer, escaped.
        """
    @property
    def peer_key_algorithm(self, /) -> str | None:
        """
        The kind of the peer's key: "RSA", "ECDSA", "ED25519".
        """
    @property
    def peer_key_bits(self, /) -> int | None:
        """
        The size of the peer's key in bits.
        """
    @property
    def peer_names(self, /) -> tuple[str, ...]:
        """
        The names of the peer's certificate, escaped: "DNS:mx.example.com", "IP:192.0.2.1", "email:", "URI:".
        """
    @property
    def peer_not_after(self, /) -> datetime | None:
        """
        When the peer's certificate ends, in UTC.
        """
    @property
    def peer_not_before(self, /) -> datetime | None:
        """
        When the peer's certificate begins to be good, in UTC.
        """
    @property
    def peer_serial(self, /) -> str | None:
        """
        The serial number of the peer's certificate, in lower case hex.
        """
    @property
    def peer_subject(self, /) -> str | None:
        """
        The subject of the peer's certificate as in RFC 4514.
        """
    @property
    def received_clause(self, /) -> str:
        """
        The clause for a Received header (RFC 8314 section 4.3): "tls TLS_AES_256_GCM_SHA384 group x25519".
        """
    @property
    def received_client(self, /) -> str | None:
        """
        On a server, for a comment of a Received header (RFC 3207 section 4.1), what Postfix writes of the
        client's certificate: Client CN "mail.example.org", Issuer "Example CA" (verified OK), or (not
        verified). What the client chose cannot end the comment. None of a server, and without a certificate.
        """
    @property
    def resumed(self, /) -> bool:
        """
        Whether an earlier TLS session was resumed.
        """
    @property
    def secured(self, /) -> bool:
        """
        Whether the policy demanded that the peer prove who it is, the peer did, and it is the server of the
        destination. Under DANE with insecure MX records it proved to be the host that an insecure answer
        named, and that is not enough for this (RFC 7672 section 2.2.1).
        """
    @property
    def server_digest(self, /) -> str | None:
        """
        The digest of that signature: "SHA256". None where it is part of the algorithm.
        """
    @property
    def server_end_point(self, /) -> bytes | None:
        """
        The tls-server-end-point channel binding (RFC 5929 section 4.1): a digest of the server's certificate.
        None where it is not defined: without one, and where its signature has no digest of its own, as with
        Ed25519.
        """
    @property
    def server_name(self, /) -> str | None:
        """
        The server name (SNI) that the client sent, on a server.
        """
    @property
    def server_signature(self, /) -> str | None:
        """
        The algorithm of the server's signature in the handshake, as OpenSSL names it: "RSA-PSS", "ECDSA".
        None of a resumed session.
        """
    @property
    def summary(self, /) -> str:
        """
        What Postfix logs of a connection and writes into Received, word for word: "TLSv1.3 with cipher
        TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA (prime256v1)
        server-digest SHA256".
        """
    @property
    def tlsa_depth(self, /) -> int | None:
        """
        At which depth of the peer's chain that record holds: 0 is its own certificate. Where the authority's
        certificate is not in the chain, the depth that it would have.
        """
    def to_bytes(self, /) -> bytes:
        """
        All of it as bytes, for from_bytes in another process. There is no secret in it.
        """
    @property
    def trusted(self, /) -> bool:
        """
        Whether its certificate has a valid chain to a trust anchor, whatever name it is for; or whether a
        TLSA record or a fingerprint vouches for it, where these are in force.
        """
    @property
    def version(self, /) -> str:
        """
        The protocol version, "TLSv1.2" or "TLSv1.3".
        """

@final
class KeyPair:
    """
    A key pair in files, for Config, where a pair of paths says too little.

    chain: the path of the certificate chain in PEM.
    key: the path of its private key in PEM; it may be the same file. None for one that is elsewhere, in
    another process or in a device: then Session.start raises WantSignature, and the program has it sign.
    names: names to use it for besides those in the certificate: host names, and ".example.com" for any below
    that domain.
    ocsp: the path of an OCSP response in DER, which is stapled. It is read with the pair, and again with it.
    What it says, and for how long, is for clients to judge.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __getnewargs__(self, /) -> tuple[Path, Path | None, tuple[str, ...], Path | None]:
        """
        For pickle and copy.
        """
    def __hash__(self, /) -> int: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(
        cls,
        /,
        chain: str | PathLike[str],
        key: str | PathLike[str] | None,
        names: SupportsGetItem[int, str] = ...,
        ocsp: str | PathLike[str] | None = None,
    ) -> KeyPair: ...
    def __repr__(self, /) -> str: ...
    @property
    def chain(self, /) -> Path:
        """
        The path of the certificate chain.
        """
    @property
    def key(self, /) -> Path | None:
        """
        The path of the private key; None if it is elsewhere.
        """
    @property
    def names(self, /) -> tuple[str, ...]:
        """
        The names to use it for besides those in the certificate.
        """
    @property
    def ocsp(self, /) -> Path | None:
        """
        The path of the OCSP response; None for no staple.
        """

@final
class Policy:
    """
    What is demanded of a destination.

    level: for a client, what is demanded of the server: one of Level, or its name. For a server, whether
    STARTTLS is offered ("may") or required ("encrypt"), or not offered ("none").
    names: the names that the certificate may be for, in place of the session's host, and at level secure of
    the next hop's: host names (also with letters that are not ASCII), IP addresses, or ".example.com" for any
    host below that domain. At the DANE levels they are an error: there the DNS names them.
    sni: the name to send in the TLS handshake; None sends none. The default is the session's host. Where DANE
    is in force it is always the TLSA base domain.
    fingerprints: of certificates that are accepted at level fingerprint: "sha256:" and hex digits of either
    case, with or without colons. Without an algorithm, as in Postfix's tables, the length tells it.
    key_fingerprints: the same of public keys.
    next_hop: the domain that mail is for. At level secure a certificate for it, or for any host below it, is
    accepted; at the DANE levels one for the domain, if its MX records are secure (RFC 7672 section 3.2.2).
    next_hop_expanded: where its CNAMEs lead, if that is another name.
    mx_dnssec: whether its MX records are secure: one of Dnssec, or its name. The default is that no MX lookup
    was made, as for a configured relay.
    address_dnssec: whether the server's addresses are secure. One of A and AAAA is enough for that.
    tlsa: the TLSA records, as the DNS has them: each a Tlsa, its presentation form as str, or its RDATA as
    bytes. One that is unusable counts all the same: it says that the domain has TLS.
    tlsa_base: the base domain for which they were looked up; the default is the session's host.
    tlsa_dnssec: whether the answer to their lookup is secure. The DANE levels need this, but where the lookup
    cannot be made: below insecure MX or address records, and for an IP address.
    allow_common_names: under DANE-TA also look at the common name, of a certificate that has no
    subjectAltName.
    insecure_any_name: at the levels verify and secure take a trusted certificate for whatever name, as Exim
    does with tls_verify_hosts alone. It lets in whoever has any certificate of any trusted authority, so it
    is for authorities that serve nobody else. Such a peer is not secured. Where MTA-STS is in force the name
    counts all the same.
    sts: the domain's MTA-STS policy (RFC 8461), if there is one that is current. It raises the levels may and
    encrypt, and dane where the domain has no secure TLSA records; what DANE says it never outweighs.
    tls_optional: whether the message says "TLS-Required: No" (RFC 8689 section 3): with True DANE and MTA-STS
    do not count, with "always" nor does a stricter local level. Leave it out for a message that came with
    REQUIRETLS.

    The library asks no DNS: at the levels dane and dane-only the program gives what its resolver found, and
    whether that was validated.
    """
    def __new__(
        cls,
        /,
        level: Level | str = ...,
        *,
        names: SupportsGetItem[int, str] = ...,
        sni: str | EllipsisType | None = ...,
        fingerprints: SupportsGetItem[int, str] = ...,
        key_fingerprints: SupportsGetItem[int, str] = ...,
        next_hop: str | None = None,
        next_hop_expanded: str | None = None,
        mx_dnssec: Dnssec | str = ...,
        address_dnssec: Dnssec | str = ...,
        tlsa: SupportsGetItem[int, Tlsa | str | ReadableBuffer] = ...,
        tlsa_base: str | None = None,
        tlsa_dnssec: Dnssec | str = ...,
        allow_common_names: bool = False,
        insecure_any_name: bool = False,
        sts: StsPolicy | None = None,
        tls_optional: bool | Literal["always"] = ...,
    ) -> Policy: ...
    def effective_level(self, host: str, /) -> Level:
        """
        The level that holds for a session with this host, by all that is known before it begins; raises Error
        if there is to be none. The same error comes from start.
        """
    @property
    def level(self, /) -> Level:
        """
        The level that was asked for. What it comes to is effective_level.
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
    def check_requiretls(self, /, offered: bool) -> None:
        """
        Raises PolicyError (REQUIRETLS) unless a message with REQUIRETLS may be sent through this session (RFC
        8689 section 4.2.1): TLS is up; the server is one that secure MX records or an MTA-STS policy name, or
        that the program was told to use (see next_hop of Policy); its certificate was verified by a trust
        chain or by DANE; and it offered REQUIRETLS in its reply to the EHLO inside TLS.

        On an error say QUIT and try the next server; other messages may go first. If there is no other
        server, the error's enhanced_status is for the bounce: 5.7.30 where REQUIRETLS is not offered, 5.7.10
        where the session is not good enough. A bounce itself, with an empty return path, may be sent all the
        same.
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
    def expire(self, /) -> Error:
        """
        Without a socket: says that the time allowed has run out, and gives what follows from it: Timeout, or
        the error with which the session had failed already. In start that is final, and there and in refuse
        a client that was to send a command gets 421, which output shows. Elsewhere the session is as it was.
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
        The last SMTP reply that a client received, its lines joined by "\\n". Before TLS it is forgotten when
        TLS begins; after start from the greeting it is the reply to the EHLO inside TLS.
        """
    @property
    def reports(self, /) -> list[tuple[Tlsrpt, str]]:
        """
        What belongs into an SMTP TLS report (RFC 8460): a result type and a failure reason each. Also of a
        session that succeeded: under an MTA-STS policy in mode testing what would have failed, and TLSA
        records that are all unusable. Types are not exclusive.
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
    def set_banner(self, banner: ReadableBuffer, /) -> None:
        """
        For a server that starts from the handshake, as on port 465: what it says first inside TLS, such as
        b"220 mx.example.com ESMTP\\r\\n". It leaves with the server's Finished, a round trip sooner than by
        sendall (0.5-RTT), where the client has TLS 1.3 and is asked for no certificate; else after the
        handshake. It goes to somebody who is not known yet. Before start.
        """
    def set_command(self, /, line: str | ReadableBuffer) -> None:
        """
        For a server that starts from the command: the line that its program has read.
        """
    def set_deadline(self, seconds: SupportsFloat | SupportsIndex | None, /) -> None:
        """
        So many seconds from now all further calls have to be done, beside their timeouts; None lifts it.
        """
    def set_discard(self, /, discard: bool) -> None:
        """
        For a server: drops what a client sends in plaintext behind STARTTLS, as Postfix does, in place of 554
        and an error. It is never executed, and never becomes part of TLS, either way. Before start.
        """
    def set_exempt_more(self, /, exempt: bool) -> None:
        """
        For a server that requires TLS: exempts HELO, HELP and XCLIENT too, as Postfix does; RFC 3207 section
        4 names NOOP, EHLO, STARTTLS and QUIT. XCLIENT is the program's: start hands it over. Before start.
        """
    def set_greeting(self, /, text: str) -> None:
        """
        For a server that starts from the greeting: the text behind its name, in place of ESMTP or LMTP.
        Before start.
        """
    def set_not_now(self, /) -> None:
        """
        For a server that cannot have TLS for now: STARTTLS is not offered, and answered with 454 (RFC 3207
        section 4). Where it is required, other commands still get 530. Before start.
        """
    def set_signature(self, signature: ReadableBuffer, /) -> None:
        """
        Gives the signature that start wants, as TLS has it: for ECDSA in DER. One that does not fit the
        certificate's key raises ConfigError (KEY_MISMATCH), and may be followed by another try. Then call
        start again; it may ask once more, if key pairs were exchanged meanwhile.
        """
    def settimeout(self, seconds: SupportsFloat | SupportsIndex | None, /) -> None:
        """
        Sets how long a call may wait, in place of the socket's timeout: None for ever, 0 not at all.
        """
    @property
    def signature_request(self, /) -> SignatureRequest | None:
        """
        What start wants signed, after it raised WantSignature; None if nothing.
        """
    def start(self, /, entry: Entry = ..., unread: SupportsIndex = 0) -> None:
        """
        Does what is left of the dialogue, then the TLS handshake, then the judgement.

        It returns if TLS is up and the policy is met, and raises Error otherwise; the error's action says
        what the policy lets the program do. The timeout is for the whole of it.

        unread is how many bytes the program has read from the peer beyond what entry says, and not used. It
        must be 0: anything else was injected, and fails before a byte is sent.
        """

@final
class SignatureRequest:
    """
    What is to be signed, and how, with a private key that is elsewhere: see Session.signature_request.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __repr__(self, /) -> str: ...
    @property
    def algorithm(self, /) -> str:
        """
        The algorithm of that scheme, as OpenSSL names it: "RSA-PSS", "RSA" (PKCS #1 v1.5), "ECDSA" or
        "ED25519".
        """
    @property
    def certificate(self, /) -> bytes:
        """
        The certificate in DER whose key is to sign.
        """
    @property
    def digest(self, /) -> str | None:
        """
        The digest of that scheme, "SHA256"; with RSA-PSS of its mask too, and the salt is as long as the
        digest. None where it is part of the algorithm.
        """
    @property
    def message(self, /) -> bytes:
        """
        What is to be signed: the message itself, which the digest is to be made of.
        """
    @property
    def scheme(self, /) -> int:
        """
        The signature scheme, by its number in IANA's registry (RFC 8446 section 4.2.3): 0x0403.
        """

@final
class StsPolicy:
    """
    A policy: what a domain says of its own MX hosts. Made by StsPolicy.parse.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __reduce__(self, /) -> tuple[Any, tuple[str]]:
        """
        For pickle and copy: its text, read again.
        """
    def __repr__(self, /) -> str: ...
    def __str__(self, /) -> str:
        """
        The text of the policy.
        """
    @staticmethod
    def in_force(
        fetched: StsPolicy | None, kept: tuple[StsPolicy, float] | None, now: float
    ) -> StsPolicy | None:
        """
        Which policy holds (RFC 8461 sections 3.3 and 5.1): one just fetched, else a kept one that is still
        current, whatever the DNS says, else none. kept is a policy and the time of its fetching.
        """
    def is_current(self, /, fetched: float, now: float) -> bool:
        """
        Whether it may still be used, by times in seconds since 1970. A policy from the future may.
        """
    def matches(self, host: str, /) -> bool:
        """
        Whether a pattern fits this MX host (RFC 8461 section 4.1): "*." stands for exactly one label.
        """
    @property
    def max_age(self, /) -> int:
        """
        For how many seconds after it was fetched it may be used: at most a year.
        """
    @property
    def mode(self, /) -> StsMode:
        """
        What it demands.
        """
    @property
    def mx(self, /) -> tuple[str, ...]:
        """
        The patterns for MX hosts, in lower case: host names, and "*." before a domain.
        """
    def needs_refresh(self, /, fetched: float, now: float) -> bool:
        """
        Whether it is time to fetch it again, so that it does not run out unseen (RFC 8461 section 3.3):
        after a day, or after half of its time if that is shorter; also if fetched is as far ahead of now,
        since then a clock was wrong.
        """
    @staticmethod
    def parse(text: str | ReadableBuffer, /) -> StsPolicy:
        """
        Reads the text of a policy (RFC 8461 section 3.2), with lines that end in CRLF or LF. Of keys that
        stand twice the first counts, but of mx; unknown ones are passed over.
        """

@final
class StsRecord:
    """
    The TXT record of _mta-sts.<domain>. Made by StsRecord.find.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __reduce__(self, /) -> tuple[Any, tuple[list[str]]]:
        """
        For pickle and copy: its text, read again.
        """
    def __repr__(self, /) -> str: ...
    def __str__(self, /) -> str:
        """
        As it stands in the DNS: "v=STSv1; id=20160831085700Z;".
        """
    @staticmethod
    def find(records: SupportsGetItem[int, str], /) -> StsRecord | None:
        """
        The one record among the TXT records of the name, each with its strings joined (RFC 8461 section 3.1).
        None if none of them is for MTA-STS. Several, or a malformed one, raise ConfigError and mean the same
        to a
        sender: no policy is discovered, and a kept one stays valid.
        """
    @property
    def id(self, /) -> str:
        """
        What changes when the policy changes.
        """

@final
class Tlsa:
    """
    A TLSA record (RFC 6698).

    usage: certificate usage: 2 is DANE-TA, 3 DANE-EE; 0 and 1 are not for SMTP (RFC 7672 section 3.1.3).
    selector: 0 for the certificate, 1 for its public key.
    matching: 0 for the octets themselves, 1 for their SHA-256, 2 for their SHA-512.
    data: the certificate association data.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __getnewargs__(self, /) -> tuple[int, int, int, bytes]:
        """
        For pickle and copy.
        """
    def __hash__(self, /) -> int: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, usage: int, selector: int, matching: int, data: ReadableBuffer) -> Tlsa: ...
    def __repr__(self, /) -> str: ...
    def __str__(self, /) -> str:
        """
        The presentation form (RFC 6698 section 2.2), without blanks in the data: "3 1 1 0f1e...".
        """
    @property
    def data(self, /) -> bytes:
        """
        The certificate association data.
        """
    @staticmethod
    def from_rdata(rdata: ReadableBuffer, /) -> Tlsa:
        """
        From the wire form of its RDATA. Raises ConfigError if that is shorter than its three fixed octets.
        """
    @property
    def matching(self, /) -> int:
        """
        0 for the octets themselves, 1 for their SHA-256, 2 for their SHA-512.
        """
    @staticmethod
    def of(
        certificate: ReadableBuffer, /, usage: int = ..., selector: int = ..., matching: int = ...
    ) -> Tlsa:
        """
        The record of a certificate in DER, as its owner would publish it: 3 1 1 for a server is the best
        choice (RFC 7671 section 5.1). Raises ConfigError if such a record cannot be made of it.
        """
    @staticmethod
    def parse(text: str, /) -> Tlsa:
        """
        Reads the presentation form: three numbers, then hex digits of either case with blanks anywhere
        between.
        """
    @property
    def rdata(self, /) -> bytes:
        """
        The wire form of its RDATA.
        """
    @property
    def selector(self, /) -> int:
        """
        0 for the certificate, 1 for its public key.
        """
    @property
    def unusable(self, /) -> str | None:
        """
        Why it cannot be used (RFC 7671 section 5, RFC 7672 section 3.1); None if it can. An unusable record
        still says that the domain has TLS.
        """
    @property
    def usage(self, /) -> int:
        """
        Certificate usage: 2 is DANE-TA, 3 DANE-EE.
        """

def certificate_dict(der: ReadableBuffer, /) -> dict[str, Any]:
    """
    A certificate in DER as the dict that `ssl.SSLSocket.getpeercert()` gives. Raises ConfigError if it cannot
    be read.
    """

def claim_interpreter() -> None:
    """
    Raises ImportError in any interpreter but the first.
    """

def escape(data: ReadableBuffer, /) -> str:
    """
    Text from the peer, fit for one line of a log: no control character, none that is not ASCII, and cut where
    it gets long.
    """

def fingerprint(certificate: ReadableBuffer, /, of: FingerprintOf = ..., digest: Digest | str = ...) -> str:
    """
    The fingerprint of a certificate in DER, or of its public key: the algorithm, a colon and lower case hex.
    Raises ConfigError if no public key can be found in it.
    """

def tables() -> list[tuple[str, list[tuple[str, int]]]]:
    """
    The name and the members of each enum, as the engine has them.
    """
