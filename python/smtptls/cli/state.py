"""The state file of --resume: what finished targets came to, so that another run does only the rest.

It is lines of JSON: the first says which options the results are of, each other one is a result. A result is
appended before it is printed, so a run that is killed loses none that was seen. The file is synced once a
second and at the end, so a power failure costs a second. A last line that was cut short is taken away.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import stat
import time
from collections.abc import Sequence
from typing import Any

from .._native import escape
from .exits import Stop
from .tally import Result

SCHEMA = "smtptls.resume/1"
LONGEST = 16 << 20  # octets of a line
SYNC = 1.0  # seconds between calls of fsync
# What makes no difference to a result. Any other option does.
FREE = {
    "command", "run", "targets", "file", "jobs", "per_host", "rate", "unordered", "fail_fast", "resume",
    "progress", "color",
}  # fmt: skip
# Options that have another name than what they are kept under.
NAMES = {
    "form": "the form of the output",
    "family": "-4 or -6",
    "verbose": "-v",
    "sts_policy": "the policy of --sts",
}
# What reading a line raises that is none of ours; too many brackets are a RecursionError.
_NONE = (TypeError, ValueError, KeyError, RecursionError)


class State:
    """An open state file; no two runs have it at once."""

    def __init__(self, path: str, options: argparse.Namespace) -> None:
        self.shown = escape(os.fsencode(path))
        self._header = {"schema": SCHEMA, "options": _telling(options)}
        self._places: dict[str, list[int]] = {}  # of the results of a target
        self._is_broken = False
        self._synced = time.monotonic()
        try:
            with contextlib.ExitStack() as stack:
                self._writer = stack.enter_context(open(path, "ab", buffering=0))
                self._reader = stack.enter_context(open(path, "rb"))
                self._load()
                self._files = stack.pop_all()
        except OSError as error:
            raise self._failed("use", error) from error

    def recorded(self, texts: Sequence[str]) -> dict[int, int]:
        """For the numbers of those targets that are finished, where their results are."""
        places = {text: iter(found) for text, found in self._places.items()}
        self._places.clear()
        found = ((number, next(places.get(text, iter(())), None)) for number, text in enumerate(texts))
        return {number: place for number, place in found if place is not None}

    def read(self, place: int) -> Result:
        try:
            self._reader.seek(place)
            return Result.of(json.loads(self._reader.readline(LONGEST)))
        except OSError as error:
            raise self._failed("read", error) from error

    def add(self, result: Result) -> None:
        self._write(result.document())

    def close(self) -> None:
        with self._files:
            if not self._is_broken:
                self._sync()

    def _load(self) -> None:
        if not stat.S_ISREG(os.fstat(self._writer.fileno()).st_mode):
            raise Stop(f"{self.shown} is no regular file, and cannot keep a state")
        try:
            fcntl.flock(self._writer, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Stop(f"{self.shown} is in use by another run") from error
        good = 0
        for number, line in enumerate(iter(lambda: self._reader.readline(LONGEST), b""), 1):
            if not line.endswith(b"\n"):
                self._cut(line, number, good)
                break
            if number == 1:
                self._compare(line)
            else:
                try:
                    text = Result.of(json.loads(line)).target
                except _NONE as error:
                    raise Stop(
                        f"{self.shown}:{number}: not a result: take the line out, or begin another state file"
                    ) from error
                self._places.setdefault(text, []).append(good)
            good += len(line)
        if not good:
            self._write(self._header)
            self._sync()

    def _cut(self, line: bytes, number: int, good: int) -> None:
        """Takes away what a run that was killed did not finish writing."""
        if len(line) == LONGEST or (number == 1 and not _line(self._header).startswith(line)):
            raise self._foreign()
        self._writer.truncate(good)

    def _compare(self, line: bytes) -> None:
        try:
            found = json.loads(line)
            if found["schema"] != SCHEMA:
                raise ValueError
            then: dict[str, Any] = dict(found["options"])
        except _NONE as error:
            raise self._foreign() from error
        now: dict[str, Any] = self._header["options"]  # type: ignore[assignment]
        others = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        if others:
            told = "; ".join(
                f"{_flag(name)} was {_brief(then, name)}, and is {_brief(now, name)}" for name in others
            )
            raise Stop(f"{self.shown} is of a run with other options: {told}; give the same, or another file")

    def _foreign(self) -> Stop:
        return Stop(f"{self.shown} is no state file of smtptls check, and is left as it is")

    def _write(self, document: dict[str, Any]) -> None:
        if self._is_broken:
            return  # what follows a line that is cut short would be lost
        line = _line(document)
        try:
            while line:
                line = line[self._writer.write(line) :]
            if time.monotonic() - self._synced > SYNC:
                self._sync()
        except OSError as error:
            self._is_broken = True
            raise self._failed("write", error) from error

    def _sync(self) -> None:
        try:
            os.fsync(self._writer.fileno())
        except OSError as error:
            self._is_broken = True
            raise self._failed("write", error) from error
        self._synced = time.monotonic()

    def _failed(self, what: str, error: OSError) -> Stop:
        return Stop(f"cannot {what} {self.shown}: {error.strerror or error}")


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _telling(options: argparse.Namespace) -> dict[str, Any]:
    """The options that make a difference, as JSON has them; those that are not given are left out."""
    given = {name: value for name, value in vars(options).items() if name not in FREE}
    return json.loads(  # type: ignore[no-any-return]
        json.dumps(
            {name: value for name, value in given.items() if value not in (None, False, [], ())}, default=str
        )
    )


def _flag(name: str) -> str:
    return NAMES.get(name, f"--{name.replace('_', '-')}")


def _brief(options: dict[str, Any], name: str) -> str:
    if name not in options:
        return "not given"
    value = options[name]
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return escape((text if len(text) < 60 else f"{text[:57]}...").encode())
