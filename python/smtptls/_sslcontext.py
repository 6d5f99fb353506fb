"""SSLContext: what a Python program gives smtplib, asyncio and others in place of ssl's own.

Everything that stands on names of the ssl module which are not public is in this file. They have been the
same since Python 3.8, and `_check` makes sure of them when the file is imported: where they are others,
importing fails, and nothing goes through OpenSSL unseen.
"""

from __future__ import annotations

import _socket
import contextlib
import math
import os
import select
import socket
import ssl
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Self

from . import _sslerrors as errors
from ._enums import ClientAuth, Code, Level, TlsVersion
from ._errors import CertificateError, ClosedError, Error, Timeout
from ._native import Channel, Config, ConfigBuilder, Info, Policy, certificate_dict

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, StrOrBytesPath

# Settings are kept there, and what fits together is checked there; also where a program has put another class
# in its place.
_OpenSSL = ssl.SSLContext

# The socket in C, below Python's own, and below no other's.
_SYSTEM = _socket.socket

_WANT_READ, _WANT_WRITE = int(ssl.SSL_ERROR_WANT_READ), int(ssl.SSL_ERROR_WANT_WRITE)

_OLD_PROTOCOLS = (ssl.PROTOCOL_TLSv1, ssl.PROTOCOL_TLSv1_1)
_NO_OLD_VERSION = "rustls has TLS 1.2 and 1.3, and nothing older"
_OLD = (ssl.TLSVersion.SSLv3, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.MINIMUM_SUPPORTED)


def _wait(sock: socket.socket, writes: bool, seconds: float) -> bool:
    """Whether the socket was ready within the time. A module's own poll is asked, for gevent's sake."""
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLOUT if writes else select.POLLIN)
    return bool(poll.poll(math.ceil(seconds * 1000)))


def _own_methods(kind: type) -> tuple[Any, ...]:
    """The recv and send of the socket below ssl's, and what waits for it and reads from its descriptor."""
    classes = kind.__mro__
    # gevent's comes without ssl's above it.
    below = classes[classes.index(ssl.SSLSocket) + 1 :] if ssl.SSLSocket in classes else classes
    recv, send = (next(base for base in below if name in vars(base)) for name in ("recv", "send"))
    # Where recv is another's, so is all waiting.
    read = os.read if recv is _SYSTEM else None
    return vars(recv)["recv"], vars(send)["send"], _wait, read


class _Certificate:
    """A certificate as ssl's own objects hand it to SSLSocket.get_unverified_chain."""

    def __init__(self, der: bytes) -> None:
        self._der = der

    def public_bytes(self, encoding: int = 2) -> bytes | str:
        return self._der if encoding == 2 else ssl.DER_cert_to_PEM_cert(self._der)


