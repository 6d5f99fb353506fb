"""The same small client and server on smtptls and on OpenSSL: they speak the same SMTP, and refuse the same.

client.c, server.c and smtp.c are SMTP; client_smtptls.c and so on are the TLS of it and nothing else. How
many lines of code each of these has is printed.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from ca.ca import NAME, Paths
from conftest import DEADLINE, ROOT, missing

HERE = Path(__file__).resolve().parent
LIBRARY = ROOT / "build" / "lib"
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_POSIX_C_SOURCE=200809L", "-O2"]
LINK = {
    "smtptls": [f"-I{ROOT / 'include'}", f"-L{LIBRARY}", "-lsmtptls", f"-Wl,-rpath,{LIBRARY}"],
    "openssl": ["-lssl", "-lcrypto"],
}
ROLES = ("client", "server")
GREETING = [f"220 {NAME} ESMTP", f"250-{NAME}", "250 STARTTLS", "220 2.0.0 Ready to start TLS"]
COMMANDS = ["EHLO client.example.test", "STARTTLS"]
INSIDE = [
    ("put", "EHLO client.example.test"),
    ("got", f"250 {NAME}"),
    ("put", "NOOP"),
    ("got", "250 2.0.0 OK"),
    ("put", "QUIT"),
    ("got", "221 2.0.0 Bye"),
]
Result = subprocess.CompletedProcess[str]

on_both = pytest.mark.parametrize("library", LINK)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with client_smtptls, client_openssl, server_smtptls and server_openssl."""
    folder = tmp_path_factory.mktemp("compare")
    probe = subprocess.run(
        ["gcc", "-fsyntax-only", "-x", "c", "-"], input=b"#include <openssl/ssl.h>\n", capture_output=True
    )
    if probe.returncode != 0:
        missing("OpenSSL's headers are not installed: apt-get install libssl-dev")
    for role in ROLES:
        for library, link in LINK.items():
            sources = [HERE / name for name in (f"{role}_{library}.c", f"{role}.c", "smtp.c")]
            argv = ["gcc", *STRICT, *map(str, sources), "-o", str(folder / f"{role}_{library}"), *link]
            result = subprocess.run(argv, check=False, capture_output=True, text=True)
            assert result.returncode == 0, result.stderr
    return folder


class Server:
    """A server's one session: its port, and how it ended."""

    def __init__(self, program: Path, pki: Paths) -> None:
        argv = [str(program), str(pki.leaf), str(pki.leaf_key)]
        self._process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().removeprefix("port: "))

    def end(self) -> Result:
        out, err = self._process.communicate(timeout=2 * DEADLINE)
        return Result(self._process.args, self._process.returncode, out, err)


def run_client(program: Path, port: int, ca: Path) -> Result:
    argv = [str(program), str(port), str(ca)]
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=2 * DEADLINE)


def said(transcript: str) -> list[tuple[str, ...]]:
    """The lines inside TLS, each with who said it."""
    return [tuple(line.split(": ", 1)) for line in transcript.splitlines()]


