"""uvloop, anyio, trio and gevent, which wrap TLS each in its own way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import smtptls
from ca.ca import Paths
from conftest import DEADLINE, RECIPIENT, ROOT, SENDER
from smtptls import aio

from users.peers import (
    BIG,
    HOST,
    MAIL,
    MODES,
    Watched,
    command,
    conversation,
    mail_server,
    mode_server,
    openssl_client,
    openssl_server,
    refused,
    server_side,
    stalled,
    watched,
    within,
)


def with_uvloop(main: Callable[[], Awaitable[None]]) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def limited() -> None:
        async with asyncio.timeout(DEADLINE):
            await main()
        # uvloop ends TLS after the program has asked for it, in a few steps.
        await asyncio.sleep(0.2)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(limited())


async def open_streams(mode: str, port: int, context: ssl.SSLContext) -> Any:
    """Streams in TLS, beyond the greeting of a mail server."""
    if mode == "implicit":
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)
        assert (await reader.readline()).startswith(b"220")
        return reader, writer
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await reader.readline()
        writer.write(b"EHLO client.example.test\r\n")
        while not (await reader.readline()).startswith(b"250 "):
            pass
        writer.write(b"STARTTLS\r\n")
        assert (await reader.readline()).startswith(b"220")
        await writer.start_tls(context, server_hostname=HOST)
    except BaseException:
        writer.close()
        raise
    return reader, writer


@pytest.mark.parametrize("mode", MODES)
def test_uvloop_client(mode: str, pki: Paths) -> None:
    aiosmtplib = pytest.importorskip("aiosmtplib")
    context = watched(pki)
    how = {"use_tls": mode == "implicit", "start_tls": mode == "starttls", "tls_context": context}

    with mode_server(mode, openssl_server(pki)) as recorder:

        async def main() -> None:
            for content in (MAIL, MAIL + BIG):
                async with aiosmtplib.SMTP(hostname=HOST, port=recorder.port, **how) as smtp:
                    await smtp.sendmail(SENDER, [RECIPIENT], content)

        with_uvloop(main)
    assert recorder.messages == [MAIL, MAIL + BIG]
    assert [info.trusted for info in context.secured()] == [True, True]


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_smtptls_aio_in_several_threads(kind: str, pki: Paths) -> None:
    """A loop in each thread, and several connections: none reads what another's transport has read."""
    make = asyncio.new_event_loop if kind == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    serving = smtptls.Config(keypairs=[(pki.leaf, pki.leaf_key)])
    trusting = smtptls.Config(roots=[pki.ca])
    encrypt, verify = smtptls.Policy("encrypt"), smtptls.Policy("verify")

    async def echo(connection: aio.Connection) -> None:
        await connection.readline()
        connection.write(b"250 mx.example.test\r\n")
        while data := await connection.read(65536):
            connection.write(data)
            await connection.drain()

    async def ask(port: int, size: int) -> None:
        data, came = os.urandom(size), bytearray()
        opening = aio.open_connection(trusting, verify, "127.0.0.1", port, name=HOST)
        async with await opening as connection, asyncio.TaskGroup() as group:

            async def write() -> None:
                for at in range(0, size, 30_000):
                    connection.write(data[at : at + 30_000])
                    await connection.drain()

            group.create_task(write())
            while len(came) < size:
                came += await connection.read(65536)
        assert came == data

    async def main() -> None:
        server = await aio.start_server(echo, serving, encrypt, "127.0.0.1", 0)
        async with asyncio.timeout(DEADLINE), server, asyncio.TaskGroup() as group:
            port = server.sockets[0].getsockname()[1]
            for size in (1, 5000, 70_000, 300_000, 1_000_000):
                group.create_task(ask(port, size))

    def run() -> None:
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(main())

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(run) for _ in range(3)]:
            done.result()


@pytest.mark.parametrize("mode", MODES)
def test_uvloop_refused(mode: str, pki: Paths) -> None:
    context = watched(pki, "wrongca")
    with mode_server(mode, openssl_server(pki)) as recorder:

        async def main() -> None:
            with refused():
                await open_streams(mode, recorder.port, context)

        with_uvloop(main)
    assert context.begun == 1


