"""The whole bench: measures part by part, prints what it finds as it goes, and keeps it in bench.json."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from ca.ca import make

from bench import sessions
from bench.programs import ROOT, build
from bench.rows import Row, number

OUTPUT = ROOT / "build" / "bench"


def show(row: Row) -> None:
    values = "  ".join(f"{name} {number(value)}" for name, value in row.values.items())
    print(f"{row.title}, {row.role} ({row.unit}): {values}  ratio {number(row.ratio())}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds: five minutes")
    parser.add_argument("--only", default="", help="only what has this in its key")
    options = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pki = make(folder / "pki")
        build(folder)
        rows = sessions.all_rows(pki, folder, options.quick, show, options.only)
    (OUTPUT / "bench.json").write_text(json.dumps([row.document() for row in rows], indent=1) + "\n")
