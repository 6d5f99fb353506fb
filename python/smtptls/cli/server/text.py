"""Texts of options that stand for octets."""

from __future__ import annotations

import argparse
import os
import re

ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}


def octets(text: str) -> bytes:
    r"""TEXT as octets: \r, \n, \t, \\ and \xHH as in C. CRLF goes behind it, unless it ends in \c."""
    is_whole = not text.endswith("\\c") or text.endswith("\\\\c")

    def one(found: re.Match[str]) -> str:
        if found[1].startswith("x"):
            return bytes([int(found[1][1:], 16)]).decode("latin-1")
        return ESCAPES[found[1]].decode("latin-1")

    found = text if is_whole else text[:-2]
    if re.search(r"\\(?!x[0-9A-Fa-f]{2}|[rnt\\])", re.sub(r"\\\\", "", found)):
        raise argparse.ArgumentTypeError(rf"{text!r}: a backslash is followed by r, n, t, \ or xHH")
    latin = os.fsencode(found).decode("latin-1")
    made = re.sub(r"\\(x[0-9A-Fa-f]{2}|[rnt\\])", one, latin).encode("latin-1")
    return made + b"\r\n" if is_whole and not made.endswith(b"\r\n") else made


def reply(text: str) -> bytes:
    made = octets(text)
    if not made.endswith(b"\r\n") or made == b"\r\n":
        raise argparse.ArgumentTypeError(f"{text!r} is no reply: it ends in CRLF, and says something")
    return made
