"""How cost grows: with open sessions, certificates in a chain, key pairs, octets of a message, threads."""

from __future__ import annotations

import itertools
import math
import resource
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ca.ca import NAME, Issuer, Paths, issue, key_pem, new_key, pem
from cryptography import x509

from bench.idle import open_many
from bench.programs import OURS, THEIRS, Job, Words
from bench.rows import TITLES

ROLES = ("client", "server")
BOTH = (OURS, THEIRS)
# Descriptors that a process needs beside its connections.
RESERVE = 64
LINE = 80  # octets of a line of the body: the drivers send whole ones


@dataclass(frozen=True)
class Series:
    """Points of one chart: `lines` has for each line of it a figure for each of `at`."""

    key: str
    title: str
    across: str
    up: str
    at: Sequence[int]
    lines: dict[str, list[float]]

    def steepest(self, name: str) -> float:
        """The greatest power of the step with which this line grows: 0 not at all, 1 linear, 2 quadratic."""
        points = [(x, y) for x, y in zip(self.at, self.lines[name], strict=True) if y > 0]
        pairs = itertools.pairwise(points)
        return max((math.log(b[1] / a[1]) / math.log(b[0] / a[0]) for a, b in pairs), default=0.0)

    def document(self) -> dict[str, Any]:
        powers = {name: round(self.steepest(name), 2) for name in self.lines}
        return self.__dict__ | {"steepest": powers}


def series(pki: Paths, folder: Path, quick: bool) -> Iterator[Series]:
    yield open_sessions(pki, folder, (1, 100, 1000) if quick else (1, 10, 100, 1000, 10_000))
    yield chains(pki, folder, (1, 4, 10) if quick else tuple(range(1, 11)), quick)
    yield key_pairs(pki, folder, (1, 100, 1000) if quick else (1, 3, 10, 30, 100, 300, 1000), quick)
    sizes = (1, 100, 10_000) if quick else (1, 10, 100, 1000, 10_000, 100_000)
    yield messages(pki, folder, sizes, quick)
    yield threads(pki, folder, (1, 4, 16) if quick else (1, 2, 4, 8, 16), quick)


def measured(
    at: Sequence[int],
    libraries: Sequence[str],
    roles: Sequence[str],
    value: Callable[[int, str, str], float],
    rounds: int,
) -> dict[str, list[float]]:
    """A line for each library and role; of each point the median of rounds that go through all points."""
    found: dict[str, list[list[float]]] = {
        f"{TITLES[library]} {role}": [[] for _ in at] for library in libraries for role in roles
    }
    for _ in range(rounds):
        for n, x in enumerate(at):
            for library in libraries:
                for role in roles:
                    found[f"{TITLES[library]} {role}"][n].append(value(x, library, role))
    return {name: [statistics.median(values) for values in points] for name, points in found.items()}


def open_sessions(pki: Paths, folder: Path, at: Sequence[int]) -> Series:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - RESERVE
    at = [x for x in at if x <= most]

    def value(count: int, library: str, role: str) -> float:
        return open_many(pki, folder, library, role, 100, max(count - 100, 0))["us"]

    return Series(
        "open-sessions",
        "one more session",
        "sessions that are open",
        "us of CPU",
        at,
        measured(at, BOTH, ROLES, value, 1),
    )


def job(library: str, role: str, client: Words, server: Words, sessions: int, both: Words = ()) -> Job:
    ends = (library, THEIRS) if role == "client" else (THEIRS, library)
    return Job(*ends, both, client, server, sessions, 5)


def chains(pki: Paths, folder: Path, at: Sequence[int], quick: bool) -> Series:
    """A chain of so many certificates, the anchor not counted."""
    files = {count: chain(folder, count) for count in at}

    def value(count: int, library: str, role: str) -> float:
        anchor, leaf, key = files[count]
        return job(library, role, ("-a", anchor), ("-c", leaf, "-k", key), 40).run(folder)[role]["us"]

    lines = measured(at, BOTH, ROLES, value, 1 if quick else 3)
    return Series("chain", "a longer chain", "certificates that the server shows", "us of CPU", at, lines)


