"""One configuration, 64 sessions at once in children or in threads, while its keys change each second."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ca.ca import Paths
from conftest import wait_until
from resumption.fleet import VERSIONS, Server, keeping, keys, visit
from resumption.hosts import Host
from smtptls import tickets

AT_ONCE = 64
SESSIONS = 3000  # at least
CHANGES = 4  # at least
PAUSE = 0.05  # seconds between two sessions of a client, so that the changes of keys get their turn
PERIOD = 1.0  # seconds from one change of keys to the next


@contextlib.contextmanager
def changing(serve: Host | Server, pki: Paths, pair: tuple[Path, Path], path: Path) -> Iterator[list[int]]:
    """Another key pair and a rotation of the ticket keys each second, beside the block; gives how often."""
    stop, changes, raised = threading.Event(), [0], []
    chains = ((pki.rsa, pki.rsa_key), (pki.leaf, pki.leaf_key))

    def change() -> None:
        try:
            while not stop.wait(PERIOD):
                # Between the two renames the pair would not fit together; nobody reads it then.
                for source, target in zip(chains[changes[0] % 2], pair, strict=True):
                    shutil.copy(source, target.with_suffix(".tmp"))
                    os.rename(target.with_suffix(".tmp"), target)
                tickets.rotate(path)
                serve.reload()
                changes[0] += 1
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield changes
    finally:
        stop.set()
        thread.join()
        assert not raised, raised


def load(pki: Paths, port: int, enough: Callable[[int], bool]) -> tuple[int, int]:
    """Sessions, 64 at once, until they are enough: how many, and how many were resumed."""
    clients = [keeping(pki, version) for version in VERSIONS]
    count = itertools.count()

    def visits(_: int) -> list[bool]:
        resumed = []
        while not enough(next(count)):
            resumed.append(visit(random.choice(clients), port).resumed)
            time.sleep(PAUSE)
        return resumed

    with ThreadPoolExecutor(AT_ONCE) as pool:
        resumed = list(itertools.chain.from_iterable(pool.map(visits, range(AT_ONCE))))
    return len(resumed), sum(resumed)


def warm(pki: Paths, port: int) -> int:
    """As many sessions as there are at once; gives their number."""
    return load(pki, port, lambda count: count >= AT_ONCE)[0]


def pair_of(pki: Paths, folder: Path) -> tuple[Path, Path]:
    pair = (folder / "chain.pem", folder / "key.pem")
    shutil.copy(pki.leaf, pair[0])
    shutil.copy(pki.leaf_key, pair[1])
    return pair


def enough(changes: list[int]) -> Callable[[int], bool]:
    return lambda count: count >= SESSIONS and changes[0] >= CHANGES


def told(sessions: int, resumed: int, changes: int, since: float) -> None:
    spent = time.monotonic() - since
    print(f"{resumed} of {sessions} sessions resumed, {changes} changes of keys, {spent:.1f} s")


@pytest.mark.timeout(120)
def test_children(pki: Paths, tmp_path: Path) -> None:
    """The parent made the configuration and reloads; each child serves one session."""
    path, pair = keys(tmp_path / "keys"), pair_of(pki, tmp_path)
    begun = time.monotonic()
    with Host(pki, path, cert=pair[0], key=pair[1], most=AT_ONCE) as host:
        sessions = warm(pki, host.port)
        before = host.files()
        with changing(host, pki, pair, path) as changes:
            more, resumed = load(pki, host.port, enough(changes))
        wait_until(lambda: host.files() <= before, f"the parent to have {before} files, not {host.files()}")
    told(more, resumed, changes[0], begun)
    assert host.stderr == [] and host.counts["failed"] == 0
    assert host.counts["new"] + host.counts["resumed"] == sessions + more
    assert resumed >= more // 2


@pytest.mark.timeout(120)
def test_threads(pki: Paths, tmp_path: Path) -> None:
    path, pair = keys(tmp_path / "keys"), pair_of(pki, tmp_path)
    begun = time.monotonic()
    flags = ("--ticket-keys", path)
    with Server("rust", pki, tmp_path / "store", *flags, cert=pair[0], key=pair[1]) as serve:
        sessions = warm(pki, serve.port)
        before = serve.idle()
        with changing(serve, pki, pair, path) as changes:
            more, resumed = load(pki, serve.port, enough(changes))
        serve.wait_idle(before)
    told(more, resumed, changes[0], begun)
    lines = [line for line in serve.stdout if line.startswith("tls: ")]
    assert serve.stderr == [] and len(lines) == sessions + more
    assert resumed >= more // 2
