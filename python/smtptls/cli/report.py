"""The text of smtptls check, for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._enums import Dnssec
from .._errors import Error
from .._native import escape
from . import document, tlsa
from .exits import Exit
from .facts import Facts
from .output import Output
from .verdict import Verdict

if TYPE_CHECKING:
    from .check import Checked, Host

MOST_NAMES = 10  # of a certificate or a policy
STARTTLS = {
    "offered": "offered",
    "not-offered": "not offered",
    "implicit": "none: TLS from the first byte",
    "unknown": "not seen",
}
RESULTS = {Exit.OK: "OK", Exit.WARNED: "WARN", Exit.FAILED: "FAIL", Exit.UNDECIDED: "UNDECIDED"}
# What to do about it.
REMEDIES = {
    "name-mismatch": "get a certificate that has the name, or name the host as the certificate does",
    "untrusted": "send the intermediate certificates too, or give the authority by --ca",
    "expired": "renew the certificate, and have the server read it",
    "not-yet-valid": "wait, or set the clocks",
    "starttls-not-offered": "switch STARTTLS on in the server, and look for a middlebox that strips it",
    "dane-no-match": "publish the record that smtptls tlsa gen prints, before the certificate changes",
    "dane-required": "publish a usable TLSA record in a signed zone",
    "sts-mx-mismatch": "add the host to the mx lines of the policy, and change the id of its record",
    "no-roots": "give the authorities by --ca",
    "pq-missing": "let the server offer X25519MLKEM768",
    "tls-version": "let the server offer a newer version of TLS",
    "dns": "ask again later; if it stays so, mend the zone or its name servers",
    "dnssec": "mend the zone's signatures: until then no sender that validates delivers",
    "no-address": "give the MX host an address record, or name another host",
    "facts-missing": "say what the DNS has by --tlsa and --dnssec, and the MTA-STS policy by --sts",
    "response-injection": "somebody on the path may have added it: mend the server or the path",
}
PLAIN = "the port speaks plaintext first: leave submissions: away, or say the port that begins with TLS"
# Where there is no verdict, for want of facts; why is said once, below the table.
UNKNOWN = ("facts-missing", "dnssec-unknown", "no-roots")
WARNINGS = {
    "plaintext": "the message goes in the clear",
    "expiry": "the certificate ends soon",
    "starttls-after-tls": "STARTTLS is still offered inside TLS (RFC 3207 section 4.2)",
    "dane-unusable": "a TLSA record cannot be used",
}


def report(output: Output, checked: Checked, is_verbose: bool) -> None:
    for host in checked.hosts:
        _head(output, checked, host)
        _session(output, host)
        if is_verbose:
            for line in host.probe.transcript:
                output.line(f"    {line}")
        _facts(output, host)
        table(output, host.verdicts, host.level, None if host.probe.info else host.probe.error)
        _end(output, host)
    for _, text in checked.warnings:
        output.field("warning", text)
    warnings = sum(len(host.warnings) for host in checked.hosts) + len(checked.warnings)
    levels = sorted({host.level for host in checked.hosts})
    means = f"auto = {', '.join(levels)}" if checked.asked == "auto" else checked.asked
    count = f", {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    output.line(f"{shown(checked.target.text)}: {output.word(RESULTS[checked.exit])} (level {means}){count}")


def _head(output: Output, checked: Checked, host: Host) -> None:
    parts = [shown(checked.target.text)]
    if checked.mx:
        preference = next(pref for pref, name in checked.mx if name == host.name)
        parts.append(f"MX {preference} {shown(host.name)}")
    place = host.probe.place
    address = host.probe.address
    if address is not None and place.path is None and address != place.host:
        parts.append(f"[{address}]" if ":" in address else address)
    output.line("  ".join(parts))


def _session(output: Output, host: Host) -> None:
    probe = host.probe
    if probe.error is not None and probe.info is None:
        output.field("failed", probe.error.message)
    if probe.starttls != "unknown":
        reply = f", answered {probe.starttls_reply}" if probe.starttls_reply else ""
        output.field("STARTTLS", STARTTLS[probe.starttls] + reply)
    if (info := probe.info) is None:
        return
    from .check import days_left, is_post_quantum

    quantum = " (post-quantum)" if is_post_quantum(info.group) else ""
    output.field("TLS", f"{info.version}  {info.cipher}  group {info.group or 'none'}{quantum}")
    if not info.certificate_present:
        output.field("certificate", "none")
        return
    names = _some([name.removeprefix("DNS:") for name in info.peer_names])
    end = info.peer_not_after
    output.field("certificate", names or f"no names; subject {info.peer_subject}")
    left = days_left(end, host.at)
    ends = "" if left is None else f"{left} days left" if left >= 0 else f"EXPIRED {end:%Y-%m-%d}"
    key = f"{info.peer_key_algorithm or 'unknown key'} {info.peer_key_bits or ''}".strip()
    trust = "trusted" if host.is_trusted else "not trusted"
    if host.at is not None:
        trust += f" at {host.at:%Y-%m-%d}"
    output.field("", "  ".join(part for part in (key, ends, trust) if part))
    if doubt := info.doubt if host.at is None else host.doubt:
        output.field("", doubt)
    if probe.error is not None:
        output.field("failed", probe.error.message)
    elif probe.ehlo_after:
        output.field("inside TLS", " ".join(word.split()[0] for word in probe.ehlo_after))


def _facts(output: Output, host: Host) -> None:
    facts = host.facts
    _dns(output, facts)
    if facts.tlsa or facts.tlsa_dnssec.value:
        base = facts.tlsa_base or host.name
        usable = sum(record.unusable is None for record in facts.tlsa)
        count = f"{len(facts.tlsa)} record{'s' * (len(facts.tlsa) != 1)}"
        status = facts.tlsa_dnssec.label if facts.doubt is None else "not decidable"
        output.field("DANE", f"{shown(base)}: {status}, {count}, {usable} usable")
        for record in facts.tlsa:
            if record.unusable:
                word = output.word("WARN")
                why = f"unusable: {record.unusable}"
            elif not host.probe.chain:
                word, why = "unknown", ""
            else:
                matched = tlsa.matches(record, base, host.probe.chain, facts.next_hop)
                word, why = output.word("OK" if matched else "FAIL"), "" if matched else "does not match"
            brief = str(record)
            brief = brief if len(brief) < 40 else f"{brief[:22]}...{brief[-8:]}"
            output.line(f"  {'':<12} {brief:<34} {word}")
            if why:
                output.note(why, 17)
    if facts.has_sts:
        found = facts.sts_found
        if facts.sts is None:
            failed = found is not None and found.state != "none"
            output.field("MTA-STS", f"no policy: {found.state}" if found and failed else "no policy")
        else:
            fits = "names" if facts.sts.matches(host.name) else "does not name"
            output.field(
                "MTA-STS", f"{facts.sts.mode.label}; {fits} {shown(host.name)} ({_some(facts.sts.mx)})"
            )
            if found is not None:
                output.field("", f"id {found.id} from {found.source}")


def _dns(output: Output, facts: Facts) -> None:
    """What was asked, and how far the answers can be believed."""
    asked = {kind: source for kind, source in facts.sources.items() if source != "given"}
    if not asked:
        return
    statuses = {"mx": facts.mx_dnssec, "address": facts.address_dnssec}
    names = {"mx": "MX", "address": "addresses"}
    believed = [
        f"{names[kind]} {status.label if status.value else 'none'}"
        for kind, status in statuses.items()
        if kind in asked and facts.doubt is None
    ]
    output.field("DNS", f"{', '.join(believed) or 'without DNSSEC'}; asked {next(iter(asked.values()))}")


def table(output: Output, verdicts: dict[str, Verdict], level: str, told: Error | None = None) -> None:
    """The table: rows that say the same stand together. told: what the reader knows already."""
    reasons = set() if told is None else {told.message}
    groups: list[tuple[list[str], Verdict]] = []
    for name, verdict in verdicts.items():
        if groups and _same(groups[-1][1], verdict):
            groups[-1][0].append(name)
        else:
            groups.append(([name], verdict))
    output.line("  A sender at level          would")
    for levels, verdict in groups:
        mark = "->" if level in levels else "  "
        error = verdict.error
        details = [verdict.status or ""] if error is not None else []
        if error is not None and error.tlsrpt:
            details.append(f"TLSRPT {error.tlsrpt}")
        if error is None and verdict.auth is not None and verdict.word == "verified":
            details.append(f"by {verdict.auth.label}")
        if error is None and verdict.effective is not None and verdict.effective.label not in levels:
            details.append(f"(comes to {verdict.effective.label})")
        label = ", ".join(levels)
        if len(label) > 22:
            output.line(f"  {mark} {label}")
            label, mark = "", "  "
        tail = "  ".join(part for part in details if part)
        output.line(f"  {mark} {label:<23} {output.word(verdict.word, 9)} {tail}".rstrip())
        if error is not None and verdict.why not in ("not-wanted", *UNKNOWN):
            if error.message not in reasons:
                output.note(error.message, 29)
            reasons.add(error.message)
    if any(verdict.why == "no-roots" for _, verdict in groups):
        output.note("unknown: nobody is trusted: give the authorities by --ca", 5)
    if any(verdict.why == "facts-missing" for _, verdict in groups):
        output.note("unknown: for DANE give --dns, or --dnssec and --tlsa; for MTA-STS --sts", 5)


def _same(one: Verdict, other: Verdict) -> bool:
    def key(verdict: Verdict) -> object:
        error = verdict.error
        if verdict.why in UNKNOWN:
            return verdict.why
        what = None if error is None else (error.message, error.enhanced_status, error.tlsrpt)
        comes_to = None if error is not None or verdict.word != "verified" else verdict.auth
        return verdict.word, what, comes_to, error is None and verdict.effective

    return key(one) == key(other)


def _end(output: Output, host: Host) -> None:
    found = document.tlsrpt(host)
    if any((row["policy_type"], row["result"]) != ("no-policy-found", "success") for row in found):
        rows = [f"{row['policy_type']}: {row['result']}" for row in found]
        output.field("TLSRPT", "; ".join(rows))
    for warning in host.warnings:
        output.field("warning", WARNINGS[warning])
    for why in host.errors:
        if why in REMEDIES:
            output.field("remedy", _remedy(host, why))


def _some(names: Sequence[str]) -> str:
    """As many as a person reads; JSON has them all."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f", and {more} more" if more > 0 else "")


def _remedy(host: Host, why: str) -> str:
    facts = host.facts
    if why == "response-injection" and host.probe.place.implicit_tls:
        return PLAIN
    if why == "dnssec" and Dnssec.BOGUS not in (facts.mx_dnssec, facts.address_dnssec, facts.tlsa_dnssec):
        return REMEDIES["dns"]  # nobody answered, which says nothing of signatures
    return REMEDIES[why]


def shown(text: str) -> str:
    return escape(text.encode())
