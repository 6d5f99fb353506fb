"""What carries bytes between a transport of asyncio and a session, with bounds in both directions."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar, cast

from ._errors import WantInput, WantOutput
from ._native import Session

# So many bytes of plaintext wait for the program; beyond that the transport is not read.
LIMIT = 64 * 1024
# So many bytes go to the session at a time.
PIECE = 64 * 1024

Result = TypeVar("Result")


class _Room(threading.local):
    """Where the transports of a thread read into. A loop reads for one of them and tells it at once, so that
    one room serves them all. For a protocol without one asyncio allocates 256 KB for each reading and gives
    most of it back, which leaves the heap in pieces.
    """

    def __init__(self) -> None:
        self.octets = memoryview(bytearray(PIECE))


_room = _Room()


class Wire(asyncio.BufferedProtocol):
    """A session and its transport.

    In TLS what comes goes straight to the session, as long as that has room, and is decrypted when the
    program reads. Beyond that the transport is paused, and what it had read already waits in `spill`.
    """

    def __init__(self, session: Session, begun: Callable[[Wire], None] | None = None) -> None:
        self.session = session
        self.begun = begun  # called once there is a transport
        self.transport: asyncio.Transport
        self.previous: asyncio.BaseProtocol | None = None  # whose transport it was, and is told of its end
        self.kept: object = None  # what must not go before the transport does
        self.spill: bytearray = bytearray()  # came, and the session has no room or no use for it
        self.plain: bool = False  # there is no TLS, and the program reads what came as it is
        self.deaf: bool = False  # what comes is of no use to anybody
        self.mute: bool = False  # nothing can be sent any more
        self.ended: bool = False  # nothing comes any more
        self.told: bool = False  # the session knows that
        self.failure: BaseException | None = None  # of the transport
        self.came: asyncio.Event = asyncio.Event()
        self.writable: asyncio.Event = asyncio.Event()
        self.gone: asyncio.Event = asyncio.Event()  # the transport is closed

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # some loops have classes of their own
        self.writable.set()
        if self.begun is not None:
            self.begun(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _room.octets

    def buffer_updated(self, nbytes: int) -> None:
        if self.deaf:
            return
        data = _room.octets[:nbytes]
        taken = 0 if self.plain or self.spill else self.feed(data)
        if taken < nbytes:
            self.spill += data[taken:]
            if not self.plain or len(self.spill) > LIMIT:
                self.transport.pause_reading()
        self.came.set()

    def eof_received(self) -> bool:
        self.end()
        return True  # the other direction is still open

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.failure = exc
        self.mute = True
        self.end()
        self.writable.set()
        self.gone.set()
        if self.previous is not None:
            self.previous.connection_lost(exc)
            self.previous = None

    # What a connection calls.

    def feed(self, data: memoryview) -> int:
        """Give the session as much as it has room for, and say how much."""
        taken = 0
        while taken < len(data):
            more = self.session.feed(data[taken : taken + PIECE])
            if not more:
                break
            taken += more
        return taken

    def end(self) -> None:
        self.ended = True
        if not self.spill:
            self.tell()
        self.came.set()

    def tell(self) -> None:
        if not self.told and not self.plain:
            self.told = True
            self.session.feed(b"")

    def resume(self) -> None:
        if not self.ended and not self.transport.is_closing():
            self.transport.resume_reading()

    def refill(self) -> bool:
        """Give the session what waits for it, and say whether there was anything."""
        if not self.spill:
            return False
        with memoryview(self.spill) as view:
            taken = self.feed(view)
        del self.spill[:taken]
        if not self.spill:
            self.tell() if self.ended else self.resume()
        return taken > 0

    def push(self) -> None:
        """Send what the session has to send, in one write."""
        data = self.session.output()
        if data:
            self.session.sent(len(data))
            if not self.mute:
                self.transport.write(data)

    def take(self, most: int) -> bytes | None:
        """Up to so many bytes for the program; b"" is the end, and None that the peer is to be waited for."""
        if self.plain:
            return self.take_plain(most)
        while True:
            try:
                return self.session.recv(most)
            except (WantInput, WantOutput):
                if not self.refill():
                    return None
            finally:
                self.push()

    def take_plain(self, most: int) -> bytes | None:
        data = bytes(memoryview(self.spill)[:most])
        if not data and not self.ended:
            return None
        del self.spill[:most]
        if len(self.spill) <= LIMIT:
            self.resume()
        return data

    async def wait(self) -> None:
        """Wait until something comes."""
        self.came.clear()
        await self.came.wait()

    async def drive(self, step: Callable[[], Result]) -> Result:
        """Repeat a step of the session until it is done, and carry what it wants.

        A peer that does not read the answers is not read either. Whoever is cancelled here may call again.
        """
        while True:
            try:
                return step()
            except WantOutput:
                self.push()
                await self.writable.wait()
            except WantInput:
                if not self.refill():
                    await self.wait()
            finally:
                self.push()

    async def drop_rest(self) -> None:
        """Wait until the peer closes, and drop what comes until then."""
        self.deaf = True
        self.spill.clear()
        self.resume()
        while not self.ended:
            await self.wait()

    def hang_up(self) -> None:
        """Say by TCP that nothing more will be sent."""
        self.push()
        if not self.mute and not self.transport.is_closing() and self.transport.can_write_eof():
            with contextlib.suppress(OSError):  # the peer may be gone
                self.transport.write_eof()
        self.mute = True

    def close(self) -> None:
        """Close the transport once everything is sent."""
        self.push()
        self.mute = True
        self.transport.close()
