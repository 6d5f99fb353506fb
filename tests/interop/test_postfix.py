"""Postfix: `send` and `upgrade` deliver to it, and it delivers to `serve`, with certificates checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ca.ca import Paths
from conftest import MESSAGE, Serve, run_send
from hops import ours, same_tls, split
from postfix import Postfix


@pytest.fixture(scope="module")
def postfix(pki: Paths) -> Iterator[Postfix]:
    with Postfix(pki) as instance:
        yield instance


USING = re.compile(r"\(using (?P<version>\S+) with cipher (?P<cipher>\S+) ")


@pytest.mark.parametrize("which", ["send", "upgrade"])
def test_to_postfix(which: str, language: str, pki: Paths, postfix: Postfix) -> None:
    """R3207-5-1: the whole dialogue with a server that people run; its own trace tells of TLS."""
    result = run_send(language, which=which, port=postfix.port, ca=pki.ca).check()
    trace, message = split(postfix.wait_mail())
    assert message == MESSAGE
    received = next(header for header in trace if header.startswith("Received:"))
    assert " with ESMTPS " in received
    using = USING.search(received)
    assert using, received
    same_tls(result.tls, using["version"], using["cipher"])


def test_postfix_with_wrong_ca(language: str, pki: Paths, postfix: Postfix) -> None:
    """SEC-13: no message octet reaches a server that is not trusted, and it keeps working for the next."""
    result = run_send(language, port=postfix.port, ca=pki.wrongca)
    assert (result.returncode, result.error_code) == (1, "SMTPTLS_ERR_CERT_UNTRUSTED")
    assert (result.action, result.tlsrpt) == ("next-host", "certificate-not-trusted")
    run_send(language, port=postfix.port, ca=pki.ca).check()
    assert split(postfix.wait_mail())[1] == MESSAGE  # and only one came


@pytest.mark.parametrize("require_tls", [False, True])
def test_from_postfix(require_tls: bool, language: str, pki: Paths, tmp_path: Path) -> None:
    """Postfix at level secure finds our certificate good and hands the mail over unchanged."""
    with Serve(language, pki, tmp_path, require_tls=require_tls) as serve:
        with Postfix(pki, relay=serve.port) as postfix:
            postfix.relay(MESSAGE)
            handshake = postfix.wait_handshake()
            (stored,) = serve.wait_mail()
        same_tls(serve.out.wait("tls: "), handshake["version"], handshake["cipher"])
    trace, message = ours(stored)
    assert (trace["protocol"], trace["helo"]) == ("ESMTPS", "relay.example.test")
    assert split(message)[1] == MESSAGE
    assert handshake["trust"] == "Verified"
    assert serve.stderr == []


def test_postfix_refuses_serve_of_unknown_ca(language: str, pki: Paths, tmp_path: Path) -> None:
    """Postfix ends a session with a certificate it cannot trust; `serve` stores nothing and lives on."""
    with Serve(language, pki, tmp_path, cert=pki.selfsigned, key=pki.selfsigned_key) as serve:
        with Postfix(pki, relay=serve.port) as postfix:
            postfix.relay(MESSAGE)
            assert postfix.wait_handshake()["trust"] == "Untrusted"
        # A client that does not look at the certificate is served after it.
        run_send(language, port=serve.port, level="encrypt").check()
        (stored,) = serve.wait_mail()
    assert ours(stored)[1] == MESSAGE
