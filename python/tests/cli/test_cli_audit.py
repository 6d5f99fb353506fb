"""smtptls audit: servers with one defect each fail the row that is about it, and good ones none."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import defective
import pytest
from audits import NAMES, audited, came, jsonschema, rows, validate
from commands import CLEAN, DEADLINE, command
from defective import openssl
from served import serving
from smtptls import Protocol
from smtptls.cli.server.dialogue import Dialogue
from test_cli_talk import aiosmtpd

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

BASIC = {"starttls-offered", "starttls"}


def test_the_schema(pki: Any) -> None:
    """It fits, and it is not so loose that everything fits."""
    if jsonschema is None:
        pytest.skip("jsonschema is not installed: no document was compared with the schema")
    with defective.defective(pki) as port:
        found = audited(f"localhost:{port}")
    wrongs: list[dict[str, Any]] = [{"schema": "smtptls.audit/2"}, {"exit": 2}, {"rows": []}, {"counts": {}}]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            validate(found | wrong)


# Servers that are as they should be: flags of serve, the target, and what they do not have.
GOOD: dict[str, tuple[tuple[str, ...], str, set[str]]] = {
    "plain": ((), "", {"tls-required"}),
    "required": (("--require-tls",), "", {"reset"}),
    "tls-1.2": (("--tls-max", "1.2"), "", {"tls-required"}),
    "lmtp": (("--lmtp",), "lmtp:", {"tls-required"}),
    "line-by-line": (("--line-by-line",), "", {"tls-required"}),
    "slow": (("--slow", "1"), "", {"tls-required"}),
    "rsa1024": (("--cert-kind", "rsa1024"), "", {"tls-required"}),
    "expired": (("--cert-kind", "expired"), "", {"tls-required"}),
    "implicit": (
        ("--implicit",),
        "submissions:",
        {
            "starttls-offered", "lower-case", "parameter", "tls-required", "passwords", "other-hello",
            "reset", "hello-forgotten", "injection", "injection-segments", "injection-split",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_serve_passes(name: str, tmp_path: Path) -> None:
    flags, scheme, skipped = GOOD[name]
    with serving(tmp_path, *flags) as served:
        found = audited(f"{scheme}localhost:{served.port}")
    assert found["exit"] == 0, found
    assert rows(found, "skip") == skipped and rows(found, "pass") == set(NAMES) - skipped


# Flags of serve, what becomes of the audit, and which rows say so.
FAULTS: dict[str, tuple[tuple[str, ...], str, set[str]]] = {
    "no-starttls": (("--no-starttls",), "fail", {"starttls-offered"}),
    "refused": (("--starttls-reply", "554 5.7.0 No"), "fail", {"starttls"}),
    "refused-now": (("--starttls-reply", "454 4.7.0 Not now"), "undecided", {"starttls"}),
    "injected": (("--inject-after-220", "250 2.0.0 OK"), "fail", {"starttls"}),
    "alert": (("--handshake", "alert"), "fail", {"starttls"}),
    "garbage": (("--handshake", "garbage"), "fail", {"starttls"}),
    "close": (("--handshake", "close"), "undecided", {"starttls"}),
    "stall": (("--handshake", "stall"), "undecided", {"starttls"}),
    "weak": (("--weak",), "undecided", {"starttls"}),
    "busy": (("--greeting", "421 4.3.2 Not now"), "undecided", {"starttls-offered"}),
    "no-smtp": (("--greeting", "SSH-2.0-OpenSSH_9.9"), "fail", {"starttls-offered"}),
    "mangled": (("--ehlo-reply", r"250-localhost\r\n250 XXXXXXXX"), "fail", {"starttls-offered"}),
    "offer-after-tls": (("--offer-after-tls",), "fail", {"not-offered-inside"}),
    "passwords": (
        ("--ehlo-reply", r"250-localhost\r\n250-AUTH=LOGIN\r\n250 STARTTLS"),
        "fail",
        {"passwords"},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_fails_its_row_alone(name: str, tmp_path: Path) -> None:
    flags, result, wanted = FAULTS[name]
    with serving(tmp_path, *flags) as served:
        found = audited(f"localhost:{served.port}", "--timeout", "5" if name == "stall" else "30")
    assert found["exit"] == {"fail": 1, "undecided": 3}[result]
    assert rows(found, result) == wanted, found
    others = rows(found, "fail") | rows(found, "undecided")
    assert others == wanted, found
    if wanted & BASIC:  # then nothing is asked that needs TLS
        assert rows(found, "pass") <= BASIC


# The row that a defect fails; see defective.py for the defects.
DEFECTS: dict[str, tuple[str, Callable[..., Dialogue], dict[str, Any]]] = {
    "case-sensitive": ("lower-case", defective.CaseSensitive, {}),
    "takes-parameters": ("parameter", defective.TakesParameters, {}),
    "never-again": ("parameter", defective.NeverAgain, {}),
    "exempts-vrfy": ("tls-required", defective.Exempting, {"require_tls": True}),
    "refuses-noop": ("tls-required", defective.RefusingNoop, {"require_tls": True}),
    "every-hello": ("other-hello", defective.TakesEveryHello, {}),
    "keeps-transaction": ("reset", defective.KeepsTransaction, {}),
    "keeps-hello": ("hello-forgotten", defective.KeepsHello, {}),
    "starttls-twice": ("starttls-inside", defective.TakesStarttlsTwice, {}),
    "keeps-lines": ("injection", defective.KeepsLines, {}),
    "answers-in-plaintext": ("injection", defective.AnswersInPlaintext, {}),
    "keeps-half-a-line": ("injection-split", defective.KeepsHalfALine, {}),
    "reads-before-tls": ("injection-segments", defective.ReadsBeforeTls, {}),
    "goes-on-in-plaintext": ("garbage", defective.GoesOnInPlaintext, {}),
    "ends-at-once": ("close-notify", defective.EndsAtOnce, {}),
    "no-code": ("enhanced-codes", defective.SaysNoCode, {}),
    "another-class": ("enhanced-codes", defective.SaysAnotherClass, {}),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_fails_its_row_alone(name: str, pki: Any) -> None:
    row, host, settings = DEFECTS[name]
    with defective.defective(pki, host, **settings) as port:
        found = audited(f"localhost:{port}")
    assert found["exit"] == 1 and rows(found, "fail") == {row}, found
    assert not rows(found, "undecided"), found


def test_defects_of_tls(pki: Any) -> None:
    """R8996-1, R7672-8.1-3: what only another TLS library can get wrong here."""
    for context, wanted in (
        (openssl(pki), set()),
        (defective.old(pki), {"old-version"}),
        (defective.picky(pki, None), {"no-server-name"}),
        (defective.picky(pki, "unknown.invalid"), {"unknown-server-name"}),
    ):
        with defective.defective(pki, openssl=context) as port:
            found = audited(f"localhost:{port}")
        assert rows(found, "fail") == wanted and not rows(found, "undecided"), found


def test_every_row_has_failed() -> None:
    """A row that nothing fails is no test."""
    failed = {row for row, _, _ in DEFECTS.values()} | {
        "old-version",
        "no-server-name",
        "unknown-server-name",
    }
    for _, result, wanted in FAULTS.values():
        failed |= wanted if result == "fail" else set()
    assert failed == set(NAMES)


def test_what_others_do_and_is_no_defect(pki: Any) -> None:
    with defective.defective(pki, defective.ExemptingAsPostfix, require_tls=True) as port:
        found = audited(f"localhost:{port}")
    assert found["exit"] == 0
    assert came(found, "tls-required") == "530; exempt besides: HELO 250, HELP 214"
    with defective.defective(pki, defective.NeedsNoHello) as port:
        found = audited(f"localhost:{port}")
    assert found["exit"] == 0 and rows(found, "skip") == {"tls-required", "hello-forgotten"}


def test_aiosmtpd(pki: Any) -> None:
    """It answers a second STARTTLS, inside TLS, with 220, and there is no TLS in TLS then."""
    with aiosmtpd(openssl(pki)) as (port, _):
        found = audited(f"localhost:{port}")
    assert rows(found, "fail") == {"starttls-inside"} and not rows(found, "undecided"), found
    assert rows(found, "skip") == {"tls-required", "enhanced-codes"}


def test_lmtp_over_a_unix_socket(pki: Any, tmp_path: Path) -> None:
    """R2033-ours-1"""
    path = tmp_path / "lmtp"
    with defective.defective(pki, path=path, protocol=Protocol.LMTP):
        found = audited(f"unix:{path}")
    assert found["exit"] == 0 and (found["protocol"], found["port"]) == ("lmtp", None)
    with defective.defective(pki, defective.TakesEveryHello, path=tmp_path / "two", protocol=Protocol.LMTP):
        assert rows(audited(f"unix:{tmp_path / 'two'}"), "fail") == {"other-hello"}


def test_rows_are_told_as_they_come(pki: Any) -> None:
    asked = threading.Event()

    class Waits(Dialogue):
        def starttls(self, line: bytes, rest: str) -> bool:
            if rest:
                assert asked.wait(DEADLINE)
            return super().starttls(line, rest)

    with (
        defective.defective(pki, Waits) as port,
        subprocess.Popen(command("audit", f"localhost:{port}"), stdout=subprocess.PIPE, env=CLEAN) as ran,
    ):
        assert ran.stdout
        assert ran.stdout.readline() == f"localhost:{port}\n".encode()
        for name in NAMES[:3]:
            assert ran.stdout.readline().split()[1] == name.encode()
        asked.set()
        assert ran.stdout.read().endswith(b": OK (19 pass, 1 skip)\n") and ran.wait(DEADLINE) == 0


def test_a_recipient(pki: Any) -> None:
    class Knows(Dialogue):
        def rcpt(self, rest: str) -> str:
            return super().rcpt(rest) if "me@here" in rest else "550 5.1.1 No such user"

    with defective.defective(pki, Knows) as port:
        assert "reset" in rows(audited(f"localhost:{port}"), "skip")
        assert "reset" in rows(audited(f"localhost:{port}", "--to", "me@here"), "pass")


def test_a_client_s_certificate_and_name(pki: Any) -> None:
    names: list[str] = []

    class Asks(Dialogue):
        def greet(self, verb: str, name: str) -> bool:
            session = self.connection.session
            if session is not None and session.info is not None:
                names.append(f"{name} {session.info.peer_subject}")
            return super().greet(verb, name)

    import smtptls as module

    config = module.Config(keypairs=[(pki.leaf, pki.leaf_key)], client_auth="ask", roots=[pki.ca])
    with defective.defective(pki, Asks) as port:
        own = ("--cert", pki.client, "--key", pki.client_key, "--helo", "me.example.test")
        assert audited(f"localhost:{port}", *own)["exit"] == 0
    assert names and all(name.startswith("me.example.test ") for name in names)
    names.clear()
    with defective.defective(pki, Asks, config=config) as port:
        assert audited(f"localhost:{port}", *own)["exit"] == 0
    assert names and all(name == "me.example.test CN=mail.example.test" for name in names), names


def test_it_talks_to_one_connection_at_a_time(pki: Any) -> None:
    """And says QUIT where it can be heard."""
    at_once, most = 0, 0
    quits = []

    class Counts(Dialogue):
        def run(self) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            try:
                super().run()
                quits.append(1)
            finally:
                at_once -= 1

    with defective.defective(pki, Counts) as port:
        assert audited(f"localhost:{port}")["exit"] == 0
    assert most == 1 and len(quits) >= 12
