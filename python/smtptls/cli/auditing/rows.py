"""The table of an audit: what is sent, what must come back, and where that is written."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import handshake, injection, inside, plaintext
from .talk import Audited, Failed, Skipped, Undecided


class Result(enum.StrEnum):
    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Row:
    """`ask` says what came back where that is good, or raises Failed, Skipped or Undecided."""

    name: str
    requirements: tuple[str, ...]
    citation: str
    sent: str
    wanted: str
    has_plaintext: bool  # and so no meaning where TLS begins with the first byte
    ask: Callable[[Audited], str]


@dataclass(frozen=True)
class Finding:
    row: Row
    result: Result
    came: str


ROWS = (
    Row(
        "starttls-offered", ("R3207-2-1",), "RFC 3207 section 2",
        "EHLO", "STARTTLS in the reply",
        True, plaintext.offered,
    ),
    Row(
        "starttls", ("R3207-4-2", "R3207-5-1"), "RFC 3207 sections 4 and 5",
        "STARTTLS, a handshake, EHLO", "220 and nothing behind it, TLS, 250",
        False, plaintext.accepted,
    ),
    Row(
        "lower-case", ("R3207-2-1",), "RFC 5321 section 2.4",
        "starttls", "220, TLS",
        True, plaintext.lower_case,
    ),
    Row(
        "parameter", ("R3207-4-3",), "RFC 3207 section 4",
        "STARTTLS now, then STARTTLS", "501, then 220 and TLS",
        True, plaintext.parameter,
    ),
    Row(
        "tls-required", ("R3207-4-8", "R3207-4-10"), "RFC 3207 section 4",
        "before TLS all commands", "530 to all but NOOP, EHLO, STARTTLS and QUIT",
        True, plaintext.required,
    ),
    Row(
        "passwords", ("R4954-4-1",), "RFC 4954 section 4",
        "EHLO in plaintext", "neither AUTH PLAIN nor AUTH LOGIN",
        True, plaintext.passwords,
    ),
    Row(
        "other-hello", ("R2033-4.1-1",), "RFC 2033 section 4.1",
        "LHLO to SMTP, EHLO and HELO to LMTP", "a refusal",
        True, plaintext.other_hello,
    ),
    Row(
        "reset", ("R3207-4.2-1", "R3207-4.2-2"), "RFC 3207 section 4.2",
        "EHLO, MAIL, RCPT, STARTTLS, inside TLS DATA", "503",
        True, inside.reset,
    ),
    Row(
        "hello-forgotten", ("R3207-4.2-5", "R5321-4.1.4-1"), "RFC 3207 section 4.2",
        "EHLO, STARTTLS, inside TLS MAIL", "503",
        True, inside.forgotten_hello,
    ),
    Row(
        "not-offered-inside", ("R3207-4.2-9",), "RFC 3207 section 4.2",
        "EHLO inside TLS", "no STARTTLS in the reply",
        False, inside.not_offered,
    ),
    Row(
        "starttls-inside", ("R3207-4.2-10",), "RFC 3207 section 4.2",
        "STARTTLS inside TLS", "a refusal",
        False, inside.second,
    ),
    Row(
        "injection", ("SEC-1",), "RFC 3207 section 4.2, CVE-2011-0411",
        "STARTTLS and NOOP in one packet, TLS, QUIT", "a refusal, or one reply inside TLS",
        True, injection.one_packet,
    ),
    Row(
        "injection-segments", ("SEC-1", "SEC-2"), "RFC 3207 section 4.2, CVE-2011-0411",
        "STARTTLS and NOOP in two segments, TLS, QUIT", "a refusal, or one reply inside TLS",
        True, injection.two_segments,
    ),
    Row(
        "injection-split", ("SEC-1",), "RFC 3207 section 4.2, CVE-2011-0411",
        "STARTTLS and NO in one packet, inside TLS OP", "a refusal: the two are not joined",
        True, injection.split,
    ),
    Row(
        "garbage", ("SEC-2", "SEC-7"), "RFC 3207 section 4",
        "commands in place of a ClientHello", "an alert or the end, and no success",
        False, handshake.garbage,
    ),
    Row(
        "no-server-name", ("R7672-8.1-3", "R8461-7.1-3"), "RFC 7672 section 8.1",
        "a handshake without SNI", "TLS",
        False, handshake.without_name,
    ),
    Row(
        "unknown-server-name", ("R7672-8.1-3", "R8461-7.1-3"), "RFC 7672 section 8.1",
        f"a handshake with SNI {handshake.UNKNOWN_NAME}", "TLS",
        False, handshake.unknown_name,
    ),
    Row(
        "old-version", ("R8996-1",), "RFC 8996 section 5",
        "a ClientHello of TLS 1.1", "an alert or the end",
        False, handshake.old_version,
    ),
    Row(
        "close-notify", ("R8314-3.4-1", "SEC-12"), "RFC 8314 section 3.4",
        "QUIT inside TLS", "221, close_notify, the end",
        False, inside.close_notify,
    ),
    Row(
        "enhanced-codes", ("R2034-4-1",), "RFC 2034 section 4",
        "all of the above", "a status code in each line, if they are offered",
        False, inside.enhanced,
    ),
)  # fmt: skip


# Without these there is nothing to ask of the others.
BASIC = ("starttls-offered", "starttls")


def ask(audited: Audited) -> Iterator[Finding]:
    """All rows, one connection at a time."""
    missing = ""  # why there is no TLS
    for row in ROWS:
        finding = _ask(row, audited, missing)
        if row.name in BASIC and not missing and finding.result in (Result.FAIL, Result.UNDECIDED):
            missing = f"see {row.name}"
        yield finding


def _ask(row: Row, audited: Audited, missing: str) -> Finding:
    if row.has_plaintext and audited.place.implicit_tls:
        return Finding(row, Result.SKIP, "TLS begins with the first byte")
    if missing:
        return Finding(row, Result.SKIP, missing)
    try:
        return Finding(row, Result.PASS, row.ask(audited))
    except Failed as why:
        return Finding(row, Result.FAIL, str(why))
    except Skipped as why:
        return Finding(row, Result.SKIP, str(why))
    except Undecided as why:
        return Finding(row, Result.UNDECIDED, str(why))