@pytest.mark.parametrize("mode", MODES)
def test_uvloop_stalled_and_cancelled(mode: str, pki: Paths) -> None:
    context = watched(pki)
    with stalled(mode) as port, within(6, at_least=0.4):

        async def main() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    # uvloop's connection is closed with the task, in `stalled`'s sight.
                    await without_greeting(mode, port, context)

        with_uvloop(main)
    assert context.begun == 1


async def without_greeting(mode: str, port: int, context: ssl.SSLContext) -> None:
    if mode == "implicit":
        await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)
    else:
        await open_streams(mode, port, context)


def test_uvloop_server(pki: Paths) -> None:
    """From the start only: aiosmtpd's STARTTLS is made of a class of asyncio's, not of uvloop's."""
    uvloop = pytest.importorskip("uvloop")
    context = server_side(pki)
    with mail_server(implicit=context, loop=uvloop.new_event_loop) as recorder:
        for content in (MAIL, MAIL + BIG):
            with smtplib.SMTP_SSL(HOST, recorder.port, context=openssl_client(pki)) as client:
                client.sendmail(SENDER, RECIPIENT, content)
    assert recorder.messages == [MAIL, MAIL + BIG]
    assert len(context.secured()) == 2


def test_uvloop_start_tls_on_both_sides(pki: Paths) -> None:
    client, server = watched(pki), server_side(pki)

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"go on\r\n")
            await writer.drain()
            await writer.start_tls(server)
            writer.write(await reader.readexactly(len(BIG)))
            await writer.drain()
            writer.close()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"please\r\n")
        await reader.readline()
        await writer.start_tls(client, server_hostname=HOST)
        writer.write(BIG)
        assert await reader.readexactly(len(BIG)) == BIG
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        listening.close()
        await listening.wait_closed()

    with_uvloop(main)
    assert len(client.secured()) == len(server.secured()) == 1


def echo(context: ssl.SSLContext, greeting: bytes = b"") -> Callable[[socket.socket], None]:
    """OpenSSL gives back what comes, until it is told of the end."""

    def talk(taken: socket.socket) -> None:
        if greeting:
            assert command_line(taken) == b"STARTTLS\r\n"
            taken.sendall(greeting)
        with contextlib.suppress(OSError), context.wrap_socket(taken, server_side=True) as secured:
            while data := secured.recv(65536):
                secured.sendall(data)
            secured.unwrap().close()

    return talk


