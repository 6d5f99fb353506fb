"""smtptls(1): as the generator writes it, clean, with every option of every subcommand, and installed."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, require_peer
from smtptls.cli.exits import Exit
from smtptls.cli.facts import AUTO, LEVELS
from smtptls.cli.main import make_parser

FOLDER = ROOT / "python/man"
PAGE = ROOT / "python/smtptls.data/data/share/man/man1/smtptls.1"


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The subcommands that do something."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from list(leaves(child)) or [child]


LEAVES = list(leaves(make_parser()))


def section(title: str) -> str:
    """A subsection, as a terminal shows it."""
    command = [require_peer("mandoc", "mandoc"), "-Tascii", str(PAGE)]
    text = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    text = re.sub(".\x08", "", text)
    found = re.search(rf"^   {re.escape(title)}$\n(.*?)^(?:   )?\S", text, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def test_it_is_what_the_generator_writes(tmp_path: Path) -> None:
    words = [sys.executable, str(FOLDER / "generate.py"), str(tmp_path)]
    subprocess.run(words, check=True, timeout=60)
    assert PAGE.read_text() == (tmp_path / "man/man1/smtptls.1").read_text(), "run `make man`"


def test_lint() -> None:
    command = [require_peer("mandoc", "mandoc"), "-Tlint", "-Wwarning", str(PAGE)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("parser", LEAVES, ids=lambda parser: parser.prog)
def test_every_option_is_there(parser: argparse.ArgumentParser) -> None:
    """In the section of the subcommand, or in one that it names and that names it."""
    text = section(parser.prog)
    words = " ".join(text.split())
    _, _, further = words.partition("Further options, below: ")
    for title in filter(None, further.rstrip(".").split("; ")):
        shared = section(title)
        users = re.split(
            r", ", " ".join(shared.split("\n\n")[0].split()).removeprefix("Options of ").rstrip(".")
        )
        assert parser.prog.partition(" ")[2] in users, title
        text += shared
    for action in parser._actions:
        for flag in action.option_strings:
            if action.dest != "help" and action.help != argparse.SUPPRESS:
                assert re.search(rf"^     (?:\S.*)?(?<![-\w]){flag}(?![-\w])", text, re.MULTILINE), flag


def test_headings_are_unique() -> None:
    headings = re.findall(r"^\.S[hs] (.*)", PAGE.read_text(), re.MULTILINE)
    assert len(headings) == len(set(headings))
    named = set(re.findall(r'^\.Sx (".*?")', PAGE.read_text(), re.MULTILINE))
    assert named and named <= set(headings)


def test_every_exit_code_is_there() -> None:
    text = PAGE.read_text().partition(".Sh EXIT STATUS\n")[2].partition(".Sh ")[0]
    assert re.findall(r"^\.It (\d+)", text, re.MULTILINE) == [str(code.value) for code in Exit]


def test_every_level_is_explained() -> None:
    text = PAGE.read_text().partition("is what a sender demands")[2].partition("The commands:")[0]
    assert re.findall(r"^\.It Li (\S+)", text, re.MULTILINE) == [*LEVELS, AUTO]


def test_it_is_installed(tmp_path: Path) -> None:
    words = ["make", "install-man", "PREFIX=/usr", f"DESTDIR={tmp_path}"]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=60)
    assert (tmp_path / "usr/share/man/man1/smtptls.1").read_text() == PAGE.read_text()
