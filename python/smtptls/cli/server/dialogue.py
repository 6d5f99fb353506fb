"""The server's half of SMTP (RFC 5321) and LMTP (RFC 2033), the same in plaintext and in TLS."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from ..._enums import Action, Entry, Protocol
from ..._errors import Error
from ..._native import Config, Policy, Session
from ..output import complain
from .connection import Connection
from .faults import Faults, spoil
from .store import Envelope, Store

MOST_RECIPIENTS = 1000
# Where TLS is required, only these go without (RFC 3207 section 4).
EXEMPT = ("NOOP", "EHLO", "LHLO", "STARTTLS", "QUIT")

READY = b"220 2.0.0 Ready to start TLS\r\n"
OK = "250 2.0.0 OK"
SYNTAX = "501 5.5.4 Syntax error in parameters"
SEQUENCE = "503 5.5.1 Bad sequence of commands"
PARAMETER = "555 5.5.4 Parameter not recognized"
UNKNOWN = "500 5.5.2 Command unrecognized"
NOT_IMPLEMENTED = "502 5.5.1 Command not implemented"
TLS_FIRST = "530 5.7.0 Must issue a STARTTLS command first"
WEAK = "554 5.7.0 Command refused due to lack of security"
INJECTED = "554 5.5.0 Input behind STARTTLS: protocol synchronization error"
# An address in angle brackets, quoted or not, and parameters behind it.
PATH = re.compile(r'(FROM|TO): *<((?:[!#-;=?-~]|"(?:[ !#-\[\]-~]|\\.)*")*)>((?: +[!-~]+)*) *', re.IGNORECASE)


@dataclass(frozen=True)
class Settings:
    """What all connections of a server have in common."""

    config: Config
    name: str
    protocol: Protocol = Protocol.SMTP
    implicit: bool = False
    require_tls: bool = False
    largest: int = 10 << 20  # octets of a message
    store: Store | None = None
    faults: Faults = field(default_factory=Faults)
    openssl: ssl.SSLContext | None = None  # for a certificate that the engine does not show

    def session(self) -> Session:
        return Session.server(self.config, Policy("may"), protocol=self.protocol)


class Dialogue:
    """One client, from the greeting to its end."""

    exempt: tuple[str, ...] = EXEMPT

    def __init__(self, settings: Settings, connection: Connection, client: str) -> None:
        self.settings = settings
        self.connection = connection
        self.client = client  # its address
        self.begin_anew()

    def begin_anew(self) -> None:
        """RFC 3207 section 4.2: what was before TLS is forgotten."""
        self.hello = ""  # the verb and the name of the client
        self.reset()

    def reset(self) -> None:
        self.sender: str | None = None
        self.recipients: list[str] = []

    def run(self) -> None:
        if self.settings.implicit and not self.secure():
            return
        kind = "LMTP" if self.settings.protocol is Protocol.LMTP else "ESMTP"
        regular = f"220 {self.settings.name} {kind} smtptls test server\r\n"
        greeting = self.settings.faults.greeting or regular.encode()
        self.connection.send(greeting)
        while not greeting.startswith(b"421") and self.answer():
            pass

    def answer(self) -> bool:
        """Answers one command. False: that was the last."""
        line = self.connection.line()
        if line is None:
            return self.say("500 5.5.2 Line too long or malformed")
        verb, _, rest = line.decode("utf-8", "replace").partition(" ")
        verb, rest = verb.upper(), rest.strip(" ")
        if verb == "QUIT" and not rest:
            self.say("221 2.0.0 Bye")
            return False
        if self.settings.faults.weak and self.connection.is_tls:
            return self.say(WEAK)
        if self.settings.require_tls and not self.connection.is_tls and verb not in self.exempt:
            return self.say(TLS_FIRST)
        if verb == ("LHLO" if self.settings.protocol is Protocol.LMTP else "EHLO"):
            return self.greet(verb, rest)
        if verb == "STARTTLS":
            return self.starttls(line, rest)
        if verb == "DATA":
            return self.data(rest)
        simple = self.simple().get(verb)
        return self.say(simple(rest) if simple else UNKNOWN)

    def simple(self) -> dict[str, Callable[[str], str]]:
        """The commands that are answered with one line."""
        return {
            "HELO": self.helo,
            "MAIL": self.mail,
            "RCPT": self.rcpt,
            "RSET": self.rset,
            "NOOP": lambda _: OK,
            "QUIT": lambda _: SYNTAX,
            "HELP": lambda _: "214 2.0.0 See RFC 5321",
            "VRFY": lambda rest: "252 2.1.5 Send some mail, I will try my best" if rest else SYNTAX,
            **dict.fromkeys(("EXPN", "AUTH", "BDAT", "ETRN", "XCLIENT"), _not_implemented),
        }

    def say(self, *lines: str) -> bool:
        self.connection.send("".join(f"{line}\r\n" for line in lines).encode())
        return not lines[-1].startswith("421")

    # Hello.

    def greet(self, verb: str, name: str) -> bool:
        if not re.fullmatch(r"[!-~]+", name):  # it will stand in a header
            return self.say("501 5.5.4 A host name is needed")
        self.hello = f"{verb} {name}"
        self.reset()
        faults, is_tls = self.settings.faults, self.connection.is_tls
        if faults.ehlo_reply and not is_tls:
            self.connection.send(faults.ehlo_reply)
            return not faults.ehlo_reply.startswith(b"421")
        lines = [self.settings.name, "PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME"]
        lines.append(f"SIZE {self.settings.largest}")
        if faults.offer_after_tls if is_tls else not faults.no_starttls:
            lines.append("STARTTLS")
        return self.say(*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")

    def helo(self, name: str) -> str:
        if self.settings.protocol is Protocol.LMTP:
            return UNKNOWN  # RFC 2033 section 4.1
        if not re.fullmatch(r"[!-~]+", name):
            return "501 5.5.4 A host name is needed"
        self.hello = f"HELO {name}"
        self.reset()
        return f"250 {self.settings.name}"

    # TLS.

    def starttls(self, line: bytes, rest: str) -> bool:
        settings, connection = self.settings, self.connection
        if connection.is_tls:
            return self.say("503 5.5.1 TLS is active already")
        if settings.faults.no_starttls:
            return self.say(NOT_IMPLEMENTED)
        if connection.buffer and not rest:
            self.say(INJECTED)
            return False
        if settings.faults.answers_starttls or settings.openssl:
            if rest:
                return self.say(SYNTAX)
            reply = settings.faults.starttls_reply or READY
            connection.send(reply + settings.faults.inject_after_220)
            if not reply.startswith(b"220"):
                return not reply.startswith(b"421")
            return self.secure()
        session = settings.session()
        session.set_command(line)
        try:
            connection.start(session, Entry.COMMAND)
        except Error as error:
            if error.action is Action.CONTINUE:
                return True
            raise
        self.secured()
        return True

    def secure(self) -> bool:
        """The handshake alone. False: it is not to succeed."""
        if self.settings.faults.handshake:
            spoil(self.connection, self.settings.faults.handshake)
            return False
        if self.settings.openssl:
            self.connection.start_openssl(self.settings.openssl)
        else:
            self.connection.start(self.settings.session(), Entry.HANDSHAKE)
        self.secured()
        return True

    def secured(self) -> None:
        session, sock = self.connection.session, self.connection.sock
        if session is not None and session.info is not None:
            name = f", asked for {session.info.server_name}" if session.info.server_name else ""
            self.connection.tell(f"tls: {session.info.summary}{name}")
        elif isinstance(sock, ssl.SSLSocket):
            self.connection.tell(f"tls: {sock.version()} {(sock.cipher() or ('',))[0]}")
        self.begin_anew()

    # Mail.

    def mail(self, rest: str) -> str:
        if not self.hello or self.sender is not None:
            return SEQUENCE
        found = PATH.fullmatch(rest)
        if not found or found[1].upper() != "FROM":
            return SYNTAX
        for parameter in found[3].upper().split():
            name, _, value = parameter.partition("=")
            if name == "SIZE":
                if not value.isascii() or not value.isdecimal():
                    return SYNTAX
                if len(value) > 20 or int(value) > self.settings.largest:
                    return self.too_large()
            elif name != "BODY":
                return PARAMETER
            elif value not in ("7BIT", "8BITMIME"):
                return SYNTAX
        self.sender = found[2]
        return "250 2.1.0 OK"

    def rcpt(self, rest: str) -> str:
        if self.sender is None:
            return SEQUENCE
        found = PATH.fullmatch(rest)
        if not found or not found[2] or found[1].upper() != "TO":
            return SYNTAX
        if found[3]:
            return PARAMETER
        if len(self.recipients) >= MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        self.recipients.append(found[2])
        return "250 2.1.5 OK"

    def rset(self, rest: str) -> str:
        if rest:
            return SYNTAX
        self.reset()
        return OK

    def data(self, rest: str) -> bool:
        if rest or not self.recipients:
            return self.say(SYNTAX if rest else SEQUENCE)
        self.say("354 End data with <CR><LF>.<CR><LF>")
        message = self.connection.message(self.settings.largest)
        if message is None:
            reply = self.too_large()
        elif re.search(rb"\r(?!\n)|(?<!\r)\n", message):
            # Other software might see an end there, and a second message behind it (SMTP smuggling).
            reply = "550 5.6.11 CR and LF must come together"
        else:
            reply = self.kept(message)
        # In LMTP each recipient has a reply (RFC 2033 section 4.2).
        count = len(self.recipients) if self.settings.protocol is Protocol.LMTP else 1
        self.reset()
        return self.say(*[reply] * count)

    def kept(self, message: bytes) -> str:
        if self.settings.store is None:
            return "250 2.0.0 OK: not kept"
        verb, _, name = self.hello.partition(" ")
        keyword = {"EHLO": "ESMTP", "LHLO": "LMTP"}.get(verb, "SMTP")
        if self.connection.is_tls and keyword != "SMTP":  # there is no keyword for HELO inside TLS
            keyword += "S"
        info = self.connection.session.info if self.connection.session else None
        envelope = Envelope(
            self.sender or "",
            tuple(self.recipients),
            f"{name} ({self.literal()})",
            self.settings.name,
            keyword,
            info.received_clause if info else "",
        )
        try:
            return f"250 2.0.0 OK: {self.settings.store.put(envelope, message)}"
        except OSError as error:
            complain(f"a message could not be stored: {error.strerror}")
            return "451 4.3.0 Cannot store the message"

    def literal(self) -> str:
        """The client's address, as RFC 5321 section 4.1.3 has it."""
        return f"[IPv6:{self.client}]" if ":" in self.client else f"[{self.client}]"

    def too_large(self) -> str:
        return f"552 5.3.4 A message has at most {self.settings.largest} octets"


def _not_implemented(_: str) -> str:
    return NOT_IMPLEMENTED
