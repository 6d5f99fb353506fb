"""The forms of what smtptls check prints: text, JSON, CSV, a line for Nagios."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING, Any

from . import document, report
from .exits import Exit, worst
from .output import Output, add_colour
from .tally import Result, Tally

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
        # Whether what is printed may come to stand on a terminal; a pipe may lead there.
        self.may_show = self._output.stream is not None and not _is_file(self._output.stream)
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


def _is_file(stream: IO[str]) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return True  # kept in memory


def nagios(tally: Tally, least_days: int) -> tuple[str, int]:
    """The line for a monitoring system, and its exit code."""
    state = Exit.WARNED if tally.exit is Exit.OK and tally.warnings else tally.exit
    counts = tally.exits
    parts = []
    if tally.total > 1:
        parts.append(
            f"{tally.total} targets, {counts[Exit.FAILED]} critical, "
            f"{counts[Exit.UNDECIDED] + tally.total - tally.done} unknown, {tally.warnings} with warnings"
        )
    if tally.gravest is not None:
        parts.append(f"{report.shown(tally.gravest.target)}: {tally.gravest.brief}")
    days = f"days={tally.days};{least_days}:;0: " if tally.days is not None else ""
    # The bar would begin the numbers.
    text = "; ".join(parts).replace("|", "/")
    return f"SMTPTLS {STATES[state]} - {text} | {days}time={tally.longest:.3f}s", NAGIOS[state]


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
        checked.elapsed,
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
    return json.dumps(document.document(checked), indent=2)


def _jsonl(checked: Checked, options: argparse.Namespace, width: int) -> str:
    return json.dumps(document.document(checked))


def _csv(checked: Checked, options: argparse.Namespace, width: int) -> str:
    found = document.document(checked)
    rows = []
    for host in found["hosts"]:
        row = {**found, **host, "verdict": host["verdicts"][host["level"]]}
        row["result"] = report.RESULTS[Exit(host["exit"])]
        rows.append([cell(_inside(row, path)) for path in COLUMNS.values()])
    return _rows(rows)


def _rows(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _inside(found: Any, path: str) -> Any:
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def cell(value: Any) -> Any:
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
