"""smtptls.aio: connections, with a server of smtptls.aio or a scripted peer at the other end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import hashlib
import logging
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import smtptls
from smtptls import Action, Code, Config, Entry, Policy, Protocol, aio
from smtptls.aio import Connection
from support import DEADLINE, NAME

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

Handler = Callable[[Connection], Awaitable[None]]
VERIFY = Policy("verify")


def run(main: Coroutine[Any, Any, None], seen: list[dict[str, Any]] | None = None) -> None:
    """Run it in a loop of its own, of which nothing is left: no task, no transport, no exception nobody saw.

    seen: takes what the loop's exception handler is told, where that may be something.
    """
    unexpected: list[dict[str, Any]] = []
    told = unexpected if seen is None else seen

    async def checked() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: told.append(context))
        async with asyncio.timeout(DEADLINE):
            await main
            while asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.sleep(0.005)

    asyncio.run(checked())
    gc.collect()
    assert not unexpected


@contextlib.asynccontextmanager
async def serving_by(
    handler: Handler, config: Config, policy: Policy | None = None, **options: Any
) -> AsyncIterator[int]:
    """A server of ours on a free port, which it gives."""
    async with await aio.start_server(handler, config, policy, "127.0.0.1", 0, **options) as server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def scripted(script: Callable[[socket.socket], Awaitable[None]]) -> AsyncIterator[int]:
    """A peer that does to its one client what the script says, by a plain socket, and then closes."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        async def serve() -> None:
            peer, _ = await loop.sock_accept(listener)
            with peer:
                peer.setblocking(False)
                await script(peer)

        task = asyncio.create_task(serve())
        try:
            yield listener.getsockname()[1]
            await task
        finally:
            task.cancel()


