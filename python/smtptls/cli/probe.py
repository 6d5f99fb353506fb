"""One session with a server: the dialogue up to TLS, TLS, and EHLO inside it, written down as it goes."""

from __future__ import annotations

import contextlib
import math
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .._enums import Action, Close, Code, Entry, Protocol
from .._errors import Error, WantInput, WantOutput
from .._native import Config, Info, Policy, Session, escape
from .gate import Gate

GOODBYE = 2.0  # seconds that the server has at most to take its leave
MOST = 65536  # octets of plaintext that are kept to be shown

QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux

Address = tuple[socket.AddressFamily, Any]
Result = TypeVar("Result")


@dataclass
class Place:
    """Where a server is, and how to talk to it."""

    host: str
    port: int
    addresses: tuple[tuple[str, int], ...] = ()  # in place of what the name service says
    path: str | None = None
    family: socket.AddressFamily = socket.AF_UNSPEC
    protocol: Protocol = Protocol.SMTP
    implicit_tls: bool = False
    connect_timeout: float = 10.0
    timeout: float = 30.0
    by: float = math.inf  # a time of time.monotonic() when all is to be done

    def left(self, limit: float) -> float:
        """Seconds of this limit that there are."""
        return max(0.0, min(limit, self.by - time.monotonic()))

    def __str__(self) -> str:
        if self.path is not None:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def addresses(place: Place) -> list[Address]:
    """All addresses of a host; raises Error."""
    if place.path is not None:
        return [(socket.AF_UNIX, place.path)]
    try:
        return [
            (family, address)
            for host, port in place.addresses or ((place.host, place.port),)
            for family, _, _, _, address in socket.getaddrinfo(
                host, port, family=place.family, type=socket.SOCK_STREAM
            )
        ]
    except (OSError, UnicodeError) as error:
        message = f"no address for {escape(place.host.encode())}: {getattr(error, 'strerror', None) or error}"
        raise _failure(Code.IO, message, "4.4.3") from error


def connect(
    place: Place, known: list[Address] | None = None, gate: Gate | None = None
) -> tuple[socket.socket, str]:
    """A connection to the first address that answers, and that address; raises Error."""
    last: OSError | None = None
    for family, address in addresses(place) if known is None else known:
        if not (left := place.left(place.connect_timeout)):
            raise _overdue(place)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if gate is not None:
                gate.watch(sock)
            sock.settimeout(left)
            sock.connect(address)
            if family is not socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock, shown_address(address)
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
    raise _unconnected(place, last or OSError("no address"))


def shown_address(address: Any) -> str:
    """Without the port; of a unix socket the path."""
    return str(address[0]) if isinstance(address, tuple) else str(address)


def _overdue(place: Place) -> Error:
    message = f"no time is left for {escape(str(place).encode())}: --deadline has passed"
    return _failure(Code.TIMEOUT, message, "4.4.1")


def _unconnected(place: Place, error: OSError) -> Error:
    shown = escape(str(place).encode())
    if isinstance(error, TimeoutError) and error.errno is None:
        message = f"no connection to {shown} within {place.connect_timeout:g} s"
        return _failure(Code.TIMEOUT, message, "4.4.1")
    return _failure(Code.IO, f"no connection to {shown}: {error.strerror or error}", "4.4.1", error.errno)


def _failure(code: Code, message: str, status: str, errno: int | None = None) -> Error:
    return Error(code, message, errno=errno, action=Action.NEXT_HOST, enhanced_status=status)


