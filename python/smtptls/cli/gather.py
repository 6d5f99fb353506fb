"""The facts of a target: what options give stands, and the DNS and the web are asked for the rest."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import math
import re
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING

from .._enums import Action, Code, Dnssec
from .._errors import ConfigError, Error
from .._native import StsRecord, escape
from .exits import Exit, Stop
from .facts import Facts, StsFound, Target, is_address
from .options import make_place
from .output import complain
from .probe import Place

if TYPE_CHECKING:
    from .lookup import Dns

TRUSTS = ("ad-loopback", "ad", "none")
Server = tuple[str, int]


@dataclass(frozen=True)
class Candidate:
    """A host that mail may go to."""

    name: str
    preference: int | None
    facts: Facts
    addresses: tuple[str, ...] = ()  # none: as the system's name service says
    failure: Error | None = None  # why there is no going there


@dataclass(frozen=True)
class Known:
    """What is known of a target."""

    hosts: tuple[Candidate, ...]
    warnings: tuple[tuple[str, str], ...] = ()  # each a stable word, and a text


def add_dns(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "DNS and web", "What is given by hand is not looked up. This needs the extra smtptls[cli]."
    )
    group.add_argument(
        "--dns",
        type=server,
        metavar="SERVER",
        help="ask for MX, addresses, TLSA and MTA-STS: system, ADDRESS[:PORT] or off; default: system for a "
        "domain whose MX hosts are not given, else off",
    )
    group.add_argument(
        "--dnssec-trust",
        choices=TRUSTS,
        default="ad-loopback",
        help="whose AD bit is believed: that of a name server on loopback, the default; any; none",
    )


def server(text: str) -> Server | str:
    """Reads system, off or ADDRESS[:PORT], an IPv6 address with a port in brackets."""
    if text in ("system", "off"):
        return text
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(text)), 53
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([0-9.]+))(?::([0-9]{1,5}))?", text)
    with contextlib.suppress(ValueError):
        if found and 0 < int(found[3] or 53) < 65536:
            return str(ipaddress.ip_address(found[1] or found[2])), int(found[3] or 53)
    raise argparse.ArgumentTypeError(f"{text!r} is not system, off, ADDRESS or ADDRESS:PORT")


def is_online(options: argparse.Namespace, target: Target) -> bool:
    """Whether the DNS is asked for what is not given by hand."""
    if not hasattr(options, "dns") or target.path is not None:
        return False
    if options.dns is not None:
        return bool(options.dns != "off")
    return target.is_domain and not getattr(options, "mx", None)


def complete(
    target: Target,
    hosts: list[tuple[int | None, str]],
    facts: Facts,
    options: argparse.Namespace,
    by: float = math.inf,
) -> Known:
    """Looks up what is missing, by a time of time.monotonic().

    hosts: those that are given; where there are none, the MX records say.
    facts: those that are given.
    """
    given = [kind for kind in ("mx", "address", "tlsa") if is_given(options, kind)]
    facts = replace(facts, sources=dict.fromkeys(given, "given"))
    if not is_online(options, target):
        if options.sts == "fetch":
            raise Stop("--sts fetch goes with --dns, which says whether the domain has a policy")
        return Known(tuple(Candidate(name, preference, facts) for preference, name in hosts))
    return _Search(target, options, module("lookup").Dns(*_servers(options)), by).run(hosts, facts)


def is_given(options: argparse.Namespace, kind: str) -> bool:
    """Whether options say what the DNS has of mx, address or tlsa."""
    return bool(
        options.dnssec
        or getattr(options, f"{kind}_dnssec")
        or (kind == "mx" and getattr(options, "mx", None))
        or (kind == "tlsa" and options.tlsa)
    )


def _servers(options: argparse.Namespace) -> tuple[Server | None, str]:
    return options.dns if isinstance(options.dns, tuple) else None, options.dnssec_trust


def module(name: str) -> ModuleType:
    """One of the modules that stand on packages of the extra."""
    import importlib

    try:
        return importlib.import_module(f".{name}", __package__)
    except ImportError as error:
        raise Stop(
            f"the DNS and the web are asked by packages of an extra ({error.name} is missing): "
            "pip install 'smtptls[cli]', or give the facts by hand: --mx, --tlsa, --dnssec, --sts"
        ) from error


class _Search:
    """Of one target."""

    def __init__(self, target: Target, options: argparse.Namespace, dns: Dns, by: float) -> None:
        self.target = target
        self.options = options
        self.dns = dns
        self.by = by
        self.port = target.port or options.port
        self.warnings: list[tuple[str, str]] = []

    def run(self, hosts: list[tuple[int | None, str]], facts: Facts) -> Known:
        if hosts:
            failure = None
        else:
            hosts, facts, failure = self._exchangers(facts)
        if failure is not None:
            return self._known([Candidate(self.target.host, None, facts, failure=failure)])
        if self.options.sts == "fetch" or (self.options.sts is None and self.target.is_domain):
            facts = self._sts(facts)
        return self._known([self._host(name, preference, facts) for preference, name in hosts])

    def _known(self, found: list[Candidate]) -> Known:
        """With what is not believed taken away: then it is not known."""
        if not is_given(self.options, "tlsa") and (doubt := self.dns.doubt()) is not None:
            # RFC 7672 section 2.2.1: to a sender without DNSSEC every answer is insecure.
            found = [replace(one, facts=replace(one.facts, doubt=doubt)) for one in found]
            self.warnings.append(("dnssec-unknown", f"DANE is not decidable: {doubt}"))
        return Known(tuple(found), tuple(self.warnings))

    def _exchangers(self, facts: Facts) -> tuple[list[tuple[int | None, str]], Facts, Error | None]:
        domain = self.target.host
        found = self.dns.exchangers(domain, self.by)
        answer, shown = found.answer, escape(domain.encode())
        facts = self._sourced(facts, "mx")
        if not is_given(self.options, "mx"):
            # Where there are no MX records, none led to the host.
            status = Dnssec.NONE if found.is_implicit else answer.status
            status = Dnssec.INSECURE if status is Dnssec.NONE and not found.is_implicit else status
            facts = replace(facts, mx_dnssec=status)
        if answer.status is Dnssec.SECURE and answer.name not in ("", domain.lower()):
            facts = replace(facts, next_hop_expanded=answer.name)
        if answer.has_failed:
            return [], facts, absent("4.4.3", answer.failure or f"the lookup of {shown} failed")
        if not answer.exists:
            return [], facts, absent("5.1.2", f"there is no domain {shown} in the DNS")
        if found.is_null:
            return [], facts, absent("5.1.10", f"{shown} takes no mail: it has a null MX record (RFC 7505)")
        if len(found.hosts) < len(answer.records) and not found.left_out:
            text = f"{shown} has a null MX record beside others, which RFC 7505 section 3 forbids"
            self.warnings.append(("null-mx-among-others", text))
        if found.left_out:
            text = f"{found.left_out} more MX hosts are left out: {len(found.hosts)} are looked at"
            self.warnings.append(("mx-left-out", text))
        hosts: list[tuple[int | None, str]] = list(found.hosts)
        return (hosts[:1] if getattr(self.options, "first", False) else hosts), facts, None

    def _sts(self, facts: Facts) -> Facts:
        """RFC 8461 section 3."""
        domain = facts.next_hop or self.target.host
        answer, texts = self.dns.texts(f"_mta-sts.{domain}", self.by)
        none = StsFound("none", source=self.dns.server)
        if answer.has_failed:
            return self._no_sts(facts, replace(none, message=answer.failure))
        try:
            record = StsRecord.find(texts)
        except ConfigError as error:
            return self._no_sts(facts, replace(none, message=error.message))
        if record is None:
            return replace(facts, has_sts=True, sts_found=none)
        return self._policy(facts, domain, record.id)

    def _policy(self, facts: Facts, domain: str, number: str) -> Facts:
        fetch = module("fetch")
        host = module("lookup").ascii_name(f"mta-sts.{domain}")
        found = StsFound("sts-policy-fetch-error", number, fetch.url(host))
        places = [where for name, at, where in self.options.resolve if (name, at) == (host, 443)]
        if not places:
            at = self.dns.addresses(host, self.options.family, self.by)
            places = [(address, 443) for address in at.addresses]
            if not places:
                why = at.failure or "the DNS has no address for it"
                message = f"the MTA-STS policy cannot be fetched from {escape(host.encode())}: {why}"
                return self._no_sts(facts, replace(found, message=message))
        try:
            policy = fetch.fetch(host, places, self.options.ca, self.by)
        except fetch.Unfetched as error:
            return self._no_sts(facts, replace(found, state=error.state, message=str(error)))
        return replace(facts, sts=policy, has_sts=True, sts_found=replace(found, state="ok"))

    def _no_sts(self, facts: Facts, found: StsFound) -> Facts:
        """RFC 8461 section 3.3: a sender that has kept none delivers as if there were none."""
        word = "sts-record" if found.state == "none" else found.state
        self.warnings.append((word, f"{found.message}; a sender that has kept none goes on without"))
        return replace(facts, has_sts=True, sts_found=found)

    def _host(self, name: str, preference: int | None, facts: Facts) -> Candidate:
        from .lookup import Addresses

        if is_address(name):  # RFC 7672 section 2.2: DANE does not apply
            if self.target.is_domain:
                text = f"an MX record names the address {name}, which RFC 5321 section 5.1 forbids"
                self.warnings.append(("mx-address", text))
            return Candidate(name, preference, facts)
        at = Addresses(Dnssec.NONE)
        if not any((name.lower(), self.port) == (host, port) for host, port, _ in self.options.resolve):
            at = self.dns.addresses(name, self.options.family, self.by)
            facts = self._sourced(facts, "address")
            if not is_given(self.options, "address"):
                facts = replace(facts, address_dnssec=at.status)
            if not at.addresses:
                return Candidate(name, preference, facts, failure=_no_address(name, at.failure))
            if self.target.is_domain and at.name not in ("", name.lower()):
                text = f"the MX host {escape(name.encode())} is an alias, which RFC 5321 section 5.1 forbids"
                self.warnings.append(("mx-alias", text))
        if not is_given(self.options, "tlsa"):
            if facts.tlsa_base:
                found = self.dns.records(facts.tlsa_base, self.port, self.by)
            else:
                found = self.dns.tlsa(name, at, self.port, self.by)
            facts = self._sourced(facts, "tlsa")
            if found.failure is not None:
                self.warnings.append(("tlsa-lookup", found.failure))
            facts = replace(facts, tlsa=found.records, tlsa_dnssec=found.status, tlsa_base=found.base)
        return Candidate(name, preference, facts, at.addresses)

    def _sourced(self, facts: Facts, kind: str) -> Facts:
        return replace(facts, sources={kind: self.dns.server, **facts.sources})


def first(target: Target, facts: Facts, options: argparse.Namespace) -> Candidate:
    """The host to go to: of a domain the most preferred MX host that has an address. Raises Stop."""
    is_domain = target.is_domain and is_online(options, target)
    known = complete(target, [] if is_domain else [(None, target.host)], facts, options)
    for _, text in known.warnings:
        complain(f"WARNING: {text}")
    found = next((one for one in known.hosts if one.failure is None), known.hosts[0])
    if found.failure is not None:
        status = found.failure.enhanced_status
        exit_code = Exit.UNDECIDED if found.failure.is_temporary else Exit.FAILED
        raise Stop(f"{found.failure.message} ({status})", exit_code)
    if found.facts.doubt is not None and options.level in ("dane", "dane-only"):
        raise Stop(f"level {options.level} needs DNSSEC: {found.facts.doubt}", Exit.UNDECIDED)
    return found


def place(options: argparse.Namespace, target: Target, candidate: Candidate) -> Place:
    """Where a host is, with the addresses that the DNS has unless others are given."""
    made = make_place(options, target, candidate.name)
    if made.addresses or not candidate.addresses:
        return made
    return replace(made, addresses=tuple((address, made.port) for address in candidate.addresses))


def _no_address(name: str, failure: str | None) -> Error:
    if failure is not None:
        return absent("4.4.3", failure)
    return absent("5.4.4", f"the DNS has no address for {escape(name.encode())}")


def absent(status: str, message: str) -> Error:
    """There is no host to connect to."""
    return Error(Code.IO, message, action=Action.NEXT_HOST, enhanced_status=status)
