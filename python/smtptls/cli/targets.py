"""The targets of a batch: from the command line, and from a file with one a line."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import IO

from .._errors import ConfigError
from .._native import escape
from .exits import Stop

LONGEST = 1024  # octets of a line
MOST = 1_000_000  # targets
_COMMENT = re.compile(r"(?:^|\s)#.*")


def read(options: argparse.Namespace, look: Callable[[str], object]) -> list[str]:
    """All targets, after a look at each, which raises Stop or ConfigError if it cannot be one."""
    found = list(options.targets)
    for text in found:
        look(text)
    if options.file is None:
        if not found:
            raise Stop("check what? Give a TARGET, or -f FILE (see smtptls check --help)")
        return found
    shown = "standard input" if options.file == "-" else escape(os.fsencode(options.file))
    try:
        with _opened(options.file) as file:
            for number, text in _lines(file, shown):
                if len(found) == MOST:
                    raise Stop(f"{shown}:{number}: more than {MOST} targets: split the file")
                try:
                    look(text)
                except ConfigError as error:
                    raise Stop(f"{shown}:{number}: {error.message}") from error
                except Stop as stop:
                    raise Stop(f"{shown}:{number}: {stop}") from stop
                found.append(text)
    except OSError as error:
        raise Stop(f"cannot read {shown}: {error.strerror or error}") from error
    if not found:
        raise Stop(f"{shown}: no targets in it: it has one a line, and # begins a comment")
    return found


def _opened(path: str) -> contextlib.AbstractContextManager[IO[bytes]]:
    if path != "-":
        return open(path, "rb")
    if sys.stdin is None:
        raise Stop("standard input is closed")
    return contextlib.nullcontext(sys.stdin.buffer)


def _lines(file: IO[bytes], shown: str) -> Iterator[tuple[int, str]]:
    """Lines that have a target, with their numbers."""
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise Stop(f"{shown}:{number}: the line has more than {LONGEST} octets")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise Stop(f"{shown}:{number}: the line is not UTF-8") from error
        if text := _COMMENT.sub("", text.rstrip("\r\n")).strip():
            yield number, text
