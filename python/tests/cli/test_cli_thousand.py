"""smtptls check with a thousand targets, some dead, slow or hostile: time, memory, interruption."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import many_hosts
import pytest
from commands import DEADLINE, running, server
from many_hosts import Serve, hosts

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(300)]

CHECK = ("check", "--ca", "none", "--level", "encrypt")
COUNT = 1000
TIMEOUT = 5.0  # seconds of a session
# What one in so many hosts is, and its exit code at level encrypt; all others are good.
STRANGE: dict[str, tuple[int, int]] = {
    "dead": (17, 3),
    "silent": (60, 3),
    "slow": (40, 0),
    "dribbles": (97, 3),
    "bare": (23, 1),
    "refuses": (29, 3),
    "no_tls": (31, 1),
    "injects": (37, 1),
    "leaves": (41, 3),
    "resets": (43, 3),
    "floods": (53, 1),
}


def kind(number: int) -> str:
    return next((name for name, (every, _) in STRANGE.items() if number % every == every - 1), "good")


def code(number: int) -> int:
    return STRANGE.get(kind(number), (0, 0))[1]


def serves(good: Serve, until: threading.Event, count: int) -> dict[int, Serve | None]:
    kinds: dict[str, Serve | None] = {
        "good": good,
        "dead": None,
        "silent": many_hosts.silent(until),
        "slow": many_hosts.slow(good, 1.0),
        "dribbles": many_hosts.silent(until, octets=b"2"),
        **{name: getattr(many_hosts, name) for name in list(STRANGE)[4:]},
    }
    return {number: kinds[kind(number)] for number in range(count)}


def resident(process: subprocess.Popen[bytes]) -> int:
    """Kilobytes of memory that a process has now."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_a_thousand(pki: Any, tmp_path: Path) -> None:
    never, measured = threading.Event(), threading.Event()
    all_serve = serves(server(pki.leaf, pki.leaf_key), never, COUNT)
    # The last one holds the command until its memory was looked at.
    all_serve[COUNT - 1] = many_hosts.silent(measured)
    try:
        with hosts(all_serve) as there:
            path = tmp_path / "targets"
            path.write_text("".join(f"{there.target(number)}\n" for number in range(COUNT)))
            began = time.monotonic()
            memory = {}
            found = []
            with running(*CHECK, "-f", path, "-j", "32", "--jsonl", "--timeout", TIMEOUT) as process:
                assert process.stdout and process.stderr
                for line in process.stdout:
                    found.append(json.loads(line))
                    if len(found) in (300, COUNT - 1):
                        memory[len(found)] = resident(process)
                    if len(found) == COUNT - 1:
                        measured.set()
                assert process.wait(DEADLINE) == 1
                assert process.stderr.read() == b""
            took = time.monotonic() - began
    finally:
        never.set()
        measured.set()
    assert [one["target"] for one in found] == [there.target(number) for number in range(COUNT)]
    wrong = [
        (kind(number), one["exit"], one["hosts"][0]["errors"])
        for number, one in enumerate(found[:-1])
        if one["exit"] != code(number)
    ]
    assert not wrong
    # Each was asked once.
    assert set(there.sessions.values()) == {1}
    # Some 25 wait for a time limit of 5 s each: a few seconds in turns of 32, and the rest is arithmetic.
    assert took < 150
    assert memory[COUNT - 1] < memory[300] + 4096


@pytest.mark.parametrize("order", [(), ("--unordered",)])
def test_interrupted_and_resumed(order: tuple[str, ...], pki: Any, tmp_path: Path) -> None:
    count = 400
    until = threading.Event()
    path, state = tmp_path / "targets", tmp_path / "state"
    with contextlib.ExitStack() as stack:
        stack.callback(until.set)
        there = stack.enter_context(hosts(serves(server(pki.leaf, pki.leaf_key), until, count)))
        path.write_text("".join(f"{there.target(number)}\n" for number in range(count)))
        arguments = (*CHECK, "-f", path, "--jsonl", "--timeout", "60", "--resume", state, *order)
        with running(*arguments) as process:
            assert process.stdout and process.stderr
            first = [json.loads(process.stdout.readline()) for _ in range(50)]
            # Workers wait for silent servers now, and would for a minute.
            while not any(there.sessions[many_hosts.address(number)] for number in (59, 119)):
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            sent = time.monotonic()
            first += [json.loads(line) for line in process.stdout]
            said = process.stderr.read().decode()
            assert process.wait(DEADLINE) == 130
            stopped = time.monotonic() - sent
        assert stopped < 20
        done = [one["target"] for one in first]
        assert 50 <= len(done) < count and len(set(done)) == len(done)
        # A session that the end has ended is not finished.
        unfinished = {
            there.target(number) for number in range(count) if kind(number) in ("silent", "dribbles")
        }
        assert not unfinished & set(done)
        assert said == (
            f"smtptls: interrupted after {len(done)} of {count} targets: the same command does the rest\n"
        )
        kept = [json.loads(line) for line in state.read_text().splitlines()][1:]
        assert sorted(one["target"] for one in kept) == sorted(done)

        until.set()
        with running(*arguments) as process:
            assert process.stdout and process.stderr
            both = [json.loads(line) for line in process.stdout]
            assert process.wait(DEADLINE) == 1 and process.stderr.read() == b""
    # None is lost, none is there twice, and what was finished was not asked again.
    targets = [there.target(number) for number in range(count)]
    again = [one["target"] for one in both]
    assert (again if not order else sorted(again, key=targets.index)) == targets
    by_target = {one["target"]: one for one in both}
    assert all(by_target[one["target"]] == one for one in first)
    asked = {there.target(number): there.sessions[many_hosts.address(number)] for number in range(count)}
    assert {asked[target] for target in done} <= {0, 1}
