"""docs/from-openssl.md: what it names of ours exists, and each call has an answer."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

PAGE = (ROOT / "docs" / "from-openssl.md").read_text()
HEADER = (ROOT / "include" / "smtptls.h").read_text()
SYMBOLS = set((ROOT / "ffi" / "symbols.list").read_text().split())

# The sections whose last column says what to call.
SECTIONS = ("Set-up, once a process", "One connection", "Who the peer is", "What came out")


def words(pattern: str) -> set[str]:
    return set(re.findall(pattern, PAGE))


def test_each_function_is_in_the_library() -> None:
    assert words(r"\bsmtptls_\w+") - SYMBOLS == set()


def test_each_constant_is_in_the_header() -> None:
    constants = set(re.findall(r"^  (SMTPTLS_\w+) = ", HEADER, re.MULTILINE))
    assert words(r"\bSMTPTLS_\w+") - constants == set()


@pytest.mark.parametrize("section", SECTIONS)
def test_each_row_of_calls_says_what_replaces_them(section: str) -> None:
    table = PAGE.split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line][1:]
    for row in rows:
        ours = row.split("|")[-2].strip()
        assert re.search(r"smtptls_|SMTPTLS_|^nothing: |^add all key pairs", ours), row
