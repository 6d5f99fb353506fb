"""smtptls check: one probe of a server, and what a sender of every level would do with it."""

from __future__ import annotations

import argparse
import datetime
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._enums import StsMode
from .._errors import ConfigError, Error
from .._native import Config, Policy
from . import batch, forms, gather, targets
from . import options as shared
from .exits import Exit, Stop, worst
from .facts import AUTO, LEVELS, Facts, Target, parse_target
from .gate import Gate
from .probe import Place, Probe, addresses, probe
from .verdict import Verdict, judge

EXAMPLES = """  smtptls check example.com
  smtptls check mx.example.com:25
  smtptls check --level verify --ca ca.pem '[mx.example.com]'
  smtptls check submissions:smtp.example.com
  smtptls check example.com --mx mx.example.com --dnssec secure \\
      --tlsa "3 1 1 0f1e..." --resolve mx.example.com:25:192.0.2.1
  smtptls check mx.example.com:25 --sts policy.txt --json
  smtptls check -f hosts.txt --csv --resume hosts.state > hosts.csv"""

PQ_GROUPS = ("MLKEM", "KYBER")  # in the names of groups that a quantum computer does not break
# For --require-pq: else the key share is for X25519, and a server that has both may take that.
PQ_FIRST = ("X25519MLKEM768", "x25519", "secp256r1", "secp384r1")
VERSIONS = ("1.2", "1.3")


@dataclass
class Host:
    """A host of a target: what was found, and what that means."""

    name: str
    facts: Facts
    probe: Probe
    verdicts: dict[str, Verdict]
    level: str  # the row of the table that counts
    warnings: list[str]
    errors: list[str]
    exit: Exit
    at: datetime.datetime | None = None  # the time that is judged for, if not the present
    doubt: str | None = None  # why the chain is not trusted, at that time

    @property
    def verdict(self) -> Verdict:
        return self.verdicts[self.level]

    @property
    def is_trusted(self) -> bool:
        """Whether the chain leads to a trust anchor."""
        info = self.probe.info
        return info is not None and (info.trusted if self.at is None else self.doubt is None)


@dataclass
class Checked:
    """A target, with all its hosts."""

    target: Target
    asked: str  # the level that was asked for
    mx: Sequence[tuple[int | None, str]]
    hosts: list[Host]
    started: datetime.datetime
    exit: Exit
    warnings: tuple[tuple[str, str], ...] = ()  # of the target: each a stable word, and a text
    elapsed: float = 0.0  # seconds, with the lookups


