"""A client's connection for the soak test: SMTP by hand, on asyncio and OpenSSL, with manners or without.

Link            a connection: lines, replies, TLS at any moment, raw octets under it, a reset
Unexpected      the other end did not do what it has to
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import Self

PIECE = 65536


class Unexpected(Exception):
    """The server answered otherwise than it has to."""


class Link:
    """One connection. Every wait has a limit, after which it is a TimeoutError."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._buffer = bytearray()

    @classmethod
    async def open(cls, port: int, limit: float) -> Self:
        made = cls(limit)
        try:
            async with asyncio.timeout(limit):
                await made._loop.sock_connect(made._socket, ("127.0.0.1", port))
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Ends it with RST in place of FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def half_close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    # -- octets ----------------------------------------------------------------------------------------------

    async def raw(self, data: bytes) -> None:
        """Sends octets as they are, be TLS active or not."""
        async with asyncio.timeout(self._limit):
            await self._loop.sock_sendall(self._socket, data)

    async def raw_read(self) -> bytes:
        async with asyncio.timeout(self._limit):
            return await self._loop.sock_recv(self._socket, PIECE)

    async def send(self, data: bytes) -> None:
        if self._tls:
            self._tls.write(data)
            data = self._outgoing.read()
        await self.raw(data)

    async def receive(self) -> bytes:
        """What comes next; nothing at the end, be it with close_notify or without."""
        if not self._tls:
            return await self.raw_read()
        while True:
            try:
                return self._tls.read(PIECE)
            except ssl.SSLWantReadError:
                await self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def _fill(self) -> None:
        if self._outgoing.pending:
            await self.raw(self._outgoing.read())
        if data := await self.raw_read():
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def until_end(self) -> bytes:
        """All that still comes, until the server closes; it may do so with a reset."""
        came = bytearray(self._buffer)
        try:
            while data := await self.receive():
                came += data
        except TimeoutError:
            raise Unexpected(f"the server does not end the session; {bytes(came)!r}") from None
        except OSError:
            pass
        return bytes(came)

    # -- SMTP ------------------------------------------------------------------------------------------------

    async def reply(self, *wanted: int) -> tuple[int, bytes]:
        """The next reply: its code, which has to be one of `wanted`, and all its lines."""
        text = bytearray()
        while True:
            while (end := self._buffer.find(b"\n")) < 0:
                data = await self.receive()
                if not data:
                    raise EOFError(f"the server closed; {bytes(self._buffer)!r}")
                self._buffer += data
            line = bytes(self._buffer[: end + 1])
            del self._buffer[: end + 1]
            text += line
            if line[3:4] != b"-":
                break
        code = int(line[:3])
        if wanted and code not in wanted:
            raise Unexpected(f"{bytes(text)!r}; wanted {wanted}")
        return code, bytes(text)

    async def command(self, line: bytes, *wanted: int) -> tuple[int, bytes]:
        await self.send(line + b"\r\n")
        return await self.reply(*wanted)

    async def hello(self) -> None:
        """Up to the answer to the first EHLO."""
        await self.reply(220)
        if b"STARTTLS" not in (await self.command(b"EHLO client.example.test", 250))[1]:
            raise Unexpected("no STARTTLS")

    async def starttls(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        """STARTTLS and the handshake."""
        await self.command(b"STARTTLS", 220)
        await self.handshake(context, session)

    async def handshake(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        tls = self.begin(context, session)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._fill()
            except ssl.SSLError:
                with contextlib.suppress(OSError):  # the alert, if anybody still wants it
                    await self.raw(self._outgoing.read())
                raise
        self._tls = tls
        # Finished must not wait for company that some kinds of session never send.
        await self.raw(self._outgoing.read())

    def begin(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
        """TLS of which nothing has been sent."""
        return context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost", session=session)

    def client_hello(self, context: ssl.SSLContext) -> bytes:
        tls = self.begin(context)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        return self._outgoing.read()

    def record(self, data: bytes) -> bytes:
        """What is sent for this text inside TLS."""
        assert self._tls
        self._tls.write(data)
        return self._outgoing.read()

    @property
    def tls(self) -> ssl.SSLObject:
        assert self._tls
        return self._tls

    async def quit(self) -> None:
        await self.command(b"QUIT", 221)
        if self._tls:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            with contextlib.suppress(OSError):
                await self.raw(self._outgoing.read())
        self.close()
