"""Writes the stubs of the package, or checks them: `python tests/stubs.py [--check]`.

`_native.pyi` comes from the Rust sources, `_enums.pyi` from the engine's tables in the installed module. It
needs maturin, ruff and cargo.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import smtptls
from smtptls import _native

FOLDER = Path(__file__).resolve().parent.parent
PACKAGE = FOLDER / "smtptls"


def native() -> str:
    """What maturin makes of the Rust sources. It finds the module by its symbols, so they stay."""
    with tempfile.TemporaryDirectory() as folder:
        whole = "profile.release.package.smtptls-python.strip=false"
        command = [
            sys.executable,
            "-m",
            "maturin",
            "generate-stubs",
            "--quiet",
            "--features",
            "stubs",
            "--profile",
            "release",
            "--config",
            whole,
        ]
        subprocess.run([*command, "--out", folder], cwd=FOLDER, check=True)
        stub = (Path(folder) / "smtptls/_native.pyi").read_text()
    return formatted("# Written by stubs.py from the Rust sources.\n" + stub)


def enums() -> str:
    """The enums of `_enums.py` as type checkers can see them."""
    text = "# Written by stubs.py from the engine's tables.\nfrom enum import IntEnum\n\n"
    for name, members in _native.tables():
        enum = getattr(smtptls, name)
        text += f'class {name}(IntEnum):\n    """{enum.__doc__}"""\n\n'
        text += "".join(f"    {member} = {number}\n" for member, number in members)
        text += "    @property\n    def label(self) -> str: ...\n\n" if hasattr(enum, "label") else "\n"
    return formatted(text)


def formatted(text: str) -> str:
    for arguments in (["check", "--fix", "--exit-zero", "--quiet"], ["format"]):
        command = [
            sys.executable,
            "-m",
            "ruff",
            *arguments,
            "--stdin-filename",
            str(PACKAGE / "stub.pyi"),
            "-",
        ]
        text = subprocess.run(
            command, cwd=FOLDER, input=text, capture_output=True, text=True, check=True
        ).stdout
    return text


def main(arguments: list[str]) -> int:
    stale = False
    for name, text in (("_enums.pyi", enums()), ("_native.pyi", native())):
        path = PACKAGE / name
        if path.exists() and path.read_text() == text:
            continue
        if arguments == ["--check"]:
            print(f"{path} is not what stubs.py writes")
            stale = True
        else:
            path.write_text(text)
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
