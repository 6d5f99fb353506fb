"""STARTTLS for asyncio: connections of clients and servers, with no `ssl` in between.

    from smtptls import aio

    connection = await aio.open_connection(config, policy, "mx.example.com", timeout=60)
    async with connection:
        print(connection.info.summary)
        connection.write(b"QUIT\\r\\n")
        print(await connection.readline())

`open_connection` gives a connection in TLS or raises. Where the policy allows plaintext, there are two steps:

    async with await aio.Connection.connect(config, policy, "mx.example.com") as connection:
        try:
            await connection.start(timeout=60)
        except smtptls.Error as error:
            if error.action is not smtptls.Action.CONTINUE:
                raise
        ...  # connection.is_tls says which it is

`start_server` calls a handler for each client, once the connection is in TLS or the client goes on without.
`upgrade` is for a program that has its dialogue on asyncio's own streams already.

Everything here is for one thread, that of the event loop. Any call may be cancelled, by `asyncio.timeout`
too. Nothing that came is lost then, and `start` and all that reads or drains may be called again; `aclose`,
`open_connection` and `upgrade` leave the connection closed.

The logger "smtptls" gets a line for each start: at WARNING for plaintext where TLS should be, else at DEBUG.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import warnings
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self

from ._aio_wire import PIECE, Wire
from ._enums import Action, Close, Code, Entry, Protocol, Tlsrpt
from ._errors import ConfigError, Error, InjectionError, Timeout, WantSignature
from ._native import Config, Info, Policy, Session, SignatureRequest, escape

__all__ = ["Connection", "open_connection", "start_server", "upgrade"]

GOODBYE = 2.0  # seconds that a peer has at most to take its leave
LONGEST_LINE = 16 * 1024  # octets; the longest of SMTP is one of AUTH, 12288 (RFC 4954 section 4)

Sign = Callable[[SignatureRequest], Awaitable[bytes]]

_logger = logging.getLogger("smtptls")
_logger.addHandler(logging.NullHandler())


class Connection:
    """One connection, and the session that secures it. Made by connect, and by the functions below.

    As a context manager it leaves with `aclose`, and at once where the task is cancelled.

    Before `start` nothing can be read or written, and after it failed neither; but where its error has the
    action CONTINUE, the connection goes on in plaintext.

    Errors are those of the session; a connection that breaks is an Error (IO). One task reads at a time.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._buffer = bytearray()  # read, and not yet asked for
        self._error: Error | None = None
        self._went_on = False  # in plaintext
        self._reading = False

    @classmethod
    async def connect(
        cls,
        config: Config,
        policy: Policy,
        host: str,
        port: int = 25,
        *,
        name: str | None = None,
        protocol: Protocol = Protocol.SMTP,
        **options: Any,
    ) -> Self:
        """A client's connection, not started yet.

        name: what the policy is about, such as the MX host, if host is an address.
        options: as for loop.create_connection: local_addr, family, happy_eyeballs_delay and so on. With sock,
            a connected socket that becomes the connection's, host is only a name.

        Raises OSError if there is no connection.
        """
        session = Session.client(config, policy, host if name is None else name, protocol=protocol)
        where = (host, port) if options.get("sock") is None else (None, None)
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(lambda: Wire(session), *where, **options)
        return cls(wire)

    async def start(
        self,
        entry: Entry = Entry.GREETING,
        *,
        unread: int = 0,
        timeout: float | None = None,
        sign: Sign | None = None,
    ) -> None:
        """Do what is left of the dialogue, then the TLS handshake, then the judgement: see Session.start.

        timeout: seconds for all of it. When they are over, Timeout is raised, and that is final.
        sign: signs with a private key that is elsewhere; without it WantSignature is raised.
        """
        wire = self._wire
        try:
            async with asyncio.timeout(timeout):
                await self._start(entry, unread, sign)
        except WantSignature:
            raise
        except Error as error:
            self._failed(error)
            raise error from wire.failure
        except TimeoutError as late:
            failure = self._late()
            self._failed(failure)
            raise failure from late
        _logger.debug("%s: %s", self._peer(), self.info and self.info.summary)

    async def _start(self, entry: Entry, unread: int, sign: Sign | None) -> None:
        session = self.session
        while True:
            try:
                return await self._wire.drive(lambda: session.start(entry, unread))
            except WantSignature:
                request = session.signature_request
                if sign is None or request is None:
                    raise
                session.set_signature(await sign(request))

    def _late(self) -> Error:
        failure = self.session.expire()
        wire = self._wire
        wire.spill.clear()
        wire.end()  # nobody waits for such a peer
        wire.push()  # to a silent client: 421
        return failure

    def _failed(self, error: Error) -> None:
        if self.session.error is not None:
            self._error = error
        wire = self._wire
        if error.action is Action.CONTINUE:
            # What the session had already is the first thing to read.
            wire.plain = True
            wire.spill[:0] = self.session.leftover()
        stripped = error.tlsrpt == Tlsrpt.STARTTLS_NOT_SUPPORTED.label
        grave = isinstance(error, InjectionError) or stripped
        _logger.log(logging.WARNING if grave else logging.DEBUG, "%s: %s", self._peer(), error)

    def _peer(self) -> str:
        peer = self._wire.transport.get_extra_info("peername")
        return f"[{peer[0]}]:{peer[1]}" if isinstance(peer, tuple) else escape(str(peer or "-").encode())

    # What came out.

    @property
    def session(self) -> Session:
        """The session, for what is not here, such as reports and check_requiretls. It is not to be fed."""
        return self._wire.session

    @property
    def info(self) -> Info | None:
        """The facts of the TLS connection, once the handshake is done; also if the policy is not met."""
        return self.session.info

    @property
    def reply(self) -> str | None:
        """The last SMTP reply that a client's start received: see Session.reply."""
        return self.session.reply

    @property
    def error(self) -> Error | None:
        """Why start failed, or what broke TLS."""
        return self.session.error and (self._error or self.session.error)

    @property
    def is_tls(self) -> bool:
        """Whether TLS is active."""
        return self.session.is_tls

    @property
    def is_truncated(self) -> bool:
        """Whether the peer closed the connection without close_notify."""
        return self.session.is_truncated

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of a transport: peername, sockname, socket; and smtptls_info, which is `info`."""
        if name == "smtptls_info":
            return default if self.info is None else self.info
        return self._wire.transport.get_extra_info(name, default)

    # Reading.

    async def read(self, n: int = PIECE) -> bytes:
        """Up to n bytes, as soon as there are any; b"" is the end, and `is_truncated` tells which."""
        if n < 0:
            raise ValueError("read takes a count of bytes")
        if n == 0 or self._buffer:
            return self._cut(min(n, len(self._buffer)))
        return await self._some(n)

    async def readexactly(self, n: int) -> bytes:
        """Exactly n bytes. Raises asyncio.IncompleteReadError, with what there is, if the end comes first."""
        if n < 0:
            raise ValueError("readexactly takes a count of bytes")
        while len(self._buffer) < n:
            await self._fill(n, n - len(self._buffer))
        return self._cut(n)

    async def readuntil(self, separator: bytes, limit: int = LONGEST_LINE) -> bytes:
        """What comes up to the separator, and the separator.

        limit: how many bytes that may be. If they are more, a ProtocolError (TOO_LONG) is raised, and they
            stay to be read.

        Raises asyncio.IncompleteReadError, with what there is, if the end comes first.
        """
        if not separator:
            raise ValueError("the separator is empty")
        searched = 0
        while (found := self._buffer.find(separator, searched, limit)) < 0:
            if len(self._buffer) >= limit:
                message = f"more than {limit} octets came without {separator!r}"
                raise Error(Code.TOO_LONG, message, action=Action.NEXT_HOST, enhanced_status="4.5.0")
            searched = max(len(self._buffer) - len(separator) + 1, 0)
            await self._fill(None, PIECE)
        return self._cut(found + len(separator))

    async def readline(self, limit: int = LONGEST_LINE) -> bytes:
        """A line with its CRLF, and nothing else ends a line (RFC 5321 section 2.3.8); b"" is the end.

        The errors are those of `readuntil`: a line that is cut off never passes for a whole one.
        """
        try:
            return await self.readuntil(b"\r\n", limit)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return b""

    async def _fill(self, expected: int | None, most: int) -> None:
        came = await self._some(most)
        if not came:
            raise asyncio.IncompleteReadError(self._cut(len(self._buffer)), expected)
        self._buffer += came

    def _cut(self, n: int) -> bytes:
        with memoryview(self._buffer) as view:
            data = bytes(view[:n])
        del self._buffer[:n]
        return data

    async def _some(self, most: int) -> bytes:
        wire = self._wire
        if self._reading:
            raise RuntimeError("another task is reading from this connection")
        self._reading = True
        try:
            while (data := wire.take(most)) is None:
                await wire.wait()
        finally:
            self._reading = False
        if not data and wire.failure is not None:
            raise self._broken() from wire.failure
        return data

    def _broken(self) -> Error:
        cause = self._wire.failure
        number = cause.errno if isinstance(cause, OSError) else None
        text = cause.strerror if isinstance(cause, OSError) else None
        message = f"the connection failed: {text or 'it was closed'}"
        return Error(Code.IO, message, errno=number, action=Action.NEXT_HOST, enhanced_status="4.4.2")

    # Writing.

    def write(self, data: bytes | bytearray | memoryview, more: bool = False) -> None:
        """Encrypt and send data. It does not wait: who writes much awaits `drain` after each piece.

        With more it may wait for what is written next, and leave in one TLS record with it; reading, flush,
        close, and writing without more let it go.
        """
        wire = self._wire
        if wire.plain:
            self._went_on = True
        if wire.gone.is_set():
            raise self._broken() from wire.failure
        if wire.plain:
            if wire.mute:
                raise Error(Code.STATE, "write comes before close")
            wire.transport.write(data)
            return
        view = memoryview(data).cast("B")
        taken = 0
        while True:
            piece = data if len(view) <= PIECE else view[taken : taken + PIECE]
            taken += self.session.send(piece, more)
            wire.push()
            if taken >= len(view):
                return

    async def drain(self) -> None:
        """Wait until the peer has taken so much that there is room to write more."""
        wire = self._wire
        if wire.transport.is_closing():
            await asyncio.sleep(0)  # so that a loop of writes hears of the end
        await wire.writable.wait()
        if wire.gone.is_set():
            raise self._broken() from wire.failure

    def flush(self) -> None:
        """Send what was written with more."""
        if not self._wire.plain:
            with contextlib.suppress(BlockingIOError):  # the session wants its output carried
                self.session.flush()
            self._wire.push()

    # Leaving.

    def write_eof(self) -> None:
        """Say that nothing more will be written, by close_notify and by TCP. Reading goes on."""
        if not self._wire.plain:
            with contextlib.suppress(Error):
                self.session.close(Close.HALF)
        self._wire.hang_up()

    def close(self) -> None:
        """Say close_notify, and close once everything is sent. Input that is not read may cost our last words
        then: `aclose` waits for the peer.
        """
        if not self._wire.plain:
            with contextlib.suppress(Error):
                self.session.close()
        self._wire.close()

    def abort(self) -> None:
        """Close at once; what is not sent is lost."""
        self._wire.mute = True
        self._wire.transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed. It raises nothing."""
        await self._wire.gone.wait()

    async def aclose(self, timeout: float = GOODBYE) -> None:
        """Leave politely, and close.

        After a start that failed a client says QUIT, where the server can hear it, and a server answers 554
        to all but QUIT (RFC 3207 section 4.1). Then goes close_notify, and what the peer still says is
        dropped until it closes.

        timeout: seconds for all of it; then the connection is closed all the same.

        It raises nothing. If it is cancelled, the connection is closed at once.
        """
        wire = self._wire
        try:
            if not wire.gone.is_set():
                async with asyncio.timeout(timeout):
                    await self._leave()
        except TimeoutError:
            pass
        finally:
            self.abort()
            await wire.gone.wait()

    async def _leave(self) -> None:
        wire, session = self._wire, self.session
        if self.error is not None and not self._went_on:
            with contextlib.suppress(Error):
                await wire.drive(session.refuse)
        in_tls = session.is_tls
        self.write_eof()
        if in_tls:
            with contextlib.suppress(Error):
                await wire.drive(lambda: session.close(Close.WAIT))
        else:
            await wire.drop_rest()
        self.close()
        await wire.gone.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Who is cancelled has no time for manners.
        if value is not None and not isinstance(value, Exception):
            self.abort()
        await self.aclose()

    def __del__(self) -> None:
        wire = self._wire
        if not wire.transport.is_closing() and wire.transport.get_protocol() is wire:
            warnings.warn(
                f"unclosed connection to {self._peer()}", ResourceWarning, source=self, stacklevel=2
            )
            with contextlib.suppress(RuntimeError):  # the loop may be closed
                self.abort()


