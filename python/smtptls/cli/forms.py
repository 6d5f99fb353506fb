"""The forms of what smtptls check prints: text, JSON, CSV, a line for Nagios; and the sum of many targets."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from . import document, report
from .exits import Exit, worst
from .output import Output, add_colour

if TYPE_CHECKING:
    from .check import Checked

# The columns of --csv, and where a value is in what --json has of a host.
COLUMNS = {
    "target": "target",
    "host": "host",
    "port": "port",
    "address": "address",
    "protocol": "protocol",
    "result": "result",
    "level": "level",
    "action": "verdict.action",
    "effective": "verdict.effective",
    "auth": "verdict.auth",
    "why": "verdict.why",
    "status": "verdict.status",
    "tlsrpt": "verdict.tlsrpt",
    "message": "verdict.message",
    "starttls": "smtp.starttls",
    "tls": "tls.version",
    "cipher": "tls.cipher",
    "group": "tls.group",
    "post_quantum": "tls.post_quantum",
    "trusted": "pkix.trusted",
    "name_matched": "pkix.name_matched",
    "names": "certificate.names",
    "issuer": "certificate.issuer",
    "key": "certificate.key",
    "key_bits": "certificate.key_bits",
    "not_after": "certificate.not_after",
    "days_left": "certificate.days_left",
    "warnings": "warnings",
    "errors": "errors",
    "started": "started",
    "elapsed_ms": "elapsed_ms",
}
# What a spreadsheet would run, where a cell begins so: = + - @, also their wide forms, and white space.
_FORMULA = re.compile("[=+\\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")
_COLOUR = re.compile(r"\x1b\[[0-9]*m")
STATES = {Exit.OK: "OK", Exit.WARNED: "WARNING", Exit.UNDECIDED: "UNKNOWN", Exit.FAILED: "CRITICAL"}
# The exit codes of --nagios, by the guidelines for monitoring plugins.
NAGIOS = {Exit.OK: 0, Exit.WARNED: 1, Exit.FAILED: 2, Exit.UNDECIDED: 3}


def add(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    forms = output.add_mutually_exclusive_group()
    for name, summary in (
        ("json", "one document, for one target"),
        ("jsonl", "a line of JSON for each target"),
        ("csv", "a table with a row for each host"),
        ("nagios", "one line for all targets, and the exit codes of a monitoring plugin: 0, 1, 2, 3"),
        ("pem", "the certificates that were shown"),
    ):
        forms.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=summary)
    forms.add_argument(
        "-q", "--quiet", dest="form", action="store_const", const="quiet", help="the exit code alone"
    )
    output.add_argument("-v", "--verbose", action="store_true", help="also what was said in plaintext")
    add_colour(output)  # type: ignore[arg-type]


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
        if not isinstance(result.target, str) or not isinstance(result.text, str):
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

    def nagios(self, least_days: int) -> tuple[str, int]:
        """The line for a monitoring system, and its exit code."""
        state = Exit.WARNED if self.exit is Exit.OK and self.warnings else self.exit
        counts = self.exits
        parts = []
        if self.total > 1:
            parts.append(
                f"{self.total} targets, {counts[Exit.FAILED]} critical, "
                f"{counts[Exit.UNDECIDED] + self.total - self.done} unknown, {self.warnings} with warnings"
            )
        if self.gravest is not None:
            parts.append(f"{report.shown(self.gravest.target)}: {self.gravest.brief}")
        days = f"days={self.days};{least_days}:;0: " if self.days is not None else ""
        # The bar would begin the numbers.
        text = "; ".join(parts).replace("|", "/")
        return f"SMTPTLS {STATES[state]} - {text} | {days}time={self.longest:.3f}s", NAGIOS[state]


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


class Page(Output):
    """An output that is kept, in colour: whoever prints it takes the colour away where there is none."""

    def __init__(self, width: int) -> None:
        self.stream = self.kept = io.StringIO()
        self.coloured = True
        self.width = width


class Printer:
    """Standard output, for results in their form."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._output = Output(options.color)
        self._is_text = options.form is None
        self._is_first = True
        self._heading = _rows([COLUMNS]) if options.form == "csv" else ""
        self._was_open = self._output.stream is not None
        self.is_terminal = self._output.stream is not None and self._output.stream.isatty()
        self.width = self._output.width

    @property
    def is_closed(self) -> bool:
        """Whether its reader has gone."""
        return self._was_open and self._output.stream is None

    def print(self, text: str) -> None:
        """A result, or the end line."""
        if self._is_first:
            text = self._heading + text
        elif self._is_text:
            text = f"\n{text}"
        self._is_first = False
        if text:
            self._output.line((text if self._output.coloured else _COLOUR.sub("", text)).removesuffix("\n"))
            self._output.flush()


