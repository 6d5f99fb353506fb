"""smtptls audit: a server of one's own against RFC 3207 and against injection, row by row."""

from __future__ import annotations

import argparse
import datetime
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from .._enums import Protocol
from .._native import Config, __version__
from . import options as shared
from .auditing.rows import Finding, Result, ask
from .auditing.talk import Audited
from .exits import Exit, Stop
from .facts import Target, parse_target
from .output import Output, add_colour
from .report import RESULTS, shown

SCHEMA = "smtptls.audit/1"
EXAMPLES = """  smtptls audit localhost:25
  smtptls audit '[mx.example.com]' --json
  smtptls audit submissions:smtp.example.com -v"""

WORDS = {Result.PASS: "OK", Result.FAIL: "FAIL", Result.SKIP: "SKIP", Result.UNDECIDED: "UNDECIDED"}


def add(commands: Any) -> None:
    parser = shared.add_command(
        commands,
        "audit",
        run,
        "test a server of your own against RFC 3207, and against injection",
        EXAMPLES,
        "TARGET is [HOST], HOST:PORT, submission:HOST, submissions:HOST (TLS from the first byte), "
        "lmtp:HOST:PORT or unix:/PATH (LMTP). Some twenty connections, one after the other, say what a "
        "client should not; no message is sent. Certificates are not judged: smtptls check does that.",
    )
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument(
        "--to",
        type=recipient,
        default="postmaster",
        metavar="ADDRESS",
        help="a recipient that the server takes; default: postmaster",
    )
    shared.add_identity(parser.add_argument_group("who we are"))
    shared.add_network(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help=f"a document of schema {SCHEMA}")
    output.add_argument("-v", "--verbose", action="store_true", help="what was sent and wanted, of all rows")
    add_colour(output)  # type: ignore[arg-type]


def run(options: argparse.Namespace) -> int:
    target = parse_target(options.target)
    if target.is_domain:
        raise Stop(f"an audit is of one host: say [{target.host}], or the name of an MX host in brackets")
    if options.key and not options.cert:
        raise Stop("--key goes with --cert")
    own = [(options.cert, options.key or options.cert)] if options.cert else []
    config = Config(hostname=options.helo, keypairs=own)
    audited = Audited(shared.make_place(options, target, target.host), config, options.to)
    started, began = datetime.datetime.now(datetime.UTC), time.monotonic()
    output = Output(options.color)
    if options.json:
        findings = list(ask(audited))
        elapsed = time.monotonic() - began
        output.json(document(target, audited, findings, verdict(findings), started, elapsed))
    else:
        findings = report(output, target, ask(audited), options.verbose)
    output.flush()
    return verdict(findings)


def verdict(findings: list[Finding]) -> Exit:
    results = {finding.result for finding in findings}
    if Result.FAIL in results:
        return Exit.FAILED
    return Exit.UNDECIDED if Result.UNDECIDED in results else Exit.OK


def document(
    target: Target,
    audited: Audited,
    findings: list[Finding],
    exit_code: Exit,
    started: datetime.datetime,
    elapsed: float,
) -> dict[str, Any]:
    """As audit.schema.json says. Keys are only added."""
    counts = Counter(finding.result for finding in findings)
    place = audited.place
    return {
        "schema": SCHEMA,
        "tool": f"smtptls {__version__}",
        "target": target.text,
        "host": place.host,
        "port": None if place.path else place.port,
        "protocol": "lmtp" if place.protocol is Protocol.LMTP else "smtp",
        "implicit_tls": place.implicit_tls,
        "ok": exit_code is Exit.OK,
        "exit": int(exit_code),
        "started": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "elapsed_ms": round(elapsed * 1000),
        "counts": {result.value: counts[result] for result in Result},
        "rows": [
            {
                "row": finding.row.name,
                "requirements": list(finding.row.requirements),
                "citation": finding.row.citation,
                "sent": finding.row.sent,
                "wanted": finding.row.wanted,
                "result": finding.result.value,
                "came": finding.came,
            }
            for finding in findings
        ],
    }


def report(output: Output, target: Target, asked: Iterator[Finding], is_verbose: bool) -> list[Finding]:
    """For a person, who sees each row as soon as it is known; gives them all."""
    output.line(shown(target.text))
    findings = []
    for finding in asked:
        findings.append(finding)
        _tell(output, finding, is_verbose)
        output.flush()
    counts = Counter(finding.result for finding in findings)
    summary = ", ".join(f"{counts[result]} {result.value}" for result in Result if counts[result])
    output.line(f"{shown(target.text)}: {output.word(RESULTS[verdict(findings)])} ({summary})")
    return findings


def _tell(output: Output, finding: Finding, is_verbose: bool) -> None:
    """A line or two, and more of a row that did not pass."""
    row, result = finding.row, finding.result
    head = f"{row.name:<20} {row.requirements[0]:<13} "
    came = textwrap.wrap(finding.came, max(20, output.width - len(head) - 12)) or [""]
    output.line(f"  {output.word(WORDS[result], 9)} {head}{came[0]}")
    for line in came[1:]:
        output.line(" " * (12 + len(head)) + line)
    if is_verbose or result in (Result.FAIL, Result.UNDECIDED):
        source = f"{row.citation} ({', '.join(row.requirements)})"
        for label, text in (("sent", row.sent), ("wanted", row.wanted), ("by", source)):
            output.note(f"{label:<7}{text}", 12)


def recipient(text: str) -> str:
    """An address that breaks no command."""
    if not text.isascii() or not text.isprintable() or set(text) & set("<> ") or not text:
        raise argparse.ArgumentTypeError(f"{text!r} is no address")
    return text
