"""Exit codes, and the error that ends the command with one of them."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Exit(enum.IntEnum):
    """What the command tells its caller."""

    OK = 0
    FAILED = 1  # a target definitely does not meet the level
    USAGE = 2  # also input that cannot be read, and output that cannot be written
    UNDECIDED = 3  # no connection, a time limit, a temporary refusal
    WARNED = 4  # with --warnings-as-errors only
    INTERNAL = 70
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "every target meets the level, or what was asked for was done",
    Exit.FAILED: "a target definitely does not meet the level, or does not match",
    Exit.USAGE: "options that do not fit, a file that cannot be read or written",
    Exit.UNDECIDED: "not decidable now: no connection, a time limit, a temporary refusal",
    Exit.WARNED: "warnings only, with --warnings-as-errors",
    Exit.INTERNAL: "a bug in smtptls",
    Exit.INTERRUPTED: "interrupted",
}

# What counts when there are several: a definite failure above one that may pass.
_ORDER = (Exit.OK, Exit.WARNED, Exit.UNDECIDED, Exit.FAILED)


def worst(exits: Iterable[Exit]) -> Exit:
    return max(exits, key=_ORDER.index, default=Exit.OK)


class Stop(Exception):
    """Ends the command with one line on stderr."""

    def __init__(self, message: str, exit_code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code