def chain(folder: Path, count: int) -> tuple[Path, Path, Path]:
    """Anchor, chain and key of a server that shows so many certificates."""
    key = new_key()
    above = Issuer(issue(key, "Chain Root", names=(), is_ca=True), key)
    anchor, shown = pem(above.certificate), b""
    for n in range(count - 1):
        key = new_key()
        above = Issuer(issue(key, f"Intermediate {n}", issuer=above, names=(), is_ca=True), key)
        shown = pem(above.certificate) + shown
    key = new_key()
    shown = pem(issue(key, NAME, issuer=above)) + shown
    found = folder / f"anchor{count}.pem", folder / f"chain{count}.pem", folder / f"chain{count}.key"
    for path, text in zip(found, (anchor, shown, key_pem(key)), strict=True):
        path.write_bytes(text)
    return found


def key_pairs(pki: Paths, folder: Path, at: Sequence[int], quick: bool) -> Series:
    """A server with so many key pairs, of which SNI chooses the middle one; only ours finds it itself."""
    key = new_key()
    above = Issuer(issue(key, "Hosts", names=(), is_ca=True), key)
    anchor = folder / "hosts.pem"
    anchor.write_bytes(pem(above.certificate))
    pairs = [pair(above, n) for n in range(max(at))]
    for count in at:
        (folder / f"pairs{count}.pem").write_bytes(b"".join(pairs[:count]))
    start: dict[int, list[float]] = {count: [] for count in at}

    def value(count: int, library: str, role: str) -> float:
        wanted = ("-a", anchor, "-h", host(count // 2))
        said = job(library, role, wanted, ("-c", folder / f"pairs{count}.pem"), 40).run(folder)[role]
        start[count].append(said["process_us"] - 45 * said["us"])
        return said["us"]

    lines = measured(at, (OURS,), ("server",), value, 1 if quick else 3)
    loading = [statistics.median(start[count]) / 10 for count in at]
    return Series(
        "key-pairs",
        "more key pairs, chosen by SNI",
        "key pairs of the server",
        "us of CPU",
        at,
        {"a session": lines["smtptls server"], "start of the process, tens of us": loading},
    )


def host(number: int) -> str:
    return f"mx{number}.example.test"


def pair(above: Issuer, number: int) -> bytes:
    key = new_key()
    return key_pem(key) + pem(issue(key, host(number), issuer=above, names=(x509.DNSName(host(number)),)))


def messages(pki: Paths, folder: Path, at: Sequence[int], quick: bool) -> Series:
    def value(kilobytes: int, library: str, role: str) -> float:
        sessions = max(1, min(40, 4000 // kilobytes))
        octets = kilobytes * 1000 // LINE * LINE
        flags = ("-a", pki.ca, "-m", str(octets), "-g")
        return job(library, role, flags, ("-c", pki.leaf, "-k", pki.leaf_key), sessions).run(folder)[role][
            "us"
        ]

    lines = measured(at, BOTH, ROLES, value, 1 if quick else 3)
    return Series("message", "a larger message", "KB of the message", "us of CPU", at, lines)


def threads(pki: Paths, folder: Path, at: Sequence[int], quick: bool) -> Series:
    """Sessions on so many threads at once, all on one Config. The threads of both ends share the cores."""

    def value(count: int, library: str, role: str) -> float:
        both = ("-t", str(count))
        files = ("-a", pki.ca), ("-c", pki.leaf, "-k", pki.leaf_key)
        return job(library, role, *files, 160 if quick else 320, both).run(folder)[role]["us"]

    lines = measured(at, BOTH, ROLES, value, 1 if quick else 3)
    return Series("threads", "more threads on one Config", "threads", "us of CPU a session", at, lines)
