"""smtptls check looks for MTA-STS: the record, the policy from a web server, and which policy comes first.

A zone and a web server on loopback stand for the DNS and the web.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import NAME, one_line, peer, says, server, smtptls
from policy_host import Page, policy_host
from smtptls import Tlsa
from test_cli_check import BARE, HELLO, validate
from zone import Zone

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(180)]

DOMAIN = "example.test"
HOST = f"mta-sts.{DOMAIN}"
WRONG = "3 1 1 " + "00" * 32
GOOD_RECORD = '"v=STSv1; id=20260101;"'


def policy(mode: str, mx: str = f"*.{DOMAIN}") -> bytes:
    return f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 604800\r\n".encode()


ENFORCE, TESTING, NONE = (Page(policy(mode)) for mode in ("enforce", "testing", "none"))


@dataclass(frozen=True)
class Setting:
    """A domain: its MX host, its TLSA records, its record and its policy."""

    page: Page = ENFORCE
    record: str | None = GOOD_RECORD
    certificate: str = "leaf"  # of the MX host
    web: str = "wildcard"  # of the policy host
    tlsa: str | None = None  # right, wrong or a record
    faults: tuple[tuple[str, str], ...] = ()
    starttls: bool = True
    expanded: str = ""  # more records


@contextlib.contextmanager
def standing(pki: Any, setting: Setting) -> Iterator[tuple[list[Any], list[str], Zone]]:
    """Gives the arguments of check, and what the policy host was asked."""
    chain, key = getattr(pki, setting.certificate), getattr(pki, f"{setting.certificate}_key")
    serve = server(chain, key) if setting.starttls else says(HELLO, BARE, b"221 Bye\r\n")
    web = getattr(pki, setting.web), getattr(pki, f"{setting.web}_key")
    with peer(serve) as port, policy_host(*web, setting.page) as (web_port, asked):
        right = str(Tlsa.of(ssl.PEM_cert_to_DER_cert(chain.read_text())))
        lines = [f"{DOMAIN}. MX 10 {NAME}.", f"{NAME}. A 127.0.0.1", f"{HOST}. A 127.0.0.1", setting.expanded]
        if setting.record is not None:
            lines += [f"_mta-sts.{DOMAIN}. TXT {text}" for text in setting.record.split("\n")]
        if setting.tlsa is not None:
            record = {"right": right, "wrong": WRONG}.get(setting.tlsa, setting.tlsa)
            lines.append(f"_{port}._tcp.{NAME}. TLSA {record}")
        faults = {name.replace("PORT", str(port)): fault for name, fault in setting.faults}
        with Zone("\n".join(lines), signed=(f"{DOMAIN}.",), faults=faults) as zone:
            arguments = [
                "check", DOMAIN, "--dns", zone.where, "--port", port, "--ca", pki.ca,
                "--resolve", f"{HOST}:443:127.0.0.1:{web_port}",
            ]  # fmt: skip
            yield arguments, asked, zone


def document(pki: Any, setting: Setting, *more: Any) -> dict[str, Any]:
    """What check finds; the exit code and the text agree with it."""
    with standing(pki, setting) as (arguments, _, _):
        ran = smtptls(*arguments, "--json", *more)
        assert not ran.err
        found: dict[str, Any] = json.loads(ran.out)
        validate(found)
        text = smtptls(*arguments, *more)
        assert found["exit"] == ran.code == text.code
        assert max(map(len, text.out.splitlines())) <= 80 and text.out.isascii()
    return found


@dataclass(frozen=True)
class Case:
    """What a sender makes of a domain at level auto, by what it finds."""

    name: str
    setting: Setting
    level: str
    exit: int
    action: str
    why: str | None = None
    status: str | None = None
    reports: tuple[tuple[str, str], ...] = ()
    is_bad_record: bool = False


ELSEWHERE = Page(policy("enforce", "mx.other.test"))
DANE_FAILS = (("tlsa", "certificate-not-trusted"),)
CASES = [
    # R8461-2-1: DANE comes first, and what it says is the last word.
    Case("DANE and MTA-STS", Setting(tlsa="right"), "dane", 0, "deliver",
         reports=(("tlsa", "success"), ("sts", "success"))),
    Case("DANE fails, MTA-STS does not", Setting(tlsa="wrong"), "dane", 1, "defer", "dane-no-match", "4.7.5",
         (*DANE_FAILS, ("sts", "success"))),
    Case("DANE holds, MTA-STS does not", Setting(page=ELSEWHERE, tlsa="right"), "dane", 0, "deliver",
         reports=(("tlsa", "success"), ("sts", "validation-failure"))),
    Case("DANE holds for a certificate that nobody signed",
         Setting(certificate="selfsigned", tlsa="right"), "dane", 0, "deliver",
         reports=(("tlsa", "success"), ("sts", "certificate-not-trusted"))),
    Case("TLSA is bogus", Setting(faults=((f"_PORT._tcp.{NAME}. TLSA", "bogus"),)), "dane", 3, "defer",
         "dnssec", "4.7.5", (("tlsa", "dnssec-invalid"), ("sts", "success"))),
    Case("TLSA is unusable", Setting(certificate="selfsigned", tlsa="0 0 1 " + "00" * 32), "dane", 0,
         "deliver", reports=(("tlsa", "success"), ("sts", "certificate-not-trusted"))),
    Case("MX is insecure, TLSA is secure",
         Setting(tlsa="wrong", faults=((f"{DOMAIN}. MX", "insecure"),)), "dane", 1, "defer", "dane-no-match",
         "4.7.5", (*DANE_FAILS, ("sts", "success"))),
    # Then MTA-STS. R8461-4-1, R8461-5-1, R8461-4.2-1.
    Case("MTA-STS", Setting(), "sts", 0, "deliver", reports=(("sts", "success"),)),
    Case("an insecure domain", Setting(faults=((f"{NAME}. A", "insecure"), (f"{NAME}. AAAA", "insecure"))),
         "sts", 0, "deliver", reports=(("sts", "success"),)),
    Case("the policy names others", Setting(page=ELSEWHERE), "sts", 1, "defer", "sts-mx-mismatch", "4.7.5",
         (("sts", "validation-failure"),)),
    Case("the certificate is for others", Setting(certificate="other"), "sts", 1, "defer", "name-mismatch",
         "4.7.5", (("sts", "certificate-host-mismatch"),)),
    Case("the common name does not count", Setting(certificate="cnonly"), "sts", 1, "defer", "name-mismatch",
         "4.7.5", (("sts", "certificate-host-mismatch"),)),
    Case("the certificate has expired", Setting(certificate="expired"), "sts", 1, "defer", "expired",
         "4.7.5", (("sts", "certificate-expired"),)),
    Case("there is no STARTTLS", Setting(starttls=False), "sts", 1, "defer", "starttls-not-offered", "4.7.4",
         (("sts", "starttls-not-supported"),)),
    # R8461-5-2
    Case("testing, and all is well", Setting(page=TESTING), "may", 0, "deliver",
         reports=(("sts", "success"),)),
    Case("testing, and the certificate is bad", Setting(page=TESTING, certificate="other"), "may", 0,
         "deliver", reports=(("sts", "certificate-host-mismatch"),)),
    Case("the domain takes its policy back", Setting(page=NONE, certificate="other"), "may", 0, "deliver",
         reports=(("sts", "success"),)),
    # R8461-3.1-2: no record, or none that can be used.
    Case("no record", Setting(record=None), "may", 0, "deliver", reports=(("no-policy-found", "success"),)),
    Case("another record", Setting(record='"v=spf1 -all"'), "may", 0, "deliver",
         reports=(("no-policy-found", "success"),)),
    Case("two records", Setting(record=f'{GOOD_RECORD}\n"v=STSv1; id=2;"'), "may", 0, "deliver",
         reports=(("no-policy-found", "success"),), is_bad_record=True),
    Case("a record without an id", Setting(record='"v=STSv1; x=1"'), "may", 0, "deliver",
         reports=(("no-policy-found", "success"),), is_bad_record=True),
    Case("the lookup of the record fails", Setting(faults=((f"_mta-sts.{DOMAIN}. TXT", "servfail"),)), "may",
         0, "deliver", reports=(("no-policy-found", "success"),), is_bad_record=True),
    # R8461-3.1-1
    Case("a record in several strings", Setting(record='"v=STSv1; " "id=2026" "0101;"'), "sts", 0, "deliver",
         reports=(("sts", "success"),)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_which_policy_holds(pki: Any, case: Case) -> None:
    found = document(pki, case.setting)
    host = found["hosts"][0]
    assert (found["warnings"] == ["sts-record"]) == case.is_bad_record
    assert found["sts"]["state"] in ("ok", "none") and host["verdicts"]["sts"]["action"] != "unknown"
    # With a policy that demands nothing the row of MTA-STS says what may says.
    assert host["level"] in ({"may", "sts"} if case.level == "may" else {case.level})
    verdict = host["verdicts"][host["level"]]
    assert (found["exit"], verdict["action"]) == (case.exit, case.action)
    assert (verdict.get("why"), verdict.get("status")) == (case.why, case.status)
    if case.level == "may":
        assert verdict["effective"] == "may"
    assert [(row["policy_type"], row["result"]) for row in host["tlsrpt"]] == list(case.reports)


# R8461-3.3-1, R8461-3.3-2, R8461-3.3-3: there is a record, and no policy behind it.
UNFETCHED = [
    ("404", Page(b"no", 404), "wildcard", "sts-policy-fetch-error", "HTTP status 404"),
    ("500", Page(b"no", 500), "wildcard", "sts-policy-fetch-error", "HTTP status 500"),
    ("204", Page(b"", 204), "wildcard", "sts-policy-fetch-error", "HTTP status 204"),
    ("a redirect", Page(b"", 301, headers={"Location": f"https://{HOST}/"}), "wildcard",
     "sts-policy-fetch-error", "a redirect"),
    ("another type", Page(policy("enforce"), kind="text/html"), "wildcard", "sts-policy-invalid",
     "text/html"),
    ("no type", Page(policy("enforce"), kind=None), "wildcard", "sts-policy-invalid", "type none"),
    ("too large", Page(policy("enforce") + b"x: y\r\n" * 11000), "wildcard", "sts-policy-fetch-error",
     "larger than 65536"),
    ("compressed", Page(policy("enforce"), headers={"Content-Encoding": "gzip"}), "wildcard",
     "sts-policy-fetch-error", "compressed"),
    ("no policy", Page(b"<html>"), "wildcard", "sts-policy-invalid", "cannot be used"),
    ("empty", Page(b""), "wildcard", "sts-policy-invalid", "cannot be used"),
    ("control characters", Page(b"version: STSv1\nmode: \x1b[31m\n"), "wildcard", "sts-policy-invalid",
     "control"),
    ("for another name", ENFORCE, "other", "sts-webpki-invalid", "Hostname mismatch"),
    ("expired", ENFORCE, "expired", "sts-webpki-invalid", "expired"),
    ("signed by nobody", ENFORCE, "selfsigned", "sts-webpki-invalid", "self-signed"),
    ("the common name alone", ENFORCE, "cnonly", "sts-webpki-invalid", "Hostname mismatch"),
]  # fmt: skip


@pytest.mark.parametrize("row", UNFETCHED, ids=lambda row: row[0])
def test_no_policy_behind_the_record(pki: Any, row: tuple[str, Page, str, str, str]) -> None:
    _, page, web, state, said = row
    # The MX host is one that no policy would let through.
    found = document(pki, Setting(page, web=web, certificate="other"))
    host = found["hosts"][0]
    assert found["sts"]["state"] == state and said in found["sts"]["message"]
    assert found["sts"]["id"] == "20260101" and found["sts"]["message"].isprintable()
    assert found["sts"]["source"] == f"https://{HOST}/.well-known/mta-sts.txt"
    assert found["warnings"] == [state] and "goes on without" in found["notes"][0]
    assert (found["exit"], host["level"], host["verdicts"]["sts"]["effective"]) == (0, "may", "may")
    assert (host["tlsrpt"][0]["policy_type"], host["tlsrpt"][0]["result"]) == ("sts", state)
    assert document(pki, Setting(page, web=web), "--warnings-as-errors")["exit"] == 4


def test_the_request(pki: Any) -> None:
    """R8461-3.2-1: by the name of the policy host, also where --resolve says how to get there."""
    with standing(pki, Setting(expanded=f"_mta-sts.{DOMAIN}x. TXT none")) as (arguments, asked, zone):
        ran = smtptls(*arguments)
        assert ran.code == 0 and asked == [f"{HOST}/.well-known/mta-sts.txt"]
        assert f"id 20260101 from https://{HOST}/.well-known/mta-sts.txt" in " ".join(ran.out.split())
        assert f"{HOST}. A" not in zone.asked
        found = json.loads(smtptls(*arguments, "--json").out)
        assert found["sts"] == {
            "state": "ok", "mode": "enforce", "id": "20260101", "max_age": 604800, "mx": [f"*.{DOMAIN}"],
            "source": f"https://{HOST}/.well-known/mta-sts.txt",
        }  # fmt: skip


def test_what_is_given_is_not_fetched(pki: Any, tmp_path: Path) -> None:
    path = tmp_path / "policy.txt"
    path.write_bytes(policy("testing"))
    with standing(pki, Setting()) as (arguments, asked, zone):
        for given, state in (("off", "none"), (path, "ok")):
            found = json.loads(smtptls(*arguments, "--json", "--sts", given).out)
            assert (found["sts"]["state"], found["sts"].get("source", "given")) == (state, "given")
        assert not asked and not any("_mta-sts" in name for name in zone.asked)


def test_fetch_for_a_host(pki: Any) -> None:
    """R8461-3.4-1: the policy is that of the domain that mail is for."""
    with standing(pki, Setting()) as (arguments, asked, _):
        port = arguments[arguments.index("--port") + 1]
        arguments[1] = f"{NAME}:{port}"
        found = json.loads(smtptls(*arguments, "--json").out)
        assert "sts" not in found and not asked
        found = json.loads(smtptls(*arguments, "--json", "--sts", "fetch", "--next-hop", DOMAIN).out)
        assert found["sts"]["mode"] == "enforce" and len(asked) == 1
        assert found["hosts"][0]["level"] == "sts"
        ran = smtptls("check", f"{NAME}:{port}", "--sts", "fetch")
        assert ran.code == 2 and "--dns" in one_line(ran)
        ran = smtptls("policy", NAME, "--no-starttls", "--sts", "fetch")
        assert ran.code == 2 and "give a file" in one_line(ran)


def test_a_domain_in_another_alphabet(pki: Any) -> None:
    own = f"xn--bcher-kva.{DOMAIN}"
    records = f"{own}. MX 10 {NAME}.\n_mta-sts.{own}. TXT {GOOD_RECORD}\nmta-sts.{own}. A 127.0.0.1"
    with standing(pki, Setting(expanded=records)) as (arguments, asked, _):
        arguments[1] = f"b\u00fccher.{DOMAIN}"
        at = arguments.index("--resolve") + 1
        arguments[at] = arguments[at].replace(HOST, f"mta-sts.{own}")
        found = json.loads(smtptls(*arguments, "--json").out)
        # A star stands for one label only.
        assert found["sts"]["state"] == "sts-webpki-invalid" and not asked
        assert f"https://mta-sts.{own}/" in found["sts"]["message"]


def test_nobody_at_the_policy_host(pki: Any) -> None:
    with standing(pki, Setting()) as (arguments, _, _):
        closed = [
            "--resolve", f"{HOST}:443:127.0.0.1:1"
        ]  # fmt: skip
        at = arguments.index("--resolve")
        found = json.loads(smtptls(*arguments[:at], *closed, "--json").out)
        assert found["sts"]["state"] == "sts-policy-fetch-error" and found["exit"] == 0
        # The first address that answers is good enough.
        found = json.loads(smtptls(*arguments[:at], *closed, *arguments[at:], "--json").out)
        assert found["sts"]["state"] == "ok"
    setting = Setting(faults=((f"{HOST}. A", "servfail"), (f"{HOST}. AAAA", "servfail")))
    with standing(pki, setting) as (arguments, _, _):
        found = json.loads(smtptls(*arguments[: arguments.index("--resolve")], "--json").out)
        assert found["sts"]["state"] == "sts-policy-fetch-error" and "SERVFAIL" in found["sts"]["message"]


def test_a_policy_host_that_dribbles(pki: Any) -> None:
    """R8461-3.3-2: a limit for all of it, and not for each octet."""
    with standing(pki, Setting(dataclasses.replace(ENFORCE, dribble=0.05))) as (arguments, _, _):
        began = time.monotonic()
        found = json.loads(smtptls(*arguments, "--json", "--deadline", "3").out)
        assert time.monotonic() - began < 60
    assert (
        found["sts"]["state"] == "sts-policy-fetch-error"
        and "was not there within" in found["sts"]["message"]
    )


def test_the_trust_for_the_policy_host(pki: Any) -> None:
    with standing(pki, Setting()) as (arguments, asked, _):
        at = arguments.index("--ca")
        bad = "sts-webpki-invalid"
        for ca, state in (
            (pki.roots, "ok"), (pki.wrongca, bad), ("none", bad), ("mozilla", bad), ("system", bad)
        ):  # fmt: skip
            arguments[at + 1] = ca
            ran = smtptls(*arguments, "--json")
            assert json.loads(ran.out)["sts"]["state"] == state, ran
        assert len(asked) == 1


def test_at_another_time(pki: Any, tmp_path: Path) -> None:
    """Certificates and revocation lists are judged as they would be then; what was good may be no more."""
    with peer(server(pki.expired, pki.expired_key)) as port:
        arguments = ("check", f"localhost:{port}", "--ca", pki.ca, "--level", "verify", "--json", "--at")
        end = json.loads(smtptls(*arguments, "2026-01-01T00:00:00Z").out)["hosts"][0]["certificate"][
            "not_after"
        ]
        day, _, clock = end.partition("T")
        found = json.loads((ran := smtptls(*arguments, f"{day}T{clock[:5]}:00Z")).out)
        validate(found)
        assert ran.code == 0 and found["hosts"][0]["pkix"]["trusted"] and found["at"].startswith(day)
        assert found["hosts"][0]["certificate"]["days_left"] == 0
        found = json.loads((ran := smtptls(*arguments, "2000-01-01T01:00:00+01:00")).out)
        assert ran.code == 1 and found["at"] == "2000-01-01T00:00:00Z"
        host = found["hosts"][0]
        assert host["errors"] == ["not-yet-valid"] and not host["pkix"]["trusted"]
        text = smtptls(*arguments[:-2], "--at", "2000-01-01T00:00:00Z").out
        assert "not trusted at 2000-01-01" in " ".join(text.split())
    with peer(server(pki.leaf, pki.leaf_key)) as port:
        now = ("check", f"localhost:{port}", "--ca", pki.ca, "--level", "verify", "--json")
        assert smtptls(*now).code == 0
        found = json.loads((ran := smtptls(*now, "--at", "2100-01-01T00:00:00.5Z")).out)
        assert ran.code == 1 and found["hosts"][0]["errors"] == ["expired"]
        assert found["hosts"][0]["certificate"]["days_left"] < -20000
    day = "2026-01-01"
    for wrong in ("yesterday", day, f"{day}T00:00:00", "2026-13-01T00:00:00Z", "1960-01-01T00:00:00Z"):
        ran = smtptls("check", "localhost:25", "--at", wrong)
        assert ran.code == 2 and "--at" in one_line(ran)
    chain = ("policy", NAME, "--chain", pki.leaf, "--ca", pki.ca, "--level", "verify")
    assert smtptls(*chain).code == 0 and smtptls(*chain, "--at", "2100-01-01T00:00:00Z").code == 1
