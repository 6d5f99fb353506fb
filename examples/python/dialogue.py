"""A server's half of SMTP (RFC 5321) and LMTP (RFC 2033), the same in clear and inside TLS."""

from __future__ import annotations

import contextlib
import email.utils
import re
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import smtptls
from smtptls import Action, Code, Entry, Protocol

if TYPE_CHECKING:
    from serve import Server

SIZE = 32 << 20  # octets of the largest message
LONGEST_LINE = 512  # octets of a command with its CRLF (RFC 5321 section 4.5.3.1.4)
MOST_RECIPIENTS = 1000
# Where TLS is required, only these go without (RFC 3207 section 4); the last three by --exempt-more, with
# which alone a dialogue in clear begins there.
EXEMPT = ("NOOP", "EHLO", "LHLO", "STARTTLS", "QUIT", "HELO", "HELP", "XCLIENT")
EXTENSIONS = ("8BITMIME", f"SIZE {SIZE}")  # besides PIPELINING, ENHANCEDSTATUSCODES and STARTTLS

SYNTAX = "501 5.5.4 Syntax error in parameters"
SEQUENCE = "503 5.5.1 Bad sequence of commands"
PARAMETER = "555 5.5.4 Parameter not recognized"
TOO_LARGE = "552 5.3.4 Message too large"
# An address in angle brackets, quoted or not, and parameters behind it.
PATH = re.compile(
    r'(?:FROM|TO): *<((?:[!#-;=?-~]|"(?:[ !#-\[\]-~]|\\.)*")*)>((?: +[!-~]+)*) *', re.IGNORECASE
)