async def open_connection(
    config: Config,
    policy: Policy,
    host: str,
    port: int = 25,
    *,
    name: str | None = None,
    entry: Entry = Entry.GREETING,
    protocol: Protocol = Protocol.SMTP,
    timeout: float | None = None,
    **options: Any,
) -> Connection:
    """A client's connection in TLS, by a policy that is met: Connection.connect and Connection.start.

    timeout: seconds for all of it.

    Raises OSError if there is no connection, and else what start raises; Error is an OSError too. By then the
    connection has been left politely and is closed, which can take another two seconds.
    """
    loop = asyncio.get_running_loop()
    end = None if timeout is None else loop.time() + timeout
    try:
        async with asyncio.timeout_at(end):
            connection = await Connection.connect(
                config, policy, host, port, name=name, protocol=protocol, **options
            )
    except TimeoutError as late:
        if late.errno is not None:  # the network's limit, and not ours
            raise
        message = "the time allowed ran out connecting"
        raise Timeout(Code.TIMEOUT, message, action=Action.NEXT_HOST, enhanced_status="4.4.2") from late
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_exit(connection)
        await connection.start(entry, timeout=None if end is None else end - loop.time())
        stack.pop_all()
    return connection


async def start_server(
    handler: Callable[[Connection], Awaitable[None]],
    config: Config,
    policy: Policy | None = None,
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
    entry: Entry = Entry.GREETING,
    protocol: Protocol = Protocol.SMTP,
    extensions: Sequence[str] = (),
    greeting: str | None = None,
    prepare: Callable[[Session], None] | None = None,
    start_timeout: float | None = 300,
    sign: Sign | None = None,
    **options: Any,
) -> asyncio.Server:
    """A server that calls handler(connection) in a task of its own for each client.

    It is called once the connection is in TLS; or in plaintext, where STARTTLS is optional and the client has
    gone on without. Then connection.is_tls is False, session.hello is the client's EHLO, and the command that
    it went on with is the first thing to read. Clients whose start fails it never sees.

    When it returns or raises, the connection is left politely and closed. What it raises goes to the
    exception handler of the loop.

    What a client sends in plaintext behind STARTTLS it never sees either: the client gets 554, and the
    connection ends; or with set_discard it is dropped.

    extensions, greeting: as for Session.server and Session.set_greeting.
    prepare: called with each session before it starts, for its set_discard, set_not_now, set_exempt_more and
        set_banner.
    start_timeout: seconds that a client has until TLS is up, and then hears 421, if it was to send a command;
        300 is that of RFC 5321 section 4.5.3.2.7.
    sign: as for Connection.start.
    options: as for loop.create_server: sock, reuse_port, backlog and so on.
    """
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()

    def make() -> Session:
        session = Session.server(config, policy, protocol=protocol, extensions=list(extensions))
        if greeting is not None:
            session.set_greeting(greeting)
        if prepare is not None:
            prepare(session)
        return session

    async def serve(connection: Connection) -> None:
        async with connection:
            try:
                await connection.start(entry, timeout=start_timeout, sign=sign)
            except (ConfigError, WantSignature):
                raise  # a mistake on this side
            except Error as error:
                if error.action is not Action.CONTINUE:
                    return
            await handler(connection)

    def begun(wire: Wire) -> None:
        task = loop.create_task(serve(Connection(wire)))
        running.add(task)
        task.add_done_callback(done)

    def done(task: asyncio.Task[None]) -> None:
        running.discard(task)
        if not task.cancelled() and (raised := task.exception()) is not None:
            message = "Unhandled exception in the handler of a connection"
            loop.call_exception_handler({"message": message, "exception": raised, "task": task})

    make()  # what no session can have shows now, and not when the first client comes
    return await loop.create_server(lambda: Wire(make(), begun), host, port, **options)


