"""Writes what is beside it: THIRD-PARTY.txt, the licences of all that is compiled into the module, and
smtptls.cdx.json, the same crates for programs (CycloneDX 1.5).

`collect.py` writes them, `collect.py --check` says with its exit code whether they are as of now. It needs
cargo; the crates come from Cargo.lock, and the texts from their sources. maturin's own list would name crates
for Windows and of features that are off, the time, and the folder of the build.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What wheels are made for. Another Linux takes the same crates; macOS takes a few more.
TARGET = "x86_64-unknown-linux-gnu"
TEXT = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)\b", re.IGNORECASE)
HEAD = """\
What smtptls links into its Python module _native: the crates of Cargo.lock that are compiled into it, and
the standard library of Rust. Where one offers several licences, take any. The numbers are of the texts that
follow.

"""
# It is in each Rust program, and its two texts are those of most crates.
RUST = "the standard library of Rust: MIT OR Apache-2.0, https://github.com/rust-lang/rust"

Package = dict[str, Any]


def cargo(*arguments: str) -> str:
    command = ["cargo", *arguments, "--locked"]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def compiled() -> set[tuple[str, str]]:
    """Names and versions of what the module links. Macros and build scripts leave only what they wrote."""
    tree = ["tree", "-p", "smtptls-python", "-e", "normal,no-proc-macro", "--target", TARGET]
    lines = cargo(*tree, "--prefix", "none", "--format", "{p}").splitlines()
    found = {(name, version[1:]) for name, version, *_ in map(str.split, lines)}
    return {(name, version) for name, version in found if not name.startswith("smtptls")}


def texts(folder: Path) -> Iterator[str]:
    """The licence texts of a crate, with those of the code from elsewhere that it holds."""
    for path in sorted(folder.rglob("*")):
        if TEXT.match(path.name) and path.suffix in ("", ".txt", ".md") and path.is_file():
            yield "\n".join(line.rstrip() for line in path.read_text().strip("\n").splitlines())


def for_people(packages: list[Package]) -> str:
    numbers: dict[str, tuple[int, str]] = {}  # by the words alone: lines are broken in many ways
    lines = [RUST]
    for package in packages:
        mine = set()
        for text in texts(Path(package["manifest_path"]).parent):
            number, _ = numbers.setdefault(" ".join(text.split()), (len(numbers) + 1, text))
            mine.add(number)
        if not mine:
            raise SystemExit(f"{package['name']} has no licence text")
        shown = ", ".join(map(str, sorted(mine)))
        about = f"{package['license']}, {package['repository']}"
        lines.append(f"{package['name']} {package['version']}: {about} [{shown}]")
    parts = [f"{'=' * 40} [{number}]\n\n{text}\n" for number, text in numbers.values()]
    return "\n".join([HEAD + "\n".join(lines) + "\n", *parts])


def for_programs(packages: list[Package], edges: dict[str, list[str]]) -> str:
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    sums = {(one["name"], one["version"]): one.get("checksum") for one in lock}
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    ours = f"pkg:pypi/smtptls@{version}"
    urls = {package["id"]: f"pkg:cargo/{package['name']}@{package['version']}" for package in packages}
    components = [
        {
            "type": "library",
            "bom-ref": urls[package["id"]],
            "name": package["name"],
            "version": package["version"],
            "purl": urls[package["id"]],
            # SPDX has no slash, which old crates have for OR.
            "licenses": [{"expression": package["license"].replace("/", " OR ")}],
            "hashes": [{"alg": "SHA-256", "content": sums[package["name"], package["version"]]}],
        }
        for package in packages
    ]
    depends: dict[str, set[str]] = {ours: set()} | {url: set() for url in urls.values()}
    for user, used in edges.items():
        depends[urls.get(user, ours)] |= {urls[one] for one in used if one in urls}
    whole = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": ours,
                "name": "smtptls",
                "version": version,
                "purl": ours,
                "licenses": [{"expression": "Apache-2.0 OR ISC OR MIT"}],
            }
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(used)} for ref, used in depends.items()],
    }
    # A line for each crate.
    parts = json.dumps(whole).replace('{"type"', '\n{"type"').replace('{"ref"', '\n{"ref"')
    return parts + "\n"


def collect() -> dict[str, str]:
    wanted = compiled()
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", TARGET))
    packages = [one for one in metadata["packages"] if (one["name"], one["version"]) in wanted]
    packages.sort(key=lambda package: (package["name"], package["version"]))
    if len(packages) != len(wanted):
        raise SystemExit(f"{len(wanted)} crates are compiled in, and {len(packages)} were found")
    members = [one["id"] for one in metadata["packages"] if one["name"] in ("smtptls", "smtptls-python")]
    users = {*members, *(package["id"] for package in packages)}
    edges = {
        node["id"]: [
            one["pkg"] for one in node["deps"] if any(kind["kind"] is None for kind in one["dep_kinds"])
        ]
        for node in metadata["resolve"]["nodes"]
        if node["id"] in users
    }
    return {"THIRD-PARTY.txt": for_people(packages), "smtptls.cdx.json": for_programs(packages, edges)}


def main() -> None:
    for name, now in collect().items():
        if sys.argv[1:] != ["--check"]:
            (HERE / name).write_text(now)
        elif (HERE / name).read_text() != now:
            raise SystemExit(f"{name} is not of these crates: python {Path(__file__).name} writes it anew")


if __name__ == "__main__":
    main()
