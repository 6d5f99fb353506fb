"""Servers with one defect each, for which a row of smtptls audit exists; made of the one that has none."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from commands import DEADLINE, NAME
from smtptls import Config
from smtptls.cli.server.dialogue import EXEMPT, READY, Dialogue, Settings
from smtptls.cli.server.listener import Listener


class CaseSensitive(Dialogue):
    def starttls(self, line: bytes, rest: str) -> bool:
        return super().starttls(line, rest) if line[:8].isupper() else self.say("500 5.5.2 What?")


class TakesParameters(Dialogue):
    def starttls(self, line: bytes, rest: str) -> bool:
        return super().starttls(b"STARTTLS", "")


class NeverAgain(Dialogue):
    """After a STARTTLS with a parameter."""

    refuses = False

    def starttls(self, line: bytes, rest: str) -> bool:
        if self.refuses:
            return self.say("503 5.5.1 No more")
        self.refuses = bool(rest)
        return super().starttls(line, rest)


class Exempting(Dialogue):
    exempt = (*EXEMPT, "VRFY")


class ExemptingAsPostfix(Dialogue):
    """No defect: no mail gets through."""

    exempt = (*EXEMPT, "HELO", "HELP")


class RefusingNoop(Dialogue):
    exempt = tuple(verb for verb in EXEMPT if verb != "NOOP")


class TakesEveryHello(Dialogue):
    def simple(self) -> dict[str, Callable[[str], str]]:
        return super().simple() | dict.fromkeys(("EHLO", "HELO", "LHLO"), lambda _: "250 2.0.0 Hello")


class KeepsTransaction(Dialogue):
    def secured(self) -> None:
        kept = self.sender, self.recipients
        super().secured()
        self.sender, self.recipients = kept


class KeepsHello(Dialogue):
    def secured(self) -> None:
        kept = self.hello
        super().secured()
        self.hello = kept


class NeedsNoHello(Dialogue):
    """No defect of TLS: it asks for EHLO nowhere."""

    def mail(self, rest: str) -> str:
        self.hello = self.hello or "EHLO unknown"
        return super().mail(rest)


class TakesStarttlsTwice(Dialogue):
    def starttls(self, line: bytes, rest: str) -> bool:
        return self.say("220 2.0.0 Once more") if self.connection.is_tls else super().starttls(line, rest)


class KeepsLines(Dialogue):
    """CVE-2011-0411: what came behind STARTTLS is carried out inside TLS."""

    def starttls(self, line: bytes, rest: str) -> bool:
        if rest or self.connection.is_tls:
            return super().starttls(line, rest)
        self.connection.send(READY)
        self.connection.buffer = self.held(self.connection.buffer)
        return self.secure()

    def held(self, octets: bytes) -> bytes:
        return octets[: octets.rfind(b"\n") + 1]


class KeepsHalfALine(KeepsLines):
    def held(self, octets: bytes) -> bytes:
        return octets[octets.rfind(b"\n") + 1 :]


class AnswersInPlaintext(KeepsLines):
    """It carries it out before TLS, and behind the 220."""

    def held(self, octets: bytes) -> bytes:
        if octets.endswith(b"\n"):
            self.say("250 2.0.0 OK")
        return b""


class ReadsBeforeTls(Dialogue):
    """It keeps what comes behind its 220."""

    def secure(self) -> bool:
        came = self.connection.receive()
        if came[:1] == b"\x16":
            self.connection._rest = came
            return super().secure()
        return self.read(came)

    def starttls(self, line: bytes, rest: str) -> bool:
        if rest or self.connection.is_tls or self.connection.buffer:
            return super().starttls(line, rest)
        self.connection.send(READY)
        return self.secure()

    def read(self, came: bytes) -> bool:
        if came.startswith(b"NOOP"):
            self.connection.buffer += came
        return super().secure()


class GoesOnInPlaintext(ReadsBeforeTls):
    """A handshake that fails is not the end (SEC-7)."""

    def read(self, came: bytes) -> bool:
        if came.startswith(b"EHLO"):
            self.connection.buffer += came
            return True
        return False


class EndsAtOnce(Dialogue):
    """Without close_notify."""

    def run(self) -> None:
        super().run()
        self.connection.session = None


class SaysNoCode(Dialogue):
    def rcpt(self, rest: str) -> str:
        return super().rcpt(rest).replace(" 2.1.5", "")


class SaysAnotherClass(Dialogue):
    def rcpt(self, rest: str) -> str:
        return super().rcpt(rest).replace(" 2.1.5", " 5.1.5")


def openssl(pki: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.rsa, pki.rsa_key)
    return context


def old(pki: Any) -> ssl.SSLContext:
    """It agrees to TLS 1.1."""
    context = openssl(pki)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    return context


def picky(pki: Any, *names: str | None) -> ssl.SSLContext:
    """It refuses clients that ask for one of these names."""
    context = openssl(pki)

    def choose(_connection: Any, name: str | None, _context: Any) -> int | None:
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name in names else None

    context.sni_callback = choose
    return context


@contextlib.contextmanager
def defective(
    pki: Any, host: Callable[..., Dialogue] = Dialogue, *, path: Path | None = None, **settings: Any
) -> Iterator[int]:
    """Such a server in a thread, on a port of its own or on a unix socket; gives its port."""
    config = settings.pop("config", None) or Config(hostname=NAME, keypairs=[(pki.leaf, pki.leaf_key)])
    if path is None:
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    else:
        listening, port = socket.socket(socket.AF_UNIX), 0
        listening.bind(str(path))
        listening.listen()
    server = Listener(listening, Settings(config, NAME, **settings), timeout=DEADLINE, host=host)
    worker = threading.Thread(target=server.run, args=(lambda: None,))
    worker.start()
    try:
        yield port
    finally:
        server.stop()
        worker.join(DEADLINE)
        assert not worker.is_alive()
