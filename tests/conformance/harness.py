"""Runs the cases: all that are selected start ahead in a pool of threads, and each test waits for its own."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest
from ca.ca import Paths
from cases import ClientCase
from conftest import MESSAGE, Sent, run_send
from flags import flags
from peer import ServerPeer, only_alerts

HERE = Path(__file__).resolve().parent
AT_ONCE = 6  # most of a run is waiting
Key = TypeVar("Key")
Result = TypeVar("Result")


class Pool(Generic[Key, Result]):
    """Runs `work` once for each key that is asked for, and for many of them ahead of time."""

    def __init__(self, work: Callable[[Key], Result]) -> None:
        self._work = work
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._futures: dict[Key, Future[Result]] = {}

    def start(self, keys: list[Key]) -> None:
        for key in keys:
            if key not in self._futures:
                self._futures[key] = self._pool.submit(self._work, key)

    def result(self, key: Key) -> Result:
        """What came of it, or the exception that it ended with."""
        self.start([key])
        return self._futures[key].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def selected(request: pytest.FixtureRequest, *names: str) -> list[tuple[Any, ...]]:
    """The parameters of all tests of this module that will run, in their order.

    Under pytest-xdist none: there each worker runs only some of the tests, and does not know which.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        return []
    found = []
    for item in request.session.items:
        spec = getattr(item, "callspec", None)
        if item.path == request.path and spec and all(name in spec.params for name in names):
            found.append(tuple(spec.params[name] for name in names))
    return found


@dataclass
class ClientRun:
    """What came of one run of a client program."""

    sent: Sent
    peer: ServerPeer
    seconds: float
    peak_mib: float

    @property
    def clear(self) -> bytes:
        return bytes(self.peer.wire.clear) if self.peer.wire else b""

    @property
    def inside(self) -> bytes:
        return bytes(self.peer.wire.inside) if self.peer.wire else b""

    def facts(self) -> dict[str, object]:
        """What must be the same in all languages."""
        return {
            "exit": self.sent.returncode,
            "code": self.sent.error_code,
            "action": self.sent.action,
            "tlsrpt": self.sent.tlsrpt,
            "sent": self.sent.sent,
            "tls": self.sent.tls,
            "peer": self.sent.peer,
            "in clear": verbs(commands(self.clear)[0]),
            "inside TLS": verbs(self.inside),
        }

    def __str__(self) -> str:
        return (
            f"\n  exit {self.sent.returncode} after {self.seconds:.1f} s\n  stdout {self.sent.stdout!r}"
            f"\n  stderr {self.sent.stderr!r}\n  peer   {self.peer.failure or 'reached its last step'}"
            f"\n  clear  {self.clear[:600]!r}\n  inside {self.inside[:600]!r}"
        )


def run_client(case: ClientCase, program: str, language: str, pki: Paths, scratch: Path) -> ClientRun:
    """One run of `send` or `upgrade` against the script of the case."""
    options: dict[str, Any] = {"ca": "ca", "level": case.level} | case.options
    options = {key: None if value == "" else value for key, value in options.items()}
    options["flags"] = flags(options.get("flags", []), pki, scratch)
    if options["ca"] not in (None, "system"):
        options["ca"] = pki.folder / f"{options['ca']}.pem"
    peak = scratch / f"{re.sub('[^a-z0-9]+', '-', str(case))}-{program}-{language}.peak"
    prefix = [sys.executable, "-S", "-I", str(HERE / "peak.py"), str(peak)] if case.peak_mib else []
    message = MESSAGE if case.message is None else case.message
    with ServerPeer(case.steps, pki) as peer:
        begun = time.monotonic()
        sent = run_send(language, which=program, port=peer.port, message=message, prefix=prefix, **options)
        seconds = time.monotonic() - begun
    return ClientRun(sent, peer, seconds, int(peak.read_text()) / 1024 if case.peak_mib else 0)


def commands(clear: bytes) -> tuple[bytes, bytes]:
    """What a client sent outside the peer's TLS, cut in its commands and its TLS records."""
    found = re.search(rb"(?:\A|\n)(?=[\x14-\x17]\x03)", clear)
    return (clear[: found.end()], clear[found.end() :]) if found else (clear, b"")


def is_tls(data: bytes) -> bool:
    """Whether these octets are TLS records: handshake first, then anything (RFC 8446 section 5.1)."""
    first = True
    while data:
        if len(data) < 5 or data[1] != 3 or not 0x14 <= data[0] <= 0x17 or (first and data[0] != 0x16):
            return first and only_alerts(data)
        data = data[5 + int.from_bytes(data[3:5], "big") :]
        first = False
    return True


def verbs(text: bytes) -> list[str]:
    """The verbs of the commands of a client. Messages are left out: what follows DATA up to the final dot.

    A DATA that was refused is followed by commands, not by a message; those are short and known.
    """
    found = []
    lines = iter(text.split(b"\r\n"))
    for line in lines:
        if not line:
            continue
        verb = line.split(b" ")[0].upper().decode("latin-1")
        found.append(verb)
        if verb == "DATA":
            rest = list(lines)
            if b"." in rest:
                rest = rest[rest.index(b".") + 1 :]
            lines = iter(rest)
    return found
