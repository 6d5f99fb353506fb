"""SMTP, SMTP_SSL and LMTP: smtplib's clients, in TLS by a Session under a Policy."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import smtplib
import socket
import time
from typing import TYPE_CHECKING, Any

from ._enums import Action, Code, Entry, Level, Protocol, Tlsrpt
from ._errors import Error, InjectionError, Timeout, WantInput, WantOutput
from ._native import Config, Info, Policy, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import ReadableBuffer, SizedBuffer, WriteableBuffer

LARGEST_REPLY = 65536  # octets, as in the engine
GOODBYE = 2.0  # seconds that the server has at most to take its leave

# How smtplib says that there is no timeout but socket.setdefaulttimeout's.
_DEFAULT_TIMEOUT: Any = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]

_logger = logging.getLogger("smtptls")
_logger.addHandler(logging.NullHandler())

Reply = tuple[int, bytes]

# In the place of an answer of an LMTP server that did not come.
LOST: Reply = (451, b"4.4.2 The connection was lost before the answer")


class InsecureLoginError(Error, smtplib.SMTPNotSupportedError):
    """A password was to go to a server that has not proved who it is, or in plaintext. Nothing was sent."""


class SMTP(smtplib.SMTP):
    """smtplib.SMTP, but for `starttls`, which demands what a Policy says, by default a verified certificate.

        with smtptls.SMTP("smtp.example.com", 587, timeout=30) as client:
            client.starttls()
            client.login(user, password)
            client.send_message(message)

    host, port, local_hostname, timeout, source_address: as smtplib has them; the timeout is in seconds.
    config: who we are and whom we trust; the default trusts the authorities that the system trusts, as they
        were when the process first asked for it.
    policy: what is demanded of the server: a Policy, or just its level; "verify" by default.
    name: the server that the policy is about, for each connection of this object; without it that is the
        host of `connect`.

    What differs from smtplib beside: passwords go only to a server that has proved who it is (see
    `insecure_login`); nobody sees them with `set_debuglevel`; `connect` leaves an earlier connection, and
    forgets what its server said.

    The logger "smtptls" gets a line for each start of TLS: at WARNING where somebody may be on the path, else
    at DEBUG.
    """

    insecure_login: bool = False
    """Lets AUTH go in plaintext, and to a server that has not proved who it is. Anybody on the path can have
    the password then."""

    data_reply: Reply | None = None
    """What the server said to the last message, when it had it: often the number in its queue. `sendmail`
    itself does not tell."""

    sock: Any
    debuglevel: int
    helo_resp: bytes | None
    ehlo_resp: bytes | None
    esmtp_features: dict[str, str]
    _protocol = Protocol.SMTP

    def __init__(
        self,
        host: str = "",
        port: int = 0,
        local_hostname: str | None = None,
        timeout: float | None = _DEFAULT_TIMEOUT,
        source_address: Any = None,
        *,
        config: Config | None = None,
        policy: Policy | Level | str | None = None,
        name: str | None = None,
    ) -> None:
        self._config = config
        self._policy = policy
        self._name = name
        self._limit = _Limit()
        self._host_name: str | None = None  # the host of connect
        self._session: Session | None = None
        self._error: Error | None = None
        self._challenged = False  # by AUTH: what is sent next answers it
        self._secret = False  # what is sent now must not be printed
        super().__init__(
            host,
            port,
            local_hostname=local_hostname,
            timeout=timeout,  # type: ignore[arg-type]
            source_address=source_address,
        )

    # TLS.

    def starttls(  # type: ignore[override]
        self,
        *,
        config: Config | None = None,
        policy: Policy | Level | str | None = None,
        name: str | None = None,
    ) -> Reply:
        """Puts the connection into TLS and judges the server; says EHLO before, if nobody has.

        config, policy, name: in place of those that the object was made with.

        When it returns, TLS is up and the policy is met; all that was known of the server is forgotten (RFC
        3207 section 4.2), and the next command has to be EHLO, which smtplib's own say as they need it. It
        returns 220 and no text, for that is forgotten too.

        Otherwise it raises Error. Where its action is CONTINUE, as when the policy has the level "may" and
        the server offers no STARTTLS, the object goes on in plaintext. After all other errors, smtplib's too,
        it has left the server, politely where TLS is up (section 4.1), and commands raise
        SMTPServerDisconnected.
        """
        if self.is_tls:
            raise Error(Code.STATE, "TLS is active already (RFC 3207 section 4.2)")
        try:
            self.ehlo_or_helo_if_needed()
            self.sock = self._upgraded(config, policy, name)
        except BaseException as error:
            self._failed(error)
            if not (isinstance(error, Error) and error.action is Action.CONTINUE):
                if self.sock is not None:
                    self._leave(self.sock, error)
                self.close()
            raise
        self._succeeded()
        self.file = None
        self._forget()
        return 220, b""

    @property
    def is_tls(self) -> bool:
        """Whether the connection is in TLS and the policy is met."""
        return isinstance(self.sock, SecuredSocket)

    @property
    def info(self) -> Info | None:
        """What TLS came out as and who the server proved to be, also if the policy is not met. It stays until
        the next connect."""
        return self._session.info if self._session else None

    @property
    def session(self) -> Session | None:
        """The session, for what is not here, such as reports and check_requiretls."""
        return self._session

    @property
    def error(self) -> Error | None:
        """Why TLS failed to start, or what broke it."""
        return self._error or (self._session.error if self._session else None)

    def set_deadline(self, seconds: float | None) -> None:
        """So many seconds from now everything has to be done, beside the timeout of each wait; None lifts it.

        When they are over, commands raise SMTPServerDisconnected, and starttls Timeout. Only the name service
        is not bounded by it.
        """
        if seconds is not None and not seconds >= 0:
            raise ValueError("a deadline is not in the past")
        had_one = self._limit.by is not None
        self._limit.by = None if seconds is None else time.monotonic() + seconds
        if self.sock is None:
            return
        if had_one:
            own = self.timeout
            self.sock.settimeout(socket.getdefaulttimeout() if own is _DEFAULT_TIMEOUT else own)
        if isinstance(self.sock, SecuredSocket):
            self.sock.session.set_deadline(seconds)

    def _session_over(
        self,
        sock: socket.socket | None,
        config: Config | None = None,
        policy: Policy | None = None,
        name: str | None = None,
    ) -> Session:
        config = config or self._config or _system_config()
        policy = policy or _policy(self._policy)
        session = Session.client(config, policy, self._about(name), sock, protocol=self._protocol)
        self._session = session
        if sock is not None:
            if self._limit.by is not None:
                session.set_deadline(max(self._limit.by - time.monotonic(), 0.0))
            # The handshake ends with a write of ours, and so begins what follows it: together they would cost
            # the time of a delayed acknowledgement.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return session

    def _about(self, name: str | None = None) -> str:
        name = name or self._name or self._host_name
        if name is None:
            raise Error(Code.ARGUMENT, "name= is missing: there is no host that the policy could be about")
        return name

    def _upgraded(
        self, config: Config | None, policy: Policy | Level | str | None, name: str | None
    ) -> SecuredSocket:
        unread = self._unread()
        policy = _policy(self._policy if policy is None else policy)
        session = self._session_over(self.sock, config, policy, name)
        wanted = policy.effective_level(self._about(name)) is not Level.NONE
        if wanted and not unread and not self.has_extn("starttls"):
            self._tell(self._session_over(None, config, policy, name))
        session.start(Entry.COMMAND, unread)
        return SecuredSocket(session, self.sock)

    def _tell(self, session: Session) -> None:
        """Let the engine hear in memory what smtplib heard, and say what follows from it: an Error."""
        said = (self.ehlo_resp if self.does_esmtp else self.helo_resp) or b""
        *others, last = said.split(b"\n")
        hello = b"".join(b"250-%s\r\n" % line for line in others) + b"250 %s\r\n" % last
        for reply in (b"220 \r\n", hello):
            while reply:
                with contextlib.suppress(WantInput, WantOutput):
                    session.start(Entry.GREETING)
                session.sent(len(session.output()))
                reply = reply[session.feed(reply) :]
        session.start(Entry.GREETING)

    def _unread(self) -> int:
        """How many bytes came from the server that answer nothing. They must not become part of TLS (RFC 3207
        section 4.2, and the response injection of 2021)."""
        if self.file is None:
            return 0
        timeout = self.sock.gettimeout()
        self.sock.settimeout(0)
        try:
            return len(self.file.peek())
        except OSError:
            return 0  # a broken connection: start finds it
        finally:
            self.sock.settimeout(timeout)

    def _succeeded(self) -> None:
        self._error = None
        summary = self.info.summary if self.info else ""
        if self.debuglevel > 0:
            self._print_debug("tls:", summary)  # type: ignore[attr-defined]
        _logger.debug("%s: %s", self._name or self._host_name, summary)

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, Error):
            return
        self._error = error
        if self.debuglevel > 0:
            self._print_debug("tls:", str(error))  # type: ignore[attr-defined]
        stripped = error.tlsrpt == Tlsrpt.STARTTLS_NOT_SUPPORTED.label
        grave = stripped or isinstance(error, InjectionError)
        level = logging.WARNING if grave else logging.DEBUG
        _logger.log(level, "%s: %s", self._name or self._host_name, error)

    def _leave(self, sock: socket.socket, error: BaseException) -> None:
        """Say QUIT where the server can still hear it: TLS is up and the verdict is bad (RFC 3207 section
        4.1), or TLS did not begin and the server said so. Then close."""
        session, by = self._session, time.monotonic() + GOODBYE
        with sock, contextlib.suppress(OSError):
            if not isinstance(error, Error) or session is None:
                return
            sock.settimeout(GOODBYE)
            if session.is_tls:
                session.set_deadline(GOODBYE)
                session.refuse()
            elif error.code in (Code.NOT_OFFERED, Code.REFUSED):
                sock.sendall(b"QUIT\r\n")
            else:
                return
            # To close with input unread would tear up what was sent; so wait for the server to close.
            sock.shutdown(socket.SHUT_WR)
            while (left := by - time.monotonic()) > 0:
                sock.settimeout(left)
                if not sock.recv(4096):
                    break

    def _forget(self) -> None:
        self.helo_resp = None
        self.ehlo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False
        self.command_encoding = "ascii"

    # Passwords.

    def login(self, user: str, password: str, *, initial_response_ok: bool = True) -> Reply:
        """As in smtplib. It raises InsecureLoginError, before a byte is sent, where AUTH is not to go: unless
        the connection is in TLS and the server has proved who it is, or `insecure_login` is set."""
        self._demand_secured()
        return super().login(user, password, initial_response_ok=initial_response_ok)

    def _demand_secured(self) -> None:
        if self.insecure_login or self.sock is None:
            return  # without a connection smtplib says so
        if not self.is_tls:
            raise InsecureLoginError(Code.STATE, "a password does not go in plaintext: call starttls first")
        if not (self.info and self.info.secured):
            message = "a password is for a server that has proved who it is: use a level that demands it"
            raise InsecureLoginError(Code.STATE, message)

    def putcmd(self, cmd: str, args: str = "") -> None:
        """As in smtplib; AUTH goes only where `login` would go."""
        is_auth = cmd.lstrip()[:4].upper() == "AUTH"
        if is_auth:
            self._demand_secured()
        self._secret = is_auth or self._challenged
        super().putcmd(cmd, args)

    # What smtplib does, but for a detail.

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> Reply:
        """As in smtplib. The policy is about this host from now on, unless a name was given."""
        self.close()
        self._forget()
        self._session = self._error = self.data_reply = None
        self._challenged = False
        # smtplib takes a port from the host in the same way. It keeps no host that __init__ was not told (up
        # to 3.13).
        alone = not port and host.count(":") == 1
        self._host_name = host.partition(":")[0] if alone else host
        return super().connect(host, port, source_address)

    def _get_socket(self, host: str, port: int, timeout: float | None) -> Any:
        get_socket = super()._get_socket  # type: ignore[misc]
        if self._limit.by is None:
            return get_socket(host, port, timeout)
        # smtplib would allow each of the host's addresses all of the time.
        failure: OSError | None = None
        for *_, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
            try:
                return get_socket(address[0], port, self._limit.shortened(timeout))
            except OSError as error:
                failure = error
        raise failure or OSError("the host has no address")

    def getreply(self) -> Reply:
        """As in smtplib."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("please run connect() first")
        if self.file is None:
            self.file = _Lines(_Incoming(self.sock, self._limit))
        self.file.raw.left = LARGEST_REPLY
        code, text = super().getreply()
        self._challenged = code == 334
        return code, text

    def send(self, s: ReadableBuffer | str) -> None:
        """As in smtplib. With set_debuglevel AUTH and what answers its challenges are not printed."""
        secret, self._secret = self._secret, False
        if self.sock is not None and not self.is_tls:
            try:
                self._limit.apply(self.sock)
            except Timeout as late:
                self.close()
                raise smtplib.SMTPServerDisconnected(str(late)) from late
        level = self.debuglevel
        if secret and level > 0:
            words = s.split() if isinstance(s, str) else []
            shown = words[:2] if words[:1] and words[0].upper() == "AUTH" else []
            self._print_debug("send:", " ".join([*shown, "(not shown)"]))  # type: ignore[attr-defined]
            self.debuglevel = 0
        try:
            super().send(s)
        finally:
            self.debuglevel = level

    def data(self, msg: ReadableBuffer | str) -> Reply:
        """As in smtplib; the reply is kept in `data_reply`."""
        self.data_reply = None
        self.data_reply = super().data(msg)
        return self.data_reply


