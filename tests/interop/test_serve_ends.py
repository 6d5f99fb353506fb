"""`serve` ends when told to, whatever its sessions are at, and keeps nothing of those that have ended."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from ca.ca import Paths
from conftest import DEADLINE, Serve, run_send


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at", ["nothing", "greeting", "hello", "starttls"])
def test_signal(at: str, stop: signal.Signals, language: str, pki: Paths, tmp_path: Path) -> None:
    """Both signals end it with status 0, which leaving the block checks, also while a session is open."""
    with Serve(language, pki, tmp_path, stop=stop) as serve, socket.socket() as link:
        link.settimeout(DEADLINE)
        if at != "nothing":
            link.connect((serve.host, serve.port))
            assert link.recv(1000).startswith(b"220 ")
        if at == "hello":
            link.sendall(b"EHLO client.example.test\r\n")
            assert link.recv(1000).startswith(b"250")
        if at == "starttls":
            link.sendall(b"STARTTLS\r\n")
            assert link.recv(1000).startswith(b"220 ")


def test_silent_client(language: str, pki: Paths, tmp_path: Path) -> None:
    """SEC-8: a client that says nothing is told so with 421 and is gone; others are served meanwhile."""
    with Serve(language, pki, tmp_path, timeout=2) as serve:
        with socket.create_connection((serve.host, serve.port), timeout=DEADLINE) as link:
            assert link.recv(1000).startswith(b"220 ")
            run_send(language, port=serve.port, ca=pki.ca).check()
            assert link.recv(1000).startswith(b"421 ")
            assert link.recv(1000) == b""
        serve.wait_mail()
        assert serve.err.wait("error: ").startswith("SMTPTLS_ERR_TIMEOUT: ")


def test_nothing_stays(language: str, pki: Paths, tmp_path: Path) -> None:
    """SEC-8: sessions that ended, well or not, leave no process, no thread and no descriptor behind."""
    with Serve(language, pki, tmp_path) as serve:
        idle = serve.idle()
        for _ in range(3):
            run_send(language, port=serve.port, ca=pki.ca).check()
            assert run_send(language, port=serve.port, ca=pki.wrongca).returncode == 1
            with socket.create_connection((serve.host, serve.port), timeout=DEADLINE) as link:
                assert link.recv(1000).startswith(b"220 ")
        serve.wait_idle(idle)
