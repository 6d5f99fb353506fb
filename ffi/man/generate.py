"""Writes the man pages beside it: what include/smtptls.h has comes from there, the rest from the .in files.

`generate.py [folder]` writes them there instead. A line of an .in file that begins with @ asks for a part:

    @name DESCRIPTION   section NAME, with all functions of the page
    @synopsis           section SYNOPSIS
    @type               what the header says of the page's struct
    @functions, @enums  what it says of the functions and of the constants of the page
    @example ... @end   C, set as it stands
"""

from __future__ import annotations

import re
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = HERE.parent.parent / "include" / "smtptls.h"

# The page of what is called smtptls_WORD or smtptls_WORD_...; all else stands in smtptls(3).
PAGES = {
    "config": ("config", "tls"),
    "policy": ("policy", "level", "dnssec", "fingerprint", "digest"),
    "session": ("session", "entry", "mode", "close", "protocol", "timeout"),
    "info": ("info", "auth"),
    "error": ("error", "code", "action", "tlsrpt"),
    "sts": ("sts",),
}
PAGE_OF = {word: f"smtptls_{page}" for page, words in PAGES.items() for word in words}

# Parameters that are no English words, and so are marked wherever they stand.
NOT_ENGLISH = {"buf", "fd", "len", "pem", "rdata"}


@dataclass
class Item:
    """A function, a struct or an enum, with what its comment says."""

    kind: str
    name: str
    doc: str
    result: str = ""
    parameters: list[str] = field(default_factory=list)
    constants: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def page(self) -> str:
        return PAGE_OF.get(self.name.split("_")[1], "smtptls")

    @property
    def arguments(self) -> list[str]:
        """The names of the parameters."""
        return [re.findall(r"\w+", parameter)[-1] for parameter in self.parameters]


def read_header(text: str) -> list[Item]:
    """The declarations, each behind its comment, in the order of the header."""
    text = text[text.index("\n// ") :]
    pattern = re.compile(
        r"(?P<doc>(?:^//[^\n]*\n)+)"
        r"(?:^SMTPTLS_MUST_USE\n)?"
        r"(?:^enum (?P<enum>\w+) \{\n(?P<body>.*?)^\};"
        r"|^struct (?P<struct>\w+);"
        r"|^(?P<result>[\w ]+?[ *]+)(?P<function>smtptls_\w+)\((?P<parameters>[^;]*)\);)",
        re.MULTILINE | re.DOTALL,
    )
    items = []
    for found in pattern.finditer(text):
        doc = re.sub(r"^// ?", "", found["doc"], flags=re.MULTILINE).strip()
        if found["enum"]:
            items.append(Item("enum", found["enum"], doc, constants=read_constants(found["body"])))
        elif found["struct"]:
            items.append(Item("struct", found["struct"], doc))
        else:
            parameters = [" ".join(word.split()) for word in found["parameters"].split(",")]
            parameters = [] if parameters == ["void"] else parameters
            items.append(Item("function", found["function"], doc, found["result"].strip(), parameters))
    return items


def read_constants(body: str) -> list[tuple[str, str, str]]:
    found = re.findall(r"((?:^  //.*\n)*)^  (\w+) = (-?\d+),", body, re.MULTILINE)
    return [(name, value, re.sub(r"^  // ?", "", doc, flags=re.M).strip()) for doc, name, value in found]


def escape(text: str) -> str:
    """Text that mdoc shall show as it stands."""
    return text.replace("\\", "\\e")


def plain(text: str) -> list[str]:
    """Words without a macro, as lines of input."""
    text = re.sub(r"(?<![\w.])-(?=\d)", r"\\-", escape(text))
    lines = textwrap.wrap(text, 78, break_long_words=False, break_on_hyphens=False)
    return ["\\&" + line if line[0] in ".'" else line for line in lines]