class _Connection(Channel):
    """What ssl calls the _sslobj of an SSLSocket or an SSLObject."""

    _context: SSLContext
    _socket: Callable[[], socket.socket | None]
    _owner: Callable[[], Any]
    server_side: bool
    server_hostname: str | None
    _verified: bool

    # The errors that Channel asks for.

    def _wants_read(self) -> Error:
        wanted: Error = errors.WantRead(_WANT_READ, errors.WantRead.message)
        return wanted

    def _wants_write(self) -> Error:
        wanted: Error = errors.WantWrite(_WANT_WRITE, errors.WantWrite.message)
        return wanted

    def _handshake_timed_out(self) -> Error:
        return Timeout(Code.TIMEOUT, "The handshake operation timed out")

    def _read_timed_out(self) -> Error:
        return Timeout(Code.TIMEOUT, "The read operation timed out")

    def _write_timed_out(self) -> Error:
        return Timeout(Code.TIMEOUT, "The write operation timed out")

    def _ended(self) -> Error:
        return errors.ended()

    def _closed(self) -> Error:
        return errors.closed()

    def _unread(self) -> Error:
        message = "the peer has sent data that nobody has read"
        return errors.plain(Code.STATE, "APPLICATION_DATA_AFTER_CLOSE_NOTIFY", message)

    def _other_data(self) -> Error:
        message = "a write that did not complete has to be tried again with the same data"
        return errors.plain(Code.ARGUMENT, "BAD_WRITE_RETRY", message)

    def _shaped(self, error: Error) -> Error:
        if isinstance(error, CertificateError) and error.code != Code.CERT_REQUIRED:
            return errors.unverified(error, self.server_hostname, self.info)
        if isinstance(error, ClosedError):
            return errors.ended()
        if self._verified and error.code in (Code.NO_ROOTS, Code.ARGUMENT):
            return errors.unverified(error, self.server_hostname, None)
        return errors.shaped(error)

    # What SSLSocket and SSLObject call. Reading, writing and `pending` are Channel's own.

    def do_handshake(self) -> None:
        if self.server_side and self._context.sni_callback is not None and self.info is None:
            self._choose()
        self.handshake()
        info = self.info
        optional = self.server_side and self._context.verify_mode == ssl.CERT_OPTIONAL
        if optional and info and info.certificate_present and not info.trusted:
            error = CertificateError(Code.CERT_UNTRUSTED, info.doubt or "it is not trusted")
            raise errors.unverified(error, None, info)

    def _choose(self) -> None:
        """Has the program choose a context by the name that the client asks for (RFC 6066 section 3)."""
        if vars(self).get("_chosen"):
            return
        name = self.read_hello()
        callback = self._context.sni_callback
        assert callback is not None
        alert: object = None
        try:
            alert = callback(self.owner, name, self._context)
        except Exception as error:
            # As ssl has it: the exception is shown, and the client told of a failed handshake.
            sys.unraisablehook(_Unraisable(error, callback))
            alert = ssl.AlertDescription.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
        if alert is not None:
            if not isinstance(alert, int):
                wrong = TypeError(f"the callback gave {alert!r} in place of None or an alert")
                sys.unraisablehook(_Unraisable(wrong, callback))
                alert = ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR
            self.refuse(alert)
            message = f"the callback for the server name refused it with alert {int(alert)}"
            raise errors.plain(Code.HANDSHAKE, "CALLBACK_FAILED", message)
        self._chosen = True
        config, policy = self._context._made(server_side=True)
        self.choose(config, policy)

    def shutdown(self) -> socket.socket | None:
        self.close()
        return self._socket()

    @property
    def context(self) -> SSLContext:
        return self._context

    @context.setter
    def context(self, context: ssl.SSLContext) -> None:
        if not isinstance(context, SSLContext):
            raise TypeError("the context must be a smtptls.SSLContext")
        self._context = context

    @property
    def owner(self) -> Any:
        owner = self._owner()
        # gevent's socket is below the one that the program has.
        above = getattr(owner, "_sslsock", None)
        return above() if above else owner

    @property
    def session(self) -> None:
        return None

    @session.setter
    def session(self, session: object) -> None:
        if session is not None:
            raise errors.unsupported(_NO_SESSION)

    @property
    def session_reused(self) -> bool | None:
        return self.info.resumed if self.info else None

    def getpeercert(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        if self.info is None:
            raise ValueError("handshake not done yet")
        chain = self.info.peer_certificates
        if not chain:
            return None
        if binary_form:
            return chain[0]
        return certificate_dict(chain[0]) if self._verified else {}

    def get_unverified_chain(self) -> list[_Certificate] | None:
        chain = self.info.peer_certificates if self.info else ()
        return [_Certificate(der) for der in chain] or None

    def get_verified_chain(self) -> NoReturn:
        message = "rustls does not tell the verified chain; get_unverified_chain has what the peer sent"
        raise errors.unsupported(message)

    def cipher(self) -> tuple[str, str, int] | None:
        info = self.info
        return (info.cipher_openssl, info.version, info.cipher_bits) if info else None

    def version(self) -> str | None:
        return self.info.version if self.info else None

    def shared_ciphers(self) -> None:
        return None

    def compression(self) -> None:
        return None

    def selected_alpn_protocol(self) -> str | None:
        alpn = self.info.alpn if self.info else None
        return alpn.decode("ascii", "replace") if alpn else None

    def selected_npn_protocol(self) -> None:
        return None

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        if cb_type not in ("tls-unique", "tls-exporter", "tls-server-end-point"):
            raise ValueError(f"{cb_type} channel binding type not implemented")
        if self.info is None or cb_type == "tls-unique":
            return None
        return self.info.channel_binding if cb_type == "tls-exporter" else self.info.server_end_point

    def verify_client_post_handshake(self) -> NoReturn:
        raise errors.unsupported("rustls asks for no certificate after the handshake")


class _Unraisable:
    """What sys.unraisablehook is given."""

    err_msg: str | None = None

    def __init__(self, error: Exception, callback: object) -> None:
        self.exc_type: type[BaseException] = type(error)
        self.exc_value: BaseException | None = error
        self.exc_traceback = error.__traceback__
        self.object = callback


class SSLSocket(ssl.SSLSocket):
    """ssl.SSLSocket over rustls. After `unwrap` it is of no more use: go on with the socket that unwrap
    returns. ssl's own would send what follows in plaintext.
    """

    @property
    def info(self) -> Info | None:
        """The facts of the connection, once the handshake is done."""
        connection = self._sslobj  # type: ignore[attr-defined]
        return connection.info if connection is not None else None

    def unwrap(self) -> socket.socket:
        """Closes TLS, and gives the socket below it for what follows in plaintext."""
        super().unwrap()
        timeout = self.gettimeout()
        plain = PlainSocket(self.family, self.type, self.proto, self.detach())
        plain.settimeout(timeout)
        return plain

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """As ssl has it."""
        connection = self._sslobj  # type: ignore[attr-defined]
        waits = isinstance(self, _SYSTEM) and self.gettimeout() != 0
        if type(data) is bytes and connection is not None and not flags and waits:
            # It takes all of it at once; ssl would look at it piece by piece.
            connection.write(data)
        else:
            super().sendall(data, flags)

    def shutdown(self, how: int) -> None:
        """As socket.shutdown. TLS stays: ssl's own would go on in plaintext."""
        socket.socket.shutdown(self, how)


class PlainSocket(socket.socket):
    """What is left after `unwrap`."""

    def unwrap(self) -> NoReturn:
        raise ValueError(f"No SSL wrapper around {self}")


class SSLObject(ssl.SSLObject):
    """ssl.SSLObject over rustls."""

    @property
    def info(self) -> Info | None:
        """The facts of the connection, once the handshake is done."""
        info: Info | None = self._sslobj.info  # type: ignore[attr-defined]
        return info


def _setting(name: str, check: Callable[[SSLContext, Any], None] | None = None) -> Any:
    """A setting that ssl.SSLContext keeps, which changes what is made of it."""
    kept = getattr(ssl.SSLContext, name)

    def get(self: SSLContext) -> Any:
        return kept.__get__(self, type(self))

    def put(self: SSLContext, value: Any) -> None:
        with self._changes():
            if check:
                check(self, value)
            kept.__set__(self, value)

    return property(get, put, doc=kept.__doc__)


def _check_maximum(_: SSLContext, version: int) -> None:
    if version in _OLD:
        raise errors.unsupported(_NO_OLD_VERSION)


def _check_flags(_: SSLContext, flags: int) -> None:
    if flags & (ssl.VERIFY_CRL_CHECK_CHAIN | ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_ALLOW_PROXY_CERTS):
        message = "revocation lists are for smtptls.Config(crls=…), and proxy certificates for nobody"
        raise errors.unsupported(f"{message}: SSLContext.from_config")


def _check_false(what: str) -> Callable[[SSLContext, Any], None]:
    def check(_: SSLContext, value: object) -> None:
        if value:
            raise errors.unsupported(what)

    return check


_NO_SESSION = (
    "sessions are kept by smtptls.Config(client_sessions=…), and not by hand: SSLContext.from_config"
)


class SSLContext(ssl.SSLContext):
    """An ssl.SSLContext whose TLS is that of rustls. It is made as ssl's is, or by `from_config`, and goes
    where ssl's goes: smtplib, imaplib, asyncio, aiosmtplib, aiosmtpd, Django.

    What differs: TLS 1.2 and 1.3 only; a certificate is judged after the handshake; names count only if they
    are in subjectAltName; what rustls cannot do raises an error at the call that asks for it. `info` of a
    socket or an SSLObject tells more of the connection than ssl does. docs/python.md has the whole list.

    A file is read when the call that names it is made.
    """

    sslsocket_class: type[ssl.SSLSocket] = SSLSocket
    sslobject_class: type[ssl.SSLObject] = SSLObject

    _builder: ConfigBuilder
    _cache: dict[bool, tuple[Config, Policy]]
    _lock: threading.RLock
    _fixed: tuple[Config, Policy] | None
    _system_roots: bool
    _system_roots_read: bool
    _sources: list[dict[str, Any]]
    _callback: Callable[..., Any] | None

    if TYPE_CHECKING:
        # Inherited; here for the types of what they return.
        def wrap_socket(
            self,
            sock: socket.socket,
            server_side: bool = False,
            do_handshake_on_connect: bool = True,
            suppress_ragged_eofs: bool = True,
            server_hostname: str | bytes | None = None,
            session: ssl.SSLSession | None = None,
        ) -> SSLSocket: ...

        def wrap_bio(
            self,
            incoming: ssl.MemoryBIO,
            outgoing: ssl.MemoryBIO,
            server_side: bool = False,
            server_hostname: str | bytes | None = None,
            session: ssl.SSLSession | None = None,
        ) -> SSLObject: ...

    def __new__(cls, protocol: int | None = None, *args: Any, **options: Any) -> Self:
        if protocol in _OLD_PROTOCOLS:
            raise errors.unsupported(_NO_OLD_VERSION)
        self = super().__new__(cls, protocol)
        self._builder = ConfigBuilder()
        # As with ssl, tickets are good as long as the context, in all processes that have it.
        self._builder.ticket_keys([os.urandom(32)])
        self._cache = {}
        self._lock = threading.RLock()
        self._fixed = None
        self._system_roots = self._system_roots_read = False
        self._sources = []
        self._callback = None
        return self

    @classmethod
    def from_config(
        cls, config: Config, policy: Policy | None = None, *, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH
    ) -> Self:
        """A context of a Config and a Policy, whose settings do not change any more. purpose is whom it
        meets: servers, and then the default policy is verify; or ssl.Purpose.CLIENT_AUTH, clients.
        """
        server = purpose == ssl.Purpose.CLIENT_AUTH
        self = cls(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        policy = policy or Policy("may" if server else "verify")
        # For a program that looks: whether the peer will be known.
        self.check_hostname = policy.level in (Level.VERIFY, Level.SECURE) and not server
        known = policy.level >= Level.FINGERPRINT and not server
        self.verify_mode = ssl.CERT_REQUIRED if known else ssl.CERT_NONE
        self._fixed = (config, policy)
        return self

    # Settings.

    verify_mode: ssl.VerifyMode = _setting("verify_mode")
    check_hostname: bool = _setting("check_hostname")
    options: ssl.Options = _setting("options")
    minimum_version: ssl.TLSVersion = _setting("minimum_version")
    maximum_version: ssl.TLSVersion = _setting("maximum_version", _check_maximum)
    verify_flags: ssl.VerifyFlags = _setting("verify_flags", _check_flags)
    num_tickets: int = _setting("num_tickets")
    post_handshake_auth: bool = _setting(
        "post_handshake_auth", _check_false("rustls asks for no certificate after the handshake")
    )
    keylog_filename: str = _setting("keylog_filename", _check_false("no secrets are written to a file"))
    _msg_callback = _setting("_msg_callback", _check_false("rustls does not show its messages"))
    hostname_checks_common_name: bool = property(  # type: ignore[assignment]
        lambda self: False,
        lambda self, value: _check_false("a common name is no host name (RFC 9525 section 2)")(self, value),
    )

    @contextlib.contextmanager
    def _changes(self) -> Iterator[None]:
        """One change at a time. What was made before it is not used for connections that begin after it."""
        with self._lock:
            if self._fixed:
                message = "a context from a Config and a Policy does not change"
                raise errors.plain(Code.FROZEN, "FROZEN", message)
            try:
                yield
            finally:
                self._cache = {}

    def load_verify_locations(
        self,
        cafile: StrOrBytesPath | None = None,
        capath: StrOrBytesPath | None = None,
        cadata: str | ReadableBuffer | None = None,
    ) -> None:
        """Trusts the certificates of a PEM file, of the files in a directory, or of PEM text or DER."""
        with self._changes():
            if cafile is None and capath is None and cadata is None:
                raise TypeError("cafile, capath and cadata cannot be all omitted")
            if cafile is not None:
                self._load(self._builder.add_roots_file, os.fsdecode(cafile))
                self._sources.append({"cafile": cafile})
            if capath is not None:
                self._load(self._builder.add_roots_directory, os.fsdecode(capath))
                self._sources.append({"capath": capath})
            if cadata is not None:
                if isinstance(cadata, str):
                    self._load(self._builder.add_roots_pem, cadata.encode("ascii"))
                else:
                    self._load(self._builder.add_roots_der, bytes(cadata))
                self._sources.append({"cadata": cadata})

    def set_default_verify_paths(self) -> None:
        """Trusts the authorities that the system trusts. They are read when the first connection is made."""
        with self._changes():
            self._system_roots = True

    def load_default_certs(self, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        """The same."""
        if not isinstance(purpose, type(ssl.Purpose.SERVER_AUTH)):
            raise TypeError(purpose)
        self.set_default_verify_paths()

    def load_cert_chain(
        self,
        certfile: StrOrBytesPath,
        keyfile: StrOrBytesPath | None = None,
        password: Callable[[], str | bytes | bytearray] | str | bytes | bytearray | None = None,
    ) -> None:
        """Shows this certificate chain to peers, in place of an earlier one with a key of the same kind.
        Connections that begin from now on have it. A key with a password cannot be read; decrypt it with
        "openssl pkey".
        """
        with self._changes():
            chain, key = os.fsdecode(certfile), os.fsdecode(certfile if keyfile is None else keyfile)
            self._load(self._builder.replace_keypair_file, chain, key)

    def _load(self, load: Callable[..., None], *paths: Any) -> None:
        try:
            load(*paths)
        except Error as error:
            for path in paths:
                if error.code == Code.FILE and isinstance(path, str) and not os.path.exists(path):
                    cause = FileNotFoundError(error.errno or 2, os.strerror(error.errno or 2))
                    raise errors.missing(cause, path) from None
            raise errors.shaped(error) from None

    def set_ciphers(self, ciphers: str, /) -> None:
        """Chooses cipher suites by a list in OpenSSL's language; of those the ones that rustls has. Suites of
        TLS 1.3 stay as they are.
        """
        with self._changes():
            super().set_ciphers(ciphers)
            names = [cipher["name"] for cipher in super().get_ciphers() if cipher["protocol"] != "TLSv1.3"]
            try:
                self._builder.ciphers(names)
            except Error:
                message = f"No cipher can be selected: rustls has none of {ciphers!r}"
                raise errors.plain(Code.ARGUMENT, "NO_CIPHER_MATCH", message) from None

    def get_ciphers(self) -> list[Any]:
        """The suites that are in use, as ssl tells them."""
        known = ConfigBuilder()
        ours = [cipher for cipher in super().get_ciphers() if not _unknown(known, cipher["name"])]
        return ours

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """The application protocols (RFC 7301) to offer, or as a server to take."""
        with self._changes():
            protocols = [bytes(protocol, "ascii") for protocol in alpn_protocols]
            if not all(0 < len(protocol) < 256 for protocol in protocols):
                raise errors.plain(Code.ARGUMENT, "BAD_ALPN", "ALPN protocols must be 1 to 255 in length")
            self._builder.alpn(protocols)

    def set_npn_protocols(self, npn_protocols: Iterable[str]) -> NoReturn:
        raise errors.unsupported("NPN is gone; use set_alpn_protocols")

    def set_ecdh_curve(self, curve_name: str | bytes, /) -> None:
        """The group for the key exchange, alone."""
        self.set_groups(curve_name)

    def set_groups(self, groups: str | bytes, /) -> None:
        """The groups for the key exchange, in order of preference, with colons between."""
        with self._changes():
            try:
                self._builder.groups(os.fsdecode(groups))
            except Error as error:
                # Both, since ssl has ValueError for a name that it does not know.
                raise errors.shaped(error) from None

    def load_dh_params(self, path: object, /) -> NoReturn:
        raise errors.unsupported("rustls has no key exchange over finite fields; leave load_dh_params out")

    def set_psk_client_callback(self, callback: object) -> None:
        _check_false("rustls has no pre-shared keys but those of its tickets")(self, callback)

    def set_psk_server_callback(self, callback: object, identity_hint: str | None = None) -> None:
        _check_false("rustls has no pre-shared keys but those of its tickets")(self, callback)

    @property
    def sni_callback(self) -> Callable[..., Any] | None:
        """Called with the socket or object, the name that the client asks for, and the context, before a
        server's handshake; it may set another `context` there, which must be of this class.
        """
        return self._callback

    @sni_callback.setter
    def sni_callback(self, callback: Callable[..., Any] | None) -> None:
        if callback is not None and not callable(callback):
            raise TypeError("not a callable object")
        self._callback = callback

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        """The authorities that it trusts, as ssl tells them. They are read once more for that."""
        return self._mirrored().get_ca_certs(binary_form)

    def cert_store_stats(self) -> dict[str, int]:
        """How many certificates it trusts, as ssl tells them."""
        return self._mirrored().cert_store_stats()

    def _mirrored(self) -> ssl.SSLContext:
        """A context of ssl's own with the same authorities, to be looked at."""
        mirror = _OpenSSL(ssl.PROTOCOL_TLS_CLIENT)
        for source in self._sources:
            mirror.load_verify_locations(**source)
        if self._system_roots:
            mirror.load_default_certs()
        return mirror

    # Connections.

    def _made(self, server_side: bool) -> tuple[Config, Policy]:
        """The Config and the Policy that the settings come to."""
        if self._fixed:
            return self._fixed
        made = self._cache.get(server_side)
        if made is None:
            with self._lock:
                made = self._cache.get(server_side) or self._make(server_side)
                self._cache[server_side] = made
        return made

    def _make(self, server_side: bool) -> tuple[Config, Policy]:
        options, mode = int(self.options), self.verify_mode
        if self._system_roots and not self._system_roots_read:
            self._builder.add_system_roots()
            self._system_roots_read = True
        low = not options & ssl.OP_NO_TLSv1_2 and self.minimum_version != ssl.TLSVersion.TLSv1_3
        high = not options & ssl.OP_NO_TLSv1_3 and self.maximum_version != ssl.TLSVersion.TLSv1_2
        high = high and self.protocol != ssl.PROTOCOL_TLSv1_2
        if not low and not high:
            raise errors.plain(Code.ARGUMENT, "NO_PROTOCOLS_AVAILABLE", "no version of TLS is left to use")
        auth = {ssl.CERT_NONE: ClientAuth.NONE, ssl.CERT_OPTIONAL: ClientAuth.ASK}.get(
            mode, ClientAuth.REQUIRE
        )
        tickets = 0 if options & ssl.OP_NO_TICKET else min(self.num_tickets, 2)
        config = self._builder.freeze(
            TlsVersion.TLS1_2 if low else TlsVersion.TLS1_3,
            TlsVersion.TLS1_3 if high else TlsVersion.TLS1_2,
            auth if server_side else ClientAuth.NONE,
            tickets,
        )
        if server_side:
            policy = Policy("may")
        elif mode == ssl.CERT_NONE:
            policy = Policy("encrypt")
        else:
            policy = Policy("verify", insecure_any_name=not self.check_hostname)
        return config, policy

    def _connection(
        self,
        server_side: bool,
        server_hostname: str | None,
        owner: Any,
        session: object,
        reference: Callable[[], Any],
        **ends: Any,
    ) -> _Connection:
        if session is not None:
            raise errors.unsupported(_NO_SESSION)
        wrong = ssl.PROTOCOL_TLS_CLIENT if server_side else ssl.PROTOCOL_TLS_SERVER
        if self.protocol == wrong:
            name, side = wrong.name, "server" if server_side else "client"
            message = f"Cannot create a {side} socket with a {name} context (_ssl.c)"
            raise errors.plain(Code.ARGUMENT, "WRONG_CONTEXT", message)
        if server_hostname is not None and (not server_hostname or server_hostname.startswith(".")):
            raise ValueError("server_hostname cannot be an empty string or start with a leading dot.")
        if server_hostname is not None and "\0" in server_hostname:
            raise TypeError("server_hostname must not contain a null character")
        if self.check_hostname and not server_side and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")
        config, policy = self._made(server_side)
        host = None if server_side else server_hostname or ""
        connection = _Connection(config, policy, host, **ends)
        connection._context = self
        connection._socket = reference
        connection._owner = weakref.ref(owner) if owner is not None else _nothing
        connection.server_side = bool(server_side)
        connection.server_hostname = server_hostname
        connection._verified = self.verify_mode != ssl.CERT_NONE
        return connection

    def _wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: object = None,
    ) -> _Connection:
        reference = weakref.ref(sock)
        ends = (reference, *_own_methods(type(sock)))
        return self._connection(server_side, server_hostname, owner, session, reference, socket=ends)

    def _wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: object = None,
    ) -> _Connection:
        ends = (incoming, outgoing)
        return self._connection(server_side, server_hostname, owner, session, _nothing, buffers=ends)


def _nothing() -> None:
    return None


def _unknown(builder: ConfigBuilder, name: str) -> bool:
    try:
        return bool(builder.ciphers([name]))
    except Error:
        return True


def create_default_context(
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
    *,
    cafile: StrOrBytesPath | None = None,
    capath: StrOrBytesPath | None = None,
    cadata: str | ReadableBuffer | None = None,
) -> SSLContext:
    """As ssl.create_default_context: for a client a context that verifies certificates and names, by the
    authorities that are given, or else by the system's; for a server, with ssl.Purpose.CLIENT_AUTH, one that
    asks for no certificate.
    """
    if purpose == ssl.Purpose.SERVER_AUTH:
        context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    elif purpose == ssl.Purpose.CLIENT_AUTH:
        context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
    else:
        raise ValueError(purpose)
    if cafile or capath or cadata:
        context.load_verify_locations(cafile, capath, cadata)
    elif context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs(purpose)
    return context


class _Probe(SSLContext):
    """A context whose connections do nothing."""

    def _connection(self, *args: Any, **ends: Any) -> Any:
        return self._sources


def _check() -> None:
    """Whether ssl's classes still take their connections from where SSLContext puts its own."""
    context = _Probe(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    one, other = socket.socketpair()
    with other, one, context.wrap_socket(one, do_handshake_on_connect=False) as wrapped:
        found = [vars(wrapped).get("_sslobj")]
    found.append(vars(context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())).get("_sslobj"))
    if [id(one) for one in found] != [id(context._sources)] * 2:
        version = sys.version.split()[0]
        raise ImportError(f"the ssl module of Python {version} is not made as smtptls.SSLContext needs it")


_check()
