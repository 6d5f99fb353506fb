"""What send and upgrade share: a client's half of SMTP, and the lines that tell how it went."""

from __future__ import annotations

import argparse
import base64
import contextlib
import re
import socket
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import smtptls
from options import parse
from smtptls import Action, Code

# Bounds, so that no server can fill the memory.
LONGEST_LINE = 2048
MOST_LINES = 100
GOODBYE = 2.0  # seconds at most for the server to take its leave


def main(program: str, deliver: Callable[[argparse.Namespace, bytes], None]) -> int:
    """Read the flags and the message, give both to `deliver`, and tell of a failure."""
    options = parse(program)
    try:
        deliver(options, sys.stdin.buffer.read())
    except OSError as error:  # smtptls.Error is one
        failure = explain(error)
        print(
            f"error: {failure} (action {failure.action.label}, tlsrpt {failure.tlsrpt or 'none'})",
            file=sys.stderr,
        )
        return 1
    return 0


def tell_tls(info: smtptls.Info | None) -> None:
    """Print what TLS came out as, and who the server proved to be."""
    if info is None:
        print("tls: none")
        return
    print(f"tls: {info.summary}")
    secured = "yes" if info.secured else "no"
    print(f"peer: level={info.level.label} auth={info.auth.label} secured={secured}")


def connect(options: argparse.Namespace) -> socket.socket:
    try:
        connection = socket.create_connection((options.host, options.port), options.timeout)
    except TimeoutError as error:
        if error.errno is not None:  # the network's limit, and not ours
            raise
        raise peer_error(Code.TIMEOUT, "the time allowed ran out connecting") from error
    # Commands are small and wait for replies; they should not wait for company too.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def is_unsent(error: smtptls.Error) -> bool:
    """Whether a session failed before a byte was sent: the policy, or what the DNS says, forbids it."""
    return isinstance(error, (smtptls.ConfigError, smtptls.PolicyError))


def refuse(session: smtptls.Session, connection: socket.socket, error: smtptls.Error, by: float) -> None:
    """RFC 3207 section 4.1: QUIT at once, where the server can still hear it.

    TLS is up and the verdict is bad, or TLS did not begin and the server said so.
    """
    if not session.is_tls and error.code not in (Code.NOT_OFFERED, Code.REFUSED):
        return
    with contextlib.suppress(OSError):
        session.refuse()
        # To close a socket with input unread would tear up what was sent; so wait for the server to close.
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(min(left(by), GOODBYE))
        while connection.recv(4096):
            pass


def left(by: float) -> float:
    """How many seconds are left; never 0, which would mean not to wait at all."""
    return max(by - time.monotonic(), 0.001)


def peer_error(code: Code, message: str, errno: int | None = None) -> smtptls.Error:
    """What the server or the network did, outside of STARTTLS: try the next server, or later."""
    return smtptls.Error(code, message, errno=errno, action=Action.NEXT_HOST)


def explain(error: OSError) -> smtptls.Error:
    """A failure of the socket, or of the library, as an error of the library."""
    if isinstance(error, smtptls.Error):
        return error
    if isinstance(error, TimeoutError) and error.errno is None:
        return peer_error(Code.TIMEOUT, "the time allowed ran out exchanging data with the server")
    return peer_error(Code.IO, f"the connection failed: {error.strerror or error}", error.errno)


class Reply(NamedTuple):
    """A reply: its code, and its lines as they came."""

    code: int
    lines: list[bytes]

    @property
    def text(self) -> str:
        return b"\n".join(self.lines).decode(errors="replace")

    @property
    def escaped(self) -> str:
        """In one line that is fit for a log and for a terminal."""
        return smtptls.escape(b" ".join(self.lines))


