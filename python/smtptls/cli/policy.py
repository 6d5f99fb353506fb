"""smtptls policy: what senders would do with a host of which these things are known. No network."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from .._enums import Code
from .._errors import Error, WantInput, WantOutput
from .._native import Config, Policy, Session, __version__
from . import check, report
from . import options as shared
from .exits import Exit, Stop
from .facts import AUTO, LEVELS, parse_target
from .output import Output, add_colour
from .tlsa import read_chain
from .verdict import Verdict, judge

SCHEMA = "smtptls.policy/1"
EXAMPLES = """  smtptls policy mx.example.com --chain chain.pem
  smtptls policy mx.example.com --chain new.pem --level dane \\
      --dnssec secure --tlsa "3 1 1 0f1e..."
  smtptls policy mx.example.com --sts policy.txt --no-starttls"""


def add(commands: Any) -> None:
    parser = shared.add_command(
        commands,
        "policy",
        run,
        "tell what senders would do with a host, by facts alone",
        EXAMPLES,
        "Rehearse a new certificate, TLSA record or MTA-STS policy before it is published.",
    )
    parser.add_argument("host", type=shared.host, metavar="HOST", help="the MX host")
    shown = parser.add_mutually_exclusive_group(required=True)
    shown.add_argument("--chain", metavar="PEM", help="the certificates that it would show, its own first")
    shown.add_argument("--no-starttls", action="store_true", help="it would not offer STARTTLS")
    parser.add_argument(
        "--level",
        choices=(AUTO, *LEVELS),
        default=AUTO,
        metavar="LEVEL",
        help="the level that the exit code is about; default: auto",
    )
    shared.add_facts(parser, connects=False)
    shared.add_time(parser)
    shared.add_trust(parser, connects=False)
    parser.add_argument("--json", action="store_true", help=f"a document of schema {SCHEMA}")
    add_colour(parser)


def run(options: argparse.Namespace) -> int:
    target = parse_target(f"[{options.host}]")
    # MX records are known of where the next hop is another name.
    target = replace(target, text=options.host, is_domain=options.next_hop is not None)
    facts = shared.make_facts(options, target)
    check.fitting(options, target, facts)
    config = shared.make_config(options)
    chain = read_chain(options.chain) if options.chain else None
    failure = None if chain else not_offered(target.host)
    at = None if options.at is None else options.at.timestamp()
    verdicts = {
        level: judge(config, facts, level, target.host, chain, failure, at=at) for level in facts.levels()
    }
    level = facts.chosen(options.level, target.host)
    exit_code = _exit(verdicts[level])
    output = Output(options.color)
    if options.json:
        output.json(
            {
                "schema": SCHEMA,
                "tool": f"smtptls {__version__}",
                "host": target.host,
                "level": level,
                "ok": exit_code is Exit.OK,
                "exit": int(exit_code),
                "verdicts": {name: verdict.document() for name, verdict in verdicts.items()},
            }
        )
    else:
        output.line(report.shown(target.host))
        report.table(output, verdicts, level)
        means = f"auto = {level}" if options.level == AUTO else level
        output.line(f"{report.shown(target.host)}: {output.word(report.RESULTS[exit_code])} (level {means})")
    output.flush()
    return exit_code


def _exit(verdict: Verdict) -> Exit:
    if verdict.is_met:
        return Exit.OK
    return Exit.UNDECIDED if verdict.is_transient or verdict.action == "unknown" else Exit.FAILED


def not_offered(host: str) -> Error:
    """What the engine makes of a server without STARTTLS at level may."""
    session = Session.client(Config(hostname="localhost"), Policy("may"), host)
    for reply in (b"220 localhost\r\n", b"250 localhost\r\n"):
        try:
            session.start()
        except (WantInput, WantOutput):
            session.sent(len(session.output()))
        session.feed(reply)
    try:
        session.start()
    except Error as error:
        if error.code is Code.NOT_OFFERED:
            return error
        raise
    raise Stop("the engine took a server without STARTTLS for one", Exit.INTERNAL)
