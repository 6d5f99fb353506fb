"""What repeats must not change unseen: each figure within its tolerance of guard.toml."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ca.ca import Paths

from bench.counts import Counter
from bench.idle import open_many
from bench.programs import LIBRARY, OURS, THEIRS, build
from bench.repeated import ours_alone, stripped
from bench.roundtrips import round_trips

VALUES = Path(__file__).with_name("guard.toml")
HEAD = """# What a session of the C library takes, both ends being ours, and by how much a change may differ.
# One that is meant writes new values: SMTPTLS_UPDATE=1 pytest tests/bench/test_guard.py
"""
ROLES = ("client", "server")
PIPELINED = ("-P",)
# Instructions hang a little on the processor that valgrind finds; memory on the C library's allocator.
TOLERANCES = {
    "instructions": 0.05,
    "system-calls": 0.02,
    "allocations": 0.03,
    "heap": 0.05,
    "round-trips": 0.0,
    "size": 0.03,
}


def measured(pki: Paths, folder: Path) -> Iterator[tuple[str, float]]:
    counter = Counter(folder)
    for role in ROLES:
        full, pipelined = ours_alone(pki, role), ours_alone(pki, role, PIPELINED)
        yield f"instructions-{role}", counter.instructions(full, role)
        yield f"system-calls-{role}", counter.system_calls(full, role)["all"]
        yield f"system-calls-{role}-pipelined", counter.system_calls(pipelined, role)["all"]
        yield f"allocations-{role}", counter.heap(full, role)["blocks"]
        yield f"heap-{role}-idle", open_many(pki, folder, OURS, role, 200)["heap"]
    yield "round-trips", round_trips(ours_alone(pki, "client"), folder)
    yield "round-trips-pipelined", round_trips(ours_alone(pki, "client", PIPELINED), folder)
    yield "size-stripped", float(stripped(LIBRARY / "libsmtptls.so", folder))


@pytest.mark.timeout(300)
def test_nothing_has_grown(pki: Paths, tmp_path: Path) -> None:
    build(tmp_path, (OURS, THEIRS))
    found = dict(measured(pki, tmp_path))
    if "SMTPTLS_UPDATE" in os.environ:
        lines = [f"{name} = {value:.1f}" for name, value in found.items()]
        tolerances = [f"{name} = {value}" for name, value in TOLERANCES.items()]
        VALUES.write_text("\n".join([HEAD, "[tolerance]", *tolerances, "", "[value]", *lines, ""]))
    kept = tomllib.loads(VALUES.read_text())
    assert found.keys() == kept["value"].keys()
    wrong = []
    for name, value in found.items():
        expected = kept["value"][name]
        tolerance = next(part for key, part in kept["tolerance"].items() if name.startswith(key))
        if abs(value - expected) > tolerance * expected:
            wrong.append(f"{name} is {value:.1f}, was {expected:.1f}, and may differ by {tolerance:.0%}")
    assert not wrong, "; ".join(wrong)