class Wire:
    """A session without a socket of its own, and the socket that its bytes go through.

    So what is said in plaintext can be shown, which a session forgets when TLS begins.
    """

    def __init__(self, session: Session, sock: socket.socket, timeout: float) -> None:
        self.session = session
        self.sock = sock
        self.timeout = timeout
        self.by = time.monotonic() + timeout
        self.plain: list[tuple[str, bytes]] = []  # who, C or S, and what
        self._kept = 0
        self._is_plain = True
        self._rest = b""  # what came and the session had no room for yet
        self._entry: Entry | None = None  # while start is going on

    def limit(self, timeout: float) -> None:
        """So many seconds from now everything that follows has to be done."""
        self.timeout = timeout
        self.by = time.monotonic() + timeout

    def start(self, entry: Entry) -> None:
        """As Session.start; raises the same."""
        self._entry = entry
        self._until(lambda: self.session.start(entry))
        self._entry = None

    def sendall(self, data: bytes) -> None:
        self._until(lambda: self.session.sendall(data))

    def recv(self, size: int = 16384) -> bytes:
        return self._until(lambda: self.session.recv(size))

    def push(self) -> None:
        """Sends what the session has to send."""
        while data := self.session.output():
            self._note("C", data)
            self._moved(lambda data=data: self.sock.sendall(data))  # type: ignore[misc]
            self.session.sent(len(data))

    def pull(self) -> None:
        """Gives the session what comes next."""
        if not self._rest:
            # A server that sends tickets and then its reply may hold the reply back until it hears that the
            # tickets came (Nagle), and would hear that 40 ms later.
            if QUICKACK is not None and self.sock.family is not socket.AF_UNIX:
                self._moved(lambda: self.sock.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1))
            try:
                self._rest = self._moved(lambda: self.sock.recv(16384))
            except Error as error:
                if error.errno is None or not isinstance(error.__cause__, ConnectionResetError):
                    raise
                # What a server does that does not wait for QUIT; the end, all the same.
            self._note("S", self._rest)
            if not self._rest:
                self.session.feed(b"")
                return
        self._rest = self._rest[self.session.feed(self._rest) :]

    def close(self, how: Close) -> None:
        """As Session.close."""
        self.last(lambda: self.session.close(how))

    def last(self, step: Callable[[], None]) -> None:
        """A step that only has something to send."""
        with contextlib.suppress(WantInput, WantOutput):
            step()
        self.push()

    def leave(self) -> None:
        """RFC 3207 section 4.1: QUIT, where the server can still hear it."""
        self.limit(min(GOODBYE, self.timeout))
        with contextlib.suppress(OSError):
            if self.session.is_tls and self.session.error is None:
                self.sendall(b"QUIT\r\n")
                self.recv()
                self.close(Close.SEND)
            else:
                self.last(self.session.refuse)
            self.sock.shutdown(socket.SHUT_WR)
            # To close a socket with input unread would tear up what was sent.
            while self._moved(lambda: self.sock.recv(4096)):
                pass

    def turns(self) -> list[tuple[str, str]]:
        """What was said in plaintext: each command with what came before the next one."""
        found: list[tuple[str, str]] = [("", "")]
        for who, data in self.plain:
            text = data.decode("utf-8", "replace")
            if who == "C":
                found.append((text, ""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + text)
        return found

    def transcript(self) -> list[str]:
        """The same in lines for a person."""
        found = []
        for command, reply in self.turns():
            found += [f"C: {escape(line.encode())}" for line in _lines(command)]
            found += [f"S: {escape(line.encode())}" for line in _lines(reply)]
        return found

    def _until(self, step: Callable[[], Result]) -> Result:
        while True:
            try:
                result = step()
            except WantOutput:
                self.push()
            except WantInput:
                self.push()
                self.pull()
            except Error:
                with contextlib.suppress(OSError):
                    self.push()  # an alert, say
                raise
            else:
                self.push()
                return result

    def _moved(self, move: Callable[[], Result]) -> Result:
        """A call of the socket, within the time that is left."""
        try:
            if (left := self.by - time.monotonic()) <= 0:
                raise self.late()
            self.sock.settimeout(left)
            return move()
        except TimeoutError as error:
            if isinstance(error, Error) or error.errno is not None:
                raise
            raise self.late() from error
        except OSError as error:
            if isinstance(error, Error):
                raise
            raise _failure(
                Code.IO, f"the connection failed: {error.strerror or error}", "4.4.2", error.errno
            ) from error

    def late(self) -> Error:
        """The time is over. docs/errors.md has the same outcome for that as for a peer that closes."""
        message = f"the server did not answer within {self.timeout:.4g} s"
        if self._entry is not None:
            self.session.feed(b"")
            try:
                self.session.start(self._entry)
            except (WantInput, WantOutput):
                pass
            except Error as closed:
                status = closed.enhanced_status
                return Error(Code.TIMEOUT, message, action=closed.action, enhanced_status=status)
        return _failure(Code.TIMEOUT, message, "4.4.2")

    def _note(self, who: str, data: bytes) -> None:
        if who == "C" and data[:1] in b"\x14\x15\x16\x17":
            self._is_plain = False
        if self._is_plain and data and self._kept < MOST:
            self._kept += len(data)
            self.plain.append((who, data))


@dataclass
class Probe:
    """What a session came to."""

    place: Place
    address: str | None = None
    greeting: str | None = None
    starttls: str = "unknown"  # offered, not-offered, unknown; implicit where there is no STARTTLS
    starttls_reply: str | None = None
    ehlo_before: tuple[str, ...] = ()
    ehlo_after: tuple[str, ...] = ()
    info: Info | None = None
    error: Error | None = None
    reports: list[tuple[str, str]] = field(default_factory=list)
    requiretls: Error | None = None  # why a message with REQUIRETLS could not go
    transcript: list[str] = field(default_factory=list)
    waited: float = 0.0  # seconds, at the gate
    elapsed: float = 0.0  # without that

    @property
    def chain(self) -> tuple[bytes, ...]:
        return self.info.peer_certificates if self.info else ()


def probe(config: Config, policy: Policy, about: str, place: Place, gate: Gate | None = None) -> Probe:
    """One session with a server under a policy that asks for no proof, so that all of it is seen.

    about: the host that the policy is about.
    gate: what the session has to wait for, which is no part of its time.
    """
    began = time.monotonic()
    found = Probe(place)
    gate = gate or Gate()
    with contextlib.ExitStack() as stack:
        try:
            known = addresses(place)
            found.waited = stack.enter_context(gate.session(shown_address(address) for _, address in known))
            place.by += found.waited
            sock, found.address = connect(place, known, gate)
        except Error as error:
            found.error = error
        else:
            with sock:
                _talk(config, policy, about, sock, found)
        found.elapsed = time.monotonic() - began - found.waited
    return found


def _talk(config: Config, policy: Policy, about: str, sock: socket.socket, found: Probe) -> None:
    place = found.place
    session = Session.client(config, policy, about, protocol=place.protocol)
    wire = Wire(session, sock, place.left(place.timeout))
    try:
        wire.start(Entry.HANDSHAKE if place.implicit_tls else Entry.GREETING)
        if place.implicit_tls:
            _greet(wire, found, config.hostname)
        else:
            found.ehlo_after = keywords(session.reply or "")
    except Error as error:
        found.error = error
    found.info = session.info
    found.reports = [(kind.label, reason) for kind, reason in session.reports]
    if found.error is None and session.is_tls:
        try:
            session.check_requiretls("REQUIRETLS" in found.ehlo_after)
        except Error as error:
            found.requiretls = error
    wire.leave()
    if place.implicit_tls:
        found.starttls = "implicit"
    else:
        _read(found, wire.turns())
        found.transcript = wire.transcript()


def _greet(wire: Wire, found: Probe, name: str) -> None:
    """Reads the greeting inside TLS and says EHLO: what start does after STARTTLS."""
    found.greeting = _reply(wire).strip()
    wire.sendall(f"EHLO {name}\r\n".encode())
    found.ehlo_after = keywords(_reply(wire))


def _reply(wire: Wire) -> str:
    came = b""
    while not re.search(rb"(?:\A|\n)[2-5][0-9][0-9](?: [^\n]*)?\r?\n\Z", came):
        more = wire.recv()
        came += more
        if not more or len(came) > MOST:
            raise _failure(Code.SMTP_SYNTAX, "the server did not answer inside TLS as SMTP asks", "4.5.0")
    return came.decode("ascii", "replace")


def keywords(reply: str) -> tuple[str, ...]:
    """The extensions of a reply to EHLO, escaped, each as it came."""
    return tuple(escape(line[4:].strip().encode()) for line in reply.splitlines()[1:] if line[4:].strip())


def _read(found: Probe, turns: list[tuple[str, str]]) -> None:
    """What was said in plaintext."""
    for command, reply in turns:
        verb = command[:8].strip().upper()
        lines = _lines(reply)
        if not lines:
            continue
        last = escape(lines[-1].encode())
        if not verb:
            found.greeting = last
        elif verb.startswith(("EHLO", "LHLO", "HELO")):
            found.ehlo_before = () if verb.startswith("HELO") else keywords(reply)
            if any(word.upper().split()[:1] == ["STARTTLS"] for word in found.ehlo_before):
                found.starttls = "offered"
            elif re.match(r"2\d\d(?!-)", lines[-1]):  # else it is refused, or there is more of the reply
                found.starttls = "not-offered"
        elif verb.startswith("STARTTLS"):
            found.starttls_reply = last


def _lines(text: str) -> list[str]:
    return [line for line in re.split(r"\r?\n", text) if line]
