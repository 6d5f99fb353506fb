"""What the tests of this folder share: contexts that show that they were used, and servers.

watched, server_side     our context, for a client and for a server, which keeps its connections
openssl_server           OpenSSL's, for the other end
mail_server(...)         aiosmtpd in a thread; what it saw is in the Recorder
run                      a coroutine, until no transport is open
conversation(...)        a server of a few lines, on a plain socket
stalled(...)             a server that says nothing where TLS should begin
refused(...)             the block fails for the certificate, with the classes of ssl and ours at once
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import smtptls
from aiosmtpd.smtp import SMTP, Envelope, Session
from ca.ca import NAME, Paths
from conftest import DEADLINE, RECIPIENT, SENDER

BIG = b"".join(b"%06d " % number + b"\x7f." * 46 + b"\r\n" for number in range(10_500))  # over 1 MB
MAIL = f"From: <{SENDER}>\r\nTo: <{RECIPIENT}>\r\nSubject: smtptls\r\n\r\n.\r\n..two\r\nend\r\n".encode()
MODES = ("starttls", "implicit")
HOST = "localhost"  # a good leaf of the test PKI has this name


class Watched(smtptls.SSLContext):
    """Our context. It keeps its connections, so that no test passes with OpenSSL unseen."""

    connections: list[Any]

    def _connection(self, *args: Any, **options: Any) -> Any:
        made = super()._connection(*args, **options)
        vars(self).setdefault("connections", []).append(made)
        return made

    @property
    def begun(self) -> int:
        """How many connections it was asked for."""
        return len(vars(self).get("connections", []))

    def secured(self) -> list[smtptls.Info]:
        """The facts of each connection, all of which must have come to TLS."""
        infos = [connection.info for connection in vars(self).get("connections", [])]
        assert infos and all(infos), infos
        return infos


def watched(pki: Paths, trust: str | None = "ca", certificate: str | None = None) -> Watched:
    """For a client that trusts one CA of the test PKI, or whoever the system trusts."""
    context = Watched(ssl.PROTOCOL_TLS_CLIENT)
    if trust is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(getattr(pki, trust))
    if certificate:
        context.load_cert_chain(getattr(pki, certificate), getattr(pki, f"{certificate}_key"))
    return context


def server_side(pki: Paths, certificate: str = "leaf", clients: str | None = None) -> Watched:
    """For a server; with `clients` it requires certificates that this CA signed."""
    context = Watched(ssl.PROTOCOL_TLS_SERVER)
    _serve(context, pki, certificate, clients)
    return context


def openssl_server(pki: Paths, certificate: str = "leaf", clients: str | None = None) -> ssl.SSLContext:
    """The same of OpenSSL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _serve(context, pki, certificate, clients)
    return context


def openssl_client(pki: Paths, trust: str = "ca", certificate: str | None = None) -> ssl.SSLContext:
    """A client of OpenSSL that trusts one CA of the test PKI."""
    context = ssl.create_default_context(cafile=str(getattr(pki, trust)))
    if certificate:
        context.load_cert_chain(getattr(pki, certificate), getattr(pki, f"{certificate}_key"))
    return context


def _serve(context: ssl.SSLContext, pki: Paths, certificate: str, clients: str | None) -> None:
    context.load_cert_chain(getattr(pki, certificate), getattr(pki, f"{certificate}_key"))
    if clients:
        context.load_verify_locations(getattr(pki, clients))
        context.verify_mode = ssl.CERT_REQUIRED


@contextlib.contextmanager
def refused(code: smtptls.Code = smtptls.Code.CERT_UNTRUSTED) -> Iterator[None]:
    """The block fails for the server's certificate."""
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        yield
    error = caught.value
    assert isinstance(error, smtptls.CertificateError), type(error)
    assert error.code == code
    assert error.verify_code == {smtptls.Code.CERT_UNTRUSTED: 20, smtptls.Code.CERT_NAME: 62}[code]
    assert error.reason == "CERTIFICATE_VERIFY_FAILED"


@dataclass
class Recorder:
    """aiosmtpd's handler. It keeps each message, and how it came."""

    port: int = 0
    messages: list[bytes] = field(default_factory=list)
    versions: list[str | None] = field(default_factory=list)
    certificates: list[bytes | None] = field(default_factory=list)
    ours: list[bool] = field(default_factory=list)
    connections: int = 0
    delay: float = 0  # seconds until it answers

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        assert server.transport
        tls = server.transport.get_extra_info("ssl_object")
        await asyncio.sleep(self.delay)
        self.messages.append(envelope.content)
        self.versions.append(tls and tls.version())
        self.certificates.append(tls and tls.getpeercert(True))
        # uvloop hands out no object of Python's own class.
        self.ours.append(isinstance(tls, smtptls.SSLObject))
        return "250 2.0.0 taken"


