"""How the tests of the C library build programs, run them, and watch them.

    own(folder, name)       compiles tests/c/NAME.c against the library in build/lib
    run(...)                runs a program that has to end with 0, and gives its output
    valgrind(...)           the same under memcheck: no leak, no wild pointer, no descriptor lost

With SMTPTLS_SANITIZED, a library built with AddressSanitizer (`make sanitize`), that one is linked instead,
and it watches in valgrind's place.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ca.ca import Paths
from conftest import require_peer

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
LIBRARY = ROOT / "build" / "lib"
HEADER = ROOT / "include" / "smtptls.h"
SYMBOLS = set((ROOT / "ffi" / "symbols.list").read_text().split())
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SANITIZED = os.environ.get("SMTPTLS_SANITIZED")
VALGRIND = ["valgrind", "-q", "--leak-check=full", "--track-fds=yes", "--error-exitcode=9"]


def run(*command: str | Path, **options: Any) -> str:
    result = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        **options,
    )
    assert result.returncode == 0, f"{command}: {result.returncode}: {result.stdout}{result.stderr}"
    return result.stdout


def compile_against(source: Path, to: Path, *flags: str | Path) -> Path:
    run("gcc", "-std=c99", "-D_POSIX_C_SOURCE=200809L", *STRICT, "-g", source, "-o", to, *flags)
    return to


def own(folder: Path, name: str, *flags: str | Path) -> Path:
    """The program of tests/c/NAME.c, linked with the library under test."""
    if SANITIZED:
        link: list[str | Path] = ["-fsanitize=address", SANITIZED, "-lm"]
    else:
        link = [f"-L{LIBRARY}", "-lsmtptls", f"-Wl,-rpath,{LIBRARY}"]
    include = [f"-I{ROOT / 'include'}", f"-I{HERE}"]
    return compile_against(HERE / f"{name}.c", folder / name, *include, "-pthread", *flags, *link)


def valgrind(*command: str | Path, tool: Sequence[str] = VALGRIND, **options: Any) -> None:
    if not SANITIZED:
        require_peer("valgrind", "valgrind")
        run(*tool, *command, **options)


def watched(program: Path, *arguments: str | Path) -> str:
    """Runs it plainly and under valgrind, and gives the output of the first."""
    output = run(program, *arguments)
    valgrind(program, *arguments)
    return output


def trust(pki: Paths) -> list[str | Path]:
    """The first arguments of most programs: CA, chain, key. They are for "localhost"."""
    return [pki.ca, pki.leaf, pki.leaf_key]