def undone(message: str) -> int:
    """What a monitoring system is told of a run that could not begin."""
    output = Output("never")
    output.line(f"SMTPTLS {STATES[Exit.UNDECIDED]} - {message}".replace("|", "/"))
    output.flush()
    return NAGIOS[Exit.UNDECIDED]


def result(checked: Checked, options: argparse.Namespace, width: int) -> Result:
    """What is kept of a target that was checked, and printed in its turn."""
    from .check import days_left

    ends = [host.probe.info.peer_not_after for host in checked.hosts if host.probe.info is not None]
    return Result(
        checked.target.text,
        checked.exit,
        bool(checked.warnings) or any(host.warnings for host in checked.hosts),
        _brief(checked),
        min((left for end in ends if (left := days_left(end, options.at)) is not None), default=None),
        sum(host.probe.elapsed for host in checked.hosts),
        _FORMS[options.form](checked, options, width) if options.form in _FORMS else "",
    )


def _brief(checked: Checked) -> str:
    """A line on the host that is worst."""
    host = checked.hosts[0]
    for other in checked.hosts[1:]:
        if worst((host.exit, other.exit)) is not host.exit:
            host = other
    name = f"{report.shown(host.name)}: " if checked.mx else ""
    error = host.verdict.error
    if not host.errors:
        said = f"{host.verdict.word} at level {host.level}"
    elif host.verdict.is_met or error is None:
        said = ", ".join(host.errors)
    else:
        said = f"{', '.join(host.errors)}: {error.message}"
    warnings = [*(word for word, _ in checked.warnings), *host.warnings]
    return f"{name}{said}" + (f" ({', '.join(warnings)})" if warnings else "")


def _text(checked: Checked, options: argparse.Namespace, width: int) -> str:
    page = Page(width)
    report.report(page, checked, options.verbose)
    return page.kept.getvalue()


def _json(checked: Checked, options: argparse.Namespace, width: int) -> str:
    return json.dumps(document.document(checked), indent=2, ensure_ascii=False)


def _jsonl(checked: Checked, options: argparse.Namespace, width: int) -> str:
    return json.dumps(document.document(checked), ensure_ascii=False)


def _csv(checked: Checked, options: argparse.Namespace, width: int) -> str:
    found = document.document(checked)
    rows = []
    for host in found["hosts"]:
        row = {**found, **host, "verdict": host["verdicts"][host["level"]]}
        row["result"] = report.RESULTS[Exit(host["exit"])]
        rows.append([_cell(_inside(row, path)) for path in COLUMNS.values()])
    return _rows(rows)


def _rows(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _inside(found: Any, path: str) -> Any:
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        value = " ".join(value)
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return value


def _pem(checked: Checked, options: argparse.Namespace, width: int) -> str:
    return "".join(host.probe.info.peer_chain_pem for host in checked.hosts if host.probe.info)


_FORMS: dict[str | None, Callable[[Checked, argparse.Namespace, int], str]] = {
    None: _text,
    "json": _json,
    "jsonl": _jsonl,
    "csv": _csv,
    "pem": _pem,
}
