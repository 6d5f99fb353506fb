"""asyncio's streams, transports and start_tls with our context, on one side or on both."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import smtptls
from ca.ca import Paths

from users.peers import (
    BIG,
    HOST,
    MODES,
    Watched,
    conversation,
    openssl_client,
    openssl_server,
    refused,
    run,
    server_side,
    stalled,
    watched,
    within,
)

SIDES = ("client", "server", "both")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def contexts(side: str, pki: Paths) -> tuple[ssl.SSLContext, ssl.SSLContext, list[Watched]]:
    """A client's and a server's, and which of them are ours."""
    client: ssl.SSLContext = openssl_client(pki) if side == "server" else watched(pki)
    server: ssl.SSLContext = openssl_server(pki) if side == "client" else server_side(pki)
    return client, server, [context for context in (client, server) if isinstance(context, Watched)]


async def end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def echo(context: ssl.SSLContext, mode: str) -> AsyncIterator[tuple[int, list[Exception | None]]]:
    """A server that gives everything back; its port, and how each of its connections ended."""
    ends: list[Exception | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if mode == "starttls":
                assert await reader.readline() == b"STARTTLS\r\n"
                writer.write(b"220 go on\r\n")
                await writer.drain()
                await writer.start_tls(context)
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            ends.append(None)
        except (OSError, ssl.SSLError) as error:
            ends.append(error)
        finally:
            await end(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context if mode == "implicit" else None)
    try:
        yield server.sockets[0].getsockname()[1], ends
    finally:
        server.close()
        await server.wait_closed()


async def open_streams(port: int, context: ssl.SSLContext, mode: str, **options: Any) -> Streams:
    if mode == "implicit":
        return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST, **options)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"STARTTLS\r\n")
        assert await reader.readline() == b"220 go on\r\n"
        await writer.start_tls(context, server_hostname=HOST, **options)
    except BaseException:
        writer.close()
        raise
    return reader, writer


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("mode", MODES)
def test_big(mode: str, side: str, pki: Paths) -> None:
    """A megabyte there and back, with both ends busy at once."""
    client, server, ours = contexts(side, pki)

    async def main() -> None:
        async with echo(server, mode) as (port, ends):
            reader, writer = await open_streams(port, client, mode)
            secured = writer.get_extra_info("ssl_object")
            assert isinstance(secured, smtptls.SSLObject) == (side != "server")
            assert secured.version() == "TLSv1.3"
            assert writer.get_extra_info("cipher") == secured.cipher()

            async def put() -> None:
                for start in range(0, len(BIG), 50_000):
                    writer.write(BIG[start : start + 50_000])
                    await writer.drain()

            _, came = await asyncio.gather(put(), reader.readexactly(len(BIG)))
            assert came == BIG
            await end(writer)
        assert ends in ([None], [])

    run(main())
    for context in ours:
        assert [info.version for info in context.secured()] == ["TLSv1.3"]


@pytest.mark.parametrize("side", SIDES)
def test_many(side: str, pki: Paths) -> None:
    client, server, ours = contexts(side, pki)

    async def main() -> None:
        async with echo(server, "implicit") as (port, _ends):

            async def one(number: int) -> None:
                reader, writer = await open_streams(port, client, "implicit")
                for line in range(20):
                    writer.write(b"%d %d\r\n" % (number, line))
                    assert await reader.readline() == b"%d %d\r\n" % (number, line)
                await end(writer)

            await asyncio.gather(*(one(number) for number in range(30)))

    run(main())
    for context in ours:
        assert len(context.secured()) == 30


@pytest.mark.parametrize(
    ("trust", "certificate", "code"),
    [("wrongca", "leaf", smtptls.Code.CERT_UNTRUSTED), ("ca", "other", smtptls.Code.CERT_NAME)],
)
@pytest.mark.parametrize("mode", MODES)
def test_refused(mode: str, trust: str, certificate: str, code: smtptls.Code, pki: Paths) -> None:
    context = watched(pki, trust)

    async def main() -> None:
        async with echo(openssl_server(pki, certificate), mode) as (port, _ends):
            with refused(code):
                await open_streams(port, context, mode)

    run(main())
    assert context.begun == 1


@pytest.mark.parametrize("mode", MODES)
def test_client_of_openssl_refuses(mode: str, pki: Paths) -> None:
    """The server that is ours is told."""
    context = server_side(pki)

    async def main() -> None:
        async with echo(context, mode) as (port, _ends):
            with pytest.raises(ssl.SSLCertVerificationError):
                await open_streams(port, openssl_client(pki, "wrongca"), mode)

    run(main())
    assert context.begun == 1


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("mode", MODES)
def test_client_certificate(mode: str, side: str, pki: Paths) -> None:
    good, none = (
        openssl_client(pki, certificate=name) if side == "server" else watched(pki, certificate=name)
        for name in ("client", None)
    )
    make: Callable[..., ssl.SSLContext] = openssl_server if side == "client" else server_side
    server = make(pki, clients="ca")

    async def main() -> None:
        async with echo(server, mode) as (port, _ends):
            reader, writer = await open_streams(port, good, mode)
            writer.write(b"hello\r\n")
            assert await reader.readline() == b"hello\r\n"
            await end(writer)

            with contextlib.suppress(OSError):
                reader, writer = await open_streams(port, none, mode)
                writer.write(b"hello\r\n")
                try:
                    assert await reader.readline() == b""
                finally:
                    await end(writer)

    run(main())
    if isinstance(server, Watched):
        first, second = server.connections
        assert first.info.trusted and first.info.peer_certificates
        assert second.info is None or not second.info.certificate_present
    if isinstance(good, Watched):
        assert len(good.secured()) == 1


@pytest.mark.parametrize("mode", MODES)
def test_stalled_handshake(mode: str, pki: Paths) -> None:
    """asyncio's own time limit, and the program's: in time, and the connection is closed (in `stalled`)."""
    context = watched(pki)

    async def by_asyncio(port: int) -> None:
        with pytest.raises(ConnectionAbortedError):
            await smtp_streams(port, context, mode, ssl_handshake_timeout=0.4)

    async def by_program(port: int) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await smtp_streams(port, context, mode)

    for way in (by_asyncio, by_program):
        with stalled(mode) as port, within(6, at_least=0.4):
            run(way(port))
    assert context.begun == 2


async def smtp_streams(port: int, context: ssl.SSLContext, mode: str, **options: Any) -> Streams:
    """Streams in TLS with a server that speaks SMTP."""
    if mode == "implicit":
        return await open_streams(port, context, mode, **options)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await reader.readline()
        writer.write(b"EHLO client.example.test\r\n")
        await reader.readuntil(b"250 STARTTLS\r\n")
        writer.write(b"STARTTLS\r\n")
        await reader.readline()
        await writer.start_tls(context, server_hostname=HOST, **options)
    except BaseException:
        writer.close()
        raise
    return reader, writer


@pytest.mark.parametrize("mode", MODES)
def test_cancelled_handshake(mode: str, pki: Paths) -> None:
    """The server sees the connection end, which `stalled` waits for."""
    context = watched(pki)

    async def main(port: int) -> None:
        task = asyncio.create_task(smtp_streams(port, context, mode))
        while not context.begun:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with stalled(mode) as port, within(6):
        run(main(port))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("mode", MODES)
def test_cancelled_read(mode: str, side: str, pki: Paths) -> None:
    """A read that is cancelled loses nothing; and a program that then closes leaves nothing open."""
    client, server, _ours = contexts(side, pki)

    async def main() -> None:
        async with echo(server, mode) as (port, ends):
            reader, writer = await open_streams(port, client, mode)
            for number in range(3):
                task = asyncio.create_task(reader.readline())
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                writer.write(b"line %d\r\n" % number)
                assert await reader.readline() == b"line %d\r\n" % number
            await end(writer)
            while not ends:
                await asyncio.sleep(0.01)
            assert ends == [None]

    run(main())


def test_loop_start_tls(pki: Paths) -> None:
    """loop.start_tls, which makes sure that the context is one of ssl's."""
    context = watched(pki)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with echo(openssl_server(pki), "starttls") as (port, _ends):
            came: asyncio.Queue[bytes] = asyncio.Queue()

            class Lines(asyncio.Protocol):
                def data_received(self, data: bytes) -> None:
                    came.put_nowait(data)

            transport, protocol = await loop.create_connection(Lines, "127.0.0.1", port)
            transport.write(b"STARTTLS\r\n")
            assert await came.get() == b"220 go on\r\n"
            secured = await loop.start_tls(transport, protocol, context, server_hostname=HOST)
            assert secured is not None
            secured.write(b"hello\r\n")
            assert await came.get() == b"hello\r\n"
            secured.close()

    run(main())
    assert len(context.secured()) == 1


