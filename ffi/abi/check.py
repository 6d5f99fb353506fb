"""Compares the C interface with the one that programs were built against: nothing goes away, nothing changes.

`check.py` compares include/smtptls.h with libsmtptls.abi, and fails on a function, an argument, a result or a
constant that is gone or other than it was. What is new passes. `check.py --renew` then takes the new into the
baseline, and refuses to take a break in; README.md says when which is right.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parent.parent / "include"
BASELINE = HERE / "libsmtptls.abi"
CC = os.environ.get("CC", "cc")


def shim(header: str) -> str:
    """C with a pointer to each function of the header and a variable of each enum: what abidw describes."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", header, flags=re.DOTALL)
    functions = sorted(set(re.findall(r"\b(smtptls_\w+)\(", code)))
    enums = re.findall(r"^enum (smtptls_\w+) \{", code, re.MULTILINE)
    lines = ["#include <smtptls.h>"]
    for function in functions:
        lines.append(f"extern __typeof__({function}) *const function_{function};")
        lines.append(f"__typeof__({function}) *const function_{function} = {function};")
    lines += [f"enum {enum} enum_{enum};" for enum in enums]
    return "\n".join(lines) + "\n"


def build(folder: Path) -> Path:
    (folder / "shim.c").write_text(shim((INCLUDE / "smtptls.h").read_text()))
    # A relative path, since the description has it in it.
    words = [*CC.split(), "-g", "-O0", "-shared", "-fPIC", f"-I{INCLUDE}", "shim.c", "-o", "shim.so"]
    subprocess.run(words, cwd=folder, check=True)
    return folder / "shim.so"


def describe(library: Path) -> str:
    options = ["--no-show-locs", "--no-comp-dir-path", "--no-corpus-path", "--type-id-style", "hash"]
    return subprocess.run(["abidw", *options, library], check=True, capture_output=True, text=True).stdout


def compare(library: Path) -> bool:
    # Sizes and numbers are the same on every 64-bit machine, so the baseline's does not matter.
    options = ["--no-added-syms", "--no-architecture"]
    result = subprocess.run(["abidiff", *options, BASELINE, library], capture_output=True, text=True)
    if result.returncode == 0:
        return True
    print(result.stdout + result.stderr, file=sys.stderr)
    # Its first bit says that abidiff itself failed.
    broken = "abidiff failed" if result.returncode & 1 else "programs built against the library would break"
    print(f"ffi/abi: {broken}", file=sys.stderr)
    return False


def main() -> int:
    if shutil.which("abidw") is None:
        print("ffi/abi: not checked: apt-get install abigail-tools", file=sys.stderr)
        return 1 if os.environ.get("SMTPTLS_REQUIRE_PEERS") == "1" else 0
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder))
        renew = "--renew" in sys.argv[1:]
        if (BASELINE.exists() or not renew) and not compare(library):
            return 1
        if renew:
            BASELINE.write_text(describe(library))
        return 0


if __name__ == "__main__":
    sys.exit(main())
