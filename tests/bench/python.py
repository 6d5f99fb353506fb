"""What smtptls costs beside ssl: CPU of sessions, handshakes, bulk, small records, asyncio, start-up.

Rounds of both sides alternate in one run, and only the ratio of their medians means anything. --quick is for
a look, --json FILE keeps the figures. It needs the module, aiosmtpd and cryptography, and no network.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email.message
import json
import os
import smtplib
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import smtptls  # noqa: E402  (the path above comes first)
from ca.ca import NAME, Paths, make  # noqa: E402
from smtptls import aio  # noqa: E402

from bench.pyrtls_part import parts  # noqa: E402

BLOCK = b"x" * 65536
LINES = 10


@dataclass(frozen=True)
class Side:
    """One of the two that are compared."""

    name: str
    client: ssl.SSLContext
    server: ssl.SSLContext
    default: Callable[[], ssl.SSLContext]


def sides(pki: Paths) -> list[Side]:
    found = []
    for kind, create in ((ssl.SSLContext, ssl.create_default_context), SMTPTLS):
        server = kind(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(pki.leaf, pki.leaf_key)
        found.append(Side(create.__module__.split(".")[0], create(cafile=pki.ca), server, create))
    return found


SMTPTLS = (smtptls.SSLContext, smtptls.create_default_context)


class Bench:
    """What every measure needs: the fixed peer, which is ssl's, and how much is to be done."""

    def __init__(self, peer: Side, port: int, pki: Paths, scale: int) -> None:
        self.peer, self.port, self.pki, self.scale = peer, port, pki, scale

    # Each gives the figure of one round.

    def smtplib_session(self, side: Side) -> float:
        """Microseconds of the client's CPU for STARTTLS and one mail; the server is another process."""
        return self.mail(side.client)

    def plain_session(self, side: Side) -> float:
        """The same without STARTTLS: what no TLS library can save."""
        return self.mail(None)

    def mail(self, context: ssl.SSLContext | None) -> float:
        count = 10 * self.scale
        message = email.message.EmailMessage()
        message["Subject"], message["From"], message["To"] = "hello", "a@client.test", f"b@{NAME}"
        message.set_content("hello\n" * 50)
        begun = time.process_time()
        for _ in range(count):
            with smtplib.SMTP("localhost", self.port, local_hostname="client.test", timeout=30) as smtp:
                if context is not None:
                    smtp.starttls(context=context)
                smtp.send_message(message)
        return (time.process_time() - begun) / count * 1e6

    def handshakes(self, threads: int) -> Callable[[Side], float]:
        """Handshakes of both sides in memory, in a second of the clock, on so many threads."""

        def measure(side: Side) -> float:
            count = 40 * self.scale // threads + 1
            workers = [threading.Thread(target=meet_often, args=(side, count)) for _ in range(threads)]
            begun = time.perf_counter()
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            return count * threads / (time.perf_counter() - begun)

        return measure

    def half(self, role: str) -> Callable[[Side], float]:
        """Microseconds of CPU of one role's part in a handshake in memory; the other part is ssl's."""

        def measure(side: Side) -> float:
            count, spent = 40 * self.scale, 0.0
            for _ in range(count):
                client = side.client if role == "client" else self.peer.client
                server = side.server if role == "server" else self.peer.server
                spent += meet(client, server)[role]
            return spent / count * 1e6

        return measure

    def sending(self, side: Side) -> float:
        """MB in a second of the sender's CPU, by sendall of 64 KiB."""
        with self.pair(side) as (ours, theirs), drained(theirs):
            begun = time.thread_time()
            for _ in range(10 * self.scale):
                ours.sendall(BLOCK)
            spent = time.thread_time() - begun
            ours.shutdown(socket.SHUT_WR)
        return 10 * self.scale * len(BLOCK) / spent / 1e6

    def receiving(self, side: Side) -> float:
        """MB in a second of the receiver's CPU, by recv(65536)."""
        size = 10 * self.scale * len(BLOCK)
        with (
            self.pair(side) as (ours, theirs),
            beside(lambda: repeat(theirs.sendall, BLOCK, 10 * self.scale)),
        ):
            begun, came = time.thread_time(), 0
            while came < size:
                came += len(ours.recv(65536))
            return size / (time.thread_time() - begun) / 1e6

    def small_records(self, side: Side) -> float:
        """Microseconds of the receiver's CPU for a record of 50 octets, from a socket."""
        count = 200 * self.scale
        with self.pair(side) as (ours, theirs), beside(lambda: repeat(theirs.sendall, b"x" * 50, count)):
            begun, came = time.thread_time(), 0
            while came < 50 * count:
                came += len(ours.recv(4096))
            return (time.thread_time() - begun) / count * 1e6

    def small_writes(self, side: Side) -> float:
        """Microseconds of the sender's CPU for a record of 50 octets."""
        count = 200 * self.scale
        with self.pair(side) as (ours, theirs), drained(theirs):
            begun = time.thread_time()
            repeat(ours.sendall, b"x" * 50, count)
            spent = time.thread_time() - begun
            ours.shutdown(socket.SHUT_WR)
        return spent / count * 1e6

    def small_in_memory(self, side: Side) -> float:
        """Microseconds for a record of 50 octets that waits in a MemoryBIO with others, as in asyncio."""
        count, spent = 100, 0.0
        ours, incoming, theirs, outgoing = self.objects(side)
        for _ in range(2 * self.scale):
            repeat(theirs.write, b"x" * 50, count)
            incoming.write(outgoing.read())
            begun, came = time.thread_time(), 0
            while came < 50 * count:
                came += len(ours.read(262144))
            spent += time.thread_time() - begun
        return spent / count / (2 * self.scale) * 1e6

    def streams(self, side: Side) -> float:
        """MB in a second of CPU through asyncio's streams; both ends are of this side, and one thread's."""
        size = 10 * self.scale * len(BLOCK)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for _ in range(10 * self.scale):
                writer.write(BLOCK)
                await writer.drain()
            await close(writer)

        async def both() -> float:
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=side.server)
            async with server:
                port = server.sockets[0].getsockname()[1]
                context = side.client
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=context, server_hostname=NAME
                )
                begun, came = time.process_time(), 0
                while came < size:
                    came += len(await reader.read(65536))
                spent = time.process_time() - begun
                await close(writer)
            return size / spent / 1e6

        return asyncio.run(both())

    def stream_sessions(self, side: Side) -> float:
        """Microseconds of CPU for a connection of asyncio's, a line each way; both ends are this side's."""
        count = 10 * self.scale

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await close(writer)

        async def both() -> float:
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=side.server)
            async with server:
                port = server.sockets[0].getsockname()[1]
                begun = time.process_time()
                for _ in range(count):
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", port, ssl=side.client, server_hostname=NAME
                    )
                    writer.write(b"QUIT\r\n")
                    await reader.readline()
                    await close(writer)
            return (time.process_time() - begun) / count * 1e6

        return asyncio.run(both())

    def upgraded(self, side: Side) -> float:
        """Microseconds of CPU for a session on asyncio from the greeting on, with ten lines each way in TLS.
        Both ends are this side's: asyncio's streams with their start_tls, or smtptls.aio."""
        count = 10 * self.scale
        talk = over_streams(side) if side.name == "ssl" else over_aio(self.pki)

        async def both() -> float:
            async with talk as session:
                await session()
                begun = time.process_time()
                for _ in range(count):
                    await session()
                return (time.process_time() - begun) / count * 1e6

        return asyncio.run(both())

    def default_context(self, side: Side) -> float:
        """Milliseconds until a client's context with the system's roots can be used."""
        begun = time.perf_counter()
        side.default().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=NAME)
        return (time.perf_counter() - begun) * 1e3

    # What they use.

    @contextlib.contextmanager
    def pair(self, side: Side) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
        """A client of this side and the peer's server in TLS over TCP, with a timeout as mail programs do."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            here = socket.create_connection(listening.getsockname(), timeout=30)
            there, _ = listening.accept()
        here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = side.client.wrap_socket(here, server_hostname=NAME, do_handshake_on_connect=False)
        server = self.peer.server.wrap_socket(there, server_side=True, do_handshake_on_connect=False)
        with client, server:
            with beside(server.do_handshake):
                client.do_handshake()
            yield client, server

    def objects(self, side: Side) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.SSLObject, ssl.MemoryBIO]:
        """A client of this side with what comes in, and the peer's server with what goes out."""
        ends = [ssl.MemoryBIO() for _ in range(2)]
        client = side.client.wrap_bio(ends[0], ends[1], server_hostname=NAME)
        server = self.peer.server.wrap_bio(ends[1], ends[0], server_side=True)
        shake(client, server)
        return client, ends[0], server, ends[0]


