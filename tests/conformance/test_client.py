"""Every client case, against `send` and `upgrade` in each language: one expected outcome for all of them.

The cases are in client_cases/; cases.py says what their keys mean, script.py what their steps do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from ca.ca import Paths
from cases import ClientCase, client_cases
from conftest import LANGUAGES
from harness import ClientRun, Pool, commands, is_tls, run_client, selected, verbs
from script import unescape

CASES = {case.name: case for case in client_cases()}
RUNS = [(name, program) for name, case in CASES.items() for program in case.programs]
REFERENCE = "rust"  # the language that the others are compared with
BOUND = 10.0  # seconds: a run with a --timeout of one or two is over by then, however slow the machine
Key = tuple[str, str, str]


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, pki: Paths, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pool[Key, ClientRun]]:
    scratch = tmp_path_factory.mktemp("client")
    pool: Pool[Key, ClientRun] = Pool(lambda key: run_client(CASES[key[0]], key[1], key[2], pki, scratch))
    for name, program, language in selected(request, "name", "program", "language"):
        pool.start([(name, program, language), (name, program, REFERENCE)])
    yield pool
    pool.close()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("name", "program"), RUNS)
def test_case(runs: Pool[Key, ClientRun], name: str, program: str, language: str) -> None:
    case = CASES[name]
    run = runs.result((name, program, language))
    loose = program == "upgrade" and bool(case.own_words)
    check_peer(case, run, loose)
    check_output(case, run, loose)
    check_wire(case, run)
    if not loose:  # before STARTTLS each `upgrade` is its own program
        check_agreement(run, runs.result((name, program, REFERENCE)))


def check_agreement(run: ClientRun, other: ClientRun) -> None:
    """C, Python and Rust: the same status, error and lines, and the same commands on the wire."""
    wanted = other.facts()
    for fact, found in run.facts().items():
        assert found == wanted[fact], f"{fact}: {found!r}, and {wanted[fact]!r} in {REFERENCE} {run}"


def check_peer(case: ClientCase, run: ClientRun, loose: bool) -> None:
    """No case passes vacuously: the peer came to the end of its script, over one connection."""
    if case.exit == 2:
        assert run.peer.connections == 0, f"connects although the usage is wrong {run}"
        return
    # An `upgrade` may give up earlier than the script, in its own dialogue.
    assert run.peer.done or (loose and run.peer.reached), f"{run.peer.failure} {run}"
    assert run.peer.connections == (0 if run.peer.refuses else 1), f"{run.peer.connections} connections {run}"
    if case.options.get("timeout", BOUND) < BOUND:
        assert run.seconds < BOUND, f"{run}"


def check_output(case: ClientCase, run: ClientRun, loose: bool) -> None:
    sent = run.sent
    assert sent.returncode == case.exit, f"{run}"
    for stream in (sent.stdout, sent.stderr):  # SEC-20
        assert stream.isascii() and not re.search(r"[^\n -~]", stream), f"control characters {run}"
    if case.sent:
        assert sent.stderr == "", f"{run}"
        assert sent.sent is not None and sent.tls is not None, f"{run}"
        assert isinstance(case.sent, bool) or case.sent in sent.sent, f"{run}"
        assert case.tls_line is not None and sent.tls.startswith(case.tls_line), f"{run}"
        assert (sent.peer is None) == (sent.tls == "none"), f"{run}"
        assert case.peer in (None, sent.peer), f"{run}"
        return
    assert sent.sent is None, f"{run}"
    if case.code is None:
        assert "usage" in sent.stderr.lower(), f"{run}"
        return
    assert sent.error_code and sent.stderr.count("\n") == 1, f"not one line `error: ` {run}"
    if loose:
        return
    assert sent.error_code in [f"SMTPTLS_{code}" for code in case.code.split("|")], f"{run}"
    assert case.action in (None, sent.action), f"action {run}"
    assert case.tlsrpt in (None, sent.tlsrpt), f"tlsrpt {run}"
    for text in case.error_has:
        assert sent.message and text in sent.message, f"no {text!r} in the error {run}"
    if case.peak_mib:
        assert run.peak_mib < case.peak_mib, f"took {run.peak_mib} MiB {run}"


def check_wire(case: ClientCase, run: ClientRun) -> None:
    """What may have gone in clear, and what inside TLS. SEC-7: behind a ClientHello there is only TLS."""
    text, records = commands(run.clear)
    assert is_tls(records), f"clear text behind the ClientHello {run}"
    extra = [verb for verb in verbs(text) if verb not in case.clear.split()]
    assert not extra, f"{extra} in clear {run}"
    extra = [verb for verb in verbs(run.inside) if verb not in case.tls.split()]
    assert not extra, f"{extra} inside TLS {run}"
    if case.sni is not None:
        assert (run.peer.sni or "") == case.sni, f"SNI is {run.peer.sni} {run}"
    if case.received is not None:
        assert run.peer.messages == [unescape(case.received)], f"{run}"
    if case.options.get("password"):  # SEC-14
        shown = run.sent.stdout + run.sent.stderr
        assert "sesame" not in shown and "AGFsaWNlAHNlc2FtZQ" not in shown, f"the password is shown {run}"
