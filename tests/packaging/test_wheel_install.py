"""The wheel in a new venv of each Python here, with no index to ask: it installs, imports and works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from built import version, wheel
from ca.ca import Paths
from conftest import ROOT

# That of the tests, and those that pyenv keeps.
PYTHONS = {f"{sys.version_info[0]}.{sys.version_info[1]}": Path(sys.executable)}
for path in sorted((Path.home() / ".pyenv/versions").glob("3.*/bin/python")):
    major, minor = map(int, path.parts[-3].split(".")[:2])
    if minor >= 11:
        PYTHONS.setdefault(f"{major}.{minor}", path)


def run(*arguments: str | Path, folder: Path) -> str:
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("python", PYTHONS)
def test_a_new_venv(python: str, pki: Paths, tmp_path: Path) -> None:
    run(PYTHONS[python], "-m", "venv", "--without-pip", tmp_path / "venv", folder=tmp_path)
    new = tmp_path / "venv/bin/python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", new]
    run(*pip, "install", "--no-index", "--no-deps", wheel(), folder=tmp_path)
    said = run(new, "-c", "import smtptls; print(smtptls.__version__, smtptls.__file__)", folder=tmp_path)
    assert re.fullmatch(rf"{re.escape(version())} {re.escape(str(tmp_path))}/venv/\S+\n", said)
    script = ROOT / "tests/packaging/handshake.py"
    summary = run(new, "-W", "error", script, pki.ca, pki.leaf, pki.leaf_key, folder=tmp_path)
    assert "TLSv1.3" in summary
    assert run(*pip, "check", folder=tmp_path) == "No broken requirements found.\n"
