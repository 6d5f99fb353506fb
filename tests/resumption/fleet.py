"""What the tests of resumption share: servers with one file of ticket keys, and two independent clients.

Server(...)      `serve` with further flags; `reload()` sends SIGHUP and waits for the answer
visit(...)       one session of a client of the library: its Info
openssl(...)     one session of `openssl s_client`: whether it was resumed
ticket_of(...)   the ticket in a session file of OpenSSL
"""

from __future__ import annotations

import base64
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from ca.ca import NAME, Paths
from conftest import DEADLINE, Serve
from smtptls import Config, Info, Policy, Session, TlsVersion, tickets

VERSIONS = tuple(TlsVersion)
FLAGS = {TlsVersion.TLS1_2: "-tls1_2", TlsVersion.TLS1_3: "-tls1_3"}


class Server(Serve):
    """`serve` with further flags, as they stand."""

    def __init__(self, language: str, pki: Paths, store: Path, *flags: str | Path, **options: Any) -> None:
        super().__init__(language, pki, store, **options)
        self._argv += [str(flag) for flag in flags]
        self._reloads = 0

    def reload(self) -> None:
        """Let it read its key pairs and ticket keys again, and wait until it has."""
        self.signal(signal.SIGHUP)
        self._reloads += 1
        self.out.wait("reloaded", self._reloads)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)


def keys(path: Path) -> Path:
    """A new file of ticket keys."""
    tickets.make(path)
    return path


def keeping(pki: Paths, version: TlsVersion = TlsVersion.TLS1_3, **options: Any) -> Config:
    """A client that keeps sessions."""
    return Config(roots=[pki.ca], client_sessions=8, max_version=version, **options)


def visit(client: Config, port: int, host: str = "127.0.0.1", name: str = NAME) -> Info:
    """One session, from the greeting to QUIT. The tickets come before the reply to the EHLO inside TLS."""
    with socket.create_connection((host, port), DEADLINE) as connection:
        session = Session.client(client, Policy("verify"), name, connection)
        session.start()
        session.sendall(b"QUIT\r\n")
        assert session.recv(100).startswith(b"221 ")
        session.close()
        assert session.info is not None
        return session.info


def openssl(
    pki: Paths,
    port: int,
    version: TlsVersion,
    *,
    save: Path | None = None,
    resume: Path | None = None,
    host: str = "127.0.0.1",
) -> bool:
    """One session of OpenSSL. Its certificate check counts, and a session that fails fails the test."""
    words = ["openssl", "s_client", "-connect", f"{host}:{port}", "-starttls", "smtp", FLAGS[version]]
    words += ["-servername", NAME, "-CAfile", str(pki.ca), "-verify_return_error", "-ign_eof"]
    words += [] if save is None else ["-sess_out", str(save)]
    words += [] if resume is None else ["-sess_in", str(resume)]
    done = subprocess.run(
        words, input=b"EHLO again\r\nQUIT\r\n", capture_output=True, timeout=DEADLINE, check=False
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0 and "221 2.0.0" in said, f"{said}{done.stderr!r}"
    how = re.search(r"^(New|Reused), TLSv1", said, re.MULTILINE)
    assert how, said
    return how[1] == "Reused"


def der_of(session: Path) -> bytes:
    lines = session.read_text().splitlines()
    return base64.b64decode("".join(line for line in lines if not line.startswith("-")))


def ticket_of(session: Path, path: Path) -> tuple[int, str]:
    """Where the ticket begins in the DER of a session file, and the role of the key that has sealed it.

    A ticket begins with the name of its key.
    """
    der = der_of(session)
    for role, name in re.findall(r"^(\w+) +([0-9a-f]{32})$", tickets.show(path), re.MULTILINE):
        if (at := der.find(bytes.fromhex(name))) >= 0:
            return at, role
    return -1, "none"


def altered(session: Path, at: int, octets: bytes) -> Path:
    """A copy of a session file with other octets at a place in its DER."""
    der = der_of(session)
    text = base64.encodebytes(der[:at] + octets + der[at + len(octets) :]).decode()
    copy = session.with_suffix(".altered")
    copy.write_text(f"-----BEGIN SSL SESSION PARAMETERS-----\n{text}-----END SSL SESSION PARAMETERS-----\n")
    return copy