class Client:
    """A client's half of SMTP (RFC 5321) and LMTP (RFC 2033), over a socket or over a session alike."""

    def __init__(self, connection: socket.socket | smtptls.Session, by: float) -> None:
        self.connection = connection
        self.by = by  # when everything has to be done
        self.buffer = b""  # what came and is not used

    def wait(self) -> socket.socket | smtptls.Session:
        """The connection, allowed to wait for as long as is left."""
        self.connection.settimeout(left(self.by))
        return self.connection

    def command(self, line: str) -> Reply:
        """Send a command and read its reply."""
        if self.buffer:  # what came before the question is not its answer
            extra = smtptls.escape(self.buffer)
            raise peer_error(Code.UNSOLICITED, f'the server sent a reply nobody had asked for: "{extra}"')
        self.wait().sendall(f"{line}\r\n".encode())
        return self.reply()

    def reply(self) -> Reply:
        lines: list[bytes] = []
        while True:
            line = self.line()
            if not re.match(rb"[2-5][0-9][0-9]([ -]|$)", line):
                text = smtptls.escape(line)
                raise peer_error(Code.SMTP_SYNTAX, f'the server\'s line is no reply: "{text}"')
            lines.append(line)
            if line[:3] != lines[0][:3]:
                text = smtptls.escape(line)
                raise peer_error(Code.SMTP_SYNTAX, f'the server\'s reply changes its code: "{text}"')
            if line[3:4] != b"-":
                return Reply(int(line[:3]), lines)
            if len(lines) == MOST_LINES:
                raise peer_error(Code.TOO_LONG, f"the server's reply has more than {MOST_LINES} lines")

    def line(self) -> bytes:
        while b"\n" not in self.buffer and len(self.buffer) <= LONGEST_LINE:
            came = self.wait().recv(LONGEST_LINE)
            if not came:
                raise self.closed()
            self.buffer += came
        line, end, self.buffer = self.buffer.partition(b"\n")
        if len(line + end) > LONGEST_LINE:
            raise peer_error(Code.TOO_LONG, f"the server's line is longer than {LONGEST_LINE} octets")
        if not line.endswith(b"\r") or b"\r" in line[:-1] or b"\0" in line:
            text = smtptls.escape(line + end)
            raise peer_error(Code.SMTP_SYNTAX, f'a NUL, a bare CR or a bare LF is in "{text}"')
        return line[:-1]

    def closed(self) -> smtptls.Error:
        # SMTP says itself where a message ends; all the same the cut is worth a name of its own.
        if isinstance(self.connection, smtptls.Session) and self.connection.is_truncated:
            return peer_error(Code.TRUNCATED, "the server closed the connection without a TLS close_notify")
        return peer_error(Code.EOF, "the server closed the connection before it answered")

    def deliver(self, options: argparse.Namespace, hello: str, message: bytes) -> Reply:
        """Send the message and leave. `hello` is the text of the reply to the last EHLO."""
        if options.user is not None:
            self.login(options, hello)
        eight_bit = " BODY=8BITMIME" if not message.isascii() and "8BITMIME" in keywords(hello) else ""
        self.ask(250, f"MAIL FROM:<{options.sender}>{eight_bit}")
        self.ask(250, f"RCPT TO:<{options.to}>")
        self.ask(354, "DATA")
        self.wait().sendall(dot_stuffed(message))
        # LMTP gives a reply for each recipient, and there is one.
        reply = self.wanted(250, "the message", self.reply())
        self.leave()
        return reply

    def login(self, options: argparse.Namespace, hello: str) -> None:
        """AUTH PLAIN (RFC 4954, RFC 4616), inside TLS; `parse` made sure that the server is a proven one."""
        if not isinstance(self.connection, smtptls.Session):
            raise smtptls.Error(Code.STATE, "a password does not go in clear")
        if "PLAIN" not in keywords(hello).get("AUTH", ()):
            self.leave()
            raise peer_error(Code.REFUSED, "the server does not offer AUTH PLAIN")
        secret = base64.b64encode(f"\0{options.user}\0{options.password}".encode()).decode()
        self.wanted(235, "AUTH PLAIN", self.command(f"AUTH PLAIN {secret}"))

    def ask(self, code: int, line: str) -> Reply:
        """Send a command whose reply must have this code."""
        return self.wanted(code, line, self.command(line))

    def wanted(self, code: int, what: str, reply: Reply) -> Reply:
        """The reply, if it has this code; any 2yz means success (RFC 5321 section 4.2.1).

        If the server refused, leave.
        """
        if reply.code == code or reply.code // 100 == code // 100 == 2:
            return reply
        if reply.code < 400:
            raise peer_error(Code.SMTP_SYNTAX, f'the reply makes no sense behind {what}: "{reply.escaped}"')
        if reply.code != 421:  # which is goodbye already
            self.leave()
        raise peer_error(Code.REFUSED, f'the server refused {what}: "{reply.escaped}"')

    def leave(self) -> None:
        """Say QUIT. How the server takes it changes nothing."""
        self.by = min(self.by, time.monotonic() + GOODBYE)
        with contextlib.suppress(OSError):
            self.command("QUIT")
        with contextlib.suppress(OSError):
            if isinstance(self.wait(), smtptls.Session):
                self.connection.close()


def keywords(hello: str) -> dict[str, list[str]]:
    """The keywords of an EHLO reply and their parameters. Its first line is the server's name."""
    if not hello.startswith("250"):
        return {}
    words = [line[4:].upper().split(" ") for line in hello.split("\n")[1:]]
    return {keyword: parameters for keyword, *parameters in words}


def dot_stuffed(message: bytes) -> bytes:
    """The message as DATA carries it (RFC 5321 section 4.5.2)."""
    message = re.sub(rb"\r?\n", b"\r\n", message)
    if message and not message.endswith(b"\r\n"):
        message += b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", message) + b".\r\n"