def shake(client: ssl.SSLObject, server: ssl.SSLObject) -> dict[str, float]:
    """The handshake of two objects that share their buffers; the CPU of each."""
    spent = {"client": 0.0, "server": 0.0}
    done: set[str] = set()
    while len(done) < 2:
        for role, end in (("client", client), ("server", server)):
            begun = time.thread_time()
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                done.add(role)
            spent[role] += time.thread_time() - begun
    return spent


def meet(client: ssl.SSLContext, server: ssl.SSLContext) -> dict[str, float]:
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    return shake(
        client.wrap_bio(one, other, server_hostname=NAME), server.wrap_bio(other, one, server_side=True)
    )


def meet_often(side: Side, count: int) -> None:
    for _ in range(count):
        meet(side.client, side.server)


def repeat(call: Callable[[bytes], Any], data: bytes, count: int) -> None:
    for _ in range(count):
        call(data)


@contextlib.contextmanager
def beside(work: Callable[[], Any]) -> Iterator[None]:
    """Run `work` on a thread beside the block."""
    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        worker.join()


def drained(end: ssl.SSLSocket) -> contextlib.AbstractContextManager[None]:
    """Read and drop what comes until the end."""

    def work() -> None:
        with contextlib.suppress(ssl.SSLError):
            while end.recv(65536):
                pass

    return beside(work)