class SMTP_SSL(SMTP):
    """SMTP in TLS from the first byte, as on port 465 (RFC 8314 section 3.3), which is its default.

    `connect`, and the constructor if it is told a host, raise Error if TLS fails or the policy is not met.
    There is no plaintext, whatever the policy's level.
    """

    default_port = smtplib.SMTP_SSL_PORT

    def _get_socket(self, host: str, port: int, timeout: float | None) -> SecuredSocket:
        sock = super()._get_socket(host, port, timeout)
        try:
            session = self._session_over(sock)
            session.start(Entry.HANDSHAKE)
        except BaseException as error:
            self._failed(error)
            self._leave(sock, error)
            raise
        self._succeeded()
        return SecuredSocket(session, sock)


class LMTP(SMTP, smtplib.LMTP):
    """LMTP (RFC 2033), over TCP or over a unix socket, whose host is its path.

    With a unix socket name= must be given for TLS: a path is nothing that a certificate could be for.

    A server answers a message once for each recipient (section 4.2). smtplib takes the first answer and
    stumbles over the others; here `data` reads them all and gives one that is good, if there is one, and
    `sendmail` has the recipients that were refused then among those that it returns. So it has those whose
    answer did not come, with 451.
    """

    default_port = smtplib.LMTP_PORT
    _protocol = Protocol.LMTP
    data_reply: Reply | None

    def __init__(
        self,
        host: str = "",
        port: int = smtplib.LMTP_PORT,
        local_hostname: str | None = None,
        source_address: Any = None,
        timeout: float | None = _DEFAULT_TIMEOUT,
        *,
        config: Config | None = None,
        policy: Policy | Level | str | None = None,
        name: str | None = None,
    ) -> None:
        self._accepted: list[str] = []  # recipients of the message that is being sent
        self._refused: dict[str, Reply] = {}
        super().__init__(
            host, port, local_hostname, timeout, source_address, config=config, policy=policy, name=name
        )

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> Reply:
        """As in smtplib. The policy is about this host from now on, unless a name was given."""
        if not host.startswith("/"):
            return super().connect(host, port, source_address)
        # The port is there to keep the path whole.
        try:
            return super().connect(host, port or self.default_port, source_address)
        finally:
            self._host_name = None

    def mail(self, sender: str, options: Sequence[str] = ()) -> Reply:
        """As in smtplib."""
        self._accepted.clear()
        return super().mail(sender, options)

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> Reply:
        """As in smtplib."""
        code, text = super().rcpt(recip, options)
        if 200 <= code < 300:
            self._accepted.append(recip)
        return code, text

    def data(self, msg: ReadableBuffer | str) -> Reply:
        """As in smtplib, with an answer for each recipient."""
        self._refused = {}
        accepted = self._accepted.copy() or [""]
        self._accepted.clear()
        replies = [super().data(msg)]
        while len(replies) < len(accepted):
            try:
                replies.append(self.getreply())
            except smtplib.SMTPServerDisconnected:
                # Who has had no answer is to be tried again (RFC 2033 section 4.2).
                replies += [LOST] * (len(accepted) - len(replies))
        for recipient, reply in zip(accepted, replies, strict=True):
            if reply[0] != 250:
                self._refused[recipient] = reply
        # With none that is good, one that bounces nobody who could be tried again.
        good = (reply for reply in replies if reply[0] == 250)
        self.data_reply = next(good, min(replies, key=lambda reply: reply[0]))
        return self.data_reply

    def sendmail(
        self,
        from_addr: str,
        to_addrs: str | Sequence[str],
        msg: SizedBuffer | str,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> dict[str, Reply]:
        """As in smtplib."""
        refused = super().sendmail(from_addr, to_addrs, msg, mail_options, rcpt_options)
        return {**refused, **self._refused}


class SecuredSocket:
    """What stands in the place of the socket once TLS is up: there is no way around TLS in it."""

    def __init__(self, session: Session, sock: socket.socket) -> None:
        self.session = session
        self._sock = sock
        self.sendall = session.sendall
        self.send = session.send
        self.recv = session.recv
        self.recv_into = session.recv_into
        self.makefile = session.makefile
        self.fileno = sock.fileno
        self.gettimeout = sock.gettimeout
        self.settimeout = sock.settimeout
        self.getpeername = sock.getpeername
        self.getsockname = sock.getsockname

    def close(self) -> None:
        """Say close_notify, if it can be done in short time, and close."""
        with self._sock, contextlib.suppress(OSError):
            self.session.set_deadline(GOODBYE)
            self.session.close()


class _Limit:
    """A deadline for waits in plaintext; those in TLS have it from their session."""

    by: float | None = None  # by time.monotonic

    def shortened(self, timeout: float | None) -> float | None:
        if self.by is None:
            return timeout
        left = self.by - time.monotonic()
        if left <= 0:
            raise Timeout(Code.TIMEOUT, "the time allowed ran out", action=Action.NEXT_HOST)
        if timeout is _DEFAULT_TIMEOUT:
            timeout = socket.getdefaulttimeout()
        return min(left, math.inf if timeout is None else timeout)

    def apply(self, sock: socket.socket) -> None:
        if self.by is not None:
            sock.settimeout(self.shortened(sock.gettimeout()))


class _Lines(io.BufferedReader):
    """What smtplib reads replies from: one that is cut off is none, however well it began."""

    raw: _Incoming

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        return line if line.endswith(b"\n") or len(line) == size else b""


class _Incoming(io.RawIOBase):
    """What a socket brings. A peer that dribbles cannot stretch the deadline, and no reply is without an end:
    smtplib counts the octets of a line, and not the lines."""

    def __init__(self, sock: socket.socket | SecuredSocket, limit: _Limit) -> None:
        super().__init__()
        self._sock = sock
        self._limit = limit
        self.left = LARGEST_REPLY

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self.left <= 0:
            raise OSError(f"the reply is longer than {LARGEST_REPLY} octets")
        if not isinstance(self._sock, SecuredSocket) and self._sock.gettimeout() != 0:
            self._limit.apply(self._sock)
        try:
            count = self._sock.recv_into(buffer)
        except BlockingIOError:
            return None
        self.left -= count
        return count


_system: list[Config] = []


def _system_config() -> Config:
    # Made once, when it is wanted first; who makes it twice at once has two that are the same.
    if not _system:
        _system.append(Config(system_roots=True))
    return _system[0]


def _policy(policy: Policy | Level | str | None) -> Policy:
    if isinstance(policy, Policy):
        return policy
    return Policy("verify" if policy is None else policy)
