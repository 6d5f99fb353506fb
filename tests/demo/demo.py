"""The demo: one `serve`, and C, Python and Rust `send` through it, with what really went over the wire.

Run by `make demo`. All on loopback, with a CA made for this run. Status 0 only if all three messages arrived.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from ca.ca import NAME, Paths, make  # noqa: E402

DEADLINE = 20.0
SEND = {
    "C": [ROOT / "build/c/send"],
    "Python": [ROOT / ".venv/bin/python", ROOT / "examples/python/send.py"],
    "Rust": [ROOT / "build/rust/send"],
}
SERVE = ROOT / "build/c/serve"
RECORDS = {20: "change cipher spec", 21: "alert", 22: "handshake", 23: "encrypted"}  # RFC 8446 section 5.1
SHOWN = 4  # TLS flights shown one by one: both hellos, Finished with EHLO, the answer
BOLD, DIM, PLAIN = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if sys.stdout.isatty() else ("", "", "")


class Wiretap:
    """Forwards one TCP connection to `port` and keeps what passed, in the order in which it passed."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._passed: list[tuple[str, bytes]] = []  # "C" or "S", octets
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(DEADLINE)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.close()
        self._thread.join(DEADLINE)

    def _forward(self) -> None:
        try:
            client, _address = self._listener.accept()
            server = socket.create_connection(("127.0.0.1", self._target), DEADLINE)
        except OSError:
            return  # nobody came, or nobody is there: the clients say so
        with client, server:
            client.settimeout(DEADLINE)
            back = threading.Thread(target=self._pump, args=("S", server, client), daemon=True)
            back.start()
            self._pump("C", client, server)
            back.join(DEADLINE)

    def _pump(self, who: str, source: socket.socket, sink: socket.socket) -> None:
        try:
            while octets := source.recv(65536):
                # Noted before it is passed on: so no answer can come before its question.
                with self._lock:
                    self._passed.append((who, octets))
                sink.sendall(octets)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side has closed

    def dialogue(self) -> list[str]:
        """What passed: each line until TLS begins, and then a line for each of the first flights."""
        self._thread.join(DEADLINE)
        flights: list[tuple[str, bytes]] = []
        for who, octets in self._passed:
            if flights and flights[-1][0] == who:
                octets = flights.pop()[1] + octets
            flights.append((who, octets))
        lines = []
        secret: list[bytes] = []
        for who, octets in flights:
            if octets[0] not in RECORDS:
                lines += [f"{who}: {line}" for line in octets.decode(errors="backslashreplace").splitlines()]
                continue
            secret.append(octets)
            if len(secret) <= SHOWN:
                lines.append(f"{who}: <TLS {describe(octets)}>")
        if rest := secret[SHOWN:]:
            lines.append(f"   ... and {len(rest)} more TLS flights; {sum(map(len, rest)):,} bytes")
        return lines


def describe(octets: bytes) -> str:
    """The TLS records in a flight, and its length."""
    kinds = []
    rest = octets
    while len(rest) >= 5:
        kinds.append(RECORDS.get(rest[0], "unknown"))
        rest = rest[5 + int.from_bytes(rest[3:5]) :]
    runs: list[tuple[str, int]] = []
    for kind in kinds:
        count = runs.pop()[1] if runs and runs[-1][0] == kind else 0
        runs.append((kind, count + 1))
    text = ", ".join(kind if count == 1 else f"{count} x {kind}" for kind, count in runs)
    return f"{'record' if len(kinds) == 1 else 'records'}: {text}; {len(octets):,} bytes"


def start_serve(pki: Paths, store: Path) -> tuple[subprocess.Popen[str], int]:
    argv = [str(SERVE), "--cert", str(pki.leaf), "--key", str(pki.leaf_key), "--store", str(store)]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = process.stdout.readline()  # a program that cannot listen ends, and so ends this line
    if not line.startswith("listening: "):
        sys.exit(f"serve did not start: {line!r}")
    return process, int(line.rpartition(":")[2])


def deliver(language: str, port: int, pki: Paths, store: Path) -> bool:
    """Send one message, show how it went, and say whether it arrived."""
    print(f"\n{BOLD}{language} send{PLAIN}")
    sender = f"{language.lower()}@client.example.test"
    subject = f"Hello from {language}"
    message = f"From: <{sender}>\nTo: <bob@{NAME}>\nSubject: {subject}\n\nSent through STARTTLS.\n"
    before = set(store.glob("*.eml"))
    with Wiretap(port) as tap:
        argv = [*map(str, SEND[language]), "--host", "127.0.0.1", "--port", str(tap.port), "--name", NAME]
        argv += ["--from", sender, "--to", f"bob@{NAME}", "--ca", str(pki.ca), "--timeout", "10"]
        done = subprocess.run(
            argv, input=message, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        dialogue = tap.dialogue()
    for line in dialogue:
        print(f"  {DIM}{line}{PLAIN}")
    for line in (done.stdout + done.stderr).splitlines():
        print(f"  {line}")

    end = time.monotonic() + (DEADLINE if done.returncode == 0 else 0)
    while not (arrived := set(store.glob("*.eml")) - before) and time.monotonic() < end:
        time.sleep(0.01)
    if done.returncode != 0 or len(arrived) != 1:
        print("  the message did not arrive")
        return False
    content = arrived.pop().read_text()
    print("  the mail that arrived:")
    for line in content.splitlines():
        print(f"    {line}".rstrip())
    return content.endswith(message)


def main() -> int:
    missing = [
        path for path in (SERVE, *(path for argv in SEND.values() for path in argv)) if not path.exists()
    ]
    if missing:
        print(f"{missing[0].relative_to(ROOT)} is missing: run `make examples` first", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="smtptls-demo-") as folder:
        pki = make(Path(folder) / "pki")
        store = Path(folder) / "mail"
        store.mkdir()
        serve, port = start_serve(pki, store)
        try:
            print(f"serve (C) listens on 127.0.0.1:{port} with a certificate for {NAME}")
            arrived = [deliver(language, port, pki, store) for language in SEND]
        finally:
            serve.send_signal(signal.SIGTERM)
            status = serve.wait(DEADLINE)
    print(f"\n{BOLD}{sum(arrived)} of {len(arrived)} messages arrived{PLAIN}")
    return 0 if all(arrived) and status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