class Dialogue:
    """One connection."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self.server = server
        self.connection = connection
        self.wire: socket.socket | smtptls.Session = connection
        self.begin_anew()

    def begin_anew(self, hello: str = "", buffer: bytes = b"") -> None:
        """RFC 3207 section 4.2: what was before TLS is forgotten."""
        self.hello = hello  # the line, such as `EHLO client.example`
        self.buffer = buffer  # what came and is not used
        self.reset()

    def reset(self) -> None:
        self.mail = False  # whether there was a MAIL, and how many recipients since
        self.recipients = 0

    def run(self) -> None:
        session = self.server.session(self.connection)
        self.connection.settimeout(self.server.timeout)
        try:
            session.start(Entry.GREETING)
        except smtptls.Error as error:
            # The client goes on without TLS, and a public server lets it; or it said XCLIENT, which
            # --exempt-more leaves to the program. Its command is left over.
            if error.action is not Action.CONTINUE and error.code is not Code.NOT_REQUESTED:
                self.refuse(session)
                raise
            self.begin_anew(session.hello or "", session.leftover())
        else:
            self.secured(session)
        try:
            while self.answer():
                pass
        except TimeoutError:
            # RFC 5321 section 3.8.
            with contextlib.suppress(OSError):
                self.say("421 4.4.2 Timeout, closing the connection")
                self.close()
            raise
        self.close()

    def secured(self, session: smtptls.Session) -> None:
        if session.info:
            self.server.tell_tls(session.info)
        self.wire = session
        self.begin_anew()

    def refuse(self, session: smtptls.Session) -> None:
        """Where TLS is up and the client's certificate is not good enough, say so in it.

        554 to all but QUIT (RFC 3207 section 4.1).
        """
        if session.is_tls and session.info:
            self.server.tell_tls(session.info)
            with contextlib.suppress(OSError):
                session.refuse()

    def close(self) -> None:
        # A client may have gone already, and without close_notify: its QUIT was heard all the same.
        with contextlib.suppress(OSError):
            if isinstance(self.wire, smtptls.Session):
                self.wire.close()

    def answer(self) -> bool:
        """Answer one command. False: that was the last."""
        line = self.line()
        if line is None:
            return self.say("500 5.5.2 Line too long or malformed")
        verb, _, rest = line.partition(" ")
        verb, rest = verb.upper(), rest.strip(" ")
        if self.wire is self.connection and self.server.options.require_tls and verb not in EXEMPT:
            return self.say("530 5.7.0 Must issue a STARTTLS command first")
        lmtp = self.server.protocol is Protocol.LMTP
        if verb == "LHLO" if lmtp else verb in ("EHLO", "HELO"):
            return self.say(*self.greet(line, verb, rest))
        if verb == "STARTTLS":
            return self.starttls(line)
        if verb == "QUIT" and not rest:
            # A client need not wait for the answer.
            with contextlib.suppress(OSError):
                self.say("221 2.0.0 Bye")
            return False
        if verb == "RSET" and not rest:
            self.reset()
            return self.say("250 2.0.0 OK")
        if verb == "DATA":
            return self.say(*self.data(rest))
        replies: dict[str, Callable[[], str]] = {
            "MAIL": lambda: self.mail_from(rest),
            "RCPT": lambda: self.rcpt_to(rest),
            "NOOP": lambda: "250 2.0.0 OK",
            "RSET": lambda: SYNTAX,
            "QUIT": lambda: SYNTAX,
            "HELP": lambda: "214 2.0.0 See RFC 5321",
            # RFC 5321 section 7.3: neither yes nor no.
            "VRFY": lambda: "252 2.1.5 Send some mail, I will try my best" if rest else SYNTAX,
            "EXPN": lambda: "502 5.5.1 Command not implemented",
            "AUTH": lambda: "502 5.5.1 Command not implemented",
            "XCLIENT": lambda: "502 5.5.1 Command not implemented",
        }
        return self.say(replies.get(verb, lambda: "500 5.5.2 Command unrecognized")())

    def starttls(self, line: str) -> bool:
        if isinstance(self.wire, smtptls.Session):
            # Always an error, since TLS is active; the library answers 503.
            with contextlib.suppress(smtptls.Error):
                self.wire.start(Entry.COMMAND)
            return True
        session = self.server.session(self.connection)
        session.set_command(line)  # with a parameter it is answered with 501
        self.connection.settimeout(self.server.timeout)
        try:
            # What was read and not used was injected; the library refuses to go on with it.
            session.start(Entry.COMMAND, unread=len(self.buffer))
        except smtptls.Error as error:
            if self.buffer and not self.server.options.discard:
                self.say("554 5.5.0 Input behind STARTTLS: protocol synchronization error")
            if error.action is not Action.CONTINUE:
                self.refuse(session)
                raise
            return True  # it was answered with a refusal
        self.secured(session)
        return True

    def greet(self, line: str, verb: str, name: str) -> list[str]:
        # The name will stand in a header, so it must be fit for that.
        if not re.fullmatch(r"[!-~]+", name):
            return ["501 5.5.4 A host name is needed"]
        self.hello = line
        self.reset()
        lines = [self.server.config.hostname]
        if verb != "HELO":
            lines += ["PIPELINING", "ENHANCEDSTATUSCODES", *EXTENSIONS]
            offered = self.wire is self.connection and not self.server.options.not_now
            lines += ["STARTTLS"] if offered else []
        return [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]

    def mail_from(self, rest: str) -> str:
        if not self.hello or self.mail:
            return SEQUENCE
        found = PATH.fullmatch(rest)
        if not found or rest[:5].upper() != "FROM:":
            return SYNTAX
        for parameter in found[2].split():
            name, _, value = parameter.upper().partition("=")
            if name == "SIZE":
                if not value.isascii() or not value.isdecimal():
                    return SYNTAX
                if len(value) > 20 or int(value) > SIZE:
                    return TOO_LARGE
            elif name == "BODY":
                if value not in ("7BIT", "8BITMIME"):
                    return SYNTAX
            else:
                return PARAMETER
        self.mail = True
        return "250 2.1.0 OK"

    def rcpt_to(self, rest: str) -> str:
        if not self.mail:
            return SEQUENCE
        found = PATH.fullmatch(rest)
        if not found or not found[1] or rest[:3].upper() != "TO:":
            return SYNTAX
        if found[2]:
            return PARAMETER
        if self.recipients >= MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        self.recipients += 1
        return "250 2.1.5 OK"

    def data(self, rest: str) -> Sequence[str]:
        if rest or not self.recipients:
            return [SYNTAX if rest else SEQUENCE]
        self.say("354 End data with <CR><LF>.<CR><LF>")
        text = self.text()
        if text is None:
            reply = TOO_LARGE
        elif re.search(rb"\r(?!\n)|(?<!\r)\n", text):
            # Other software might see an end there, and a second message behind it (SMTP smuggling).
            reply = "550 5.6.11 CR and LF must come together"
        else:
            try:
                self.server.put(self.received().encode() + text.replace(b"\r\n", b"\n"))
                reply = "250 2.0.0 OK: stored"
            except OSError:
                reply = "451 4.3.0 Cannot store the message"
        # In LMTP each recipient has a reply (RFC 2033 section 4.2).
        count = self.recipients if self.server.protocol is Protocol.LMTP else 1
        self.reset()
        return [reply] * count

    def received(self) -> str:
        """RFC 5321 section 4.4, the keywords of RFC 3848, and the `tls` clause of RFC 8314 section 4.3."""
        verb, _, name = self.hello.partition(" ")
        keyword = {"EHLO": "ESMTP", "LHLO": "LMTP"}.get(verb.upper(), "SMTP")
        clause = ""
        if isinstance(self.wire, smtptls.Session) and self.wire.info:
            keyword += "" if keyword == "SMTP" else "S"  # there is no keyword for HELO inside TLS
            clause = f" {self.wire.info.received_clause}"
        source = f"{name.strip(' ')} ([{self.connection.getpeername()[0]}])"
        date = email.utils.formatdate(localtime=True)
        return f"Received: from {source} by {self.server.config.hostname} with {keyword}{clause}; {date}\n"

    def say(self, *lines: str) -> bool:
        self.connection.settimeout(self.server.timeout)
        self.wire.sendall("".join(f"{line}\r\n" for line in lines).encode())
        return True

    def receive(self, by: float) -> bytes:
        self.connection.settimeout(max(by - time.monotonic(), 0.001))
        came = self.wire.recv(16 * 1024)
        if not came:
            raise smtptls.Error(Code.EOF, "the client closed the connection without QUIT")
        return came

    def line(self) -> str | None:
        """A command, or None for one that is too long or malformed. Only CRLF ends it."""
        by = time.monotonic() + self.server.timeout
        too_long = False
        while (end := self.buffer.find(b"\r\n")) < 0:
            if len(self.buffer) > LONGEST_LINE:
                # Only its end is of interest now, and that may begin with this CR.
                too_long, self.buffer = True, self.buffer[-1:]
            self.buffer += self.receive(by)
        line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
        if too_long or len(line) + 2 > LONGEST_LINE or re.search(rb"[\r\n\0]", line):
            return None
        return line.decode(errors="replace")

    def text(self) -> bytes | None:
        """What follows DATA, without doubled dots; None if it is too large. Only CRLF, dot, CRLF ends it."""
        text, searched, too_large = bytearray(b"\r\n" + self.buffer), 0, False
        while (end := text.find(b"\r\n.\r\n", searched)) < 0:
            if len(text) > SIZE + SIZE // 8:  # doubled dots do not count
                too_large = True
                del text[:-4]
            searched = max(len(text) - 4, 0)
            text += self.receive(time.monotonic() + self.server.timeout)
        self.buffer = bytes(text[end + 5 :])
        message = bytes(text[: end + 2]).replace(b"\r\n.", b"\r\n")[2:]
        return None if too_large or len(message) > SIZE else message
