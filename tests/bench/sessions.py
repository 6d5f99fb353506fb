"""CPU of whole sessions, bulk, lines, forks, the start of a process: each library against the same peer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ca.ca import Paths

from bench.programs import OURS, THEIRS, Job, Words
from bench.rows import Row, medians

ROLES = ("client", "server")
PEERS = (THEIRS, "gnutls", OURS, "direct")
WITH_NONE = (*PEERS, "none")
SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Kind:
    """What is measured, in a full run; a quick one has fewer sessions and smaller messages."""

    key: str
    title: str
    client: Words = ()
    server: Words = ()
    both: Words = ()
    libraries: tuple[str, ...] = PEERS
    roles: tuple[str, ...] = ROLES
    sessions: int = 100
    warm: int = 20
    size: int = 0  # megabytes of the message, where the figure is megabytes for each second of CPU
    figure: str = "us"
    pair: str = "leaf"
    roots: str = "ca"


FORKED, WARMED = 40, 5  # sessions
KINDS = (
    Kind("session", "whole session", libraries=WITH_NONE),
    Kind("session-same", "the same, X25519 and AES-128-GCM for all", both=("-S",)),
    Kind("pipelined", "with PIPELINING", client=("-P",), libraries=WITH_NONE),
    Kind("resumed", "resumed", client=("-r",)),
    Kind("pipelined-resumed", "resumed, with PIPELINING", client=("-P", "-r")),
    Kind("tls12", "TLS 1.2", both=("-v", "12")),
    Kind("rsa", "RSA-2048", pair="rsa"),
    Kind(
        "fork-parent",
        "fork for each, Config in the parent",
        ("-f", "parent"),
        ("-f", "parent"),
        sessions=FORKED,
        warm=WARMED,
    ),
    Kind(
        "fork-child",
        "fork for each, Config in the child",
        ("-f", "child"),
        ("-f", "child"),
        sessions=FORKED,
        warm=WARMED,
    ),
    Kind(
        "fork-system",
        "the same, system's roots loaded in the child",
        ("-f", "child"),
        roles=("client",),
        roots="system",
        sessions=FORKED,
        warm=WARMED,
    ),
    Kind(
        "start", "a process from its start to the end of its session", sessions=1, warm=0, figure="process_us"
    ),
    Kind(
        "start-system",
        "the same with the system's roots",
        roles=("client",),
        sessions=1,
        warm=0,
        figure="process_us",
        roots="system",
    ),
    Kind("bulk", "bulk, 16 KB writes", sessions=1, warm=1, size=64, libraries=WITH_NONE),
    Kind("bulk-more", "bulk, 16 KB writes, more is said to follow", ("-g",), sessions=1, warm=1, size=64),
    Kind(
        "lines",
        "lines, 80 octets a write, more is said to follow",
        ("-g", "-s", "80"),
        sessions=1,
        warm=1,
        size=4,
    ),
    Kind(
        "lines-16k",
        "the same octets, 16 KB a write",
        ("-g",),
        sessions=1,
        warm=1,
        size=4,
        libraries=WITH_NONE,
    ),
)
# A start differs by more from run to run than a mean over many sessions does.
MORE_ROUNDS = {"start": 3, "start-system": 2}


def system_roots(pki: Paths) -> Path:
    """The system's authorities and ours, in one file."""
    path = pki.folder / "system.pem"
    path.write_text(SYSTEM.read_text() + pki.ca.read_text())
    return path


def octets(kind: Kind, quick: bool) -> int:
    """The size of the message, where it matters."""
    return kind.size * MEGABYTE // (4 if quick else 1)


def job(kind: Kind, pki: Paths, client: str, server: str, quick: bool) -> Job:
    roots = system_roots(pki) if kind.roots == "system" else pki.ca
    message: Words = ("-m", str(octets(kind, quick))) if kind.size else ()
    return Job(
        client,
        server,
        kind.both,
        ("-a", roots, *message, *kind.client),
        ("-c", getattr(pki, kind.pair), "-k", getattr(pki, f"{kind.pair}_key"), *kind.server),
        max(1, kind.sessions // 2) if quick else kind.sessions,
        kind.warm,
    )


def value(kind: Kind, said: dict[str, float], quick: bool) -> float:
    """Microseconds a session, or MB for each second of CPU."""
    return octets(kind, quick) / said[kind.figure] if kind.size else said[kind.figure]


def measure(kind: Kind, pki: Paths, folder: Path, rounds: int, quick: bool) -> Iterator[Row]:
    """A row for each role."""
    found: dict[str, dict[str, list[float]]] = {
        role: {name: [] for name in kind.libraries} for role in kind.roles
    }
    for _ in range(rounds * MORE_ROUNDS.get(kind.key, 1)):
        for library in kind.libraries:
            # Without TLS both ends must be so.
            peer = "none" if library == "none" else THEIRS
            for role in kind.roles:
                ends = (library, peer) if role == "client" else (peer, library)
                said = job(kind, pki, *ends, quick).run(folder)
                if "-r" in kind.client and library != "none" and not said["client"]["resumed"]:
                    raise RuntimeError(f"{library}: nothing was resumed")
                found[role][library].append(value(kind, said[role], quick))
    for role in kind.roles:
        yield Row(kind.key, kind.title, role, "MB/s" if kind.size else "us", medians(found[role]))


def all_rows(pki: Paths, folder: Path, quick: bool, show: Callable[[Row], None], only: str = "") -> list[Row]:
    rows = []
    for kind in KINDS:
        if only not in kind.key:
            continue
        for row in measure(kind, pki, folder, 3 if quick else 9, quick):
            show(row)
            rows.append(row)
    return rows