async def upgrade(
    session: Session,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    entry: Entry = Entry.COMMAND,
    timeout: float | None = None,
    sign: Sign | None = None,
) -> Connection:
    """STARTTLS for a program that has its dialogue on asyncio's streams.

    session: of Session.client or Session.server, without a socket and not started; on a server at entry
        COMMAND its set_command was given the line that was read.
    reader, writer: the streams, which are of no more use once this returns. What the reader has and the
        program has not read came in plaintext behind STARTTLS: it never becomes part of TLS, and start fails
        for it.
    entry, timeout, sign: as for Connection.start.

    If start fails with the action CONTINUE, or for what the reader had, the streams go on as they were: in
    plaintext, or to say 554 and close. After all other errors, and if the call is cancelled, the connection
    has been left politely and is closed. session.info and session.reports tell more of a failure.
    """
    await writer.drain()
    transport = writer.transport
    unread, ended = _unread(reader)
    wire = Wire(session)
    previous = wire.previous = transport.get_protocol()
    transport.set_protocol(wire)
    wire.connection_made(transport)
    if ended:
        wire.end()
    wire.resume()
    wire.kept = writer  # one that nobody has any more closes its transport
    connection = Connection(wire)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_exit(connection)
        try:
            await connection.start(entry, unread=unread, timeout=timeout, sign=sign)
        except Error as error:
            if (error.action is Action.CONTINUE or unread) and not wire.gone.is_set():
                stack.pop_all()
                wire.previous = None
                transport.set_protocol(previous)
                wire.resume()
                if wire.ended and not ended:
                    reader.feed_eof()
            raise
        stack.pop_all()
    return connection


def _unread(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """How many bytes a reader had that nobody has read, and whether it is at its end. They are gone then.

    A read that is never waited for gives at once what is there, and by that tells without a look at what is
    asyncio's own. It raises RuntimeError if somebody else is reading.
    """
    reading = reader.read(sys.maxsize)
    try:
        reading.send(None)
    except StopIteration as there:
        return len(there.value), reader.at_eof()
    finally:
        reading.close()
    return 0, False
