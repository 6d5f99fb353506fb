"""The whole bench: measures part by part, prints what it finds, and writes bench.json and the page."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ca.ca import make

from bench import growth, idle, page, repeated, sessions, targets
from bench.programs import ROOT, build
from bench.rows import Row, number

OUTPUT = ROOT / "build" / "bench"
IDLE = 1000  # connections


def show(row: Row) -> None:
    values = "  ".join(f"{name} {number(value)}" for name, value in row.values.items())
    print(f"{row.title}, {row.role} ({row.unit}): {values}  ratio {number(row.ratio())}", flush=True)


def python(folder: Path, quick: bool) -> dict[str, dict[str, Any]]:
    """Python beside ssl: a bench of its own, since it needs the module and no C."""
    figures = folder / "python.json"
    words = [sys.executable, str(Path(__file__).with_name("python.py")), "--json", str(figures)]
    subprocess.run([*words, *(["--quick"] if quick else [])], check=True)
    found: dict[str, dict[str, Any]] = json.loads(figures.read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds: five minutes")
    parser.add_argument("--only", default="", help="only what has this in its key; writes no page")
    options = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pki = make(folder / "pki")
        build(folder)
        rows = sessions.all_rows(pki, folder, options.quick, show, options.only)
        if options.only:
            return
        for more in (
            repeated.rows(pki, folder, options.quick),
            idle.rows(pki, folder, IDLE // 4 if options.quick else IDLE),
        ):
            for row in more:
                show(row)
                rows.append(row)
        charts = []
        for series in growth.series(pki, folder, options.quick):
            print(series.document(), flush=True)
            charts.append(series)
        beside_ssl = python(folder, options.quick)
    met = targets.judge(rows, beside_ssl)
    document = {
        "machine": page.machine(),
        "quick": options.quick,
        "rows": [row.document() for row in rows],
        "growth": [series.document() for series in charts],
        "python": beside_ssl,
        "targets": [target.document() for target in met],
    }
    (OUTPUT / "bench.json").write_text(json.dumps(document, indent=1) + "\n")
    page.write(document, rows, charts, met)
