"""The JSON of smtptls check: schema smtptls.check/1, as check.schema.json says. Keys are only added."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .._enums import Dnssec, FingerprintOf, Protocol
from .._native import Info, __version__, escape
from .exits import Exit
from .facts import Facts

if TYPE_CHECKING:
    from .check import Checked, Host

SCHEMA = "smtptls.check/1"


def document(checked: Checked) -> dict[str, Any]:
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "tool": f"smtptls {__version__}",
        "target": checked.target.text,
        "level": checked.asked,
        "ok": checked.exit in (Exit.OK, Exit.WARNED),
        "exit": int(checked.exit),
        "started": _time(checked.started),
        "elapsed_ms": round(checked.elapsed * 1000),
    }
    facts = checked.hosts[0].facts
    if checked.hosts[0].at is not None:
        found["at"] = _time(checked.hosts[0].at)
    if checked.mx or "mx" in facts.sources:
        hosts = [{"host": name, "pref": preference} for preference, name in checked.mx]
        found["mx"] = {"dnssec": _believed(facts, facts.mx_dnssec), "hosts": hosts, **_source(facts, "mx")}
    if facts.has_sts:
        found["sts"] = _sts(facts)
    found |= {
        "warnings": [word for word, _ in checked.warnings],
        "notes": [text for _, text in checked.warnings],
    }
    found["hosts"] = [_host(host) for host in checked.hosts]
    return found


def _time(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _source(facts: Facts, kind: str) -> dict[str, str]:
    """Where a fact comes from: given by hand, or the name server."""
    return {"source": facts.sources[kind]} if kind in facts.sources else {}


def _believed(facts: Facts, status: Dnssec) -> str:
    return (status if facts.doubt is None else Dnssec.NONE).label


def _sts(facts: Facts) -> dict[str, Any]:
    found: dict[str, Any] = {"state": "none", "source": "given"}
    if facts.sts_found is not None:
        found = {name: value for name, value in asdict(facts.sts_found).items() if value is not None}
    if facts.sts is not None:
        policy = facts.sts
        found |= {"state": "ok", "mode": policy.mode.label, "max_age": policy.max_age, "mx": list(policy.mx)}
    return found


def _host(host: Host) -> dict[str, Any]:
    probe, place = host.probe, host.probe.place
    found: dict[str, Any] = {
        "host": host.name,
        "port": None if place.path else place.port,
        "address": probe.address,
        "protocol": "lmtp" if place.protocol is Protocol.LMTP else "smtp",
        "implicit_tls": place.implicit_tls,
        "level": host.level,
        "exit": int(host.exit),
        "smtp": {
            "greeting": probe.greeting,
            "starttls": probe.starttls,
            "starttls_reply": probe.starttls_reply,
            "ehlo_before": list(probe.ehlo_before),
            "ehlo_after": list(probe.ehlo_after),
        },
        "tls": None if probe.info is None else _tls(probe.info),
        "certificate": None if probe.info is None else _certificate(probe.info, host.at),
    }
    if probe.info is not None:
        found["pkix"] = {"trusted": host.is_trusted, "name_matched": probe.info.name_matched}
    if "address" in host.facts.sources:
        found["addresses"] = {
            "dnssec": _believed(host.facts, host.facts.address_dnssec),
            "found": [address for address, _ in place.addresses],
            **_source(host.facts, "address"),
        }
    if host.facts.tlsa or host.facts.tlsa_dnssec.value:
        found["dane"] = _dane(host)
    found["verdicts"] = {level: verdict.document() for level, verdict in host.verdicts.items()}
    found["tlsrpt"] = tlsrpt(host)
    if probe.info is not None and probe.error is None:
        found["requiretls"] = {
            "usable": probe.requiretls is None,
            "message": None if probe.requiretls is None else probe.requiretls.message,
        }
    found |= {"warnings": host.warnings, "errors": host.errors}
    return found


def _tls(info: Info) -> dict[str, Any]:
    from .check import is_post_quantum

    return {
        "version": info.version,
        "cipher": info.cipher,
        "group": info.group,
        "post_quantum": is_post_quantum(info.group),
        "signature": info.server_signature,
        "digest": info.server_digest,
        "resumed": info.resumed,
        "alpn": None if info.alpn is None else escape(info.alpn),
        "tls_exporter": info.channel_binding is not None,
    }


def _certificate(info: Info, at: datetime.datetime | None) -> dict[str, Any] | None:
    from .check import days_left

    if not info.peer_certificates:
        return None
    begin, end = info.peer_not_before, info.peer_not_after
    return {
        "subject": info.peer_subject,
        "issuer": info.peer_issuer,
        "names": list(info.peer_names),
        "serial": info.peer_serial,
        "not_before": _time(begin),
        "not_after": _time(end),
        "days_left": days_left(end, at),
        "key": info.peer_key_algorithm,
        "key_bits": info.peer_key_bits,
        "sha256": hashlib.sha256(info.peer_certificates[0]).hexdigest(),
        "spki_sha256": (info.peer_fingerprint(FingerprintOf.PUBLIC_KEY) or "").removeprefix("sha256:")
        or None,
        "chain_length": len(info.peer_certificates),
    }


def _dane(host: Host) -> dict[str, Any]:
    from .tlsa import matches

    facts = host.facts
    records = []
    for record in facts.tlsa:
        found: dict[str, Any] = {"rr": str(record), "usable": record.unusable is None}
        if record.unusable:
            found["why"] = record.unusable
        elif host.probe.chain:
            found["matched"] = matches(record, facts.tlsa_base or host.name, host.probe.chain, facts.next_hop)
        records.append(found)
    status = _believed(facts, facts.tlsa_dnssec)
    base = facts.tlsa_base or host.name
    return {"dnssec": status, "base": base, "records": records, **_source(facts, "tlsa")}


def tlsrpt(host: Host) -> list[dict[str, Any]]:
    """What a sender would write into its report (RFC 8460): for each policy that it found."""
    facts, verdicts = host.facts, host.verdicts
    rows = []
    if facts.has_dane or verdicts["dane"].why == "dnssec":
        rows.append(("tlsa", "dane"))
    if facts.sts is not None:
        rows.append(("sts", "sts"))
    found: list[dict[str, Any]] = []
    if facts.sts_found is not None and facts.sts_found.state.startswith("sts-"):
        state, reason = facts.sts_found.state, facts.sts_found.message or ""
        found.append({"policy_type": "sts", "result": state, "reason": reason})
    for kind, level in rows or [("no-policy-found", "may")]:
        error = verdicts[level].error
        reports = [] if error is None or not error.tlsrpt else [(error.tlsrpt, error.tlsrpt_reason or "")]
        if kind == "sts" and not reports:
            reports = host.probe.reports
        if not reports and not verdicts[level].is_met:
            continue  # a session that did not come to TLS is in no report
        for result, reason in reports or [("success", "")]:
            found.append({"policy_type": kind, "result": result, **({"reason": reason} if reason else {})})
    return found
