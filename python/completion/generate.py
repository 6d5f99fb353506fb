"""Writes the completion of the command smtptls for bash, zsh and fish, from the command's parser, by shtab.

`generate.py [folder]` writes them there instead of to python/smtptls.data/data/share, which a wheel has for
the share of where it is installed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import shtab
from smtptls.cli.main import make_parser

SHARE = Path(__file__).resolve().parent.parent / "smtptls.data/data/share"
# Where each shell looks.
FILES = {
    "bash": "bash-completion/completions/smtptls",
    "zsh": "zsh/site-functions/_smtptls",
    "fish": "fish/vendor_completions.d/smtptls.fish",
}
ABOUT = "# Written by python/completion/generate.py and shtab from the command's options: run `make man`.\n"
# What stands for a file, as the help calls it.
OF_FILES = {"FILE", "PEM", "POLICY", "STATEFILE"}
OF_FOLDERS = {"DIR", "DIRECTORY", "FOLDER"}
OF_HOSTS = {"HOST", "TARGET"}
HOSTS = {
    "bash": "_smtptls_hosts",
    "zsh": "_hosts",
    "fish": "(__fish_print_hostnames)",
    "preamble": {"bash": '_smtptls_hosts() { compgen -A hostname -- "$1"; }'},
}
NOTHING = {"zsh": " "}  # else the name of what could stand here keeps options from being completed


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser, and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._get_subactions():
                # One line, where the help has a paragraph.
                action.choices[choice.dest].description = choice.help
            for child in action.choices.values():
                yield from parsers(child)


def complete(shell: str) -> str:
    parser = make_parser()
    for each in parsers(parser):
        for action in each._actions:
            if action.metavar in OF_FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.metavar in OF_FOLDERS:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
            elif action.metavar in OF_HOSTS:
                action.complete = HOSTS  # type: ignore[attr-defined]
            elif shell == "zsh" and not action.option_strings and not action.choices:
                action.complete = NOTHING  # type: ignore[attr-defined]
            if shell == "zsh" and isinstance(action.metavar, str):
                action.metavar = action.metavar.replace(":", "\\:")  # else it ends the description there
    script = shtab.complete(parser, shell)
    # In place of how to install it by hand.
    script = re.sub(r"^# AUTOMATICALLY GENERATED.*\n(?:#.*\n)+", lambda _: ABOUT, script, flags=re.MULTILINE)
    return f"{script.rstrip()}\n"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARE
    for shell, name in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(complete(shell))


if __name__ == "__main__":
    main()
