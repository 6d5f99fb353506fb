"""smtptls sts: reads an MTA-STS policy and its DNS record, and says which hosts the policy names."""

from __future__ import annotations

import argparse
import os
from typing import Any

from .._errors import ConfigError
from .._native import StsPolicy, StsRecord, escape
from . import options as shared
from .exits import Exit, Stop
from .output import Output, add_colour

EXAMPLES = """  smtptls sts parse policy.txt --txt "v=STSv1; id=20260101;"
  curl -s https://mta-sts.example.com/.well-known/mta-sts.txt |
      smtptls sts parse -
  smtptls sts match policy.txt mx1.example.com mx2.example.com"""

MEANINGS = {
    "enforce": "no mail to a host that is not named, or whose certificate is not good",
    "testing": "mail goes all the same, and failures are reported",
    "none": "as if there were no policy",
}


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "sts",
        help="read MTA-STS policies, and match hosts",
        description="MTA-STS policies (RFC 8461): read, match.",
        epilog=f"examples:\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parts = parser.add_subparsers(metavar="WHAT", required=True, dest="what")
    reader = shared.add_command(
        parts, "parse", parse, "read a policy as a sender would, and say what it means", EXAMPLES
    )
    reader.add_argument("file", metavar="POLICY", help="the text of the policy; - is stdin")
    reader.add_argument("--txt", action="append", metavar="TEXT", help="a TXT record of _mta-sts.DOMAIN")
    match = shared.add_command(
        parts, "match", compare, "say whether a policy names hosts", EXAMPLES,
        "Exit code 0: it names them all.",
    )  # fmt: skip
    match.add_argument("file", metavar="POLICY", help="the text of the policy; - is stdin")
    match.add_argument("hosts", nargs="+", metavar="HOST", help="an MX host")
    for part in (reader, match):
        add_colour(part)


def read(path: str) -> StsPolicy | ConfigError:
    """A policy, or why it is none."""
    try:
        return StsPolicy.parse(shared.read_file(path, shared.LARGEST_STS))
    except ConfigError as error:
        return error


def parse(options: argparse.Namespace) -> int:
    output = Output(options.color)
    found = read(options.file)
    is_good = _record(output, options.txt) if options.txt else True
    if isinstance(found, ConfigError):
        output.line(f"{output.word('FAIL')}: a sender cannot use this policy")
        output.note(f"{found.message}; TLSRPT {found.tlsrpt or 'sts-policy-invalid'}", 2)
        output.flush()
        return Exit.FAILED
    output.field("mode", f"{found.mode.label}: {MEANINGS[found.mode.label]}")
    days = found.max_age / 86400
    output.field("max_age", f"{found.max_age} s, {days:.3g} {'day' if days == 1 else 'days'}")
    output.field("mx", ", ".join(found.mx) or "none")
    output.flush()
    return Exit.OK if is_good else Exit.FAILED


def _record(output: Output, texts: list[str]) -> bool:
    try:
        record = StsRecord.find(texts)
    except ConfigError as error:
        output.field("record", f"unusable, so no sender looks for the policy: {error.message}")
        return False
    if record is None:
        output.field("record", "none of these is for MTA-STS: it begins with v=STSv1;")
        return False
    output.field("record", f"id {record.id}")
    return True


def compare(options: argparse.Namespace) -> int:
    found = read(options.file)
    if isinstance(found, ConfigError):
        raise Stop(f"{escape(os.fsencode(options.file))}: {found.message}", Exit.FAILED)
    output = Output(options.color)
    exits = []
    for host in options.hosts:
        fits = found.matches(host)
        exits.append(fits)
        output.line(f"{output.word('OK' if fits else 'FAIL', 5)} {escape(host.encode())}")
        if not fits:
            output.note(f"the policy names {', '.join(found.mx) or 'no host'}", 6)
    output.flush()
    return Exit.OK if all(exits) else Exit.FAILED