def run(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Runs it in an event loop of its own, until every transport that it has opened is closed again."""

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        before = len(loop._selector.get_map())
        async with asyncio.timeout(DEADLINE):
            await coroutine
            # TLS is closed in a few steps after the program has asked for it.
            while len(loop._selector.get_map()) > before:
                await asyncio.sleep(0.01)

    asyncio.run(main())
    gc.collect()  # what was forgotten warns now


@contextlib.contextmanager
def running(main: Callable[[asyncio.Event], Any], loop: Callable[[], Any] | None = None) -> Iterator[None]:
    """An event loop in a thread runs `main` beside the block; the event says that the block has ended."""
    stop = asyncio.Event()
    with asyncio.Runner(loop_factory=loop) as runner:
        thread = threading.Thread(target=lambda: runner.run(main(stop)), daemon=True)
        thread.start()
        try:
            yield
        finally:
            runner.get_loop().call_soon_threadsafe(stop.set)
            thread.join(DEADLINE)
            assert not thread.is_alive(), "the server hangs"


@contextlib.contextmanager
def mail_server(
    starttls: ssl.SSLContext | None = None,
    implicit: ssl.SSLContext | None = None,
    kind: type[SMTP] = SMTP,
    loop: Callable[[], Any] | None = None,
    **options: Any,
) -> Iterator[Recorder]:
    """aiosmtpd on a free port of loopback; it takes mail inside TLS only, if it has any."""
    recorder = Recorder()
    # For LMTP aiosmtpd does not know that LHLO is to be let through.
    options.setdefault("require_starttls", starttls is not None and kind is SMTP)
    listening = threading.Event()

    def session() -> SMTP:
        recorder.connections += 1
        return kind(recorder, hostname=NAME, tls_context=starttls, **options)

    async def main(stop: asyncio.Event) -> None:
        server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=implicit)
        recorder.port = server.sockets[0].getsockname()[1]
        listening.set()
        await stop.wait()
        server.close()

    with running(main, loop):
        assert listening.wait(DEADLINE)
        yield recorder


def mode_server(
    mode: str, tls: ssl.SSLContext, **options: Any
) -> contextlib.AbstractContextManager[Recorder]:
    """`mail_server` for STARTTLS or for TLS from the start."""
    if mode == "starttls":
        return mail_server(starttls=tls, **options)
    return mail_server(implicit=tls, **options)


@contextlib.contextmanager
def conversation(talk: Callable[[socket.socket], Any]) -> Iterator[int]:
    """A server for one connection, which `talk` has; gives its port. What `talk` raises is the test's."""
    raised: list[BaseException] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)

        def serve() -> None:
            try:
                taken, _address = listener.accept()
                with taken:
                    taken.settimeout(DEADLINE)
                    talk(taken)
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(DEADLINE)
        assert not thread.is_alive(), "the server hangs"
    if raised:
        raise raised[0]


def offer_starttls(taken: socket.socket) -> None:
    """The server's part up to its 220 for STARTTLS, and nothing of what it reads is kept."""
    with taken.makefile("rwb", buffering=0) as lines:
        lines.write(b"220 mail.example.test\r\n")
        assert lines.readline().upper().startswith((b"EHLO", b"LHLO"))
        lines.write(b"250-mail.example.test\r\n250 STARTTLS\r\n")
        assert lines.readline() == b"STARTTLS\r\n"
        lines.write(b"220 2.0.0 go on\r\n")


def command(server: socket.socket, line: bytes = b"") -> bytes:
    """Sends a line, or nothing, and gives the whole reply, with nothing read beyond it."""
    if line:
        server.sendall(line + b"\r\n")
    reply = b""
    while not re.search(rb"(?:^|\n)\d{3} [^\n]*\n$", reply):
        byte = server.recv(1)
        assert byte, reply
        reply += byte
    return reply


def until_tls(server: socket.socket) -> None:
    """The client's part up to the server's 220 for STARTTLS."""
    for line, code in ((b"", b"220"), (b"EHLO client.example.test", b"250"), (b"STARTTLS", b"220")):
        assert command(server, line).startswith(code)


@contextlib.contextmanager
def stalled(mode: str) -> Iterator[int]:
    """A server that says nothing where TLS should begin. It makes sure that the client closes the connection,
    and has sent nothing but its hello.
    """

    def talk(taken: socket.socket) -> None:
        if mode == "starttls":
            offer_starttls(taken)
        came = b""
        while data := taken.recv(65536):
            came += data
        assert came[:1] == b"\x16", came  # a record of the handshake (RFC 8446 section 5.1)
        assert b"QUIT" not in came and b"MAIL" not in came

    with conversation(talk) as port:
        yield port


@contextlib.contextmanager
def within(seconds: float, at_least: float = 0.0) -> Iterator[None]:
    """The block takes no longer."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert at_least <= took < seconds, f"{took:.2f} s"


def judge_injected(pki: Paths, mode: str, send: Callable[[int], Any], **server: Any) -> None:
    """`send`, which gives no context, has its mail taken by whoever; not so once ours is injected.

    It has to raise what smtplib raises.
    """
    wrong, good = watched(pki, "wrongca"), watched(pki)
    with mode_server(mode, openssl_server(pki), **server) as recorder:
        send(recorder.port)
        each = recorder.connections
        assert recorder.versions == ["TLSv1.3"]
        try:
            smtptls.inject_into_smtplib(wrong)
            with refused():
                send(recorder.port)
            assert wrong.begun == 1
            assert len(recorder.messages) == 1
            smtptls.inject_into_smtplib(good)
            send(recorder.port)
            assert recorder.versions == ["TLSv1.3"] * 2
            assert [info.trusted for info in good.secured()] == [True] * each
        finally:
            smtptls.extract_from_smtplib()
        send(recorder.port)
        assert len(recorder.messages) == 3
        assert (wrong.begun, good.begun) == (1, each)
