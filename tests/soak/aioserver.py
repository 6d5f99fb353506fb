"""Servers of one event loop for the soak test: on smtptls.aio, and aiosmtpd with smtptls.SSLContext.

    python aioserver.py aio|aiosmtpd CERT KEY CLIENT_CA TICKET_KEYS STORE LIMIT

TLS is required. Each message that is answered with 250 becomes STORE/NUMBER.eml, which has its name when it
is whole. LIMIT is how many seconds a client may be silent. SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import smtptls
from smtptls import aio

LONGEST_LINE = 1024
LONGEST_TEXT = 4 * 1024 * 1024


class Store:
    """The messages that were taken."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, itertools.count()

    def keep(self, content: bytes) -> None:
        name = str(next(self._count))
        draft = self._folder / f"{name}.tmp"
        draft.write_bytes(content)
        draft.rename(self._folder / f"{name}.eml")


async def message(connection: aio.Connection, limit: float) -> bytes:
    """What comes up to the lone dot."""
    text = bytearray()
    while True:
        async with asyncio.timeout(limit):
            line = await connection.readuntil(b"\n")
        if line == b".\r\n":
            return bytes(text)
        text += line[1:] if line.startswith(b".") else line
        if len(text) > LONGEST_TEXT:
            raise ValueError("too long")


async def talk(connection: aio.Connection, store: Store, limit: float) -> None:
    """The dialogue inside TLS; whatever is not in order ends it."""
    hello = mail = to = False
    while True:
        await connection.drain()
        async with asyncio.timeout(limit):
            line = await connection.readuntil(b"\r\n", LONGEST_LINE)
        verb = line[:4].upper()
        reply = b"250 2.0.0 OK\r\n"
        if verb == b"EHLO":
            hello, mail, to = True, False, False
            reply = b"250-localhost\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
        elif verb == b"MAIL" and hello and not mail:
            mail = True
        elif verb == b"RCPT" and mail:
            to = True
        elif verb == b"DATA" and to:
            connection.write(b"354 Go on\r\n")
            store.keep(await message(connection, limit))
            mail = to = False
        elif verb == b"QUIT":
            connection.write(b"221 2.0.0 Bye\r\n")
            return
        elif verb != b"NOOP":
            reply = b"503 5.5.1 Bad sequence of commands\r\n"
        connection.write(reply)


Server = Coroutine[Any, Any, asyncio.Server]


def own(cert: str, key: str, ca: str, tickets: str, store: Store, limit: float) -> Server:
    """On smtptls.aio."""
    config = smtptls.Config(
        keypairs=[(cert, key)], roots=[ca], client_auth="ask", ticket_key_file=tickets, hostname="localhost"
    )

    async def handle(connection: aio.Connection) -> None:
        # What ends a session early: the peer, the clock, or a line that is too long.
        with contextlib.suppress(smtptls.Error, OSError, EOFError, TimeoutError, ValueError):
            await talk(connection, store, limit)

    policy = smtptls.Policy("encrypt")
    return aio.start_server(handle, config, policy, "127.0.0.1", 0, start_timeout=limit, backlog=512)


def aiosmtpd(cert: str, key: str, ca: str, tickets: str, store: Store, limit: float) -> Server:
    """aiosmtpd, which has its own dialogue; TLS is a context of ours."""
    import ssl

    from aiosmtpd.smtp import SMTP, Envelope, Session

    context = smtptls.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_OPTIONAL

    class Handler:
        async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
            assert isinstance(envelope.content, bytes)
            store.keep(envelope.content)
            return "250 2.0.0 OK: stored"

    def session() -> SMTP:
        return SMTP(
            Handler(),
            hostname="localhost",
            tls_context=context,
            require_starttls=True,
            timeout=limit,
            ident="x",
        )

    loop = asyncio.get_running_loop()
    return loop.create_server(session, "127.0.0.1", 0, backlog=512)


async def main(kind: str, *given: str) -> None:
    make: Callable[..., Server] = {"aio": own, "aiosmtpd": aiosmtpd}[kind]
    *files, folder, limit = given
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await make(*files, Store(Path(folder)), float(limit))
    print(f"listening: 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()  # and asyncio.run cancels the sessions that still go on


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main(*sys.argv[1:]))
