"""lettre, with each of its TLS backends, as a client of ours: TLS from the first octet, wrong names.

docs/interop.md has its sessions with `serve`; here is what a matrix of good sessions does not show.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest
import smtptls
from ca.ca import NAME, OTHER_NAME, Paths
from conftest import DEADLINE, MESSAGE, Serve
from hops import crlf
from matrix.peer import body
from matrix.rust import BACKENDS, command, program

VERSIONS = ("1.2", "1.3")
REPLIES = {b"DATA": b"354 go on\r\n", b"QUIT": b"221 2.0.0 bye\r\n"}


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """Once, before any deadline runs."""
    for backend in BACKENDS:
        program(backend)


def lettre(
    argv: list[str], environment: dict[str, str], message: bytes
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        argv,
        input=message,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
        env=os.environ | environment,
    )


class Implicit:
    """A server of ours on a port like 465: TLS, and the banner inside it. Takes one client."""

    def __init__(self, pki: Paths) -> None:
        self.message: bytes | None = None
        self.failure: smtptls.Error | None = None
        self._config = smtptls.Config(hostname=NAME, keypairs=[(pki.leaf, pki.leaf_key)])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(DEADLINE)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def join(self) -> None:
        self._thread.join()
        self._listener.close()

    def _take(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(DEADLINE)
            try:
                self._talk(smtptls.Session.server(self._config, None, connection))
            except smtptls.Error as error:
                self.failure = error

    def _talk(self, session: smtptls.Session) -> None:
        session.set_banner(f"220 {NAME} ESMTP\r\n".encode())
        session.start(smtptls.Entry.HANDSHAKE)
        lines = session.makefile("rb")
        while line := lines.readline():
            verb = line[:4].upper()
            session.sendall(
                REPLIES.get(verb, b"250-here\r\n250 8BITMIME\r\n" if verb == b"EHLO" else b"250 ok\r\n")
            )
            if verb == b"DATA":
                taken = list(iter(lines.readline, b".\r\n"))
                self.message = b"".join(taken)
                session.sendall(b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                break
        session.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_tls_from_the_first_octet(backend: str, version: str, pki: Paths, tmp_path: Path) -> None:
    """R8314-3.3-1."""
    server = Implicit(pki)
    done = lettre(*command(backend, pki, server.port, tmp_path, version, implicit=True), crlf(MESSAGE))
    server.join()
    assert done.returncode == 0 and server.failure is None, (done, server.failure)
    assert server.message is not None
    assert body(server.message) == body(crlf(MESSAGE).replace(b"\r\n.", b"\r\n.."))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wrong_name_implicit(backend: str, pki: Paths, tmp_path: Path) -> None:
    """The client refuses, by an alert or by going away, and the server knows that no TLS came of it."""
    server = Implicit(pki)
    argv, environment = command(backend, pki, server.port, tmp_path, "1.3", implicit=True, name=OTHER_NAME)
    done = lettre(argv, environment, crlf(MESSAGE))
    server.join()
    assert done.returncode == 1 and b"ertificate" in done.stderr, done
    assert server.message is None
    assert server.failure is not None and server.failure.code is smtptls.Code.ALERT, server.failure


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wrong_name_behind_starttls(backend: str, language: str, pki: Paths, tmp_path: Path) -> None:
    with Serve(language, pki, tmp_path / "mail", require_tls=True) as serve:
        argv, environment = command(backend, pki, serve.port, tmp_path, "1.3", name=OTHER_NAME)
        done = lettre(argv, environment, crlf(MESSAGE))
        serve.err.wait("error: SMTPTLS_ERR_ALERT")
    assert done.returncode == 1 and b"ertificate" in done.stderr, done
    assert not list((tmp_path / "mail").glob("*.eml"))
