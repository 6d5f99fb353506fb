"""Runs the sessions of the soak test against its servers, and judges what was lost and what grew.

The servers: `serve` in C, which forks; poller.c, one process that polls; and aioserver.py, one event loop in
Python, on smtptls.aio and as aiosmtpd with smtptls.SSLContext. Each gets its share of the sessions of
sessions.py. A good session must not fail; a message must arrive whole and once if it was answered with 250,
and must not if it was not sent to its end. Memory, descriptors, processes and the time of good sessions are
taken all the while: they must not grow.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ca.ca import Paths, make
from conftest import ROOT, Listening, program, wait_until

from soak.sessions import KINDS, Soak, stall

HERE = Path(__file__).resolve().parent
SERVERS = ("fork", "poll", "aio", "aiosmtpd")
# What a server does otherwise than ours: aiosmtpd itself answers 220 to STARTTLS inside TLS, and ssl's
# CERT_OPTIONAL takes no certificate or a good one, in the handshake.
OTHERWISE = {"aiosmtpd": ("STARTTLS inside TLS", "expired certificate", "unknown certificate")}
TOGETHER = 12  # sessions at once; silent ones come on top, since they only wait
SILENT = 100
PAGE, TICK = os.sysconf("SC_PAGESIZE"), os.sysconf("SC_CLK_TCK")


def build_poller(to: Path) -> Path:
    """The server that polls, made of poller.c and the library in build/lib."""
    library = ROOT / "build/lib"
    argv = [
        "gcc",
        "-std=c99",
        "-D_POSIX_C_SOURCE=200809L",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
    ]
    argv += [f"-I{ROOT / 'include'}", str(HERE / "poller.c"), "-o", str(to)]
    subprocess.run([*argv, f"-L{library}", "-lsmtptls", f"-Wl,-rpath,{library}"], check=True)
    return to


class Server(Listening):
    """One of the servers, and what it uses up."""

    def __init__(self, kind: str, pki: Paths, folder: Path, limit: float) -> None:
        self.store = folder / "mail"
        self.store.mkdir()
        keys = folder / "ticket.keys"
        keys.write_text(f"current {random.randbytes(32).hex()}\n")
        keys.chmod(0o600)
        given = [str(part) for part in (pki.leaf, pki.leaf_key, pki.ca, keys, self.store, f"{limit:g}")]
        if kind == "fork":
            self._argv = [
                *program("c", "serve"),
                "--cert",
                given[0],
                "--key",
                given[1],
                "--client-auth",
                "ask",
            ]
            self._argv += ["--client-ca", given[2], "--ticket-keys", given[3], "--store", given[4]]
            self._argv += ["--timeout", given[5], "--require-tls"]
        elif kind == "poll":
            self._argv = [str(build_poller(folder / "poller")), *given]
        else:
            self._argv = [sys.executable, str(HERE / "aioserver.py"), kind, *given]

    def __exit__(self, *_exception: object) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._kill()

    def check_alive(self) -> None:
        if self._process.poll() is not None:
            raise AssertionError(f"the server ended with {self._process.returncode}: {self.err.all()[-20:]}")

    def use(self) -> Use:
        """Of the first process; the processor's time with that of children that have ended."""
        own = Path(f"/proc/{self._process.pid}")
        fields = (own / "stat").read_text().rpartition(")")[2].split()
        resident = int((own / "statm").read_text().split()[1]) * PAGE
        children = len((own / f"task/{self._process.pid}/children").read_text().split())
        cpu = sum(map(int, fields[11:15])) / TICK
        return Use(resident // 1024, len(os.listdir(own / "fd")), children, cpu)


@dataclass(frozen=True)
class Use:
    kib: int
    descriptors: int
    children: int
    cpu: float


@dataclass
class Outcome:
    """What one server made of its sessions."""

    server: str
    sessions: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    resumed: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    accepted: Counter[bytes] = field(default_factory=Counter)
    uses: list[tuple[int, Use]] = field(default_factory=list)  # by how many sessions were begun
    times: list[float] = field(default_factory=list)  # of good sessions, in order
    idle: tuple[Use, Use] | None = None  # warm, and at the end

    def fault(self, text: str) -> None:
        self.faults.append(text)

    def tenth(self, last: bool) -> float:
        """The median time of a good session in the first tenth or in the last one, in milliseconds."""
        count = max(1, len(self.times) // 10)
        return statistics.median(self.times[-count:] if last else self.times[:count]) * 1000

    def cpu(self, last: bool) -> float | None:
        """Milliseconds of the server's processor time that a session took, in the first or last third;
        nothing if that was over before it was looked at twice.
        """
        begin, end = (2 / 3, 1.0) if last else (0.0, 1 / 3)
        inside = [(n, use) for n, use in self.uses if begin <= n / self.sessions <= end]
        if len(inside) < 2:
            return None
        (first, before), (final, after) = inside[0], inside[-1]
        return (after.cpu - before.cpu) * 1000 / max(1, final - first)

    def rss(self) -> list[int]:
        """The memory in KiB at each tenth of the way."""
        found = []
        for tenth in range(1, 11):
            until = [use.kib for n, use in self.uses if n * 10 <= tenth * self.sessions]
            found.append(until[-1] if until else 0)
        return found

    def row(self) -> dict[str, object]:
        assert self.idle
        warm, end = self.idle
        return {
            "server": self.server,
            "sessions": self.sessions,
            "per second": round(self.sessions / self.seconds),
            "resumed": self.resumed,
            **{f"messages {name}": count for name, count in sorted(self.messages.items())},
            "faults": len(self.faults),
            "RSS KiB by tenths": self.rss(),
            "RSS KiB warm, end": (warm.kib, end.kib),
            "descriptors warm, end": (warm.descriptors, end.descriptors),
            "children warm, end": (warm.children, end.children),
            "good session ms, first and last tenth": (
                round(self.tenth(False), 1),
                round(self.tenth(True), 1),
            ),
            "server CPU ms per session, first and last third": (
                round(self.cpu(False) or 0.0, 2),
                round(self.cpu(True) or 0.0, 2),
            ),
        }


class Tally:
    """Reads what the server has stored, counts it by id, and takes it away."""

    def __init__(self, store: Path, outcome: Outcome) -> None:
        self._store, self._outcome = store, outcome

    def collect(self) -> None:
        for path in self._store.glob("*.eml"):
            head, _, text = path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
            headers = dict(line.split(b": ", 1) for line in head.split(b"\n") if b": " in line)
            name = headers.get(b"X-Id", b"?")
            self._outcome.accepted[name] += 1
            if hashlib.sha256(text).hexdigest().encode() != headers.get(b"X-Sum"):
                self._outcome.fault(f"message {name!r} was not stored as it was sent: {len(text)} octets")
            path.unlink()


async def drive(soak: Soak, server: Server, outcome: Outcome, sessions: int) -> None:
    """So many sessions, a few at a time."""
    names = [name for name in KINDS if name not in OTHERWISE.get(outcome.server, ())]
    weights = [KINDS[name][0] for name in names]
    room, silent = asyncio.Semaphore(TOGETHER), asyncio.Semaphore(SILENT)
    tally = Tally(server.store, outcome)
    running: set[asyncio.Task[None]] = set()

    async def play(name: str, free: asyncio.Semaphore) -> None:
        begun = time.monotonic()
        try:
            await KINDS[name][1](soak)
            if name == "good":
                outcome.times.append(time.monotonic() - begun)
        except Exception as error:
            outcome.fault(f"{name}: {type(error).__name__}: {error}")
        finally:
            free.release()

    looked = 0.0
    for number in range(sessions):
        (name,) = soak.random.choices(names, weights)
        outcome.kinds[name] += 1
        free = silent if KINDS[name][1] is stall else room
        await free.acquire()
        task = asyncio.create_task(play(name, free))
        running.add(task)
        task.add_done_callback(running.discard)
        if time.monotonic() - looked > 0.2:
            looked = time.monotonic()
            server.check_alive()
            tally.collect()
            outcome.uses.append((number, server.use()))
    await asyncio.gather(*running)
    outcome.uses.append((sessions, server.use()))


def settle(server: Server) -> Use:
    """What it uses once its last session is over: no children, and no descriptors come or go."""
    seen: list[Use] = []

    def quiet() -> Use | None:
        seen.append(server.use())
        last = seen[-30:]
        still = {(use.descriptors, use.children) for use in last}
        return last[-1] if len(last) == 30 and len(still) == 1 and last[-1].children == 0 else None

    return wait_until(quiet, "the server to become idle", 30)


def soak_one(kind: str, pki: Paths, folder: Path, sessions: int, limit: float, seed: int) -> Outcome:
    outcome = Outcome(kind, sessions)
    with Server(kind, pki, folder, limit) as server:
        soak = Soak(server.port, pki, limit, random.Random(seed))
        # Every allocator and cache has to have what it needs before memory is counted.
        warming = Outcome(kind, sessions // 5)
        asyncio.run(drive(soak, server, warming, warming.sessions))
        warm = settle(server)
        begun = time.monotonic()
        asyncio.run(drive(soak, server, outcome, sessions - warming.sessions))
        outcome.seconds = time.monotonic() - begun
        end = settle(server)
        Tally(server.store, outcome).collect()
        left = [path.name for path in server.store.iterdir()]
    if left:
        outcome.fault(f"left in the store: {left}")
    outcome.sessions = sessions - warming.sessions
    outcome.idle = warm, end
    outcome.accepted += warming.accepted
    outcome.faults[:0] = warming.faults
    outcome.resumed = soak.resumed
    account(soak, outcome)
    return outcome


def account(soak: Soak, outcome: Outcome) -> None:
    """Nothing lost, nothing twice, nothing that was not sent to its end."""
    for name, fate in soak.sent.items():
        count = outcome.accepted[name]
        outcome.messages[fate] += 1
        if fate == "may":
            outcome.messages["may and did"] += count
        if count > 1:
            outcome.fault(f"message {name!r} was accepted {count} times")
        elif fate == "must" and count == 0:
            outcome.fault(f"message {name!r} is lost")
        elif fate == "never" and count > 0:
            outcome.fault(f"message {name!r} was accepted, and not sent to its end")
    for name in outcome.accepted.keys() - soak.sent.keys():
        outcome.fault(f"message {name!r} was sent by nobody")


def judge(outcome: Outcome, growth: int, slower: float) -> list[str]:
    """What is wrong with it. `growth` is of memory after the first fifth, in KiB; `slower` of the time that
    a good session takes, which beside other programs tells less than the processor's time.
    """
    assert outcome.idle
    warm, end = outcome.idle
    wrong = outcome.faults[:20]
    if end.kib - warm.kib > growth:
        wrong.append(f"memory grew from {warm.kib} to {end.kib} KiB")
    if end.descriptors > warm.descriptors or end.children > warm.children:
        wrong.append(f"descriptors or processes remain: {warm} {end}")
    if outcome.tenth(True) > slower * outcome.tenth(False) + 10:
        wrong.append(f"a good session takes {outcome.tenth(True):.1f} ms, was {outcome.tenth(False):.1f} ms")
    first, last = outcome.cpu(False), outcome.cpu(True)
    if first is not None and last is not None and last > 2 * first + 1:
        wrong.append(f"a session costs {last:.2f} ms, was {first:.2f} ms")
    if outcome.resumed == 0:
        wrong.append("no session was resumed")
    return [f"{outcome.server}: {text}" for text in wrong]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="soak.py", description="Many sessions, good, bad and hostile, against servers that live long."
    )
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--server", action="append", choices=SERVERS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--limit", type=float, default=5.0, help="how long a server bears silence, in seconds"
    )
    parser.add_argument("--growth", type=int, default=4096, help="of memory after the first fifth, in KiB")
    given = parser.parse_args(arguments)
    wrong: list[str] = []
    servers = given.server or SERVERS
    with tempfile.TemporaryDirectory(prefix="smtptls-soak-") as name:
        pki = make(Path(name) / "pki")
        for kind in servers:
            folder = Path(name) / kind
            folder.mkdir()
            share = given.sessions // len(servers)
            outcome = soak_one(kind, pki, folder, share, given.limit, given.seed)
            print(json.dumps(outcome.row()), flush=True)
            wrong += judge(outcome, given.growth, 2.0)
    print("\n".join(wrong) or "nothing is wrong")
    return 1 if wrong else 0
