#!/usr/bin/env python3
"""Which requirement is named by which test: `python tests/conformance/coverage.py [--missing]`.

It looks for the IDs of requirements.txt in all tests of the project, also those in source files. Whether a
test proves what it names is for its reader to judge. others.toml has those that are not for a test, and why.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OTHERS = HERE / "others.toml"
PLACES = ("tests", "core/tests", "core/src", "ffi/tests", "ffi/src", "python/tests")
SUFFIXES = {".py", ".rs", ".c", ".h", ".sh", ".toml"}
ID = re.compile(r"\b(?:R\d+(?:-[\d.]*\d|-ours)+|R\d+-ours-\d+|SEC-\d+)\b")


def requirements() -> dict[str, str]:
    """The IDs of the list and their phrases."""
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return {row[0]: row[1] for row in rows}


def others() -> dict[str, str]:
    """The IDs of others.toml, and why no test names them."""
    tables = tomllib.loads(OTHERS.read_text(encoding="utf-8"))
    told = {one: f"not ours: {why}" for one, why in tables["program"].items()}
    return told | {one: f"documentation: {page}" for one, (page, _) in tables["documentation"].items()}


def test_part(path: Path) -> str:
    """The text of a test; of a Rust source file only what is behind `#[cfg(test)]`."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".rs" and path.parent.name == "src" and not path.stem.endswith("tests"):
        return text.partition("#[cfg(test)]")[2]
    return text


def named() -> dict[str, list[str]]:
    """For each ID the files whose tests name it."""
    found: dict[str, list[str]] = {}
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*")):
            if path.suffix in SUFFIXES and path not in (Path(__file__).resolve(), OTHERS) and path.is_file():
                for one in sorted(set(ID.findall(test_part(path)))):
                    found.setdefault(one, []).append(str(path.relative_to(ROOT)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Which requirement is named by which test.")
    parser.add_argument(
        "--missing", action="store_true", help="only those without a test and without a reason"
    )
    missing_only = parser.parse_args().missing
    wanted, tests, reasons = requirements(), named(), others()
    for one, phrase in wanted.items():
        if not missing_only or (one not in tests and one not in reasons):
            print(f"{one:14}{phrase:50}{', '.join(tests.get(one, [reasons.get(one, '-')]))}")
    if not missing_only:
        left = wanted.keys() - tests.keys() - reasons.keys()
        print(f"\n{sum(one in tests for one in wanted)} of {len(wanted)} requirements have a test")
        print(f"{len(reasons)} are not for a test, and {len(left)} are open")


if __name__ == "__main__":
    main()
