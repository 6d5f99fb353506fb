"""Which octets a program sends in which system call, seen by strace."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from conftest import DEADLINE, missing, require_peer

CALL = re.compile(
    r"^\d+ +(?:write|writev|sendto|sendmsg|send)\(\d+<TCP:\[(?P<from>[^]>]*)->(?P<to>[^]>]*)\]>, "
)
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')

CHANGE_CIPHER_SPEC, HANDSHAKE, APPLICATION_DATA = 20, 22, 23  # RFC 8446 section 5.1
OVERHEAD = 1 + 16  # of a TLS 1.3 record over its plaintext: content type and tag


def strace(log: Path) -> list[str]:
    """The argument vector to put before a program, so that what it sends is written to `log`."""
    path = require_peer("strace", package="strace")
    # -D: the program stays our own child, and gets our signals.
    prefix = [path, "-D", "-f", "-qq", "-yy", "-xx", "-s", "100000", "-o", str(log)]
    prefix += ["-e", "trace=write,writev,sendto,sendmsg", "-e", "signal=none"]
    probe = subprocess.run([*prefix, "true"], capture_output=True, text=True, timeout=DEADLINE, check=False)
    if probe.returncode != 0:
        missing(f"strace cannot trace here: {probe.stderr.strip()}")
    log.unlink()
    return prefix


def sent(log: Path, end: str) -> list[bytes]:
    """What each system call sent over the TCP connection with this ADDRESS:PORT at one of its ends."""
    found = []
    for line in log.read_text().splitlines():
        call = CALL.match(line)
        if call and end in (call["from"], call["to"]):
            # The octets stand in one string, or in one for each part of a vector.
            text = "".join(TEXT.findall(line[call.end() :]))
            found.append(bytes.fromhex(text.replace("\\x", "")))
    return found


def records(octets: bytes) -> list[tuple[int, int]]:
    """Content type and length of each TLS record; fails when they are not whole."""
    found = []
    while octets:
        assert len(octets) >= 5, "half a record header"
        kind, length = octets[0], int.from_bytes(octets[3:5])
        assert len(octets) >= 5 + length, "half a record"
        found.append((kind, length))
        octets = octets[5 + length :]
    return found


def after_hello(calls: list[bytes]) -> list[bytes]:
    """The calls that follow the one with our ClientHello or ServerHello."""
    first = next((i for i, octets in enumerate(calls) if octets[:2] == b"\x16\x03"), None)
    assert first is not None, f"no handshake among {calls}"
    return calls[first + 1 :]
