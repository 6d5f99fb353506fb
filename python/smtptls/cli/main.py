"""The frame of the command: its subcommands, its exit codes, and what it says when something goes wrong."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from .._errors import ConfigError, Error
from .._native import __version__, escape
from . import audit, check, connect, policy, send, serve, sts, tickets, tlsa
from .exits import MEANINGS, Exit, Stop
from .output import complain

SUBCOMMANDS = (check, connect, send, serve, audit, tlsa, sts, policy, tickets)

EXIT_CODES = "exit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items())
EXAMPLES = """examples:
  smtptls check mx.example.com:25
  smtptls check --level verify --json mx.example.com:25
  smtptls tlsa gen mx.pem --host mx.example.com"""


class Parser(argparse.ArgumentParser):
    """argparse's, but a mistake is one line, and says where help is."""

    def error(self, message: str) -> NoReturn:
        # argparse has quoted most of it already.
        shown = "".join(each if each.isprintable() else escape(os.fsencode(each)) for each in message)
        complain(f"{shown} (see {self.prog} --help)")
        raise SystemExit(Exit.USAGE)


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "smtptls",
        description="STARTTLS for SMTP: what would a sender do with a server, and why.",
        epilog=f"{EXAMPLES}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"smtptls {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for module in SUBCOMMANDS:
        module.add(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command, and gives its exit code."""
    try:
        options = make_parser().parse_args(arguments)
        return int(options.run(options))
    except SystemExit as stop:  # argparse's: help, version, a mistake
        return _flushed(stop.code if isinstance(stop.code, int) else Exit.USAGE)
    except KeyboardInterrupt:
        complain("interrupted")
        return Exit.INTERRUPTED
    except Stop as stop:
        complain(str(stop))
        return stop.exit_code
    except ConfigError as error:
        complain(error.message)
        return Exit.USAGE
    except BrokenPipeError:
        return _flushed(Exit.OK)
    except UnicodeEncodeError as error:
        if error.reason != "surrogates not allowed":
            return _bug(error)
        # Octets of an argument that Python could not decode (PEP 383).
        complain(f"an argument is not in the encoding of the locale: {escape(os.fsencode(error.object))}")
        return Exit.USAGE
    except OSError as error:
        complain(error.message if isinstance(error, Error) else _explained(error))
        return Exit.UNDECIDED if isinstance(error, Error) else Exit.USAGE
    except Exception as error:
        return _bug(error)


def _bug(error: Exception) -> Exit:
    place = traceback.extract_tb(error.__traceback__)[-1]
    complain(
        f"a bug in smtptls {__version__}: {type(error).__name__} at "
        f"{os.path.basename(place.filename)}:{place.lineno}: {escape(os.fsencode(str(error)))}"
    )
    return Exit.INTERNAL


def _explained(error: OSError) -> str:
    where = f"{escape(os.fsencode(error.filename))}: " if isinstance(error.filename, (str, bytes)) else ""
    return f"{where}{error.strerror or error}"


def _flushed(code: int) -> int:
    """Help goes to a stdout that may be closed."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    return code
