"""What needs no network: smtptls tlsa, sts, policy and tickets."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from commands import NAME, one_line, smtptls
from smtptls import Tlsa

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

ZEROS = "3 1 1 " + "00" * 32
POLICY = "version: STSv1\nmode: enforce\nmx: *.example.test\nmax_age: 604800\n"


@pytest.fixture
def record(pki: Any) -> str:
    return str(Tlsa.of(ssl.PEM_cert_to_DER_cert(pki.leaf.read_text())))


def test_a_record_is_made(pki: Any, record: str) -> None:
    """R7671-10.1-1: 3 1 1 unless told otherwise, and 2 1 1 for an authority."""
    assert smtptls("tlsa", "gen", pki.leaf).out == f"{record}\n"
    assert smtptls("tlsa", "gen", "-", stdin=pki.leaf.read_bytes()).out == f"{record}\n"
    zone = smtptls("tlsa", "gen", pki.leaf, "--host", NAME, "--port", "465").out
    assert zone == f"_465._tcp.{NAME}. IN TLSA {record}\n"
    whole = smtptls("tlsa", "gen", pki.leaf, "--selector", "0", "--matching", "0").out
    assert whole == f"3 0 0 {ssl.PEM_cert_to_DER_cert(pki.leaf.read_text()).hex()}\n"
    authority = smtptls("tlsa", "gen", pki.chain, "--usage", "2").out
    assert authority.startswith("2 1 1 ")
    ran = smtptls("tlsa", "gen", pki.leaf, "--usage", "2")
    assert ran.code == 2 and "authority" in one_line(ran)


def test_a_record_of_a_server(good: int, record: str) -> None:
    ran = smtptls("tlsa", "gen", "--from", f"localhost:{good}", "--ca", "none")
    assert (ran.code, ran.out) == (0, f"_{good}._tcp.localhost. IN TLSA {record}\n")
    ran = smtptls("tlsa", "gen", "--from", "localhost:1", "--ca", "none")
    assert ran.code == 3 and "no connection" in one_line(ran)


@pytest.mark.parametrize("name", ["empty", "garbage", "leaf_key"])
def test_files_that_are_no_chain(pki: Any, name: str) -> None:
    ran = smtptls("tlsa", "gen", getattr(pki, name))
    assert ran.code == 2
    one_line(ran)


def test_records_are_explained() -> None:
    ran = smtptls("tlsa", "show", ZEROS, "0 0 1 " + "00" * 32)
    assert ran.code == 0
    assert "DANE-EE" in ran.out and "its public key" in ran.out and "unusable: usages 0 and 1" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert smtptls("tlsa", "show", "3 1 1 00").code == 1  # too short for a SHA-256
    assert smtptls("tlsa", "show", "0 0 1 " + "00" * 32).code == 1


def test_records_are_compared(pki: Any, record: str) -> None:
    match = ("tlsa", "match", pki.leaf, "--host", NAME)
    assert smtptls(*match, record).code == 0
    both = smtptls(*match, ZEROS, record)
    assert both.code == 0 and [line[:4] for line in both.out.splitlines() if line[:1] != " "] == [
        "FAIL",
        "OK  ",
        "OK: ",
    ]
    none = smtptls(*match, ZEROS)
    assert none.code == 1 and "DEFER: " in none.out and "(4.7.5)" in none.out
    assert smtptls(*match, "0 0 1 " + "00" * 32).code == 1
    authority = smtptls("tlsa", "gen", pki.chain, "--usage", "2").out.strip()
    assert smtptls("tlsa", "match", pki.chain, "--host", NAME, authority).code == 0
    # DANE-TA compares the name, DANE-EE does not.
    assert smtptls("tlsa", "match", pki.chain, "--host", "other.test", authority).code == 1
    assert smtptls("tlsa", "match", pki.leaf, "--host", "other.test", record).code == 0


def test_a_policy_is_read(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    path.write_text(POLICY)
    ran = smtptls("sts", "parse", path, "--txt", "v=STSv1; id=20260101;")
    assert ran.code == 0
    labels = [line[2:].split()[0] for line in ran.out.splitlines() if line[2] != " "]
    assert labels == ["record", "mode", "max_age", "mx"] and "604800 s, 7 days\n" in ran.out
    assert smtptls("sts", "parse", "-", stdin=POLICY.encode()).code == 0
    assert smtptls("sts", "parse", path, "--txt", "v=spf1 -all").code == 1
    assert smtptls("sts", "parse", path, "--txt", "v=STSv1; id=1;", "--txt", "v=STSv1; id=2;").code == 1
    ran = smtptls("sts", "parse", "-", stdin=POLICY.replace("STSv1", "\x1b[31m").encode())
    assert ran.code == 1 and "\x1b" not in ran.out and "TLSRPT sts-policy-invalid" in ran.out


def test_hosts_are_matched(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    path.write_text(POLICY)
    assert smtptls("sts", "match", path, "a.example.test", "b.example.test").code == 0
    ran = smtptls("sts", "match", path, "a.example.test", "a.b.example.test")
    assert ran.code == 1 and ran.out.startswith("OK    a.example.test\nFAIL  a.b.example.test\n")
    path.write_text("nonsense")
    ran = smtptls("sts", "match", path, "a.example.test")
    assert ran.code == 1 and str(path) in one_line(ran)


def what_if(*arguments: Any) -> dict[str, Any]:
    ran = smtptls("policy", NAME, *arguments, "--json")
    found: dict[str, Any] = json.loads(ran.out)
    assert found["schema"] == "smtptls.policy/1" and found["exit"] == ran.code
    text = smtptls("policy", NAME, *arguments)
    assert text.code == ran.code and max(map(len, text.out.splitlines())) <= 80
    return found


def test_what_if(pki: Any, record: str, tmp_path: Path) -> None:
    trust = ("--ca", pki.ca)
    good = what_if(*trust, "--chain", pki.leaf)
    assert (good["level"], good["exit"]) == ("may", 0)
    assert good["verdicts"]["verify"] == {"action": "deliver", "effective": "verify", "auth": "pkix"}

    wrong = what_if(*trust, "--chain", pki.other, "--level", "verify")
    assert wrong["exit"] == 1 and wrong["verdicts"]["verify"]["why"] == "name-mismatch"
    assert wrong["verdicts"]["may"]["action"] == "deliver"

    # R7671-8-1: a new certificate under the old record, and with both records.
    rollover = ("--chain", pki.rsa, "--dnssec", "secure", "--tlsa", record)
    assert what_if(*trust, *rollover)["verdicts"]["dane"]["why"] == "dane-no-match"
    new = str(Tlsa.of(ssl.PEM_cert_to_DER_cert(pki.rsa.read_text())))
    assert what_if(*trust, *rollover, "--tlsa", new)["exit"] == 0

    policy = tmp_path / "policy"
    policy.write_text(POLICY)
    bare = what_if(*trust, "--no-starttls", "--sts", policy)
    assert (bare["level"], bare["exit"]) == ("sts", 1)
    assert bare["verdicts"]["may"]["action"] == "clear"
    assert bare["verdicts"]["sts"]["tlsrpt"] == "starttls-not-supported"
    assert bare["verdicts"]["sts"]["status"] == "4.7.4"


def test_what_a_check_says_the_policy_says(good: int, pki: Any, record: str) -> None:
    """One judgement, whether the server was asked or described."""
    facts = ("--ca", pki.ca, "--dnssec", "secure", "--tlsa", record, "--sts", "off")
    asked = json.loads(
        smtptls("check", f"{NAME}:{good}", "--resolve", f"{NAME}:{good}:127.0.0.1", *facts, "--json").out
    )
    assert what_if("--chain", pki.leaf, *facts)["verdicts"] == asked["hosts"][0]["verdicts"]


@pytest.mark.parametrize("option", ["--cert", "--key", "--helo", "--sni"])
def test_a_what_if_takes_nothing_that_it_would_not_use(option: str, pki: Any) -> None:
    """It connects to nobody, so there is nobody to show a certificate or a name to."""
    ran = smtptls("policy", NAME, "--chain", pki.chain, "--ca", pki.ca, option, pki.leaf)
    assert ran.code == 2 and option in one_line(ran)
    ran = smtptls("policy", NAME, "--chain", pki.chain, "--ca", pki.ca, "--sts", "fetch")
    assert ran.code == 2 and "network" in one_line(ran)


def test_ticket_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    assert smtptls("tickets", "make", path).code == 0
    before = smtptls("tickets", "show", path).out.splitlines()
    ran = smtptls("tickets", "make", path)
    assert ran.code == 2 and "there already" in one_line(ran)
    assert smtptls("tickets", "rotate", path).code == 0
    after = smtptls("tickets", "show", path).out.splitlines()
    assert before[2].split()[1] == after[1].split()[1]  # the next key is current now
    assert [line.split()[0] for line in after] == ["age", "current", "next", "previous"]
    keys = [line.split()[1] for line in path.read_text().splitlines()[1:]]
    assert len(keys) == 3 and not any(key in "".join(after) for key in keys)
    assert smtptls("tickets", "make", "--force", path).code == 0
