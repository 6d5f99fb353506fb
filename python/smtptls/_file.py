"""File objects over a session, for `Session.makefile`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ._errors import WantInput, WantOutput

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from ._native import Session


class SessionFile(io.RawIOBase):
    """A session as a raw file; io's classes put the buffers on top. The session outlives it."""

    def __init__(self, session: Session, mode: str) -> None:
        super().__init__()
        self._session = session
        self._mode = mode

    def readable(self) -> bool:
        return "r" in self._mode

    def writable(self) -> bool:
        return "w" in self._mode

    def fileno(self) -> int:
        return self._session.fileno()

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """As io has it: None says that there is nothing now."""
        self._usable("r")
        try:
            return self._session.recv_into(buffer)
        except (WantInput, WantOutput):
            return None

    def write(self, data: ReadableBuffer) -> int | None:
        """As io has it: None says that nothing can be taken now."""
        self._usable("w")
        try:
            return self._session.send(data)
        except WantOutput:
            return None

    def _usable(self, mode: str) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if mode not in self._mode:
            raise io.UnsupportedOperation("read" if mode == "r" else "write")


def makefile(session: Session, mode: str, buffering: int) -> io.BufferedIOBase:
    if mode not in ("rb", "br", "wb", "bw", "rwb"):
        raise ValueError(f"invalid mode {mode!r}: a session has rb, wb and rwb")
    if buffering == 0 or buffering < -1:
        raise ValueError("a file over a session is buffered")
    size = io.DEFAULT_BUFFER_SIZE if buffering < 0 else buffering
    raw = SessionFile(session, mode)
    if mode == "rwb":
        return io.BufferedRWPair(raw, raw, size)
    return io.BufferedReader(raw, size) if "r" in mode else io.BufferedWriter(raw, size)
