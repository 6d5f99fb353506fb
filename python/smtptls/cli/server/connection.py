"""The octets of one connection of the test server: in plaintext or in TLS, at the pace that was asked for."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..._enums import Action, Close, Entry
from ..._errors import Error, WantInput, WantOutput
from ..._native import Session, escape

LONGEST_LINE = 1024  # octets of a command: the 512 of RFC 5321 section 4.5.3.1.4, and room for extensions
MESSAGE_TIME = 10  # so many times the time of a command may a message take
GOODBYE = 1.0  # seconds that a client has to read our last words
LINE_PAUSE = 0.02  # seconds between lines that are to arrive one by one
CHUNK = 16384

Result = TypeVar("Result")


@dataclass(frozen=True)
class Pace:
    """How replies leave: whole, line by line, or octet by octet with a pause before each."""

    by_line: bool = False
    octet_pause: float = 0.0  # seconds

    def pieces(self, reply: bytes) -> tuple[list[bytes], float]:
        """What to send, and how long to wait in between."""
        if self.octet_pause:
            return [bytes([octet]) for octet in reply], self.octet_pause
        if self.by_line:
            return reply.splitlines(keepends=True), LINE_PAUSE
        return [reply], 0.0


class Connection:
    """One client. What is waited for has a time limit; what goes wrong is an OSError, as Error is one."""

    def __init__(
        self,
        sock: socket.socket,
        timeout: float,
        pace: Pace,
        stopping: threading.Event,
        tell: Callable[[str], None],
    ) -> None:
        self.sock = sock
        self.timeout = timeout
        self.pace = pace
        self.stopping = stopping
        self.tell = tell  # a line of the transcript
        self.buffer = b""  # came, and nobody has used it
        self._rest = b""  # came, and the session has no room for it yet
        self.session: Session | None = None  # in TLS, by the engine
        self.by = 0.0
        self.limit()

    def limit(self, times: float = 1) -> None:
        """From now on so much time for what follows."""
        self.by = time.monotonic() + self.timeout * times

    @property
    def is_tls(self) -> bool:
        return self.session is not None or isinstance(self.sock, ssl.SSLSocket)

    # Reading.

    def line(self) -> bytes | None:
        """A command without its CRLF, which alone ends it; None for one that is too long or malformed."""
        self.limit()
        too_long = False
        while (end := self.buffer.find(b"\r\n")) < 0:
            if len(self.buffer) > LONGEST_LINE:
                too_long, self.buffer = True, self.buffer[-1:]  # which may be the CR
            self.buffer += self.receive()
        line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
        self.tell(f"C: {escape(line)}")
        return None if too_long or len(line) + 2 > LONGEST_LINE or re.search(rb"[\r\n\0]", line) else line

    def message(self, most: int) -> bytes | None:
        """What follows DATA up to CRLF, dot, CRLF, with dots undoubled; None if it is larger than that."""
        self.limit(MESSAGE_TIME)
        text, searched, octets, too_large = bytearray(b"\r\n" + self.buffer), 0, len(self.buffer), False
        while (end := text.find(b"\r\n.\r\n", searched)) < 0:
            if len(text) > most + most // 8 + 4:  # doubled dots do not count
                too_large = True
                del text[:-4]
            searched = max(len(text) - 4, 0)
            came = self.receive()
            octets += len(came)
            text += came
        self.buffer = bytes(text[end + 5 :])
        self.tell(f"C: (a message of {octets - len(self.buffer)} octets)")
        message = bytes(text[: end + 2]).replace(b"\r\n.", b"\r\n")[2:]
        return None if too_large or len(message) > most else message

    def receive(self) -> bytes:
        came = self._drive(lambda session: session.recv(CHUNK)) if self.session else self._receive()
        if not came:
            raise ConnectionAbortedError("the client closed the connection without QUIT")
        return came

    # Writing.

    def send(self, text: bytes) -> None:
        """Replies, at their pace."""
        for line in text.splitlines():
            self.tell(f"S: {escape(line)}")
        self._paced(text, self._send_tls if self.session else self._send)

    def _paced(self, text: bytes, send: Callable[[bytes], None]) -> None:
        pieces, pause = self.pace.pieces(text)
        for number, piece in enumerate(pieces):
            if (number or self.pace.octet_pause) and self.stopping.wait(pause):
                raise ConnectionAbortedError("the server is stopping")
            self.limit()
            send(piece)

    def _send_tls(self, piece: bytes) -> None:
        self._drive(lambda session: session.sendall(piece))

    # TLS.

    def start(self, session: Session, entry: Entry) -> None:
        """TLS by the engine, and before that its answer to STARTTLS, where it has one to give."""
        self.session = session
        self.limit()
        try:
            self._drive(lambda session: session.start(entry))
        except Error as error:
            if error.action is Action.CONTINUE:
                self.session = None  # it was answered with a refusal
            raise

    def start_openssl(self, context: ssl.SSLContext) -> None:
        """TLS by OpenSSL, for what the engine refuses to have to do with."""
        self.limit()
        self.sock.settimeout(self._left())
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def _drive(self, step: Callable[[Session], Result]) -> Result:
        session = self.session
        assert session is not None
        while True:
            try:
                result = step(session)
            except WantOutput:
                self._push(session)
            except WantInput:
                self._push(session)
                self._pull(session)
            except Error:
                with contextlib.suppress(OSError):
                    self._push(session)  # an alert, say
                raise
            else:
                self._push(session)
                return result

    def _push(self, session: Session) -> None:
        while data := session.output():
            if data[:1].isdigit():  # the engine's answer to STARTTLS, and no TLS record
                for line in data.splitlines():
                    self.tell(f"S: {escape(line)}")
                self._paced(data, self._send)
            else:
                self._send(data)
            session.sent(len(data))

    def _pull(self, session: Session) -> None:
        if not self._rest:
            self._rest = self._receive()
            if not self._rest:
                session.feed(b"")
                return
        self._rest = self._rest[session.feed(self._rest) :]

    # The socket.

    def _left(self) -> float:
        if (left := self.by - time.monotonic()) <= 0:
            raise TimeoutError(f"the client did nothing for {self.timeout:g} s")
        return left

    def _receive(self) -> bytes:
        self.sock.settimeout(self._left())
        try:
            return self.sock.recv(CHUNK)
        except TimeoutError as error:
            raise TimeoutError(f"the client did nothing for {self.timeout:g} s") from error

    def _send(self, data: bytes) -> None:
        self.sock.settimeout(self._left())
        self.sock.sendall(data)

    # The end.

    def leave(self) -> None:
        """close_notify where there is TLS, then the end; our last words are not torn up by input unread."""
        self.by = time.monotonic() + GOODBYE
        with contextlib.suppress(OSError, ValueError):
            if self.session is not None:
                with contextlib.suppress(WantInput, WantOutput):
                    self.session.close(Close.SEND)
                self._push(self.session)
            elif isinstance(self.sock, ssl.SSLSocket):
                self.sock.settimeout(self._left())
                self.sock = self.sock.unwrap()
            self.sock.shutdown(socket.SHUT_WR)
            while self._receive():
                pass

    def abort(self) -> None:
        """From another thread: whatever is waited for is over."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
