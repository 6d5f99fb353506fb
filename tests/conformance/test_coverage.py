"""Each requirement has a test that names it, or a reason why none does."""

from __future__ import annotations

import tomllib

import coverage
from conftest import ROOT


def test_no_requirement_is_left() -> None:
    assert coverage.requirements().keys() - coverage.named().keys() - coverage.others().keys() == set()


def test_no_reason_is_left_over() -> None:
    reasons = coverage.others().keys()
    assert reasons - coverage.requirements().keys() == set(), "no such requirement"
    assert reasons & coverage.named().keys() == set(), "there is a test for it"


def test_no_test_names_what_is_no_requirement() -> None:
    """A slip of the pen would be a requirement without its test."""
    strange = {one: places for one, places in coverage.named().items() if one not in coverage.requirements()}
    assert strange == {}


def test_the_documentation_says_so() -> None:
    for page, words in tomllib.loads(coverage.OTHERS.read_text())["documentation"].values():
        assert words in (ROOT / page).read_text().replace("\n  ", " "), f"{page}: {words}"
