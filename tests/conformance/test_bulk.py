"""`serve` under load: many connections at once, a big message, and a line without end."""

from __future__ import annotations

import contextlib
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ca.ca import Paths
from cases import HERE, read
from conftest import Serve, processes
from peer import Player, play_client
from script import parse
from wire import STEP_LIMIT

FRAGMENTS = read(HERE / "server_cases" / "fragments.toml")
CONNECTIONS = 50
ENDLESS_MIB = 128  # of one line
PEAK_MIB = 96  # who keeps the whole of that line takes more


def play(script: str, pki: Paths, port: int) -> Player:
    return play_client(parse(script, FRAGMENTS, {}), pki, port)


def test_many_connections_at_once(language: str, pki: Paths, tmp_path: Path) -> None:
    """SEC-8: all are open at the same time, and each gets its answer."""
    script = "use ready\npause 1\nuse data\nC: Subject: number {}\nC: .\nS: 250\nuse quit"
    with Serve(language, pki, tmp_path, timeout=STEP_LIMIT) as serve:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            players = pool.map(lambda n: play(script.format(n), pki, serve.port), range(CONNECTIONS))
            failures = [player.failure for player in players if not player.done]
        assert not failures, failures
        stored = b"\n".join(serve.wait_mail(CONNECTIONS))
        serve.out.wait("tls: ", count=CONNECTIONS)
    numbers = sorted(int(number) for number in re.findall(rb"(?m)^Subject: number (\d+)$", stored))
    assert numbers == list(range(CONNECTIONS))


@pytest.mark.parametrize("inside", ["ready", "hello"])
def test_big_message_arrives_whole(language: str, inside: str, pki: Paths, tmp_path: Path) -> None:
    """Over a megabyte, octet for octet."""
    lines = [f"{number:06d} {'.' * (number % 70)}" for number in range(30_000)]
    body = "\\r\\n".join(lines)
    script = f"use {inside}\nuse data\nC: Subject: big\nC: \nC: {body}\nC: .\nS: 250\nC: QUIT\nS: 221"
    with Serve(language, pki, tmp_path, timeout=STEP_LIMIT) as serve:
        player = play(script, pki, serve.port)
        assert player.done, player.failure
        [stored] = serve.wait_mail()
    assert len(stored) > 1 << 20
    assert stored.endswith(("Subject: big\n\n" + "\n".join(lines) + "\n").encode())


@pytest.mark.parametrize("inside", ["ready", "hello"])
def test_endless_command_line(language: str, inside: str, pki: Paths, tmp_path: Path) -> None:
    """SEC-8, R5321-4.5.3-1: a line without end takes no memory, and the next command is understood."""
    script = f"use {inside}\nfill {ENDLESS_MIB}\nraw: \\r\\nNOOP\\r\\n\nS: 500\nS: 250 2.0.0\nC: QUIT\nS: 221"
    leader = tmp_path / "pid"
    prefix = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', str(leader)]
    with Serve(language, pki, tmp_path / "store", timeout=STEP_LIMIT, prefix=prefix) as serve:
        group = int(leader.read_text())
        peaks = [peak_mib(group)]
        with ThreadPoolExecutor(1) as pool:
            playing = pool.submit(play, script, pki, serve.port)
            while not playing.done():
                peaks.append(peak_mib(group))
                time.sleep(0.02)
        assert playing.result().done, playing.result().failure
    assert max(peaks) < PEAK_MIB, f"{peaks[0]} MiB before, {max(peaks)} MiB then"


def peak_mib(group: int) -> float:
    """The most memory that any process of this process group has taken, from proc(5)."""
    found = [0]
    for process, status in processes("status"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if os.getpgid(process) == group:
                found += [int(size) for size in re.findall(r"VmHWM:\s+(\d+) kB", status)]
    return max(found) / 1024
