"""smtptls tickets: files of session ticket keys, as `python -m smtptls.tickets` has them."""

from __future__ import annotations

import argparse
from typing import Any

from .. import tickets
from . import options as shared
from .exits import Exit
from .output import Output

EXAMPLES = """  smtptls tickets make /etc/mail/ticket-keys
  smtptls tickets rotate /etc/mail/ticket-keys
  smtptls tickets show /etc/mail/ticket-keys"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "tickets",
        help="make, rotate and show a file of session ticket keys",
        description="Files of session ticket keys, for all processes and hosts of a service.",
        epilog=f"examples:\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parts = parser.add_subparsers(metavar="WHAT", required=True, dest="what")
    for name, run, summary in (
        ("make", make, "write a new file"),
        ("rotate", rotate, "make the next key current, and a new next one"),
        ("show", show, "print the age of a file and the names of its keys"),
    ):
        part = shared.add_command(parts, name, run, summary, EXAMPLES)
        part.add_argument("file", metavar="FILE")
        if name == "make":
            part.add_argument("--force", action="store_true", help="replace a file, and end all its tickets")


def make(options: argparse.Namespace) -> int:
    tickets.make(options.file, force=options.force)
    return Exit.OK


def rotate(options: argparse.Namespace) -> int:
    tickets.rotate(options.file)
    return Exit.OK


def show(options: argparse.Namespace) -> int:
    output = Output()
    output.line(tickets.show(options.file))
    output.flush()
    return Exit.OK