def sentence(text: str, arguments: list[str]) -> list[str]:
    """One sentence, with macros for functions, constants, types and parameters."""
    named = "|".join(word for word in arguments if "_" in word or word in NOT_ENGLISH) or "(?!)"
    # A parameter with an English name is known by where it stands: first, and in lower case.
    first = "|".join(arguments) or "(?!)"
    special = re.compile(
        r"(?<!\S)(?P<open>\(?)(?:"
        r"(?P<function>smtptls_\w*\*?)\((?P<given>[^)]*)\)|(?P<fork>fork)\(\)|(?P<page>[a-z]+)\((?P<section>\d)\)"
        rf"|(?P<type>enum\ssmtptls_\w+)|(?P<constant>SMTPTLS_\w+|NULL)|(?P<argument>\*?(?:{named})|\*\w+|^(?:{first}))"
        r")(?P<close>[).,:;]*)(?!\S)"
    )
    lines: list[str] = []
    end = 0
    for found in special.finditer(text):
        lines += plain(text[end : found.start()].strip())
        end = found.end()
        if found["function"]:
            macro = " ".join(["Fn", found["function"], *found["given"].replace(",", " ").split()])
        elif found["fork"] or found["page"]:
            macro = f"Xr {found['page'] or 'fork'} {found['section'] or 2}"
        elif found["type"]:
            macro = f'Vt "{" ".join(found["type"].split())}"'
        elif found["constant"]:
            macro = f"Dv {found['constant']}"
        else:
            macro = f"Fa {found['argument']}"
        opening = f"Pf {found['open']} " if found["open"] else ""
        lines.append(" ".join([f".{opening}{macro}", *found["close"]]))
    return lines + plain(text[end:].strip())


def prose(doc: str, arguments: list[str]) -> list[str]:
    """A comment as mdoc: each sentence on its own line, .Pp between paragraphs."""
    lines: list[str] = []
    for number, paragraph in enumerate(re.split(r"\n\s*\n", doc)):
        lines += [".Pp"] if number else []
        for part in re.split(r"(?<=\.)\s+", " ".join(paragraph.split())):
            lines += sentence(part, arguments)
    return lines


def name(page: str, items: list[Item], description: str) -> list[str]:
    names = [page, *(item.name for item in items if item.kind == "function")]
    return [".Sh NAME", *(f".Nm {name} ," for name in names[:-1]), f".Nm {names[-1]}", f".Nd {description}"]


def synopsis(items: list[Item]) -> list[str]:
    lines = [".Sh SYNOPSIS", ".In smtptls.h"]
    for item in items:
        if item.kind == "struct":
            lines.append(f".Vt struct {item.name} ;")
    for item in items:
        if item.kind == "function":
            parameters = item.parameters or ["void"]
            lines += [f'.Ft "{item.result}"', f".Fo {item.name}"]
            lines += [*(f'.Fa "{parameter}"' for parameter in parameters), ".Fc"]
    return lines


def functions(items: list[Item]) -> list[str]:
    lines = [".Bl -tag -width Ds"]
    for item in items:
        if item.kind == "function":
            lines += [" ".join([".It Fn", item.name, *item.arguments]), *prose(item.doc, item.arguments)]
    return [*lines, ".El"]


def enums(items: list[Item]) -> list[str]:
    lines = []
    for item in items:
        if item.kind == "enum":
            lines += [f".Ss enum {item.name}", *prose(item.doc, []), ".Bl -tag -width Ds"]
            for constant, value, doc in item.constants:
                lines += [f".It Dv {constant} Pq {value}".replace("-", "\\-"), *prose(doc, [])]
            lines.append(".El")
    return lines


def example(code: str) -> list[str]:
    lines = ["\\&" + line if line[:1] in (".", "'") else line for line in escape(code).splitlines()]
    return [".Bd -literal -offset indent", *lines, ".Ed"]


def make(page: str, template: str, items: list[Item]) -> str:
    """The page: its template, with what the header has for it."""
    mine = [item for item in items if item.page == page]
    lines = [
        f'.\\" Written by ffi/man/generate.py from include/smtptls.h and {page}.in: edit those.',
        '.\\" SPDX-License-Identifier: Apache-2.0 OR ISC OR MIT',
    ]
    code: list[str] | None = None
    for line in template.splitlines():
        directive, _, rest = line.partition(" ")
        if directive == "@end" and code is not None:
            lines += example("\n".join(code))
            code = None
        elif code is not None:
            code.append(line)
        elif directive == "@example":
            code = []
        elif directive == "@name":
            lines += name(page, mine, rest)
        elif directive == "@type":
            [struct] = [item for item in mine if item.kind == "struct"]
            lines += prose(struct.doc, [])
        elif directive in ("@synopsis", "@functions", "@enums"):
            lines += {"@synopsis": synopsis, "@functions": functions, "@enums": enums}[directive](mine)
        elif directive.startswith("@"):
            raise SystemExit(f"{page}.in: no such directive: {directive}")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    items = read_header(HEADER.read_text())
    for template in sorted(HERE.glob("*.in")):
        (folder / f"{template.stem}.3").write_text(make(template.stem, template.read_text(), items))


if __name__ == "__main__":
    main()
