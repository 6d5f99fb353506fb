"""The peers of smtptls.SMTP and send: aiosmtpd, and scripted ones that do what no server should."""

from __future__ import annotations

import base64
import contextlib
import email.message
import email.policy
import smtplib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP as LmtpServer
from aiosmtpd.smtp import SMTP as SmtpServer
from aiosmtpd.smtp import AuthResult
from smtptls import Config, Entry, Session
from smtptls._smtp import SMTP
from support import DEADLINE, NAME, thread

SENDER, RECIPIENT = "alice@example.test", "bob@example.test"
USER, PASSWORD = "alice", "open sesame"
SECRETS = [PASSWORD.encode(), base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())]


class Mailbox:
    """What aiosmtpd's servers deliver to; it refuses recipients at refused.example.test."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []
        self.logins: list[bytes] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _o: Any) -> str:
        if address.endswith("@refused.example.test"):
            return "550 5.1.1 Nobody here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        return f"250 2.0.0 queued as {len(self.envelopes)}"

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        self.logins.append(data.password)
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    def content(self) -> bytes:
        (envelope,) = self.envelopes
        content: bytes = envelope.original_content
        return content


class Served(Controller):
    """aiosmtpd on a free port."""

    lmtp = False

    server: Any

    def factory(self) -> Any:
        kind = LmtpServer if self.lmtp else SmtpServer
        return kind(self.handler, **self.SMTP_kwargs)

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def aiosmtpd(*, lmtp: bool = False, **options: Any) -> Iterator[tuple[int, Mailbox]]:
    """A server with STARTTLS by its tls_context, or TLS from the start by its ssl_context."""
    mailbox = Mailbox()
    served = Served(mailbox, hostname="127.0.0.1", port=0, authenticator=mailbox.authenticate, **options)
    served.lmtp = lmtp
    served.start()
    try:
        yield served.port, mailbox
    finally:
        served.stop()


class Peer:
    """A scripted server's connection; it records what comes in plaintext."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard = bytearray()
        self.buffer = b""

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def hear(self) -> bytes:
        """The next line, b"" at the end."""
        while b"\n" not in self.buffer:
            data = self.sock.recv(4096)
            if not data:
                return b""
            self.buffer += data
            self.heard += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def rest(self) -> bytes:
        """All until the end."""
        with contextlib.suppress(OSError):
            while data := self.sock.recv(4096):
                self.heard += data
        return bytes(self.heard)

    def greet(self, *extensions: bytes, behind: bytes = b"") -> None:
        self.say(b"220 mail.example.test ESMTP\r\n")
        assert self.hear()[:4].lower() == b"ehlo"
        lines = [b"mail.example.test", *extensions]
        self.say(b"".join(b"250-%s\r\n" % line for line in lines[:-1]) + b"250 %s\r\n" % lines[-1] + behind)


Script = Callable[[Peer], Any]


@contextlib.contextmanager
def scripted(*scripts: Script, path: str | None = None) -> Iterator[tuple[int, list[Peer]]]:
    """A server that does one script after the other, each with one client; its port, and its connections."""
    peers: list[Peer] = []
    with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as listener:
        listener.bind(path or ("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(DEADLINE)

        def serve() -> None:
            for script in scripts:
                sock, _ = listener.accept()
                with sock:
                    sock.settimeout(DEADLINE)
                    peers.append(Peer(sock))
                    script(peers[-1])

        with thread(serve) as raised:
            yield 0 if path else listener.getsockname()[1], peers
        assert not raised, raised


def secured(config: Config, peer: Peer) -> Session:
    """The peer's side of TLS."""
    session = Session.server(config, None, peer.sock)
    session.start(Entry.HANDSHAKE)
    return session


def starttls_reply(reply: bytes) -> Script:
    """A peer that offers STARTTLS and answers it so."""

    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        assert peer.hear() == b"STARTTLS\r\n"
        peer.say(reply)
        peer.rest()

    return script


def opened(
    port: int, config: Config, policy: Any = "verify", kind: type[SMTP] = SMTP, **options: Any
) -> SMTP:
    options.setdefault("name", NAME)
    options.setdefault("timeout", DEADLINE)
    options.setdefault("local_hostname", "client.example.test")
    return kind("127.0.0.1", port, config=config, policy=policy, **options)


def assert_gone(client: SMTP) -> None:
    assert client.sock is None and not client.is_tls
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.noop()


def message(text: str = "Hello\n", **fields: str) -> email.message.EmailMessage:
    made = email.message.EmailMessage()
    for name, value in {"From": SENDER, "To": RECIPIENT, "Subject": "Test", **fields}.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made


def dribble(peer: Peer) -> None:
    with contextlib.suppress(OSError):
        for _ in range(200):
            peer.say(b"2")
            time.sleep(0.05)
