"""docs/security.md: each test that a promise names exists."""

from __future__ import annotations

import re

from conftest import ROOT

PAGE = (ROOT / "docs/security.md").read_text()


def test_each_test_exists() -> None:
    rows = [row for row in PAGE.splitlines() if row.startswith("| ") and row.count("|") == 4 and "/" in row]
    assert len(rows) > 15
    for row in rows:
        tests = row.split("|")[3]
        paths = re.findall(r"(?:tests|core|python|ffi)/[\w/.]*\w", tests)
        assert paths, row
        for path in paths:
            assert (ROOT / path).exists(), path
        inside = re.findall(r"tests/conformance \(([^)]*)\)", tests)
        for name in re.findall(r"[\w/]+\.(?:toml|py)", " ".join(inside)):
            assert list((ROOT / "tests/conformance").rglob(name)), name