def add(commands: Any) -> None:
    parser = shared.add_command(
        commands,
        "check",
        run,
        "probe a server, and tell what a sender at each level would do, and why",
        EXAMPLES,
        "TARGET is a domain, whose MX hosts are probed, [HOST], HOST:PORT, submission:HOST, submissions:HOST "
        "(TLS from the first byte), lmtp:HOST:PORT or unix:/PATH (LMTP).",
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument(
        "--level",
        choices=(AUTO, *LEVELS),
        default=AUTO,
        metavar="LEVEL",
        help=f"the level that the exit code is about: {', '.join(LEVELS)}; or auto, the default, which is "
        "what an MTA does: dane, else sts, else may, by the facts that are given",
    )
    parser.add_argument(
        "--mx",
        action="append",
        default=[],
        type=mx,
        metavar="HOST[:PREFERENCE]",
        help="an MX host of the domain",
    )
    parser.add_argument("--first", action="store_true", help="only the first MX host, not all")
    parser.add_argument(
        "--all-addresses",
        action="store_true",
        help="every address of a host, and not the first one only that takes a connection",
    )
    shared.add_facts(parser)
    shared.add_time(parser)
    gather.add_dns(parser)
    shared.add_trust(parser)
    shared.add_network(parser)
    parser.add_argument(
        "--deadline",
        type=shared.seconds,
        default=120.0,
        metavar="SECONDS",
        help="for all of a target; default: 120",
    )
    limits = parser.add_argument_group("thresholds")
    limits.add_argument(
        "--min-days",
        type=days,
        default=14,
        metavar="DAYS",
        help="warn when the certificate ends in less; default: 14",
    )
    limits.add_argument("--require-pq", action="store_true", help="fail without a post-quantum key exchange")
    limits.add_argument("--min-tls", choices=VERSIONS, help="fail below this version of TLS")
    limits.add_argument(
        "--warnings-as-errors", action="store_true", help="exit code 4 where there are only warnings"
    )
    batch.add(parser)
    forms.add(parser)


def run(options: argparse.Namespace) -> int:
    try:
        return _run(options)
    except (Stop, ConfigError) as error:
        if options.form != "nagios" or getattr(error, "exit_code", Exit.USAGE) is not Exit.USAGE:
            raise
        return forms.undone(str(error) if isinstance(error, Stop) else error.message)


def _run(options: argparse.Namespace) -> int:
    shared.fitting_stdin({"the targets (-f -)": options.file, "the policy (--sts -)": options.sts})
    texts = targets.read(options, lambda text: _planned(text, options))
    if options.form == "json" and len(texts) > 1:
        raise Stop("--json is one document for one target; --jsonl has a line for each")
    config = shared.make_config(options, PQ_FIRST if options.require_pq else None)
    return batch.run(
        texts, lambda text, gate: check(config, *_planned(text, options), options, gate), options
    )


def _planned(text: str, options: argparse.Namespace) -> tuple[Target, list[tuple[int | None, str]], Facts]:
    """What the options say of a target; raises Stop or ConfigError where that makes no sense."""
    target = parse_target(text)
    hosts = hosts_of(target, options)
    facts = shared.make_facts(options, target)
    Policy("may", next_hop=facts.next_hop)
    fitting(options, target, facts)
    return target, hosts, facts


def hosts_of(target: Target, options: argparse.Namespace) -> list[tuple[int | None, str]]:
    """The hosts of a target with their preferences, the most preferred first; none where the DNS is asked."""
    if not target.is_domain:
        if options.mx:
            raise Stop(f"--mx is for a domain, and {target.text} is a host")
        return [(None, target.host)]
    if not options.mx:
        if gather.is_online(options, target):
            return []  # the DNS knows
        raise Stop(
            f"the MX hosts of {target.host} are not known: give --mx HOST, leave --dns off away, or say "
            f"[{target.host}] for the host itself"
        )
    found = sorted(options.mx, key=lambda one: one[0])
    return found[:1] if options.first else found


def fitting(options: argparse.Namespace, target: Target, facts: Facts) -> None:
    """A level without the facts that it goes by is a mistake, and not a verdict on the server."""
    level = options.level
    if level == "fingerprint" and level not in facts.levels():
        raise Stop("--level fingerprint goes with --fingerprint or --key-fingerprint")
    if gather.is_online(options, target):
        return
    if level in ("dane", "dane-only") and options.tlsa_dnssec is None and options.dnssec is None:
        raise Stop(
            f'--level {level} goes with --dns, or with --dnssec secure and --tlsa "3 1 1 ...", or what else '
            "the DNS says"
        )
    if level == "sts" and not facts.has_sts:
        raise Stop(
            "--level sts goes with --dns, with --sts FILE, or with --sts off where the domain has no policy"
        )


def check(
    config: Config,
    target: Target,
    hosts: list[tuple[int | None, str]],
    facts: Facts,
    options: argparse.Namespace,
    gate: Gate | None = None,
) -> Checked:
    started = datetime.datetime.now(datetime.UTC)
    began = time.monotonic()
    by = began + options.deadline
    known = gather.complete(target, hosts, facts, options, by)
    found: list[Host] = []
    waited = 0.0  # at the gate, which is no part of the time that a target has or takes
    for candidate in known.hosts:
        for place in _places(target, candidate, options, by):
            place.by += waited
            host = _check_host(config, candidate, place, options, gate)
            waited += host.probe.waited
            found.append(host)
    mx = [
        (one.preference, one.name) for one in known.hosts if target.is_domain and one.preference is not None
    ]
    exit_code = worst(host.exit for host in found)
    if known.warnings and options.warnings_as_errors:
        exit_code = worst((exit_code, Exit.WARNED))
    elapsed = time.monotonic() - began - waited
    return Checked(target, options.level, mx, found, started, exit_code, known.warnings, elapsed)


def _places(
    target: Target, candidate: gather.Candidate, options: argparse.Namespace, by: float
) -> Iterator[Place]:
    """Where a host is to be probed: once, or at each of its addresses."""
    place = replace(gather.place(options, target, candidate), by=by)
    if options.all_addresses and candidate.failure is None and place.path is None:
        try:
            found = [(str(address[0]), int(address[1])) for _, address in addresses(place)]
        except Error:
            found = []  # the probe says why
        for address in dict.fromkeys(found):
            yield replace(place, addresses=(address,))
        if found:
            return
    yield place


def _check_host(
    config: Config,
    candidate: gather.Candidate,
    place: Place,
    options: argparse.Namespace,
    gate: Gate | None,
) -> Host:
    name, facts = candidate.name, candidate.facts
    if candidate.failure is not None:
        found = Probe(place, error=candidate.failure)
    else:
        sni = facts.sni
        if sni is ... and facts.has_dane and facts.tlsa_base:
            sni = facts.tlsa_base  # as DANE wants it (RFC 7672 section 8.1)
        # Where nothing is enforced a session tells what would have failed, for a report.
        testing = facts.sts if facts.sts is not None and facts.sts.mode is StsMode.TESTING else None
        asking = Policy("may", sni=sni, next_hop=facts.next_hop, mx_dnssec=facts.mx_dnssec, sts=testing)
        found = probe(config, asking, name, place, gate)
    at = None if options.at is None else options.at.timestamp()
    verdicts = {
        level: judge(
            config,
            facts,
            level,
            name,
            found.chain,
            found.error,
            at,
            not place.implicit_tls,
        )
        for level in facts.levels()
    }
    level = facts.chosen(options.level, name)
    host = Host(name, facts, found, verdicts, level, [], [], Exit.OK, options.at)
    if at is not None and found.chain:
        host.doubt = _doubt(config, name, found, at)
    host.warnings, host.errors = _weighed(host, options)
    host.exit = _exit(host, options.warnings_as_errors)
    return host


def _doubt(config: Config, name: str, found: Probe, at: float) -> str | None:
    """Why the chain would not be trusted at another time."""
    try:
        config.judge(Policy("verify", insecure_any_name=True), name, found.chain, now=at)
    except Error as error:
        return error.message
    return None


def _weighed(host: Host, options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Warnings and errors, each a stable word."""
    found, facts, verdict = host.probe, host.facts, host.verdict
    warnings, errors = [], []
    if not verdict.is_met:
        errors.append(verdict.why or "unknown")
    elif verdict.action == "clear" and verdict.level != "none":
        warnings.append("plaintext")
    if (info := found.info) is not None:
        left = days_left(info.peer_not_after, host.at)
        if left is not None and 0 <= left < options.min_days:
            warnings.append("expiry")
        if found.error is None and any(word.upper() == "STARTTLS" for word in found.ehlo_after):
            warnings.append("starttls-after-tls")
        if options.require_pq and not is_post_quantum(info.group):
            errors.append("pq-missing")
        if options.min_tls and info.version < f"TLSv{options.min_tls}":
            errors.append("tls-version")
    elif verdict.is_met and (options.require_pq or options.min_tls):
        errors.append("pq-missing" if options.require_pq else "tls-version")
    if any(record.unusable for record in facts.tlsa):
        warnings.append("dane-unusable")
    return warnings, errors


def _exit(host: Host, strict: bool) -> Exit:
    if host.errors:
        verdict = host.verdict
        is_open = not verdict.is_met and (verdict.is_transient or verdict.action == "unknown")
        return Exit.UNDECIDED if is_open and len(host.errors) == 1 else Exit.FAILED
    return Exit.WARNED if host.warnings and strict else Exit.OK


def days_left(end: datetime.datetime | None, at: datetime.datetime | None = None) -> int | None:
    """From now, or from another time."""
    if end is None:
        return None
    return math.floor((end - (at or datetime.datetime.now(datetime.UTC))).total_seconds() / 86400)


def is_post_quantum(group: str | None) -> bool:
    return group is not None and any(word in group.upper() for word in PQ_GROUPS)


def mx(text: str) -> tuple[int, str]:
    host, _, preference = text.partition(":")
    target = shared.host(host)
    if preference and not (preference.isdecimal() and int(preference) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r}: a preference is from 0 to 65535")
    return int(preference or 0), target


def days(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days")
    return int(text)
