"""One connection of an audit: octets in plaintext as they are wanted, then TLS that takes any certificate."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import EllipsisType, TracebackType
from typing import Self

from ..._enums import Code, Entry, Protocol
from ..._errors import Error
from ..._native import Config, Policy, Session, escape
from ..probe import Place, Wire, connect, keywords
from ..verdict import TRANSIENT

MOST_OCTETS = 65536  # of a reply
GOODBYE = 1.0  # seconds that the server has at most to take its leave
PAUSE = 0.3  # seconds in which an answer to what must not be answered would come


class Failed(Exception):
    """The server does what it must not do."""


class Skipped(Exception):
    """The server does not have what the row is about."""


class Undecided(Exception):
    """It cannot be told now."""


class Ended(Undecided):
    """The server has closed the connection."""


@dataclass(frozen=True)
class Reply:
    """A reply of SMTP, its lines without their ends, as they came."""

    lines: tuple[bytes, ...]

    @property
    def code(self) -> int:
        return int(self.lines[0][:3])

    @property
    def keywords(self) -> set[str]:
        """Of a reply to EHLO."""
        text = "\n".join(line.decode("latin-1") for line in self.lines)
        return {word.split()[0].upper() for word in keywords(text)}

    def __str__(self) -> str:
        return escape(self.lines[-1])


def by_code(reply: Reply) -> type[Exception]:
    """What a refusal where there should be none comes to: 4yz may be otherwise later."""
    return Undecided if 400 <= reply.code < 500 else Failed


@dataclass
class Audited:
    """The server, and what was learned of it so far."""

    place: Place
    config: Config
    recipient: str
    before: Reply | None = None  # to EHLO in plaintext
    after: Reply | None = None  # to EHLO inside TLS
    heard: list[tuple[str, Reply]] = field(default_factory=list)  # a command and what answered it

    @property
    def hello(self) -> str:
        verb = "LHLO" if self.place.protocol is Protocol.LMTP else "EHLO"
        return f"{verb} {self.config.hostname}"

    def open(self) -> Talk:
        """A connection on which the server has greeted, inside TLS where that begins with the first byte."""
        talk = self.raw()
        try:
            if self.place.implicit_tls:
                talk.tls()
            greeting = talk.reply()
        except BaseException:
            talk.sock.close()
            raise
        if greeting.code != 220:
            talk.sock.close()
            raise Undecided(f"it greets with {greeting}")
        return talk

    def raw(self) -> Talk:
        """A connection on which nothing was said."""
        try:
            sock, _ = connect(self.place)
        except Error as error:
            raise Undecided(error.message) from error
        return Talk(self, sock)

    def begin(self, line: bytes = b"STARTTLS\r\n") -> Talk:
        """A connection on which TLS is to begin now."""
        if self.place.implicit_tls:
            return self.raw()
        talk = self.open()
        with talk.closing_on_error():
            talk.ask(self.hello)
            talk.send(line)
            reply = talk.reply()
            self.heard.append(("STARTTLS", reply))
            if reply.code != 220:
                raise by_code(reply)(f"it answers {line.decode().strip()} with {reply}")
        return talk

    def secured(self, sni: str | EllipsisType | None = ...) -> Talk:
        """A connection in TLS, on which nothing was said inside; raises Failed where there is no TLS."""
        talk = self.begin()
        with talk.closing_on_error():
            talk.tls(sni)
            if self.place.implicit_tls:
                talk.reply()  # the greeting
        return talk


class Talk:
    """The connection. All of it has to be done in the time for a session."""

    def __init__(self, audited: Audited, sock: socket.socket) -> None:
        self.audited = audited
        self.sock = sock
        self.by = time.monotonic() + audited.place.timeout
        self.buffer = b""
        self.wire: Wire | None = None  # in TLS
        self.is_spoiled = False  # QUIT would not be heard as such

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self.sock, contextlib.suppress(OSError, Undecided, Failed):
            if self.is_spoiled or isinstance(value, Undecided):
                return
            self.by = time.monotonic() + GOODBYE
            if self.wire is not None:
                self.wire.limit(GOODBYE)
            self.send(b"QUIT\r\n")
            while True:
                self.receive()

    @contextlib.contextmanager
    def closing_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.sock.close()
            raise

    # Commands and replies.

    def ask(self, command: str) -> Reply:
        """A command and its reply. 421 says nothing of the command."""
        self.send(f"{command}\r\n".encode())
        reply = self.reply()
        if reply.code == 421:
            raise Undecided(f"it is not available: {reply}")
        self.audited.heard.append((command, reply))
        return reply

    def reply(self) -> Reply:
        lines: list[bytes] = []
        octets = 0
        while not lines or lines[-1][3:4] == b"-":
            line = self._line()
            octets += len(line)
            if not re.match(rb"[2-5][0-9][0-9]([ -]|$)", line) or octets > MOST_OCTETS:
                self.is_spoiled = True
                raise Failed(f'"{escape(line)}" is no SMTP reply')
            lines.append(line)
        return Reply(tuple(lines))

    def replies_to_the_end(self) -> list[Reply]:
        """All replies until the server closes, as it does after QUIT."""
        found = []
        with contextlib.suppress(Ended):
            while True:
                found.append(self.reply())
        return found

    def _line(self) -> bytes:
        while b"\n" not in self.buffer:
            if len(self.buffer) > MOST_OCTETS:
                self.is_spoiled = True
                raise Failed(f"a line of a reply has more than {MOST_OCTETS} octets")
            self.buffer += self.receive()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.removesuffix(b"\r")

    # Octets.

    def send(self, octets: bytes) -> None:
        try:
            if self.wire is not None:
                self.wire.sendall(octets)
            else:
                self.sock.settimeout(self._left())
                self.sock.sendall(octets)
        except OSError as error:
            raise self._lost(error) from error

    def receive(self, most: int = 16384) -> bytes:
        """What comes next; raises Ended at the end."""
        try:
            if self.wire is not None:
                came = self.wire.recv(most)
            else:
                self.sock.settimeout(self._left())
                came = self.sock.recv(most)
        except OSError as error:
            raise self._lost(error) from error
        if not came:
            self.is_spoiled = True
            raise Ended("it closed the connection")
        return came

    def stray(self) -> bytes:
        """What came, or comes in a moment, and answers nothing."""
        if not self.buffer:
            self.sock.settimeout(min(PAUSE, self._left()))
            with contextlib.suppress(OSError):
                self.buffer += self.sock.recv(16384)
        return self.buffer

    def _left(self) -> float:
        if (left := self.by - time.monotonic()) <= 0:
            raise Undecided(f"it did not answer within {self.audited.place.timeout:g} s")
        return left

    def _lost(self, error: OSError) -> Undecided:
        self.is_spoiled = True
        if isinstance(error, TimeoutError) and error.errno is None:
            return Undecided(f"it did not answer within {self.audited.place.timeout:g} s")
        return Ended(f"the connection failed: {error.strerror or error}")

    # TLS.

    def tls(self, sni: str | EllipsisType | None = ...) -> None:
        """The handshake; any certificate will do. sni: the name to ask for, by default the host's."""
        place = self.audited.place
        policy = Policy("encrypt", sni=sni)
        session = Session.client(self.audited.config, policy, place.host, protocol=place.protocol)
        wire = Wire(session, self.sock, self._left())
        try:
            wire.start(Entry.HANDSHAKE)
        except Error as error:
            self.is_spoiled = True
            kind = Undecided if error.code is Code.TIMEOUT else Ended if error.code in TRANSIENT else Failed
            raise kind(f"no TLS: {error.message}") from error
        self.wire = wire

    def is_truncated(self) -> bool:
        """Whether the server closed without close_notify."""
        return self.wire is not None and self.wire.session.is_truncated
