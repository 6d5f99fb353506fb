#!/usr/bin/env python3
"""Runs the fuzz targets, or plays their corpus.

    run.py --seconds N [TARGET...]   builds with libFuzzer and AddressSanitizer, and fuzzes each N seconds,
                                     as many at once as there are processors
    run.py --minimize [TARGET...]    the same build: keeps of the corpus what reaches anything new
    run.py --replay                  the corpus alone, in a plain build of the stable toolchain

Fuzzing begins with the committed corpus. What it finds goes to found/TARGET, and what crashes to
crashes/TARGET, both unversioned. Ends with 1 on a crash, a leak, a hang, or more memory than 2 GB. All but
--replay needs `cargo install --locked cargo-fuzz`. CARGO_TARGET_DIR is obeyed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Quick to slow: a run that is cut short has seen most.
TARGETS = ("text", "files", "certificate", "client", "server", "pair", "c_api")
# The largest input, and the most that all inputs of a target in the committed corpus come to.
LARGEST = 4096
MOST = 7 * 1024
# What was found, the committed corpus, and what once went wrong, which is committed too and never minimized.
INPUTS = ("found", "corpus", "regressions")


def environment() -> dict[str, str]:
    """cargo fuzz on the stable toolchain, and aws-lc as the repository builds it."""
    return os.environ | {"RUSTC_BOOTSTRAP": "1", "AWS_LC_SYS_NO_JITTER_ENTROPY": "1"}


def build() -> Path:
    """All targets; the folder of the programs."""
    if shutil.which("cargo-fuzz") is None:
        sys.exit("run.py: there is no cargo fuzz: cargo install --locked cargo-fuzz")
    command = ["cargo", "fuzz", "build", "--fuzz-dir", str(HERE)]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True)
    version = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    host = re.search(r"^host: (\S+)$", version, re.MULTILINE)
    assert host is not None
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
    return target / host[1] / "release"


def arguments(target: str) -> list[str]:
    """What libFuzzer is told for every run."""
    crashes = HERE / "crashes" / target
    crashes.mkdir(parents=True, exist_ok=True)
    return [
        f"-dict={HERE / 'dictionaries' / target}.dict",
        f"-artifact_prefix={crashes}/",
        f"-max_len={LARGEST}",
        "-timeout=20",
        "-rss_limit_mb=2048",
    ]


def folders(target: str) -> list[Path]:
    """Where inputs of a target are; new ones go to the first."""
    return [path for name in INPUTS if (path := HERE / name / target).is_dir()]


def fuzz(programs: Path, target: str, seconds: int, seed: int) -> bool:
    """Fuzzes one target, and says how far it came. Whether all is well. The seed 0 is a new one each time."""
    (HERE / "found" / target).mkdir(parents=True, exist_ok=True)
    command = [str(programs / target), *arguments(target), f"-max_total_time={seconds}", f"-seed={seed}"]
    command += ["-print_final_stats=1", *map(str, folders(target))]
    began = time.monotonic()
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment())
    took = time.monotonic() - began
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", run.stderr)
    reached = re.findall(r"cov: (\d+) ft: (\d+)", run.stderr)
    count = int(executed[1]) if executed else 0
    cov, ft = reached[-1] if reached else ("0", "0")
    state = "ok" if run.returncode == 0 else f"FAILED ({run.returncode})"
    speed = count / took
    print(f"{target:12} {count:>9} runs {speed:>7.0f}/s  cov {cov:>6}  ft {ft:>6}  {state}", flush=True)
    if run.returncode != 0:
        print(run.stderr[-6000:])
    return run.returncode == 0


def minimize(programs: Path, target: str) -> None:
    """Merges what was found into the corpus, and keeps of both the smallest inputs that reach the same."""
    corpus = HERE / "corpus" / target
    fresh = HERE / "found" / f"{target}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    # Edges alone: how often each is taken would keep ten times as many.
    command = [
        str(programs / target),
        *arguments(target),
        "-set_cover_merge=1",
        "-use_counters=0",
        str(fresh),
    ]
    command += map(str, folders(target))
    subprocess.run(command, check=True, env=environment(), stderr=subprocess.DEVNULL)
    shutil.rmtree(corpus, ignore_errors=True)
    corpus.mkdir(parents=True)
    # By turns the smallest, which are many, and the largest, which go deepest.
    inputs = sorted(fresh.iterdir(), key=lambda path: (path.stat().st_size, path.name))
    room, kept, count = MOST, 0, len(inputs)
    while inputs and room > 0:
        path = inputs.pop(0 if kept % 8 else -1)
        if (size := path.stat().st_size) <= room:
            shutil.copy(path, corpus / path.name[:12])
            room -= size
            kept += 1
        elif not kept % 8:
            # The largest that is left has no room; a smaller one may have.
            continue
        else:
            break
    print(f"{target}: {kept} of {count} inputs, {MOST - room} octets")
    shutil.rmtree(fresh)


def main() -> int:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seconds", type=int, metavar="N")
    what.add_argument("--minimize", action="store_true")
    what.add_argument("--replay", action="store_true")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the same inputs as far as time allows"
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    if options.replay:
        command = ["cargo", "test", "--locked", "--quiet", "--no-default-features", "--test", "replay"]
        plain = os.environ | {"AWS_LC_SYS_NO_JITTER_ENTROPY": "1"}
        return subprocess.run(command, cwd=HERE, env=plain).returncode
    programs = build()
    targets = options.targets or list(TARGETS)
    if options.minimize:
        for target in targets:
            minimize(programs, target)
        return 0
    # Each gets its turn, whatever became of the one before.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(
            pool.map(lambda target: fuzz(programs, target, options.seconds, options.seed), targets)
        )
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