async def say(peer: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(peer, data)


async def hear(peer: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(peer, 4096)


async def echo(connection: Connection) -> None:
    """Answer each line with itself; QUIT is the last."""
    while line := await connection.readline():
        connection.write(b"250 " + line)
        await connection.drain()
        if line == b"QUIT\r\n":
            return


async def opened(config: Config, port: int, policy: Policy = VERIFY, **options: Any) -> Connection:
    options.setdefault("name", NAME)
    return await aio.open_connection(config, policy, "127.0.0.1", port, **options)


async def ask(connection: Connection, line: bytes) -> bytes:
    connection.write(line + b"\r\n")
    return await connection.readline()


@pytest.mark.parametrize("entry", [Entry.GREETING, Entry.HANDSHAKE])
def test_a_client_and_a_server(
    trusting: Config, serving: Config, entry: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "smtptls")
    served: list[Connection] = []

    async def handler(connection: Connection) -> None:
        served.append(connection)
        await echo(connection)

    async def main() -> None:
        async with serving_by(handler, serving, entry=entry) as port:
            async with await opened(trusting, port, entry=entry, timeout=10) as client:
                assert client.is_tls and client.error is None and client.info is not None
                assert client.info.secured and client.get_extra_info("smtptls_info") is client.info
                assert client.get_extra_info("peername") == ("127.0.0.1", port)
                assert client.get_extra_info("nonsense", 5) == 5
                assert client.reply == ("250 EHLO client.example.test" if entry is Entry.GREETING else None)
                assert await ask(client, b"NOOP") == b"250 NOOP\r\n"
                assert await ask(client, b"QUIT") == b"250 QUIT\r\n"
                assert await client.readline() == b"" and not client.is_truncated
            await client.wait_closed()
            assert not client.is_truncated and not client.is_tls
            with pytest.raises(smtptls.Error):
                client.write(b"x")

    run(main())
    (server,) = served
    assert server.info is not None and not server.is_tls and not server.is_truncated
    lines = [record.message for record in caplog.records if record.name == "smtptls"]
    assert len(lines) == 2 and all("TLSv1.3" in line and "[127.0.0.1]:" in line for line in lines)


def test_lmtp_and_options_of_the_socket(trusting: Config, serving: Config) -> None:
    """The address is none of the certificate's names, but the policy is for the name."""

    async def main() -> None:
        async with serving_by(echo, serving, protocol=Protocol.LMTP) as port:
            sock = socket.create_connection(("127.0.0.1", port))
            for options in ({"local_addr": ("127.0.0.1", 0), "family": socket.AF_INET}, {"sock": sock}):
                client = await aio.open_connection(
                    trusting, VERIFY, "127.0.0.1", port, name=NAME, protocol=Protocol.LMTP, **options
                )
                async with client:
                    assert client.reply == "250 LHLO client.example.test"
            with pytest.raises(smtptls.CertificateError) as caught:
                await opened(trusting, port, name="other.example.test", protocol=Protocol.LMTP)
            assert caught.value.code is Code.CERT_NAME
            with pytest.raises(ConnectionRefusedError):
                await opened(trusting, 1)

    run(main())


def test_a_socket_of_the_file_system(
    trusting: Config, serving: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As LMTP has it; and its name is fit for a log."""
    caplog.set_level(logging.DEBUG, "smtptls")
    path = str(tmp_path / "lm\ntp")

    async def main() -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        async with await aio.start_server(echo, serving, sock=listener, protocol=Protocol.LMTP):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(path)
            client = await aio.open_connection(trusting, VERIFY, NAME, sock=sock, protocol=Protocol.LMTP)
            async with client:
                assert await ask(client, b"NOOP") == b"250 NOOP\r\n"

    run(main())
    lines = [record.message for record in caplog.records if record.name == "smtptls"]
    assert len(lines) == 2 and not any("\n" in line for line in lines)
    assert any(str(tmp_path) in line for line in lines)


def test_ways_of_reading(trusting: Config, serving: Config) -> None:
    async def handler(connection: Connection) -> None:
        connection.write(b"one\r\nt\nwo\r\n" + b"x" * 100 + b"\r\n0123456789;rest", more=True)
        connection.flush()

    async def main() -> None:
        async with (
            serving_by(handler, serving, entry=Entry.HANDSHAKE) as port,
            await opened(trusting, port, entry=Entry.HANDSHAKE) as client,
        ):
            assert await client.read(0) == b"" and await client.readexactly(0) == b""
            assert await client.readline() == b"one\r\n"
            assert await client.readline() == b"t\nwo\r\n"
            for _ in range(2):
                with pytest.raises(smtptls.ProtocolError) as caught:
                    await client.readline(limit=101)
                assert caught.value.code is Code.TOO_LONG
            assert await client.readline(limit=102) == b"x" * 100 + b"\r\n"
            assert await client.readexactly(3) == b"012" and await client.read(2) == b"34"
            assert await client.readuntil(b";") == b"56789;"
            with pytest.raises(asyncio.IncompleteReadError) as cut:
                await client.readline()
            assert cut.value.partial == b"rest"
            assert await client.readline() == b"" and await client.read() == b""
            with pytest.raises(asyncio.IncompleteReadError):
                await client.readexactly(1)
            for call in (client.read(-1), client.readexactly(-1), client.readuntil(b"")):
                with pytest.raises(ValueError):
                    await call

    run(main())


def test_a_separator_in_pieces(trusting: Config, serving: Config) -> None:
    async def handler(connection: Connection) -> None:
        for piece in (b"ab\r", b"\nc", b"d\r\n"):
            connection.write(piece)
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with (
            serving_by(handler, serving, entry=Entry.HANDSHAKE) as port,
            await opened(trusting, port, entry=Entry.HANDSHAKE) as client,
        ):
            assert [await client.readline() for _ in range(3)] == [b"ab\r\n", b"cd\r\n", b""]

    run(main())


@pytest.mark.parametrize("flow", ["flush", "read", "write"])
def test_more_waits_for_company(trusting: Config, serving: Config, flow: str) -> None:
    came: list[bytes] = []

    async def handler(connection: Connection) -> None:
        came.append(await connection.read())
        connection.write(b"seen")

    async def main() -> None:
        async with (
            serving_by(handler, serving, entry=Entry.HANDSHAKE) as port,
            await opened(trusting, port, entry=Entry.HANDSHAKE) as client,
        ):
            client.write(b"a", more=True)
            client.write(memoryview(b"b"), more=True)
            await asyncio.sleep(0.05)
            assert came == []
            if flow == "flush":
                client.flush()
            elif flow == "write":
                client.write(bytearray(b"c"))
            assert await client.read() == b"seen"

    run(main())
    assert came == [b"abc" if flow == "write" else b"ab"]


def test_reading_takes_no_large_piece_of_the_heap(trusting: Config, serving: Config) -> None:
    """Where it does, each time, a server of many sessions grows although nothing is held."""

    async def main() -> None:
        async with serving_by(echo, serving) as port, await opened(trusting, port) as client:
            assert await ask(client, b"NOOP") == b"250 NOOP\r\n"
            tracemalloc.start()
            try:
                before, _ = tracemalloc.get_traced_memory()
                for _ in range(10):
                    assert await ask(client, b"NOOP") == b"250 NOOP\r\n"
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak - before < 64 * 1024

    run(main())


@pytest.mark.parametrize(("pair", "code"), [("other", Code.CERT_NAME), ("selfsigned", Code.CERT_UNTRUSTED)])
def test_a_bad_certificate_is_left_politely(trusting: Config, pki: Any, pair: str, code: Code) -> None:
    """R3207-4.1-1: QUIT inside TLS, and then close_notify."""
    heard: list[tuple[bytes, bytes, bool]] = []

    async def handler(connection: Connection) -> None:
        first = await connection.readline()
        heard.append((first, await connection.readline(), connection.is_truncated))

    async def main() -> None:
        config = Config(keypairs=[(getattr(pki, pair), getattr(pki, f"{pair}_key"))])
        async with serving_by(handler, config) as port:
            with pytest.raises(smtptls.CertificateError) as caught:
                await opened(trusting, port)
            assert (caught.value.code, caught.value.action) == (code, Action.NEXT_HOST)
            connection = await Connection.connect(trusting, VERIFY, "127.0.0.1", port, name=NAME)
            async with connection:
                with pytest.raises(smtptls.CertificateError) as again:
                    await connection.start()
                assert connection.info is not None and not connection.info.secured
                assert str(connection.error) == str(again.value)
                for call in (connection.read(), connection.readline()):
                    with pytest.raises(smtptls.CertificateError):
                        await call
                with pytest.raises(smtptls.CertificateError):
                    connection.write(b"MAIL FROM:<>\r\n")

    run(main())
    assert heard == [(b"QUIT\r\n", b"", False)] * 2


def test_going_on_all_the_same(trusting: Config, pki: Any) -> None:
    async def main() -> None:
        config = Config(keypairs=[(pki.other, pki.other_key)])
        async with serving_by(echo, config) as port:
            connection = await Connection.connect(trusting, VERIFY, "127.0.0.1", port, name=NAME)
            async with connection:
                with pytest.raises(smtptls.CertificateError):
                    await connection.start()
                connection.session.insecure_continue()
                assert await ask(connection, b"EHLO x") == b"250 EHLO x\r\n" and connection.error is None

    run(main())


@pytest.mark.parametrize("level", ["verify", "may", "none"])
def test_without_starttls(
    trusting: Config, serving: Config, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What was stripped fails at verify; at may and none the same connection goes on in plaintext."""
    heard: list[bytes] = []

    async def handler(connection: Connection) -> None:
        assert not connection.is_tls
        while line := await connection.readline():
            heard.append(line)
            connection.write(b"250 ok\r\n")

    async def main() -> None:
        async with serving_by(handler, serving, Policy("may" if level == "none" else "none")) as port:
            with pytest.raises(smtptls.StarttlsUnavailable) as caught:
                await opened(trusting, port, Policy(level))
            lax = level != "verify"
            assert caught.value.action is (Action.CONTINUE if lax else Action.NEXT_HOST)
            assert caught.value.code is (Code.NOT_WANTED if level == "none" else Code.NOT_OFFERED)
            connection = await Connection.connect(trusting, Policy(level), "127.0.0.1", port, name=NAME)
            async with connection:
                with pytest.raises(smtptls.StarttlsUnavailable):
                    await connection.start(timeout=10)
                assert not connection.is_tls and connection.info is None
                if lax:
                    assert connection.reply is not None and "PIPELINING" in connection.reply
                    connection.write(b"MAIL FROM:<a@b.test>\r\n", more=True)
                    connection.flush()
                    await connection.drain()
                    assert await connection.readline() == b"250 ok\r\n"
                    connection.write_eof()
                    with pytest.raises(smtptls.Error) as late:
                        connection.write(b"late")
                    assert late.value.code is Code.STATE and await connection.readline() == b""
                else:
                    with pytest.raises(smtptls.StarttlsUnavailable):
                        connection.write(b"MAIL FROM:<a@b.test>\r\n")
            if lax:
                with pytest.raises(smtptls.Error):
                    connection.write(b"late")

    run(main())
    assert heard == ([b"MAIL FROM:<a@b.test>\r\n"] if level != "verify" else [])
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == (0 if level == "none" else 2)


def test_what_is_said_to_one_who_leaves(trusting: Config) -> None:
    """It is dropped, however much it is, and the end is heard."""

    async def script(peer: socket.socket) -> None:
        await say(peer, b"220 mx\r\n")
        await hear(peer)
        await say(peer, b"250 mx\r\n")
        await hear(peer)
        for _ in range(20):
            await say(peer, b"x" * 100_000)

    async def main() -> None:
        async with scripted(script) as port:
            connection = await Connection.connect(trusting, Policy("may"), "127.0.0.1", port)
            with pytest.raises(smtptls.StarttlsUnavailable):
                await connection.start()
            connection.write(b"QUIT\r\n")
            assert await connection.readexactly(10) == b"x" * 10
            begun = asyncio.get_running_loop().time()
            await connection.aclose(timeout=10)
            assert asyncio.get_running_loop().time() - begun < 5

    run(main())


def test_quit_in_plaintext(trusting: Config) -> None:
    """Where the policy is not met, and where it is and the program leaves all the same."""
    heard: list[bytes] = []

    async def script(peer: socket.socket) -> None:
        await say(peer, b"220 mx\r\n")
        await hear(peer)
        await say(peer, b"250 mx\r\n")
        heard.append(await hear(peer))

    async def main() -> None:
        for level in ("verify", "may"):
            async with scripted(script) as port:
                with pytest.raises(smtptls.StarttlsUnavailable):
                    await opened(trusting, port, Policy(level))

    run(main())
    assert heard == [b"QUIT\r\n"] * 2


@pytest.mark.parametrize("split", [False, True])
def test_injected_replies(trusting: Config, split: bool, caplog: pytest.LogCaptureFixture) -> None:
    """SEC-3: plaintext behind the 220 to STARTTLS, in one segment with it or later."""

    async def script(peer: socket.socket) -> None:
        await say(peer, b"220 mx\r\n")
        await hear(peer)
        await say(peer, b"250-mx\r\n250 STARTTLS\r\n")
        assert await hear(peer) == b"STARTTLS\r\n"
        await say(peer, b"220 go\r\n" + (b"" if split else b"250 \x1b[31minjected\r\n"))
        if split:
            await hear(peer)
            await say(peer, b"250 \x1b[31minjected\r\n")

    async def main() -> None:
        for level in ("verify", "may"):
            async with scripted(script) as port:
                with pytest.raises(smtptls.InjectionError) as caught:
                    await opened(trusting, port, Policy(level), timeout=10)
                assert caught.value.action is Action.NEXT_HOST

    run(main())
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 2
    assert all("injected" in line and "\x1b" not in line and "\n" not in line for line in warned)


@pytest.mark.parametrize(("level", "action"), [("verify", Action.NEXT_HOST), ("may", Action.RECONNECT)])
def test_the_time_allowed(trusting: Config, level: str, action: Action) -> None:
    """A server that falls silent in the handshake."""
    done = asyncio.Event()

    async def script(peer: socket.socket) -> None:
        await say(peer, b"220 mx\r\n")
        await hear(peer)
        await say(peer, b"250-mx\r\n250 STARTTLS\r\n")
        await hear(peer)
        await say(peer, b"220 go\r\n")
        await done.wait()

    async def main() -> None:
        async with scripted(script) as port:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            with pytest.raises(smtptls.Timeout) as caught:
                await opened(trusting, port, Policy(level), timeout=0.2)
            assert 0.2 <= loop.time() - begun < 1.5  # nobody waits for such a server's goodbye
            assert (caught.value.action, caught.value.enhanced_status) == (action, "4.4.2")
            done.set()
        done.clear()
        async with scripted(script) as port:
            connection = await Connection.connect(trusting, Policy(level), "127.0.0.1", port)
            async with connection:
                with pytest.raises(smtptls.Timeout):
                    await connection.start(timeout=0.1)
                assert isinstance(connection.error, smtptls.Timeout)
                with pytest.raises(smtptls.Error):
                    await connection.start(timeout=0.1)
            done.set()

    run(main())


def test_no_time_to_connect(trusting: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_arguments: Any, **_options: Any) -> None:
        await asyncio.sleep(DEADLINE)

    async def main() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
        with pytest.raises(smtptls.Timeout) as caught:
            await opened(trusting, 1, timeout=0.05)
        assert caught.value.action is Action.NEXT_HOST

    run(main())


def test_start_goes_on_after_it_was_cancelled(trusting: Config, serving: Config) -> None:
    """By asyncio.timeout, at every wait that start has: the peer is stopped until then."""

    async def main() -> None:
        async with serving_by(echo, serving) as port:
            connection = await Connection.connect(trusting, VERIFY, "127.0.0.1", port, name=NAME)
            cancelled = 0
            async with connection:
                while True:
                    task = asyncio.create_task(connection.start())
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    if not task.done():
                        task.cancel()
                        cancelled += 1
                    try:
                        await task
                        break
                    except asyncio.CancelledError:
                        await asyncio.sleep(0.01)
                assert cancelled >= 3 and connection.is_tls
                assert await ask(connection, b"NOOP") == b"250 NOOP\r\n"

    run(main())


@pytest.mark.parametrize("call", ["read", "readline", "readexactly", "readuntil"])
def test_a_read_that_is_cancelled_loses_nothing(trusting: Config, serving: Config, call: str) -> None:
    async def handler(connection: Connection) -> None:
        await connection.readline()
        connection.write(b"01234")
        await connection.readline()
        connection.write(b"56\r\n")

    async def main() -> None:
        async with (
            serving_by(handler, serving, entry=Entry.HANDSHAKE) as port,
            await opened(trusting, port, entry=Entry.HANDSHAKE) as client,
        ):
            reads: dict[str, Callable[[], Coroutine[Any, Any, bytes]]] = {
                "read": client.read,
                "readline": client.readline,
                "readexactly": lambda: client.readexactly(9),
                "readuntil": lambda: client.readuntil(b"6\r\n"),
            }
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await reads[call]()
            client.write(b"go\r\n")
            came = b""
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    came = await reads[call]()
            assert came == (b"01234" if call == "read" else b"")
            client.write(b"go\r\n")
            assert came + await reads[call]() == b"0123456\r\n"

    run(main())


def test_one_task_reads(trusting: Config, serving: Config) -> None:
    async def main() -> None:
        async with (
            serving_by(echo, serving) as port,
            await opened(trusting, port) as client,
        ):
            first = asyncio.create_task(client.readline())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task is reading"):
                await client.read()
            client.write(b"x\r\n")
            assert await first == b"250 x\r\n"

    run(main())


def test_cancelled_ways_out(trusting: Config, serving: Config) -> None:
    """drain and wait_closed change nothing; aclose and open_connection leave a closed connection."""

    async def deaf(connection: Connection) -> None:
        await asyncio.sleep(0.6)

    async def main() -> None:
        async with serving_by(deaf, serving, entry=Entry.HANDSHAKE) as port:
            client = await opened(trusting, port, entry=Entry.HANDSHAKE)
            client.write(b"x" * 8_000_000)
            for call in (client.drain, client.wait_closed):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await call()
            assert client.is_tls
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.aclose()
            await client.wait_closed()
            with pytest.raises(smtptls.Error):
                await client.drain()

        async def silent(peer: socket.socket) -> None:
            assert await hear(peer) == b""

        async with scripted(silent) as port:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.05):
                    await opened(trusting, port)
            assert not isinstance(caught.value, smtptls.Error)

    run(main())


@pytest.mark.parametrize("started", [False, True])
def test_who_is_cancelled_does_not_wait_for_the_peer(
    trusting: Config, serving: Config, started: bool
) -> None:
    done = asyncio.Event()

    async def handler(_connection: Connection) -> None:
        await done.wait()

    async def main() -> None:
        async with serving_by(handler, serving, entry=Entry.HANDSHAKE) as port:
            connection = await Connection.connect(trusting, VERIFY, "127.0.0.1", port)

            async def use() -> None:
                async with connection:
                    await connection.start(Entry.HANDSHAKE if started else Entry.GREETING)
                    await connection.read()

            task = asyncio.create_task(use())
            await asyncio.sleep(0.1)
            begun = asyncio.get_running_loop().time()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.get_running_loop().time() - begun < 1
            await connection.wait_closed()
            done.set()

    run(main())


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_a_server_that_goes_in_the_handshake(trusting: Config, how: str) -> None:
    async def script(peer: socket.socket) -> None:
        await hear(peer)
        if how == "resets":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def main() -> None:
        async with scripted(script) as port:
            with pytest.raises(smtptls.ClosedError) as caught:
                await opened(trusting, port, entry=Entry.HANDSHAKE)
            assert (caught.value.code, caught.value.action) == (Code.EOF, Action.NEXT_HOST)
            assert isinstance(caught.value.__cause__, ConnectionResetError) == (how == "resets")

    run(main())


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_a_peer_that_goes_without_a_word(trusting: Config, serving: Config, how: str) -> None:
    """SEC-12: what came is read first, and then the end shows what it was."""

    async def handler(connection: Connection) -> None:
        connection.write(b"last\r\nwor")
        await connection.drain()
        await connection.read(1)
        sock = connection.get_extra_info("socket")
        if how == "resets":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.abort()

    async def main() -> None:
        async with (
            serving_by(handler, serving, entry=Entry.HANDSHAKE) as port,
            await opened(trusting, port, entry=Entry.HANDSHAKE) as client,
        ):
            assert await client.readline() == b"last\r\n"
            client.write(b"x")
            if how == "closes":
                with pytest.raises(asyncio.IncompleteReadError) as cut:
                    await client.readline()
                assert cut.value.partial == b"wor"
                assert await client.read() == b"" and client.is_truncated
                return
            for _ in range(2):
                with pytest.raises(smtptls.Error) as caught:
                    await client.readline()
                assert (caught.value.code, caught.value.errno) == (Code.IO, errno.ECONNRESET)
            for call in (client.drain(), client.wait_closed()):
                with contextlib.suppress(smtptls.Error):
                    await call
            with pytest.raises(smtptls.Error):
                client.write(b"x")

    run(main())


def test_what_had_come_survives_a_failure_to_write(trusting: Config, serving: Config) -> None:
    """Also what the session had no room for; and who writes and never waits hears of the end."""

    async def handler(connection: Connection) -> None:
        for _ in range(24):
            connection.write(bytes(16384))
        await connection.drain()
        await connection.read(1)
        sock = connection.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.abort()

    async def main() -> None:
        async with serving_by(handler, serving, entry=Entry.HANDSHAKE) as port:
            client = await opened(trusting, port, entry=Entry.HANDSHAKE)
            while not client._wire.spill:
                await asyncio.sleep(0.01)
            client.write(b"x")
            await asyncio.sleep(0.05)
            with pytest.raises(smtptls.Error) as caught:
                while True:
                    client.write(b"x")
                    await client.drain()
            assert caught.value.code is Code.IO
            held, came = len(client._wire.spill), 0
            with pytest.raises(smtptls.Error) as caught:
                while data := await client.read():
                    came += len(data)
            assert caught.value.code is Code.IO
            # But for the record that was cut.
            assert held > 0 and len(client._wire.spill) == 0 and came >= held - 17_000
            await client.aclose()

    run(main())


def test_half_close(trusting: Config, serving: Config) -> None:
    async def handler(connection: Connection) -> None:
        asked = b""
        while data := await connection.read():
            asked += data
        assert not connection.is_truncated
        await asyncio.sleep(0.02)
        connection.write(hashlib.sha256(asked).digest())

    async def main() -> None:
        async with (
            serving_by(handler, serving, entry=Entry.HANDSHAKE) as port,
            await opened(trusting, port, entry=Entry.HANDSHAKE) as client,
        ):
            client.write(b"x" * 100_000)
            client.write_eof()
            with pytest.raises(smtptls.Error):
                client.write(b"late")
            assert await client.readexactly(32) == hashlib.sha256(b"x" * 100_000).digest()
            assert await client.read() == b""

    run(main())


SIZE = 10_000_000


@pytest.mark.parametrize("plain", [False, True])
def test_large_transfers_are_bounded(trusting: Config, serving: Config, plain: bool) -> None:
    """10 MB both ways at once: neither side reads while the other one writes, until both stand still."""
    block = bytes(range(256)) * 256
    server_side: list[Connection] = []
    written = [0, 0]
    begin = asyncio.Event()

    def held(connection: Connection) -> int:
        wire = connection._wire
        return len(wire.spill) + len(connection._buffer) + wire.transport.get_write_buffer_size()

    async def send(connection: Connection, side: int) -> None:
        while written[side] < SIZE:
            connection.write(block)
            written[side] += len(block)
            await connection.drain()
        connection.write_eof()

    async def receive(connection: Connection) -> str:
        digest, most = hashlib.sha256(), 0
        while data := await connection.read():
            digest.update(data)
            most = max(most, held(connection))
            await asyncio.sleep(0)
        assert most < 1_000_000
        return digest.hexdigest()

    async def handler(connection: Connection) -> None:
        if plain:
            assert await connection.readline() == b"XBEGIN\r\n"
        server_side.append(connection)
        sending = asyncio.create_task(send(connection, 1))
        await begin.wait()
        digests.append(await receive(connection))
        await sending

    digests: list[str] = []

    async def main() -> None:
        entry = Entry.GREETING if plain else Entry.HANDSHAKE
        policy = Policy("none" if plain else "may")
        async with (
            serving_by(handler, serving, policy, entry=entry) as port,
            await Connection.connect(trusting, Policy("may"), "127.0.0.1", port) as client,
        ):
            if plain:
                with pytest.raises(smtptls.StarttlsUnavailable):
                    await client.start()
                client.write(b"XBEGIN\r\n")
            else:
                await client.start(Entry.HANDSHAKE)
            sending = asyncio.create_task(send(client, 0))
            before = [-1, -1]
            while before != written or not server_side:
                before = list(written)
                await asyncio.sleep(0.2)
            # Nobody reads, so all stands still, with no more than the buffers of both sides and the kernel's.
            assert max(written) < SIZE
            assert all(held(one) < 1_000_000 for one in (client, *server_side))
            begin.set()
            digests.append(await receive(client))
            await sending

    run(main())
    total = block * (-(-SIZE // len(block)))
    assert digests == [hashlib.sha256(total).hexdigest()] * 2


def test_many_sessions_at_once(trusting: Config, serving: Config) -> None:
    count = 500
    inside = 0
    all_in = asyncio.Event()

    async def handler(connection: Connection) -> None:
        nonlocal inside
        inside += 1
        if inside == count:
            all_in.set()
        await echo(connection)

    async def one(port: int, number: int) -> None:
        async with await opened(trusting, port, entry=Entry.HANDSHAKE) as client:
            await all_in.wait()
            line = f"NOOP {number}".encode()
            assert await ask(client, line) == b"250 " + line + b"\r\n"
            assert await ask(client, b"QUIT") == b"250 QUIT\r\n"

    async def main() -> None:
        async with serving_by(handler, serving, entry=Entry.HANDSHAKE, backlog=count) as port:
            await asyncio.gather(*(one(port, number) for number in range(count)))

    run(main())
    assert inside == count


def test_a_forgotten_connection_warns_and_is_closed(trusting: Config, serving: Config) -> None:
    ended: list[bool] = []

    async def handler(connection: Connection) -> None:
        ended.append(await connection.read() == b"" and connection.is_truncated)

    async def main() -> None:
        async with serving_by(handler, serving, entry=Entry.HANDSHAKE) as port:
            client = await opened(trusting, port, entry=Entry.HANDSHAKE)
            with pytest.warns(ResourceWarning, match="unclosed connection to"):
                del client
                gc.collect()
            while not ended:
                await asyncio.sleep(0.01)

    run(main())
    assert ended == [True]


def test_a_key_that_is_elsewhere(trusting: Config, pki: Any) -> None:
    from test_signature import sign

    async def elsewhere(request: smtptls.SignatureRequest) -> bytes:
        await asyncio.sleep(0.01)
        return sign(pki.leaf_key, request)

    async def main() -> None:
        config = Config(keypairs=[smtptls.KeyPair(pki.leaf, None)])
        async with (
            serving_by(echo, config, sign=elsewhere) as port,
            await opened(trusting, port) as client,
        ):
            assert await ask(client, b"NOOP") == b"250 NOOP\r\n"
        async with serving_by(echo, config) as port:
            with pytest.raises(smtptls.ClosedError):
                await opened(trusting, port)

    seen: list[dict[str, Any]] = []
    run(main(), seen)
    assert [type(context["exception"]) for context in seen] == [smtptls.WantSignature]