def test_buffered_protocol(pki: Paths) -> None:
    """A protocol that has its own buffer, which asyncio reads into."""
    context = watched(pki)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with echo(openssl_server(pki), "implicit") as (port, _ends):
            done = loop.create_future()
            came = bytearray()

            class Buffered(asyncio.BufferedProtocol):
                buffer = bytearray(1000)

                def get_buffer(self, sizehint: int) -> bytearray:
                    return self.buffer

                def buffer_updated(self, nbytes: int) -> None:
                    came.extend(self.buffer[:nbytes])
                    if len(came) == len(BIG):
                        done.set_result(None)

            transport, _protocol = await loop.create_connection(
                Buffered, "127.0.0.1", port, ssl=context, server_hostname=HOST
            )
            transport.write(BIG)
            await done
            assert came == BIG
            transport.close()

    run(main())
    assert len(context.secured()) == 1


@pytest.mark.parametrize("polite", [True, False])
def test_end(polite: bool, pki: Paths) -> None:
    """The end of the peer, with and without close_notify, is an end of the stream and not an error."""
    context = watched(pki)

    def talk(taken: Any) -> None:
        secured = openssl_server(pki).wrap_socket(taken, server_side=True)
        with secured:
            secured.sendall(b"last line\r\n")
            if polite:
                with contextlib.suppress(OSError):
                    secured.unwrap().close()

    async def main(port: int) -> None:
        reader, writer = await open_streams(port, context, "implicit")
        assert await reader.read() == b"last line\r\n"
        await end(writer)

    with conversation(talk) as port:
        run(main(port))
    assert len(context.secured()) == 1


def test_server_turns_plaintext_away(pki: Paths) -> None:
    """A client that speaks SMTP to a port where TLS is expected."""
    context = server_side(pki)

    async def main() -> None:
        async with echo(context, "implicit") as (port, _ends):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"EHLO client.example.test\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b"250" not in await reader.read()
            await end(writer)

    run(main())
    assert [connection.info for connection in context.connections] == [None]


def test_contexts_do_not_mix(pki: Paths) -> None:
    """A client's context is no server's."""

    async def main() -> None:
        with pytest.raises(ssl.SSLError) as caught:
            context: Any = watched(pki)
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
        assert isinstance(caught.value, smtptls.Error)

    run(main())
