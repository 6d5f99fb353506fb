"""What the tests here look at: the wheel that `make python` left in build/wheel, or that of SMTPTLS_WHEEL."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "python/smtptls"
DATA = ROOT / "python/smtptls.data"


def version() -> str:
    lines = (ROOT / "Cargo.toml").read_text().splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("version = "))


def wheel() -> Path:
    """The path of the wheel."""
    if named := os.environ.get("SMTPTLS_WHEEL"):
        return Path(named)
    found = list((ROOT / "build/wheel").glob("*.whl"))
    if len(found) != 1:
        pytest.fail(f"build/wheel has {len(found)} wheels: `make python` leaves one")
    return found[0]


def sources() -> set[str]:
    """The files of the package that are not compiled, as both kinds of distribution hold them."""
    files = [path for kind in ("py", "pyi", "json") for path in PACKAGE.rglob(f"*.{kind}")]
    files.append(PACKAGE / "py.typed")
    return {f"smtptls/{path.relative_to(PACKAGE)}" for path in files}


def data() -> set[str]:
    """What is installed beside the package, by its place in `smtptls.data`: the man page, the completions."""
    return {str(path.relative_to(DATA)) for path in DATA.rglob("*") if path.is_file()}
