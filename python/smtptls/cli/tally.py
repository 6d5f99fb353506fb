"""What the targets of a batch came to: each, and the sum."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, Self

from .exits import Exit, worst


@dataclass(frozen=True)
class Result:
    """What a target came to, and how that is printed."""

    target: str
    exit: Exit
    has_warnings: bool
    brief: str  # in some words
    days: int | None  # until the first certificate ends
    elapsed: float
    text: str  # in the form that was asked for, with colour

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, found: dict[str, Any]) -> Self:
        """From a document; raises TypeError, ValueError or KeyError."""
        result = cls(**found | {"exit": Exit(found["exit"])})
        kinds = (str, Exit, bool, str, int | None, float | int, str)
        if not all(map(isinstance, astuple(result), kinds)):
            raise TypeError
        return result


@dataclass
class Tally:
    """How many targets came to what."""

    total: int
    exits: Counter[Exit] = field(default_factory=Counter)
    warnings: int = 0  # targets that have some
    days: int | None = None  # the fewest
    longest: float = 0.0
    gravest: Result | None = None

    @property
    def done(self) -> int:
        return self.exits.total()

    def add(self, result: Result) -> None:
        self.exits[result.exit] += 1
        self.warnings += result.has_warnings
        self.longest = max(self.longest, result.elapsed)
        if result.days is not None and (self.days is None or result.days < self.days):
            self.days = result.days
        if self.gravest is None or _is_graver(result, self.gravest):
            self.gravest = result

    @property
    def exit(self) -> Exit:
        """Of all; what is not done is not decided."""
        return worst([*self.exits, *([Exit.UNDECIDED] if self.done < self.total else [])])

    def line(self, seconds: float) -> str:
        """The last line of the text."""
        counts = self.exits
        warned = f"{counts[Exit.WARNED]} warn, " if counts[Exit.WARNED] else ""
        done = str(self.total) if self.done == self.total else f"{self.done} of {self.total}"
        return (
            f"{done} targets: {counts[Exit.OK]} ok, {warned}{counts[Exit.FAILED]} fail, "
            f"{counts[Exit.UNDECIDED]} undecided in {span(seconds)}"
        )


def _is_graver(one: Result, other: Result) -> bool:
    if one.exit is other.exit:
        return one.has_warnings and not other.has_warnings
    return worst((one.exit, other.exit)) is one.exit


def span(seconds: float) -> str:
    """A time for a person: 3 m 12 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} m"
    return f"{minutes} m {seconds:02} s" if minutes else f"{seconds} s"
