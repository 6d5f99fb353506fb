"""How far a batch is, on stderr: a bar on a terminal, or a line for each target that is finished."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
import time
from typing import IO

from . import report
from .exits import Exit
from .tally import Result, Tally

EVERY = 0.1  # seconds between two drawings
PAUSE = 0.02  # seconds in which what was printed comes to the terminal through a pipe
LONGEST_BAR = 40  # columns
WIDTH = 80  # where stderr is no terminal


class Progress:
    """Nothing is shown."""

    @property
    def every(self) -> float | None:
        """Seconds after which it wants to be shown again, though nothing has changed."""
        return None

    def show(self, tally: Tally) -> None:
        """Where the batch is."""

    def finished(self, tally: Tally, result: Result) -> None:
        """A target is."""

    def hide(self) -> None:
        """Something else is about to be printed."""


class Lines(Progress):
    """A line for each target that is finished."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def finished(self, tally: Tally, result: Result) -> None:
        _write(
            self._stream,
            f"{tally.done}/{tally.total}  {report.RESULTS[result.exit]:<9} {report.shown(result.target)}: "
            f"{result.brief}\n",
        )


class Bar(Progress):
    """[=====>   ] 412/1000  ok 380 fail 14 ?18  eta 1m50"""

    def __init__(self, stream: IO[str], done: int) -> None:
        self._stream = stream
        self._before = done  # by another run
        self._began = time.monotonic()
        self._next = 0.0  # when it may be drawn
        self._is_drawn = False

    @property
    def every(self) -> float:
        return 1.0 if self._is_drawn else PAUSE

    def show(self, tally: Tally) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + EVERY
            self._is_drawn = True
            _write(self._stream, f"\r{self._line(tally, now)}\x1b[K")

    def hide(self) -> None:
        if self._is_drawn:
            self._is_drawn = False
            _write(self._stream, "\r\x1b[K")
        self._next = time.monotonic() + PAUSE

    def _line(self, tally: Tally, now: float) -> str:
        counts = tally.exits
        warned = f"warn {counts[Exit.WARNED]} " if counts[Exit.WARNED] else ""
        text = (
            f" {tally.done}/{tally.total}  ok {counts[Exit.OK]} {warned}fail {counts[Exit.FAILED]} "
            f"?{counts[Exit.UNDECIDED]}"
        )
        here = tally.done - self._before
        if here > 0:
            left = (now - self._began) / here * (tally.total - tally.done)
            text += f"  eta {brief_span(left)}"
        # The last column stays free: some terminals go to the next line there.
        width = _width(self._stream) - 1
        cells = min(LONGEST_BAR, width - len(text) - 2)
        if cells < 5:
            return text[1:][:width]
        full = cells * tally.done // max(1, tally.total)
        filled = "=" * full if full == cells else f"{'=' * full}>"
        return f"[{filled:<{cells}}]{text}"


def progress(options: argparse.Namespace, tally: Tally) -> Progress:
    """What the options and the terminal want to see."""
    stream = sys.stderr
    if stream is None or tally.total < 2 or options.progress == "never" or options.form == "quiet":
        return Progress()
    is_drawn = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if is_drawn or options.progress == "always":
        return Bar(stream, tally.done)
    return Lines(stream) if options.verbose else Progress()


def brief_span(seconds: float) -> str:
    """1m50"""
    minutes, seconds = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}"
    return f"{minutes}m{seconds:02}" if minutes else f"{seconds}s"


def _width(stream: IO[str]) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError):
        return WIDTH


def _write(stream: IO[str], text: str) -> None:
    with contextlib.suppress(OSError):  # nobody looks
        stream.write(text)
        stream.flush()
