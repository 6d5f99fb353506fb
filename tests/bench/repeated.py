"""The rows of what repeats: instructions, system calls, segments, round trips, allocations, sizes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ca.ca import Paths

from bench.counts import Counter
from bench.programs import LIBRARY, OURS, THEIRS, Job, Words
from bench.roundtrips import round_trips
from bench.rows import Row

ROLES = ("client", "server")
PEERS = (THEIRS, "gnutls", OURS)
RUST = (*PEERS, "engine", "direct")
WITH_NONE = (*PEERS, "direct", "none")
# Flags of the client.
KINDS: dict[str, tuple[str, Words]] = {
    "session": ("whole session", ()),
    "pipelined": ("with PIPELINING", ("-P",)),
    "resumed": ("resumed", ("-r",)),
    "pipelined-resumed": ("resumed, with PIPELINING", ("-P", "-r")),
}
RECORD = 16384


def job(pki: Paths, library: str, role: str, flags: Words = (), both: Words = ()) -> Job:
    """One role of this library, the other of the peer; without TLS both are so."""
    peer = "none" if library == "none" else THEIRS
    ends = (library, peer) if role == "client" else (peer, library)
    return Job(*ends, both, ("-a", pki.ca, *flags), ("-c", pki.leaf, "-k", pki.leaf_key))


def rows(pki: Paths, folder: Path, quick: bool) -> Iterator[Row]:
    yield from instructions(pki, folder, quick)
    yield from system_calls(pki, folder, quick)
    yield from turns(pki, folder)
    yield from allocations(pki, folder, quick)
    yield from sizes(folder)


def each(
    libraries: Sequence[str], measure: Callable[[str, str], float], key: str, title: str, unit: str
) -> Iterator[Row]:
    for role in ROLES:
        yield Row(key, title, role, unit, {library: measure(library, role) for library in libraries})


def instructions(pki: Paths, folder: Path, quick: bool) -> Iterator[Row]:
    counter = Counter(folder)
    for key, (title, flags) in KINDS.items():
        if quick and key in ("pipelined", "resumed"):
            continue
        yield from each(
            RUST,
            lambda library, role, flags=flags: (
                counter.instructions(job(pki, library, role, flags), role) / 1e6
            ),  # type: ignore[misc]
            f"instructions-{key}",
            f"instructions, {title}",
            "million",
        )


def system_calls(pki: Paths, folder: Path, quick: bool) -> Iterator[Row]:
    counter = Counter(folder)
    for key, (title, flags) in KINDS.items():
        if quick and key == "resumed":
            continue
        found = {
            role: {name: counter.system_calls(job(pki, name, role, flags), role) for name in WITH_NONE}
            for role in ROLES
        }
        for what, words in {"all": "system calls", "reads and writes": "reads and writes"}.items():
            for role, counts in found.items():
                values = {name: count[what] for name, count in counts.items()}
                yield Row(f"{words.replace(' ', '-')}-{key}", f"{words}, {title}", role, "", values)
    for role in ROLES:
        limited = job(pki, OURS, role, both=("-L",))
        value = counter.system_calls(limited, role)["all"]
        yield Row("system-calls-limits", "system calls, with limits of time", role, "", {OURS: value})
    for key in ("session", "pipelined"):
        title, flags = KINDS[key]
        for role in ROLES:
            sent = {name: counter.segments(job(pki, name, role, flags), role)["out"] for name in WITH_NONE}
            yield Row(f"segments-{key}", f"segments sent, {title}", role, "", sent)


def turns(pki: Paths, folder: Path) -> Iterator[Row]:
    for key, (title, flags) in KINDS.items():
        yield from each(
            WITH_NONE,
            lambda library, role, flags=flags: round_trips(job(pki, library, role, flags), folder),  # type: ignore[misc]
            f"round-trips-{key}",
            f"round trips, {title}",
            "",
        )


def allocations(pki: Paths, folder: Path, quick: bool) -> Iterator[Row]:
    counter = Counter(folder)
    for role in ROLES:
        found = {name: counter.heap(job(pki, name, role), role) for name in (*PEERS, "direct")}
        yield Row(
            "allocations", "allocations, whole session", role, "", {n: c["blocks"] for n, c in found.items()}
        )
        yield Row(
            "allocated",
            "octets allocated, whole session",
            role,
            "KB",
            {n: c["octets"] / 1e3 for n, c in found.items()},
        )
    records = 50 if quick else 200
    for role in ROLES:

        def of_records(library: str, role: str = role) -> float:
            """A long message less a short one."""
            blocks = [
                counter.heap(job(pki, library, role, ("-m", str(count * RECORD))), role, 2, 4)["blocks"]
                for count in (10, 10 + records)
            ]
            return (blocks[1] - blocks[0]) / records

        yield Row(
            "allocations-record",
            "allocations, a record of 16 KB",
            role,
            "",
            {n: of_records(n) for n in PEERS},
        )


def sizes(folder: Path) -> Iterator[Row]:
    yield Row(
        "size", "stripped library", "both", "MB", {OURS: stripped(LIBRARY / "libsmtptls.so", folder) / 1e6}
    )


def stripped(library: Path, folder: Path) -> int:
    """Octets without symbols."""
    copy = folder / "stripped.so"
    subprocess.run(["strip", "--strip-unneeded", library.resolve(), "-o", copy], check=True)
    return copy.stat().st_size


def ours_alone(pki: Paths, role: str, flags: Words = ()) -> Job:
    """Both ends ours: each flight is one write there, so that counts do not hang on who runs first."""
    return replace(job(pki, OURS, role, flags), client=OURS, server=OURS)
