"""smtptls serve: what smtptls check makes of each fault, and of a server without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import CLEAN, smtptls
from served import Served, serving

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

ENVELOPE = ("--from", "me@client.example.test", "--to", "you@example.test")


def checked(served: Served, *arguments: Any, host: str = "localhost", scheme: str = "") -> dict[str, Any]:
    ran = smtptls(
        "check", "--json", "--ca", served.ca, "--level", "verify", *arguments, f"{scheme}{host}:{served.port}"
    )
    assert not ran.err
    found: dict[str, Any] = json.loads(ran.out)
    assert found["exit"] == ran.code
    return found


def why(found: dict[str, Any], level: str = "verify") -> str | None:
    verdict: dict[str, Any] = found["hosts"][0]["verdicts"][level]
    return verdict.get("why")


def test_a_server_without_faults(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert {key: served.ready[key] for key in ("schema", "host", "name", "protocol", "implicit_tls")} == {
            "schema": "smtptls.serve/1",
            "host": "127.0.0.1",
            "name": "localhost",
            "protocol": "smtp",
            "implicit_tls": False,
        }
        assert served.ready["ca"] == str(served.ca) and served.ready["pid"] == served.process.pid
        for host in ("localhost", "127.0.0.1"):
            found = checked(served, host=host)
            assert found["exit"] == 0 and not found["hosts"][0]["warnings"]
        smtp = found["hosts"][0]["smtp"]
        assert smtp["starttls_reply"] == "220 2.0.0 Ready to start TLS"
        before = ["PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SIZE 10485760"]
        assert smtp["ehlo_before"] == [*before, "STARTTLS"] and smtp["ehlo_after"] == before


def test_its_tlsa_records_hold(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        own, authority = served.ready["tlsa"]
        for record in (own, authority):
            dane = ("--ca", "none", "--level", "dane-only", "--dnssec", "secure", "--tlsa", record)
            found = checked(served, *dane)
            assert found["exit"] == 0
        wrong = own[:-4] + ("0000" if own[-4:] != "0000" else "1111")
        found = checked(served, "--level", "dane", "--dnssec", "secure", "--tlsa", wrong)
        assert found["exit"] == 1 and why(found, "dane") == "dane-no-match"


# Flags, the exit code of check at level verify, and why.
FAULTS: dict[str, tuple[tuple[str, ...], int, str | None]] = {
    "no-starttls": (("--no-starttls",), 1, "starttls-not-offered"),
    "refused-now": (("--starttls-reply", "454 4.7.0 TLS not available"), 3, "starttls-rejected"),
    "refused": (("--starttls-reply", "554 5.7.0 No"), 1, "starttls-rejected"),
    "not-220": (("--starttls-reply", "250 2.0.0 OK"), 1, "protocol"),
    "injection": (("--inject-after-220", "250 2.0.0 OK"), 1, "response-injection"),
    "half-a-line": (("--inject-after-220", r"250 AU\c"), 1, "response-injection"),
    "close": (("--handshake", "close"), 3, "closed"),
    "garbage": (("--handshake", "garbage"), 1, "tls-handshake"),
    "alert": (("--handshake", "alert"), 1, "tls-alert:handshake-failure"),
    "stall": (("--handshake", "stall"), 3, "timeout"),
    "weak": (("--weak",), 1, "starttls-rejected"),
    "expired": (("--cert-kind", "expired"), 1, "expired"),
    "not-yet-valid": (("--cert-kind", "not-yet-valid"), 1, "not-yet-valid"),
    "wrong-name": (("--cert-kind", "wrong-name"), 1, "name-mismatch"),
    "self-signed": (("--cert-kind", "self-signed"), 1, "untrusted"),
    "v1": (("--cert-kind", "v1"), 1, "certificate-unusable"),
    "rsa1024": (("--cert-kind", "rsa1024"), 1, "certificate-unusable"),
    "busy": (("--greeting", "421 4.3.2 Not now"), 3, "starttls-rejected"),
    "no-service": (("--greeting", "554 5.3.2 No SMTP here"), 1, "starttls-rejected"),
    "no-smtp": (("--greeting", "SSH-2.0-OpenSSH_9.9"), 1, "protocol"),
    "mangled": (("--ehlo-reply", r"250-localhost\r\n250 XXXXXXXX"), 1, "starttls-not-offered"),
    "no-reply": (("--ehlo-reply", "nonsense"), 1, "protocol"),
    # What a client has to bear with.
    "several-lines": (("--starttls-reply", r"220-Ready\r\n220 Go ahead"), 0, None),
    "lower-case": (("--ehlo-reply", r"250-localhost\r\n250 starttls"), 0, None),
    "line-by-line": (("--line-by-line",), 0, None),
    "one-packet": (("--one-packet",), 0, None),
    "slow": (("--slow", "2"), 0, None),
    "tls-1.2": (("--tls-max", "1.2"), 0, None),
    "required": (("--require-tls",), 0, None),
    "offer-after-tls": (("--offer-after-tls",), 0, None),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_check_says_of_a_fault(name: str, tmp_path: Path) -> None:
    """SEC-3, SEC-4, SEC-5, SEC-6: what a client must find out, and what it must bear with."""
    flags, code, reason = FAULTS[name]
    with serving(tmp_path, *flags) as served:
        found = checked(served, "--timeout", "1" if name == "stall" else "30")
        assert (found["exit"], why(found)) == (code, reason), found


def test_what_else_check_sees(tmp_path: Path) -> None:
    """R3207-4.2-11: STARTTLS inside TLS is an anomaly, and no more."""
    with serving(tmp_path, "--offer-after-tls") as served:
        assert checked(served)["hosts"][0]["warnings"] == ["starttls-after-tls"]
    with serving(tmp_path, "--tls-max", "1.2") as served:
        found = checked(served, "--min-tls", "1.3")
        assert found["exit"] == 1 and found["hosts"][0]["errors"] == ["tls-version"]
    with serving(tmp_path, "--name", "mx.example.test", "--cert-kind", "wrong-name") as served:
        assert found["hosts"][0]["certificate"]["chain_length"] == 2
        names = checked(served)["hosts"][0]["certificate"]["names"]
        assert names == ["DNS:wrong.invalid"] and served.ready["name"] == "mx.example.test"


def test_tls_from_the_first_byte(tmp_path: Path) -> None:
    """R3207-4.2-9: no STARTTLS there either."""
    with serving(tmp_path, "--implicit") as served:
        assert served.ready["implicit_tls"] is True
        found = checked(served, scheme="submissions:")
        assert found["exit"] == 0 and "STARTTLS" not in found["hosts"][0]["smtp"]["ehlo_after"]
    for how, reason in (("close", "closed"), ("alert", "tls-alert:handshake-failure")):
        with serving(tmp_path, "--implicit", "--handshake", how) as served:
            assert why(checked(served, scheme="submissions:")) == reason


def test_lmtp(tmp_path: Path) -> None:
    """R2033-4.1-1, R2033-4.2-1: LHLO, and a reply for each recipient."""
    store = tmp_path / "mail"
    with serving(tmp_path, "--lmtp", "--store", store) as served:
        assert served.ready["protocol"] == "lmtp"
        assert checked(served, scheme="lmtp:")["exit"] == 0
        assert checked(served)["exit"] == 1
        send = ("send", *ENVELOPE, "--to", "two@example.test", "--ca", served.ca)
        assert smtptls(*send, f"lmtp:localhost:{served.port}").code == 0
    (message,) = store.iterdir()
    assert b"with LMTPS tls TLS_" in message.read_bytes()


def test_a_certificate_by_name(tmp_path: Path, pki: Any) -> None:
    own = tmp_path / "other.pem"
    own.write_bytes(pki.other.read_bytes() + pki.other_key.read_bytes())
    names = ("--sni-map", f"first.example.test={own}", "--sni-map", "second.example.test=auto")
    with serving(tmp_path, *names) as served:
        for name, shown in (
            ("first.example.test", "other.example.test"),
            ("second.example.test", "second.example.test"),
            ("third.example.test", "localhost"),
            ("none", "localhost"),
        ):
            found = checked(served, "--sni", name)
            assert found["hosts"][0]["certificate"]["names"][0] == f"DNS:{shown}"


def test_a_certificate_of_one_s_own_needs_no_package(tmp_path: Path, pki: Any) -> None:
    """cryptography is wanted for certificates that are made, and for nothing else."""
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "cryptography.py").write_text("raise ImportError('not installed')\n")
    env = {"PYTHONPATH": f"{absent}:{CLEAN.get('PYTHONPATH', '')}"}
    ran = smtptls("serve", env=env)
    assert ran.code == 2 and not ran.out
    assert ran.err.count("\n") == 1 and "pip install 'smtptls[cli]'" in ran.err and "--cert PEM" in ran.err
    own = ("--cert", pki.leaf, "--key", pki.leaf_key)
    with serving(tmp_path, *own, env=env) as served:
        served.ca = pki.ca
        assert checked(served)["exit"] == 0
        (record,) = served.ready["tlsa"]
        assert record.startswith("3 1 1 ") and served.ready["ca"] is None
