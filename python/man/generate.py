"""Writes smtptls(1): what the command's parser has comes from there, the rest from smtptls.1.in beside this.

`generate.py [folder]` writes it there instead of to python/smtptls.data/data/share, which a wheel has for the
share of where it is installed.
A line of smtptls.1.in that begins with @ asks for a part: @synopsis, @commands, @options, @exits, @examples.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from smtptls.cli.exits import MEANINGS
from smtptls.cli.main import make_parser

TEMPLATE = Path(__file__).resolve().parent / "smtptls.1.in"
SHARE = TEMPLATE.parents[1] / "smtptls.data/data/share"
PAGE = "man/man1/smtptls.1"

Group = tuple[str, tuple[str, ...]]  # a title, and the lines of its options


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """The subcommands that do something, each with its summary."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {choice.dest: choice.help or "" for choice in action._get_subactions()}
            for name, child in action.choices.items():
                deeper = list(commands(child))
                yield from deeper or [(child, summaries[name])]


def escape(text: str) -> str:
    """Text that mdoc shall show as it stands."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def prose(text: str) -> list[str]:
    """A paragraph, each sentence on its own line."""
    lines = []
    for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(text.split())):
        wrapped = textwrap.wrap(sentence, 78, break_long_words=False, break_on_hyphens=False)
        lines += [escape(line) for line in wrapped]
    return lines


def sentence(text: str) -> str:
    return heading(text) + ("" if text.endswith((".", "!", "?")) else ".")


def name(parser: argparse.ArgumentParser) -> str:
    return parser.prog.partition(" ")[2]


def value(action: argparse.Action) -> str:
    """What goes with an option, or stands by itself."""
    if action.metavar is not None:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    return action.dest.upper()


def argument(action: argparse.Action) -> str:
    """A positional argument or an option in SYNOPSIS, as macros."""
    if action.option_strings:
        made = f"Fl {escape(action.option_strings[-1][1:])}"
        return made if action.nargs == 0 else f"{made} Ar {escape(value(action))}"
    made = f"Ar {escape(value(action))}" + (" ..." if action.nargs in ("+", "*") else "")
    return f"Op {made}" if action.nargs in ("?", "*") else made


def synopsis(parser: argparse.ArgumentParser) -> list[str]:
    lines = []
    for child, _ in commands(parser):
        needed = [action for action in child._get_optional_actions() if action.required]
        parts = [f".Cm {name(child)}", ".Op Ar options"]
        parts += [f".{argument(action)}" for action in needed]
        for group in child._mutually_exclusive_groups:
            if group.required:
                parts.append(f".Po {' | '.join(map(argument, group._group_actions))} Pc")
        parts += [f".{argument(action)}" for action in child._get_positional_actions()]
        lines += [".Nm", *parts]
    return [*lines, ".Nm", ".Fl \\-help | \\-version"]


def options(actions: list[argparse.Action], formatter: argparse.HelpFormatter) -> list[str]:
    lines = [".Bl -tag -width Ds"]
    for action in actions:
        if action.option_strings:
            flags = " , ".join(f"Fl {escape(flag[1:])}" for flag in action.option_strings)
            lines.append(f".It {flags}" + ("" if action.nargs == 0 else f" Ar {escape(value(action))}"))
        else:
            lines.append(f".It Ar {escape(value(action))}")
        lines += prose(sentence(formatter._expand_help(action)))
        lines += ["Can be given more than once."] if isinstance(action, argparse._AppendAction) else []
    return [*lines, ".El"]


def groups(parser: argparse.ArgumentParser) -> list[Group]:
    """The options of a subcommand, but for --help."""
    formatter, found = argparse.HelpFormatter(parser.prog), []
    for group in parser._action_groups:
        actions = [
            action
            for action in group._group_actions
            if action.help not in (None, argparse.SUPPRESS) and action.dest != "help"
        ]
        if actions:
            own = group.title in ("positional arguments", "options", "optional arguments")
            about = prose(group.description or "")
            found.append(("" if own else str(group.title), (*about, *options(actions, formatter))))
    return found


def described(parser: argparse.ArgumentParser) -> list[str]:
    """Each subcommand with its options. What several have stands once, behind them."""
    users: dict[Group, list[str]] = {}
    for child, _ in commands(parser):
        for group in groups(child):
            users.setdefault(group, []).append(name(child))
    lines = []
    for child, _ in commands(parser):
        lines += [f'.Ss "smtptls {name(child)}"', *prose(child.description or "")]
        shared = []
        for title, rows in groups(child):
            if title and len(users[title, rows]) > 1:
                shared.append(title)
                continue
            lines += [".Pp", f"{heading(title)}:"] if title else []
            lines += [".br", *rows] if title and not rows[0].startswith(".Bl") else rows
        if shared:
            lines += [
                ".Pp",
                "Further options, below:",
                *listed([f'Sx "{heading(title)}"' for title in shared], ";"),
            ]
    for (title, rows), names in users.items():
        if title and len(names) > 1:
            lines += [f'.Ss "{heading(title)}"', "Options of", *listed([f"Cm {one}" for one in names], ",")]
            lines += rows if rows[0].startswith(".Bl") else [".Pp", *rows]
    return lines


def heading(title: str) -> str:
    return f"{title[:1].upper()}{title[1:]}"


def listed(macros: list[str], between: str) -> list[str]:
    """A list in a sentence, that ends it."""
    last = len(macros) - 1
    return [f".{macro} {'.' if number == last else between}" for number, macro in enumerate(macros)]


def summaries(parser: argparse.ArgumentParser) -> list[str]:
    lines = ['.Bl -tag -width "tickets rotate" -compact']
    for child, summary in commands(parser):
        lines += [f".It Cm {name(child)}", *prose(summary)]
    return [*lines, ".El"]


def exits() -> list[str]:
    lines = [".Bl -tag -width 000 -compact"]
    for code, meaning in MEANINGS.items():
        lines += [f".It {code.value}", *prose(meaning)]
    return [*lines, ".El"]


def examples(parser: argparse.ArgumentParser) -> list[str]:
    """Those of the help, each once."""
    found = {child.epilog: None for child, _ in commands(parser) if child.epilog}
    lines = [".Bd -literal"]
    for epilog in found:
        shown = textwrap.dedent(epilog.partition("examples:\n")[2].partition("\n\n")[0])
        lines += [escape(line) for line in shown.rstrip().splitlines()]
    return [*lines, ".Ed"]


def make() -> str:
    """The page."""
    parser = make_parser()
    parts: dict[str, Callable[[], list[str]]] = {
        "@synopsis": lambda: synopsis(parser),
        "@commands": lambda: summaries(parser),
        "@options": lambda: described(parser),
        "@exits": exits,
        "@examples": lambda: examples(parser),
    }
    lines = [
        '.\\" Written by python/man/generate.py from the parser of the command and smtptls.1.in: edit those.',
        '.\\" SPDX-License-Identifier: Apache-2.0 OR ISC OR MIT',
    ]
    for line in TEMPLATE.read_text().splitlines():
        lines += parts[line]() if line.startswith("@") else [line]
    return "\n".join(lines) + "\n"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARE
    path = folder / PAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(make())


if __name__ == "__main__":
    main()
