"""The source distribution holds what a build needs, and builds without a network from the locked crates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from built import data, sources, version
from conftest import ROOT

# Besides the code: core/Cargo.toml names the bench, and cargo wants to see it.
REST = {
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-ISC",
    "LICENSE-MIT",
    "PKG-INFO",
    "README.md",
    "core/Cargo.toml",
    "core/benches/judge.rs",
    "licences/THIRD-PARTY.txt",
    "licences/smtptls.cdx.json",
    "pyproject.toml",
    "python/Cargo.toml",
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "maturin", "sdist", "--out", str(folder)]
    subprocess.run(command, cwd=ROOT / "python", check=True, timeout=120)
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / f"smtptls-{version()}"


def locked(lock: Path) -> set[tuple[str, str, str | None]]:
    crates = tomllib.loads(lock.read_text())["package"]
    return {(crate["name"], crate["version"], crate.get("checksum")) for crate in crates}


def test_it_holds_what_it_needs_and_no_more(unpacked: Path) -> None:
    rust = [path for part in ("core", "python") for path in (ROOT / part / "src").rglob("*.rs")]
    found = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    beside = {f"smtptls.data/{name}" for name in data()}
    assert found == {str(path.relative_to(ROOT)) for path in rust} | sources() | beside | REST


def test_it_builds_offline_from_the_locked_crates(unpacked: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(unpacked, copy)
    # The target folder of the library spares aws-lc. Cargo would take the engine and the module from it too.
    for path in copy.rglob("*.rs"):
        path.touch()
    environment = os.environ | {
        "CARGO_NET_OFFLINE": "true",
        "CARGO_TARGET_DIR": str(ROOT / "target"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # for maturin
    }
    pip = [sys.executable, "-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", tmp_path, copy], check=True, env=environment, timeout=900)
    assert [path.name.split("-")[2:4] for path in tmp_path.glob("*.whl")] == [["cp311", "abi3"]]
    # Cargo drops from the lock what is of the other members of the workspace, and changes nothing.
    before, after = locked(ROOT / "Cargo.lock"), locked(copy / "Cargo.lock")
    assert after < before and {"rustls", "aws-lc-sys"} <= {name for name, _, _ in after}
