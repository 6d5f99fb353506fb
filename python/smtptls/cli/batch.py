"""A batch of smtptls check: its options, and the loop that starts, keeps, counts and prints."""

from __future__ import annotations

import argparse
import contextlib
import math
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

from . import forms
from .exits import Exit, Stop
from .facts import parse_target
from .forms import Printer
from .gate import Gate
from .pool import Pool
from .progress import progress
from .state import State
from .tally import Result, Tally

if TYPE_CHECKING:
    from .check import Checked

MOST_JOBS = 1024
HELD = 1024  # results that wait to be printed: for one before them, or for who reads
LEAVE = 0.9  # seconds that threads have to hear that all is over


def add(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("many targets")
    group.add_argument(
        "-f", "--file", metavar="FILE", help="targets, one a line; # begins a comment; - is standard input"
    )
    group.add_argument(
        "-j", "--jobs", type=jobs, default=16, metavar="N", help="targets at once; default: 16"
    )
    group.add_argument(
        "--per-host", type=jobs, default=1, metavar="N",
        help="sessions at once with a host or an address; default: 1",
    )  # fmt: skip
    group.add_argument(
        "--rate", type=rate, metavar="N", help="sessions that begin in a second; default: as many as can"
    )
    group.add_argument("--unordered", action="store_true", help="print what is finished, in whatever order")
    group.add_argument("--fail-fast", action="store_true", help="end with the first target that fails")
    group.add_argument(
        "--resume", metavar="STATEFILE",
        help="keep there what is finished: the same command, given again, does the rest, and prints all",
    )  # fmt: skip
    group.add_argument(
        "--progress", choices=("auto", "always", "never"), default="auto",
        help="a bar on stderr; auto: where that is a terminal; elsewhere -v has a line for each target",
    )  # fmt: skip


def run(texts: Sequence[str], check: Callable[[str, Gate], Checked], options: argparse.Namespace) -> int:
    """Checks all targets, and prints what they come to; gives the exit code."""
    with contextlib.ExitStack() as stack:
        state = None
        if options.resume is not None:
            state = State(options.resume, options)
            stack.callback(state.close)
        return _Batch(texts, check, options, state).run()


class _Batch:
    """One run."""

    def __init__(
        self,
        texts: Sequence[str],
        check: Callable[[str, Gate], Checked],
        options: argparse.Namespace,
        state: State | None,
    ) -> None:
        self._options = options
        self._state = state
        self._recorded = {} if state is None else state.recorded(texts)
        self._tally = Tally(len(texts))
        for place in self._recorded.values():
            self._tally.add(self._read(place))
        self._printer = Printer(options)
        self._progress = progress(options, self._tally)
        self._held: dict[int, Result] = {}  # until those before them are printed
        self._next = 0  # the first that is not printed, or in whatever order how many are
        self._gate = Gate(options.per_host, options.rate or math.inf)
        todo = [number for number in range(len(texts)) if number not in self._recorded]
        self._pool = Pool(
            min(options.jobs, len(todo)),
            options.per_host,
            ((number, _host(texts[number])) for number in todo),
            lambda number: forms.result(check(texts[number], self._gate), options, self._printer.width),
        )

    def run(self) -> int:
        began = time.monotonic()
        try:
            with _interrupts(self._pool.found):
                self._pool.start()
                try:
                    self._loop()
                finally:
                    self._end(began)
        except KeyboardInterrupt as interrupt:
            if self._state is None:
                raise
            done = f"{self._tally.done} of {self._tally.total} targets"
            raise Stop(
                f"interrupted after {done}: the same command does the rest", Exit.INTERRUPTED
            ) from interrupt
        if self._options.form == "nagios":
            line, code = forms.nagios(self._tally, self._options.min_days)
            self._printer.print(line)
            return code
        return self._tally.exit

    def _loop(self) -> None:
        self._print()
        while self._tally.done < self._tally.total and not self._printer.is_closed:
            self._progress.show(self._tally)
            try:
                found = self._pool.found.get(timeout=self._progress.every)
            except queue.Empty:
                continue
            if isinstance(found, BaseException):
                raise found
            self._keep(*found)
            self._print()
            if self._options.fail_fast and found[1].exit is Exit.FAILED:
                break

    def _end(self, began: float) -> None:
        """Ends what goes on, and prints what was finished."""
        self._pool.stop()
        self._gate.close()
        self._pool.join(LEAVE)
        with contextlib.suppress(queue.Empty):
            while True:
                if not isinstance(found := self._pool.found.get_nowait(), BaseException):
                    self._keep(*found)
        self._progress.hide()
        for number in sorted({*self._held, *self._recorded}):
            self._put(number)
        if self._options.form is None and self._tally.total > 1:
            self._printer.print(self._tally.line(time.monotonic() - began))

    def _keep(self, number: int, result: Result) -> None:
        if self._state is not None:
            self._state.add(result)
        self._tally.add(result)
        self._held[number] = result
        self._progress.finished(self._tally, result)

    def _print(self) -> None:
        """What can be printed now; and what is behind it may begin."""
        if self._options.unordered:
            for number in [*self._recorded, *self._held]:
                self._put(number)
                self._next += 1
            self._pool.allow(self._next + HELD)
            return
        while self._next in self._held or self._next in self._recorded:
            self._put(self._next)
            self._next += 1
        self._pool.allow(self._next + HELD)

    def _put(self, number: int) -> None:
        result = self._held.pop(number, None) or self._read(self._recorded.pop(number))
        if self._printer.may_show:
            self._progress.hide()
        self._printer.print(result.text)

    def _read(self, place: int) -> Result:
        assert self._state is not None
        return self._state.read(place)


@contextlib.contextmanager
def _interrupts(found: queue.SimpleQueue[Any]) -> Iterator[None]:
    """The first SIGINT comes through the queue, so that nothing is cut in two; the next one does not."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def hear(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        found.put(KeyboardInterrupt())

    signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _host(text: str) -> str:
    target = parse_target(text)
    return target.path or target.host.lower()


# Types of options.


def jobs(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:5]) <= MOST_JOBS):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_JOBS}")
    return int(text)


def rate(text: str) -> float:
    try:
        number = float(text.removesuffix("/s"))
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of sessions a second")
    return number
