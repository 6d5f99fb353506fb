"""smtptls.aio: servers, the upgrade of streams, what is pipelined behind STARTTLS, and other programs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from email.message import EmailMessage
from typing import Any

import pytest
import smtptls
from smtptls import Action, Code, Config, Entry, Policy, Session, aio
from smtptls.aio import Connection
from support import NAME
from test_aio import VERIFY, ask, echo, hear, opened, run, say, scripted, serving_by

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

INJECTED = b"MAIL FROM:<injected@evil.test>\r\n"
Streams = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def trusted(pki: Any) -> ssl.SSLContext:
    """What another implementation's client trusts."""
    return ssl.create_default_context(cafile=pki.ca)


@contextlib.asynccontextmanager
async def streams_by(handler: Streams) -> AsyncIterator[int]:
    """A server on asyncio's streams, on a free port, which it gives."""
    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def streams_to(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


def attack(pki: Any, port: int, greeted: bool) -> tuple[bytes, bytes]:
    """What a client hears that pipelines a command behind STARTTLS: in clear, and inside TLS."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        if greeted:
            assert sock.recv(1000).startswith(b"220 ")
        sock.sendall(b"STARTTLS\r\n" + INJECTED)
        said = sock.recv(1000)
        if not said.startswith(b"220 "):
            return said, sock.recv(1000)
        with trusted(pki).wrap_socket(sock, server_hostname=NAME) as tls:
            tls.sendall(b"NOOP\r\n")
            return said, tls.recv(1000)


@pytest.mark.parametrize("discard", [False, True])
def test_injected_commands_reach_nobody(
    pki: Any, serving: Config, discard: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """SEC-1, CVE-2011-0411: 554 and the end; or dropped where that was asked for."""
    seen: list[bytes] = []

    async def handler(connection: Connection) -> None:
        seen.append(await connection.readline())
        connection.write(b"250 " + seen[-1])

    async def main() -> None:
        prepare = lambda session: session.set_discard(discard)  # noqa: E731
        async with serving_by(handler, serving, prepare=prepare) as port:
            heard = await asyncio.to_thread(attack, pki, port, True)
            if discard:
                assert heard == (b"220 2.0.0 Ready to start TLS\r\n", b"250 NOOP\r\n")
            else:
                assert heard[0].startswith(b"554 5.5.0 ") and heard[1] == b""

    run(main())
    assert seen == ([b"NOOP\r\n"] if discard else [])
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == (0 if discard else 1)
    assert discard or ("PLAINTEXT_INJECTED" in warned[0] and "\n" not in warned[0])


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="Python 3.15 mended it")
def test_the_streams_of_asyncio_hand_them_on(pki: Any) -> None:
    """The same attack on StreamWriter.start_tls: the injected command is the first one inside TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\r\n"
        writer.write(b"220 go\r\n")
        await writer.start_tls(context)
        assert writer.get_extra_info("ssl_object") is not None
        seen.append(await reader.readline())
        writer.write(b"250 " + seen[-1])
        await writer.drain()
        writer.close()

    async def main() -> None:
        async with streams_by(handler) as port:
            assert await asyncio.to_thread(attack, pki, port, False) == (b"220 go\r\n", b"250 " + INJECTED)

    run(main())
    assert seen == [INJECTED]


async def answering(connection: Connection, seen: list[tuple[bytes, bool]]) -> None:
    while line := await connection.readline():
        seen.append((line, connection.is_tls))
        connection.write(b"250 ok\r\n")


def test_clients_without_starttls(serving: Config) -> None:
    """Where it is optional: the command that they went on with is read first, and then all behind it."""
    seen: list[tuple[bytes, bool]] = []
    hello: list[str | None] = []

    async def handler(connection: Connection) -> None:
        hello.append(connection.session.hello)
        await answering(connection, seen)

    async def main() -> None:
        async with serving_by(handler, serving, extensions=["SIZE 99"], greeting="ESMTP here") as port:
            reader, writer = await streams_to(port)
            assert await reader.readline() == b"220 mail.example.test ESMTP here\r\n"
            writer.write(b"EHLO client.test\r\n")
            assert b"250-SIZE 99\r\n" in await reader.readuntil(b"STARTTLS\r\n")
            writer.write(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDA")
            assert await reader.readexactly(16) == b"250 ok\r\n" * 2
            writer.write(b"TA\r\n")
            assert await reader.readline() == b"250 ok\r\n"
            writer.close()
            await writer.wait_closed()

    run(main())
    lines = (b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<c@d.test>\r\n", b"DATA\r\n")
    assert seen == [(line, False) for line in lines] and hello == ["EHLO client.test"]


def test_a_long_pipeline_without_starttls(serving: Config) -> None:
    """More than the session has room for: in order, and whole."""
    seen: list[tuple[bytes, bool]] = []
    lines = [b"X%06d\r\n" % number for number in range(100_000)]

    async def main() -> None:
        async with serving_by(lambda connection: answering(connection, seen), serving) as port:
            reader, writer = await streams_to(port)
            await reader.readline()
            writer.write(b"".join(lines))
            for _ in lines:
                assert await reader.readline() == b"250 ok\r\n"
            writer.close()
            await writer.wait_closed()

    run(main())
    assert [line for line, _ in seen] == lines


def test_a_flood_that_reads_no_answers_is_not_read(serving: Config) -> None:
    """Where start itself answers, before TLS."""

    async def handler(_connection: Connection) -> None:
        raise AssertionError("never started")

    async def main() -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with serving_by(handler, serving, start_timeout=1.5) as port:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("127.0.0.1", port))
            sent = 0
            with sock, contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(1):
                    while True:
                        await loop.sock_sendall(sock, b"NOOP\r\n" * 1000)
                        sent += 6000
            assert 0 < sent < 16_000_000

    run(main())


def test_required_tls_and_bad_options(serving: Config) -> None:
    async def handler(_connection: Connection) -> None:
        raise AssertionError("not in plaintext")

    async def main() -> None:
        async with serving_by(handler, serving, Policy("encrypt")) as port:
            reader, writer = await streams_to(port)
            writer.write(b"MAIL FROM:<a@b.test>\r\nQUIT\r\n")
            await reader.readline()
            assert (await reader.readline()).startswith(b"530 5.7.0 ")
            assert (await reader.read()).startswith(b"221 ")
            writer.close()
            await writer.wait_closed()
        wrong: list[dict[str, Any]] = [{"extensions": ["STARTTLS"]}, {"greeting": "\n"}]
        for options in wrong:
            with pytest.raises(smtptls.ConfigError):
                await aio.start_server(handler, serving, None, "127.0.0.1", 0, **options)

    run(main())


def test_a_client_certificate_is_required(pki: Any, trusting: Config) -> None:
    """RFC 3207 section 4.1: 554 to all but QUIT, inside TLS; the handler never sees it."""

    async def handler(_connection: Connection) -> None:
        raise AssertionError("the client is nobody")

    async def main() -> None:
        config = Config(keypairs=[(pki.leaf, pki.leaf_key)], client_auth="require", roots=[pki.ca])
        async with (
            serving_by(handler, config, entry=Entry.HANDSHAKE) as port,
            await opened(trusting, port, entry=Entry.HANDSHAKE) as client,
        ):
            assert (await ask(client, b"EHLO x")).startswith(b"554 5.7.0 ")
            assert (await ask(client, b"QUIT")).startswith(b"221 ")
            assert await client.readline() == b"" and not client.is_truncated

    run(main())


@pytest.mark.parametrize("entry", [Entry.GREETING, Entry.HANDSHAKE])
def test_slow_clients(serving: Config, entry: Entry, caplog: pytest.LogCaptureFixture) -> None:
    """One that says nothing, and one that dribbles. Who was to send a command is told why it ends (RFC 5321
    section 3.8)."""
    caplog.set_level(logging.DEBUG, "smtptls")

    async def handler(_connection: Connection) -> None:
        raise AssertionError("never started")

    async def main() -> None:
        async with serving_by(handler, serving, entry=entry, start_timeout=0.2) as port:
            for dribbling in (False, True):
                reader, writer = await streams_to(port)
                begun = asyncio.get_running_loop().time()
                if entry is Entry.HANDSHAKE:
                    writer.write(b"\x16\x03\x01\x40\x00\x01")
                ended = asyncio.create_task(reader.read())
                while not ended.done():
                    if dribbling:
                        writer.write(b"N")
                    await asyncio.sleep(0.02)
                assert 0.15 < asyncio.get_running_loop().time() - begun < 1.5
                last = b"421 4.4.2 Timeout exceeded, closing connection" if entry is Entry.GREETING else b""
                with contextlib.suppress(ConnectionError):
                    assert (await ended).split(b"\r\n")[-2:-1] == ([last] if last else [])
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    run(main())
    assert sum("SMTPTLS_ERR_TIMEOUT" in record.message for record in caplog.records) == 2


def test_what_a_handler_raises(trusting: Config, serving: Config) -> None:
    async def handler(connection: Connection) -> None:
        await connection.readline()
        raise LookupError("a mistake")

    async def main() -> None:
        async with (
            serving_by(handler, serving, entry=Entry.HANDSHAKE) as port,
            await opened(trusting, port, entry=Entry.HANDSHAKE) as client,
        ):
            client.write(b"x\r\n")
            assert await client.read() == b"" and not client.is_truncated

    seen: list[dict[str, Any]] = []
    run(main(), seen)
    assert [type(context["exception"]) for context in seen] == [LookupError]
    assert "handler" in seen[0]["message"]


@pytest.mark.parametrize("line", [b"", b"MAIL\r\n"])
def test_no_session_outlives_the_loop(serving: Config, line: bytes) -> None:
    """A program that ends while clients are there: start and handlers are cancelled, and nothing is left."""
    ended: list[str] = []

    async def handler(connection: Connection) -> None:
        await connection.readline()
        try:
            await connection.readline()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def main(sock: socket.socket) -> None:
        server = await aio.start_server(handler, serving, None, "127.0.0.1", 0)
        sock.connect(server.sockets[0].getsockname())
        sock.sendall(line)
        await asyncio.sleep(0.05)
        server.close()

    with socket.socket() as sock:
        sock.settimeout(10)
        asyncio.run(main(sock))
        gc.collect()
        assert sock.recv(1000).startswith(b"220 ")
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1000) == b""
    assert ended == (["cancelled"] if line else [])


def test_a_quiet_log(serving: Config, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a configuration of logging nothing is printed."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:

        async def main() -> None:
            async with serving_by(echo, serving) as port:
                _, writer = await streams_to(port)
                writer.write(b"STARTTLS\r\nMAIL\r\n")
                await asyncio.sleep(0.05)
                writer.close()

        run(main())
    finally:
        root.handlers = handlers
    assert capfd.readouterr() == ("", "")


# The upgrade of streams.


async def commands(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    session: Session,
    seen: list[tuple[bytes, bool]],
) -> smtptls.Error | None:
    """A server's dialogue on streams. Gives the error, if STARTTLS failed and it went on in plaintext."""
    failed = None
    while line := await reader.readline():
        if not line.upper().startswith(b"STARTTLS"):
            seen.append((line, False))
            writer.write(b"250 ok\r\n")
            continue
        session.set_command(line)
        try:
            connection = await aio.upgrade(session, reader, writer, timeout=10)
        except smtptls.Error as error:
            failed = error
            if isinstance(error, smtptls.InjectionError):
                writer.write(b"554 injected\r\n")
                break
            if error.action is not Action.CONTINUE:
                raise
            continue
        async with connection:
            await answering(connection, seen)
        await writer.wait_closed()
        return None
    writer.close()
    await writer.wait_closed()
    return failed


def upgrading(
    config: Config, seen: list[tuple[bytes, bool]], failed: list[smtptls.Error | None], discard: bool = False
) -> Streams:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session.server(config)
        session.set_discard(discard)
        failed.append(await commands(reader, writer, session, seen))

    return handler


@pytest.mark.parametrize("entry", [Entry.COMMAND, Entry.HANDSHAKE])
def test_streams_are_upgraded_on_both_sides(trusting: Config, serving: Config, entry: Entry) -> None:
    seen: list[tuple[bytes, bool]] = []
    failed: list[smtptls.Error | None] = []

    async def main() -> None:
        async with streams_by(upgrading(serving, seen, failed)) as port:
            reader, writer = await streams_to(port)
            writer.write(b"EHLO x\r\n")
            assert await reader.readline() == b"250 ok\r\n"
            if entry is Entry.HANDSHAKE:
                writer.write(b"STARTTLS\r\n")
                assert (await reader.readline()).startswith(b"220 ")
            session = Session.client(trusting, VERIFY, NAME)
            connection = await aio.upgrade(session, reader, writer, entry=entry)
            del reader, writer
            async with connection:
                assert connection.info is not None and connection.info.secured
                assert await ask(connection, b"EHLO y") == b"250 ok\r\n"
            assert not connection.is_truncated

    run(main())
    assert seen == [(b"EHLO x\r\n", False), (b"EHLO y\r\n", True)] and failed == [None]


@pytest.mark.parametrize("discard", [False, True])
def test_an_upgraded_server_is_attacked(pki: Any, serving: Config, discard: bool) -> None:
    """What the reader had is counted; the streams go on to say 554, or it is dropped."""
    seen: list[tuple[bytes, bool]] = []
    failed: list[smtptls.Error | None] = []

    async def main() -> None:
        async with streams_by(upgrading(serving, seen, failed, discard)) as port:
            heard = await asyncio.to_thread(attack, pki, port, False)
            if discard:
                assert heard == (b"220 2.0.0 Ready to start TLS\r\n", b"250 ok\r\n")
            else:
                assert heard == (b"554 injected\r\n", b"")
            while not failed:
                await asyncio.sleep(0.01)

    run(main())
    assert seen == ([(b"NOOP\r\n", True)] if discard else [])
    assert (failed[0] is None) == discard


def test_an_upgraded_client_is_attacked(trusting: Config) -> None:
    async def script(peer: socket.socket) -> None:
        await say(peer, b"220 go\r\n250 injected\r\n")
        assert await hear(peer) == b""

    async def main() -> None:
        async with scripted(script) as port:
            reader, writer = await streams_to(port)
            await reader.readline()
            session = Session.client(trusting, VERIFY, NAME)
            with pytest.raises(smtptls.InjectionError):
                await aio.upgrade(session, reader, writer, entry=Entry.HANDSHAKE)
            assert not writer.is_closing()
            writer.close()
            await writer.wait_closed()

    run(main())


def test_refused_starttls_leaves_the_streams_as_they_were(trusting: Config) -> None:
    """On both sides: a server without a key pair says 454, and a client at level may goes on in plaintext."""
    seen: list[tuple[bytes, bool]] = []
    failed: list[smtptls.Error | None] = []

    async def main() -> None:
        async with streams_by(upgrading(Config(), seen, failed)) as port:
            reader, writer = await streams_to(port)
            session = Session.client(trusting, Policy("may"), NAME)
            with pytest.raises(smtptls.StarttlsUnavailable) as caught:
                await aio.upgrade(session, reader, writer)
            assert caught.value.action is Action.CONTINUE
            for line in (b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<c@d.test>\r\n"):
                writer.write(line)
                assert await reader.readline() == b"250 ok\r\n"
            writer.close()
            await writer.wait_closed()
            while not failed:
                await asyncio.sleep(0.01)

    run(main())
    assert seen == [(b"MAIL FROM:<a@b.test>\r\n", False), (b"RCPT TO:<c@d.test>\r\n", False)]
    assert failed[0] is not None and failed[0].code is Code.NO_KEYPAIR


def test_an_upgrade_waits_until_the_peer_has_read(trusting: Config) -> None:
    """And streams that go on afterwards know that there is room."""
    heard = 0

    async def script(peer: socket.socket) -> None:
        nonlocal heard
        last = b""
        while not last.endswith(b"STARTTLS\r\n"):
            data = await hear(peer)
            heard += len(data)
            last = last[-20:] + data
        await say(peer, b"454 no\r\n")
        assert await hear(peer) == b"after" and await hear(peer) == b""

    async def main() -> None:
        async with scripted(script) as port:
            reader, writer = await streams_to(port)
            writer.write(bytes(8_000_000))
            with pytest.raises(smtptls.StarttlsUnavailable):
                await aio.upgrade(Session.client(trusting, Policy("may"), NAME), reader, writer)
            writer.write(b"after")
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    run(main())
    assert heard == 8_000_010


def test_what_ends_an_upgrade_closes(trusting: Config, serving: Config, pki: Any) -> None:
    """A bad certificate, time that ran out, a cancelled call, a peer that is gone: the writer hears it."""

    async def silent(peer: socket.socket) -> None:
        while await hear(peer):
            pass

    async def main() -> None:
        seen: list[tuple[bytes, bool]] = []
        failed: list[smtptls.Error | None] = []
        other = Config(keypairs=[(pki.other, pki.other_key)])
        async with streams_by(upgrading(other, seen, failed)) as port:
            reader, writer = await streams_to(port)
            session = Session.client(trusting, VERIFY, NAME)
            with pytest.raises(smtptls.CertificateError):
                await aio.upgrade(session, reader, writer)
            await writer.wait_closed()
            assert session.info is not None and not session.info.secured
            while not failed:
                await asyncio.sleep(0.01)
        assert seen == [(b"QUIT\r\n", True)]
        async with scripted(silent) as port:
            reader, writer = await streams_to(port)
            with pytest.raises(smtptls.Timeout):
                await aio.upgrade(Session.client(trusting, VERIFY, NAME), reader, writer, timeout=0.05)
            await writer.wait_closed()
        async with scripted(silent) as port:
            reader, writer = await streams_to(port)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await aio.upgrade(Session.client(trusting, VERIFY, NAME), reader, writer)
            await writer.wait_closed()
        async with scripted(lambda peer: say(peer, b"")) as port:
            reader, writer = await streams_to(port)
            await asyncio.sleep(0.05)
            with pytest.raises(smtptls.ClosedError):
                await aio.upgrade(Session.client(trusting, VERIFY, NAME), reader, writer)
            await writer.wait_closed()

    run(main())


def test_a_reader_that_somebody_reads(trusting: Config) -> None:
    async def silent(peer: socket.socket) -> None:
        assert await hear(peer) == b""

    async def main() -> None:
        async with scripted(silent) as port:
            reader, writer = await streams_to(port)
            other = asyncio.create_task(reader.readline())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError):
                await aio.upgrade(Session.client(trusting, VERIFY, NAME), reader, writer)
            writer.close()
            assert await other == b""
            await writer.wait_closed()

    run(main())


# Other programs.


def test_aiosmtpd_is_the_server(trusting: Config, pki: Any) -> None:
    aiosmtpd = pytest.importorskip("aiosmtpd.smtp")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    kept: list[tuple[bytes, bool]] = []

    class Handler:
        async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:
            kept.append((envelope.content, session.ssl is not None))
            return "250 taken"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        factory = lambda: aiosmtpd.SMTP(Handler(), tls_context=context, require_starttls=True)  # noqa: E731
        async with await loop.create_server(factory, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with await opened(trusting, port) as client:
                assert client.reply is not None and client.reply.startswith("250-")
                assert await ask(client, b"MAIL FROM:<a@b.test>") == b"250 OK\r\n"
                assert await ask(client, b"RCPT TO:<c@d.test>") == b"250 OK\r\n"
                assert (await ask(client, b"DATA")).startswith(b"354 ")
                for _ in range(1000):
                    client.write(b"x" * 998 + b"\r\n")
                    await client.drain()
                assert await ask(client, b".") == b"250 taken\r\n"
                assert await ask(client, b"QUIT") == b"221 Bye\r\n"

    run(main())
    assert kept == [((b"x" * 998 + b"\r\n") * 1000, True)]


@pytest.mark.parametrize("way", ["starttls", "implicit", "plain"])
def test_aiosmtplib_is_the_client(serving: Config, pki: Any, way: str) -> None:
    aiosmtplib = pytest.importorskip("aiosmtplib")
    kept: list[tuple[bytes, bool]] = []

    async def handler(connection: Connection) -> None:
        if way == "implicit":
            connection.write(b"220 mail.example.test ESMTP\r\n")
        while line := await connection.readline():
            verb = line.split()[0].upper()
            if verb == b"DATA":
                connection.write(b"354 go\r\n")
                kept.append((await connection.readuntil(b"\r\n.\r\n", 1 << 20), connection.is_tls))
            connection.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            await connection.drain()
            if verb == b"QUIT":
                return

    async def main() -> None:
        entry = Entry.HANDSHAKE if way == "implicit" else Entry.GREETING
        async with serving_by(handler, serving, entry=entry) as port:
            message = EmailMessage()
            message["From"], message["To"] = "a@b.test", "c@d.test"
            message.set_content("hello\n" * 10_000)
            client = aiosmtplib.SMTP(
                hostname="127.0.0.1",
                port=port,
                timeout=10,
                tls_context=trusted(pki),
                use_tls=way == "implicit",
                start_tls=way == "starttls",
            )
            async with client:
                await client.send_message(message)

    run(main())
    ((text, in_tls),) = kept
    assert text.count(b"hello\r\n") == 10_000 and in_tls == (way != "plain")
