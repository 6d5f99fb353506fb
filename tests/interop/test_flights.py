"""What belongs together leaves in one write: else Nagle's algorithm and delayed ACK cost 40 ms a session."""

from __future__ import annotations

import smtplib
import ssl
from pathlib import Path

import pytest
from ca.ca import Paths
from conftest import Serve, run_send
from opensslserver import OpensslServer, context
from syscalls import APPLICATION_DATA, CHANGE_CIPHER_SPEC, OVERHEAD, after_hello, records, sent, strace


@pytest.mark.parametrize("which", ["send", "upgrade"])
def test_finished_and_ehlo_in_one_write(which: str, language: str, pki: Paths, tmp_path: Path) -> None:
    """R3207-4.2-4: the client's Finished and its EHLO are one system call, ChangeCipherSpec and all."""
    log = tmp_path / "strace"
    with OpensslServer(context(pki.leaf, pki.leaf_key, "TLSv1.3")) as server:
        run_send(language, which=which, port=server.port, ca=pki.ca, prefix=strace(log)).check()
        seen = server.seen()
    flight = records(after_hello(sent(log, f"127.0.0.1:{server.port}"))[0])
    kinds = [kind for kind, _length in flight]
    assert kinds in (
        [CHANGE_CIPHER_SPEC, APPLICATION_DATA, APPLICATION_DATA],
        [APPLICATION_DATA, APPLICATION_DATA],
    )
    # Encrypted, so known by its length: the last record is the EHLO line and nothing else.
    assert seen.secured[0].upper().startswith("EHLO ")
    assert flight[-1][1] == len(seen.secured[0]) + len("\r\n") + OVERHEAD


def test_server_sends_nothing_before_its_ehlo_answer(language: str, pki: Paths, tmp_path: Path) -> None:
    """R3207-4.2-1: after the handshake the server waits for EHLO; its tickets leave with the answer."""
    log = tmp_path / "strace"
    tls = ssl.create_default_context(cafile=str(pki.ca))
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    with Serve(language, pki, tmp_path / "mail", prefix=strace(log)) as serve:
        idle = serve.idle()
        client = smtplib.SMTP("localhost", serve.port)
        client.starttls(context=tls)
        serve.out.wait("tls: ")  # it has our Finished, and still has no EHLO
        code, text = client.ehlo()
        assert code == 250
        client.quit()
        serve.wait_idle(idle)  # a traced program may get its signal in a thread that is just ending
    calls = after_hello(sent(log, f"127.0.0.1:{serve.port}"))
    answer = sum(len(b"250-" + line + b"\r\n") for line in text.split(b"\n"))
    flight = records(calls[0])
    assert {kind for kind, _length in flight} == {APPLICATION_DATA}
    assert flight[-1][1] == answer + OVERHEAD, f"first a write of {flight}; the answer has {answer} octets"
