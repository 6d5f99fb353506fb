"""Messages as they travel: line ends on the wire, and what each hop put on top."""

from __future__ import annotations

import re
import subprocess
from email.utils import parsedate_to_datetime

from conftest import require_peer

# Headers that mail systems put on top of what they receive (RFC 5321 section 4.4, and Postfix's own).
TRACE = re.compile(rb"(?:Return-Path|Received|X-Original-To|Delivered-To):.*\n(?:[ \t].*\n)*")

# RFC 3848 keywords and the clause of RFC 8314 section 4.3, as `serve` writes them.
RECEIVED = re.compile(
    r"from (?P<helo>\S+) \((?P<address>[^()]+)\) by (?P<host>\S+) with (?P<protocol>[A-Z]+)"
    r"(?: tls (?P<suite>\S+) group (?P<group>[A-Za-z][A-Za-z0-9.-]*))?; (?P<date>.+)"
)

ZONE = re.compile(r" [+-]\d{4}$")


def crlf(message: bytes) -> bytes:
    """A message with LF line ends as it goes over the wire; smtplib leaves octets as they are."""
    return message.replace(b"\n", b"\r\n")


def split(content: bytes) -> tuple[list[str], bytes]:
    """The trace headers on top, each on one line, and the message below them, with LF line ends."""
    content = content.replace(b"\r\n", b"\n")
    headers = []
    while found := TRACE.match(content):
        headers.append(re.sub(r"\n[ \t]+", " ", found[0].decode().rstrip("\n")))
        content = content[found.end() :]
    return headers, content


def ours(content: bytes) -> tuple[dict[str, str | None], bytes]:
    """The parts of the Received line that `serve` wrote on top of the message, and the rest."""
    line, _, rest = content.partition(b"\n")
    while rest.startswith((b" ", b"\t")):
        more, _, rest = rest.partition(b"\n")
        line += b" " + more.strip()
    name, _, value = line.decode().partition(": ")
    assert name == "Received"
    found = RECEIVED.fullmatch(value)
    assert found, f"not the Received line of the contract: {value}"
    assert parsedate_to_datetime(found["date"]) and ZONE.search(found["date"]), f"not a date: {value}"
    return found.groupdict(), rest


def openssl_name(suite: str) -> str:
    """The OpenSSL name of a cipher suite given by its IANA or its OpenSSL name."""
    command = [require_peer("openssl", package="openssl"), "ciphers", "-stdname", "ALL"]
    for line in subprocess.check_output(command, text=True).splitlines():
        iana, _, name = line.split()[:3]
        if suite in (iana, name):
            return name
    raise AssertionError(f"openssl knows no cipher suite {suite}")


def same_tls(summary: str | None, version: str, cipher: str) -> None:
    """Fail unless a `tls: ` line tells the protocol version and the cipher suite that the peer saw."""
    assert summary, "no tls: line"
    found = re.match(r"(\S+) with cipher (\S+) \(", summary)
    assert found, f"not the summary of the contract: {summary}"
    assert found[1] == version, f"{summary}; the peer says {version}"
    assert openssl_name(found[2]) == openssl_name(cipher), f"{summary}; the peer says {cipher}"
