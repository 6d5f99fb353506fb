"""What the command prints: words with colour, lines that fit the terminal, JSON; and a closed stdout."""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping
from typing import IO, Any

from .exits import Stop

WIDTH = 80  # where nobody says how wide it is
WIDEST = 110  # longer lines are hard to read

_COLOURS = {
    "OK": "32",
    "send": "32",
    "verified": "32",
    "clear": "33",
    "WARN": "33",
    "UNDECIDED": "33",
    "unknown": "33",
    "DEFER": "31",
    "BOUNCE": "31",
    "FAIL": "31",
}


class Output:
    """Standard output. When its reader has gone, nothing more is printed, and the exit code stays honest."""

    def __init__(self, colour: str = "auto") -> None:
        self.stream: IO[str] | None = sys.stdout
        if isinstance(self.stream, io.TextIOWrapper):
            self.stream.reconfigure(errors="backslashreplace")  # what the locale has no character for
        self.coloured = _is_coloured(colour, self.stream)
        self.width = _width(self.stream)

    def line(self, text: str = "") -> None:
        if self.stream is None:
            return
        try:
            self.stream.write(f"{text}\n")
        except OSError as error:
            self._gone(error)

    def json(self, document: Mapping[str, Any]) -> None:
        self.line(json.dumps(document, indent=2))

    def note(self, text: str, indent: int) -> None:
        """A text in lines that fit, each behind so many blanks."""
        blanks = " " * indent
        for line in textwrap.wrap(text, self.width - indent, break_on_hyphens=False):
            self.line(f"{blanks}{line}")

    def field(self, label: str, text: str) -> None:
        """A label, and a text beside it."""
        lines = textwrap.wrap(text, self.width - 15, break_on_hyphens=False) or [""]
        for number, line in enumerate(lines):
            self.line(f"  {'' if number else label:<12} {line}".rstrip())

    def word(self, word: str, width: int = 0) -> str:
        """A verdict. Colour repeats what it says, and is not part of its width."""
        padded = word.ljust(width)
        code = _COLOURS.get(word)
        return f"\x1b[{code}m{word}\x1b[0m{padded[len(word) :]}" if self.coloured and code else padded

    def flush(self) -> None:
        try:
            if self.stream is not None:
                self.stream.flush()
        except OSError as error:
            self._gone(error)

    def _gone(self, error: OSError) -> None:
        if self.stream is not None and self.stream is sys.stdout:
            # Python flushes it once more when it ends, and would complain then.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.stream.fileno())
            os.close(null)
        self.stream = None
        if not isinstance(error, BrokenPipeError):
            raise Stop(f"cannot write the output: {error.strerror}") from error


def add_colour(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour; auto is on a terminal, unless NO_COLOR is set",
    )


def complain(text: str) -> None:
    """One line on stderr."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(f"smtptls: {text}\n")
            sys.stderr.flush()
        except OSError:
            pass  # there is nobody left to tell


def _is_coloured(colour: str, stream: IO[str] | None) -> bool:
    if colour != "auto":
        return colour == "always"
    environment = os.environ.get
    if environment("NO_COLOR"):
        return False
    if any(environment(name, "0") not in ("", "0") for name in ("CLICOLOR_FORCE", "FORCE_COLOR")):
        return True
    return stream is not None and stream.isatty() and environment("TERM", "dumb") != "dumb"


def _width(stream: IO[str] | None) -> int:
    if stream is None or not stream.isatty():
        return WIDTH
    return max(40, min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDEST))