def import_time(statement: str, folder: Path) -> float:
    """Milliseconds of an import in a fresh process, which finds compiled files in the folder."""
    program = f"import sys, time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return float(done.stdout) * 1e3


@contextlib.contextmanager
def peer(pki: Paths) -> Iterator[int]:
    """The fixed peer: aiosmtpd over ssl in a process of its own. Its port."""
    command = [sys.executable, __file__, "--peer", str(pki.leaf), str(pki.leaf_key)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(30)


def be_peer(certificate: str, key: str) -> None:
    from aiosmtpd.smtp import SMTP

    class Sink:
        async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
            return "250 OK"

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        make = lambda: SMTP(Sink(), hostname=NAME, tls_context=context)  # noqa: E731
        server = await loop.create_server(make, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        server.close()

    asyncio.run(serve())


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def over_streams(side: Side) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A server, and what is one session with it, as programs write both with asyncio and ssl."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.example.test\r\n")
        while line := await reader.readline():
            upgrades = line == b"STARTTLS\r\n"
            writer.write(b"220 go\r\n" if upgrades else b"250-mx.example.test\r\n250 STARTTLS\r\n")
            await writer.drain()
            if upgrades:
                await writer.start_tls(side.server)
            elif line == b"QUIT\r\n":
                break
        await close(writer)

    async def session() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def ask(line: bytes) -> None:
            writer.write(line + b"\r\n")
            while (await reader.readline())[3:4] == b"-":
                pass

        assert (await reader.readline())[:3] == b"220"
        await ask(b"EHLO client.test")
        await ask(b"STARTTLS")
        await writer.start_tls(side.client, server_hostname=NAME)
        for line in [b"EHLO client.test", *[b"NOOP"] * LINES, b"QUIT"]:
            await ask(line)
        await close(writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield session


@contextlib.asynccontextmanager
async def over_aio(pki: Paths) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The same with smtptls.aio, which has the dialogue up to TLS."""
    serving = smtptls.Config(keypairs=[(pki.leaf, pki.leaf_key)])
    trusting = smtptls.Config(roots=[pki.ca])
    encrypt, verify = smtptls.Policy("encrypt"), smtptls.Policy("verify")

    async def serve(connection: aio.Connection) -> None:
        while line := await connection.readline():
            connection.write(b"250-mx.example.test\r\n250 SIZE\r\n")
            await connection.drain()
            if line == b"QUIT\r\n":
                break

    async def session() -> None:
        async with await aio.open_connection(trusting, verify, "127.0.0.1", port, name=NAME) as connection:
            for line in [*[b"NOOP"] * LINES, b"QUIT"]:
                connection.write(line + b"\r\n")
                while (await connection.readline())[3:4] == b"-":
                    pass

    async with await aio.start_server(serve, serving, encrypt, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield session


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few short rounds")
    parser.add_argument("--rounds", type=int, help="how many rounds of each side")
    parser.add_argument("--json", metavar="FILE", help="keep the figures there")
    parser.add_argument("--only", default="", help="rows whose title has this in it")
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        be_peer(*options.peer)
        return
    rounds = options.rounds or (3 if options.quick else 11)
    with tempfile.TemporaryDirectory() as name:
        pki = make(Path(name))
        both = sides(pki)
        with peer(pki) as port:
            bench = Bench(both[0], port, pki, 4 if options.quick else 20)
            rows: list[tuple[str, str, Callable[[Side], float]]] = [
                ("smtplib, STARTTLS and a mail", "us", bench.smtplib_session),
                ("the same without TLS", "us", bench.plain_session),
                ("handshake, client's part", "us", bench.half("client")),
                ("handshake, server's part", "us", bench.half("server")),
                ("handshakes, 1 thread", "1/s", bench.handshakes(1)),
                ("handshakes, 8 threads", "1/s", bench.handshakes(8)),
                ("SSLSocket.sendall of 64 KiB", "MB/s", bench.sending),
                ("SSLSocket.recv of 64 KiB", "MB/s", bench.receiving),
                ("SSLSocket.sendall of 50 octets", "us", bench.small_writes),
                ("SSLSocket.recv of 50 octets", "us", bench.small_records),
                ("SSLObject.read, 100 times 50 octets", "us", bench.small_in_memory),
                ("asyncio streams, bulk", "MB/s", bench.streams),
                ("asyncio streams, connection", "us", bench.stream_sessions),
                ("asyncio, STARTTLS and ten lines", "us", bench.upgraded),
                ("default context, ready to connect", "ms", bench.default_context),
            ]
            figures: dict[str, dict[str, Any]] = {}
            print(f"{'':36} {'unit':>5} {'ssl':>9} {'smtptls':>9} {'ratio':>6}")

            def show(title: str, unit: str, theirs: list[float], ours: list[float]) -> None:
                one, other = statistics.median(theirs), statistics.median(ours)
                figures[title] = {"unit": unit, "ssl": one, "smtptls": other, "ratio": other / one}
                print(f"{title:36} {unit:>5} {one:9.1f} {other:9.1f} {other / one:6.2f}", flush=True)

            for title, unit, measure in rows:
                if options.only not in title:
                    continue
                found: dict[str, list[float]] = {side.name: [] for side in both}
                for side in both:  # what a process does once is not a round's
                    measure(side)
                for _ in range(rounds):
                    for side in both:
                        found[side.name].append(measure(side))
                show(title, unit, *found.values())
            for role, measure_part in parts(pki, both[0].client, both[0].server, 40 * bench.scale).items():
                title = f"handshake, {role}'s part"
                if title in figures:
                    median = statistics.median(measure_part() for _ in range(rounds))
                    figures[title]["pyrtls"] = median
                    print(f"{title + ': pyrtls':36} {'us':>5} {median:9.1f}", flush=True)
            for module in ("smtptls", "smtptls._sslcontext"):
                if options.only in f"import {module}":
                    times: tuple[list[float], list[float]] = ([], [])
                    for turn in range(rounds + 1):
                        for column, statement in zip(times, ("import ssl", f"import {module}"), strict=True):
                            took = import_time(statement, Path(name) / "compiled")
                            if turn:  # the first one compiles
                                column.append(took)
                    show(f"import {module}", "ms", *times)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