class Relay:
    """Stands between client and server, and keeps what each said in clear."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.sent: dict[str, bytes] = {"client": b"", "server": b""}

    def __enter__(self) -> Relay:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._carry_all, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._thread.join(DEADLINE)
        self._listener.close()

    def _carry_all(self) -> None:
        client, _address = self._listener.accept()
        with client, socket.create_connection(("127.0.0.1", self._to)) as server:
            back = threading.Thread(target=self._carry, args=("server", server, client), daemon=True)
            back.start()
            self._carry("client", client, server)
            back.join(DEADLINE)

    def _carry(self, who: str, source: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.sent[who] += data
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)

    def clear(self, who: str) -> list[str]:
        """The lines before the first TLS record, a handshake (RFC 8446 section 5.1)."""
        text, _, rest = self.sent[who].partition(b"\x16\x03")
        assert rest, f"{who} did not begin TLS: {text!r}"
        return text.decode().splitlines()


@pytest.mark.parametrize("client", LINK)
@pytest.mark.parametrize("server", LINK)
def test_all_pairs_speak_the_same(client: str, server: str, programs: Path, pki: Paths) -> None:
    running = Server(programs / f"server_{server}", pki)
    with Relay(running.port) as relay:
        there = run_client(programs / f"client_{client}", relay.port, pki.ca)
        here = running.end()
    assert (there.returncode, there.stderr) == (0, ""), f"{there}"
    assert (here.returncode, here.stderr) == (0, ""), f"{here}"
    assert (relay.clear("client"), relay.clear("server")) == (COMMANDS, GREETING)
    assert said(there.stdout) == INSIDE
    assert said(here.stdout) == [("got" if who == "put" else "put", line) for who, line in INSIDE]


@on_both
@pytest.mark.parametrize(
    "change", [{"ca": "wrongca"}, {"leaf": "other"}, {"leaf": "expired"}, {"leaf": "client"}]
)
def test_a_client_refuses_a_stranger(
    change: dict[str, str], library: str, programs: Path, pki: Paths
) -> None:
    """A chain without a trust anchor, another name, a time that is over, a certificate for something else."""
    leaf = change.get("leaf", "leaf")
    files = replace(pki, leaf=getattr(pki, leaf), leaf_key=getattr(pki, f"{leaf}_key"))
    running = Server(programs / f"server_{library}", files)
    there = run_client(programs / f"client_{library}", running.port, getattr(pki, change.get("ca", "ca")))
    here = running.end()
    assert (there.returncode, there.stdout) == (1, "") and there.stderr, f"{there}"
    # RFC 3207 section 4.1 asks for QUIT; OpenSSL ends the handshake with an alert.
    assert said(here.stdout) == ([("got", "QUIT"), ("put", "221 2.0.0 Bye")] if library == "smtptls" else [])


@on_both
def test_a_server_refuses_what_came_behind_starttls(library: str, programs: Path, pki: Paths) -> None:
    running = Server(programs / f"server_{library}", pki)
    with socket.create_connection(("127.0.0.1", running.port), DEADLINE) as client:
        client.sendall(b"EHLO client.example.test\r\nSTARTTLS\r\nNOOP\r\n")
        with client.makefile("rb") as lines:
            replies = lines.read().decode().splitlines()
    assert replies == [*GREETING[:3], "554 5.5.0 Input behind STARTTLS"]
    here = running.end()
    assert (here.returncode, here.stdout) == (1, "") and here.stderr, f"{here}"


@contextlib.contextmanager
def scripted(play: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that is a function of one connection, in a thread of its own: its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            link, _address = listener.accept()
            link.settimeout(DEADLINE)
            with link:
                play(link)

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(accept)
            yield listener.getsockname()[1]
            done.result(DEADLINE)


def up_to_starttls(link: socket.socket, behind: bytes = b"") -> bytes:
    """The dialogue in clear. What the client said in it."""
    said = b""
    for line, reply in (
        (b"", f"{GREETING[0]}\r\n"),
        (b"EHLO client.example.test\r\n", f"{GREETING[1]}\r\n{GREETING[2]}\r\n"),
        (b"EHLO client.example.test\r\nSTARTTLS\r\n", f"{GREETING[3]}\r\n"),
    ):
        while len(said) < len(line):
            said += link.recv(65536)
        link.sendall(reply.encode() + (behind if line.endswith(b"STARTTLS\r\n") else b""))
    return said


@on_both
def test_a_client_refuses_what_came_behind_the_reply(library: str, programs: Path, pki: Paths) -> None:
    heard = []

    def play(link: socket.socket) -> None:
        heard.append(up_to_starttls(link, b"250 injected\r\n"))
        heard.append(link.recv(65536))

    with scripted(play) as port:
        there = run_client(programs / f"client_{library}", port, pki.ca)
    assert (there.returncode, there.stdout) == (1, ""), f"{there}"
    assert "plaintext behind its 220" in there.stderr
    assert heard == [b"EHLO client.example.test\r\nSTARTTLS\r\n", b""]


@on_both
def test_a_client_says_that_it_ends(library: str, programs: Path, pki: Paths) -> None:
    """With close_notify (RFC 8446 section 6.1)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    ends = []

    def play(link: socket.socket) -> None:
        up_to_starttls(link)
        # Without ragged ends: one that nobody has said must show as an error.
        with context.wrap_socket(link, server_side=True, suppress_ragged_eofs=False) as secure:
            for reply in (b"250 hello\r\n", b"250 noop\r\n", b"221 bye\r\n"):
                secure.recv(65536)
                secure.sendall(reply)
            ends.append(secure.recv(65536))

    with scripted(play) as port:
        there = run_client(programs / f"client_{library}", port, pki.ca)
    assert there.returncode == 0 and ends == [b""], f"{there}"


@on_both
def test_a_server_says_that_it_ends(library: str, programs: Path, pki: Paths) -> None:
    context = ssl.create_default_context(cafile=pki.ca)
    running = Server(programs / f"server_{library}", pki)
    with socket.create_connection(("127.0.0.1", running.port), DEADLINE) as link:
        link.sendall(b"STARTTLS\r\n")
        replies = b""
        while not replies.endswith(f"{GREETING[3]}\r\n".encode()):
            replies += link.recv(65536)
        with context.wrap_socket(link, server_hostname=NAME, suppress_ragged_eofs=False) as secure:
            secure.sendall(b"QUIT\r\n")
            assert secure.recv(65536) == b"221 2.0.0 Bye\r\n"
            assert secure.recv(65536) == b""
    assert running.end().returncode == 0


def lines_of_code(name: str) -> int:
    """Lines that are neither blank nor a comment."""
    text = re.sub(r"/\*.*?\*/", "", (HERE / name).read_text(), flags=re.DOTALL)
    return sum(1 for line in text.splitlines() if line.strip())


def test_lines_of_code(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {role: {library: lines_of_code(f"{role}_{library}.c") for library in LINK} for role in ROLES}
    with capsys.disabled():
        for role, of in counts.items():
            print(
                f"\nlines of code for TLS in a {role}: smtptls {of['smtptls']}, OpenSSL {of['openssl']}",
                end="",
            )
    for of in counts.values():
        assert of["smtptls"] < of["openssl"]
