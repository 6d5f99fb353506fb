"""The standard library's own tests, with ssl's context and with smtptls.SSLContext in its place: each test
comes out the same, on each Python that is present.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import smtptls
from conftest import missing

SUITE = Path(__file__).with_name("suite.py")
# test_smtplib holds no TLS at all.
MODULES = ("test_imaplib", "test_poplib", "test_ftplib", "test_asyncio.test_sslproto")
DEADLINE = 400  # seconds; a bound on hanging, not on speed

# What differs, with the reason: module.class.test to outcome. Nothing does.
DIFFERENT: dict[str, str] = {}


def interpreters() -> list[str]:
    """This Python, and the others that the module runs on and that have the tests of the standard library."""
    found = [sys.executable]
    versions = Path.home() / ".pyenv/versions"
    for minor in range(11, 15):
        if minor == sys.version_info.minor:
            continue
        path = next(iter(sorted(versions.glob(f"3.{minor}.*/bin/python"))), None)
        if path is not None:
            found.append(str(path))
    return found


def run(python: str, which: str) -> dict[str, Any]:
    package = Path(smtptls.__file__).parent.parent
    # Of the package's folder only the package, and nothing else that is installed there.
    argv = [python, str(SUITE), which, *(f"test.{module}" for module in MODULES)]
    environment = dict(os.environ, SMTPTLS_PACKAGE=str(package))
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=DEADLINE)
    lines = done.stdout.strip().splitlines()
    assert lines, done.stderr[-4000:]
    result: dict[str, Any] = json.loads(lines[-1])
    return result


@pytest.mark.timeout(2 * DEADLINE)
@pytest.mark.parametrize("python", interpreters(), ids=lambda path: Path(path).parent.parent.name)
def test_the_standard_librarys_own_tests(python: str) -> None:
    present = subprocess.run([python, "-c", "import test.test_imaplib"], capture_output=True, text=True)
    if present.returncode != 0:
        missing(f"{python} has no tests of the standard library: {present.stderr.strip().splitlines()[-1:]}")
    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(lambda which: run(python, which), ("ssl", "smtptls"))
    assert before["handshakes"] == 0
    assert after["handshakes"] > 300, "these went through OpenSSL"
    outcomes = before["outcomes"].keys() | after["outcomes"].keys()
    assert len(outcomes) > 250
    for name in sorted(outcomes):
        was, why = before["outcomes"].get(name, ["absent", ""])
        now, why_now = after["outcomes"].get(name, ["absent", ""])
        assert now == DIFFERENT.get(name, was), (
            f"{name}: {was} with ssl, {now} with smtptls\n{why}\n{why_now}"
        )