def command_line(taken: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        line += taken.recv(1)
    return line


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("mode", MODES)
def test_anyio(mode: str, backend: str, pki: Paths) -> None:
    anyio = pytest.importorskip("anyio")
    from anyio.streams.tls import TLSAttribute, TLSStream

    async def connect(port: int, context: ssl.SSLContext) -> Any:
        if mode == "implicit":
            return await anyio.connect_tcp("127.0.0.1", port, tls_hostname=HOST, ssl_context=context)
        plain = await anyio.connect_tcp("127.0.0.1", port)
        try:
            await plain.send(b"STARTTLS\r\n")
            assert await plain.receive() == b"220 go on\r\n"
            return await TLSStream.wrap(plain, hostname=HOST, ssl_context=context)
        except BaseException:
            await anyio.aclose_forcefully(plain)
            raise

    async def good(port: int, context: Watched) -> None:
        with anyio.fail_after(DEADLINE):
            async with await connect(port, context) as stream:
                secured = stream.extra(TLSAttribute.ssl_object)
                assert isinstance(secured, smtptls.SSLObject)
                assert stream.extra(TLSAttribute.tls_version) == "TLSv1.3"
                assert stream.extra(TLSAttribute.peer_certificate)["subject"]
                came = bytearray()
                async with anyio.create_task_group() as group:
                    group.start_soon(stream.send, BIG)
                    while len(came) < len(BIG):
                        came += await stream.receive()
                assert came == BIG

    async def bad(port: int, context: Watched) -> None:
        with refused():
            await connect(port, context)

    async def slow(port: int, context: Watched) -> None:
        with pytest.raises(TimeoutError), anyio.fail_after(0.4):
            await connect(port, context)

    greeting = b"220 go on\r\n" if mode == "starttls" else b""
    for what, trust in ((good, "ca"), (bad, "wrongca")):
        context = watched(pki, trust)
        with conversation(echo(openssl_server(pki), greeting)) as port:
            anyio.run(what, port, context, backend=backend)
        assert context.begun == 1

    def stall(taken: socket.socket) -> None:
        if greeting:
            command_line(taken)
            taken.sendall(greeting)
        while taken.recv(65536):  # until the client has closed the connection
            pass

    context = watched(pki)
    with conversation(stall) as port, within(6, at_least=0.4):
        anyio.run(slow, port, context, backend=backend)
    assert context.begun == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio_server(backend: str, pki: Paths) -> None:
    anyio = pytest.importorskip("anyio")
    from anyio.streams.tls import TLSListener

    context = server_side(pki)
    client = openssl_client(pki)

    def ask(port: int) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port), DEADLINE) as plain,
            client.wrap_socket(plain, server_hostname=HOST) as secured,
        ):
            return command(secured)

    async def serve(stream: Any) -> None:
        async with stream:
            await stream.send(b"220 mail.example.test\r\n")

    async def main() -> None:
        with anyio.fail_after(DEADLINE):
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            async with TLSListener(listener, context, False) as secured, anyio.create_task_group() as group:
                group.start_soon(secured.serve, serve)
                assert await anyio.to_thread.run_sync(ask, port) == b"220 mail.example.test\r\n"
                group.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert len(context.secured()) == 1


@pytest.mark.parametrize("mode", MODES)
def test_trio(mode: str, pki: Paths) -> None:
    trio = pytest.importorskip("trio")

    async def connect(port: int, context: ssl.SSLContext) -> Any:
        plain = await trio.open_tcp_stream("127.0.0.1", port)
        if mode == "starttls":
            await plain.send_all(b"STARTTLS\r\n")
            assert await plain.receive_some(100) == b"220 go on\r\n"
        stream = trio.SSLStream(plain, context, server_hostname=HOST)
        try:
            await stream.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream

    async def good(port: int, context: Watched) -> None:
        with trio.fail_after(DEADLINE):
            async with await connect(port, context) as stream:
                assert stream.version() == "TLSv1.3" and not stream.server_side
                came = bytearray()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(stream.send_all, BIG)
                    while len(came) < len(BIG):
                        came += await stream.receive_some()
                assert came == BIG

    async def bad(port: int, context: Watched) -> None:
        # trio has an error of its own, for which ours is the cause.
        with pytest.raises(trio.BrokenResourceError) as caught:
            await connect(port, context)
        assert isinstance(caught.value.__cause__, smtptls.CertificateError)
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)

    async def slow(port: int, context: Watched) -> None:
        with pytest.raises(trio.TooSlowError), trio.fail_after(0.4):
            await connect(port, context)

    greeting = b"220 go on\r\n" if mode == "starttls" else b""
    for what, trust in ((good, "ca"), (bad, "wrongca")):
        context = watched(pki, trust)
        with conversation(echo(openssl_server(pki), greeting)) as port:
            trio.run(what, port, context)
        assert context.begun == 1

    def stall(taken: socket.socket) -> None:
        if greeting:
            command_line(taken)
            taken.sendall(greeting)
        while taken.recv(65536):
            pass

    context = watched(pki)
    with conversation(stall) as port, within(6, at_least=0.4):
        trio.run(slow, port, context)


@pytest.mark.parametrize("program", ["context", "injected", "server"])
def test_gevent(program: str, pki: Paths) -> None:
    """smtplib in greenlets of a process of its own, since gevent changes the standard library for all."""
    pytest.importorskip("gevent")
    script = Path(__file__).with_name("greenlets.py")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "SSL_CERT_FILE": str(pki.ca),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", str(script), program, str(pki.folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "20 sent, 1 refused, 1 timed out"
