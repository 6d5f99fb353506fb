"""SEC-1, at every boundary: commands behind STARTTLS are answered neither in clear nor inside TLS.

Also where they are dropped (--discard) and no error: what had come with STARTTLS is gone then, and what comes
behind the 220 still is text in the place of a ClientHello (SEC-2).
"""

from __future__ import annotations

import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ca.ca import Paths
from conftest import Serve
from peer import PAUSE, client_context, only_alerts
from wire import STEP_LIMIT, Ended, Wire

STARTTLS, INJECTED = b"STARTTLS\r\n", b"RSET\r\n"
WHOLE = STARTTLS + INJECTED


def reply(wire: Wire) -> bytes:
    """The last line of the next reply."""
    line = b"   -"
    while line[3:4] == b"-":
        line = wire.take_until(b"\r\n", time.monotonic() + STEP_LIMIT)
    return line


def attack(port: int, cut: int) -> str:
    """Send STARTTLS and RSET in two segments, cut here. The answer is what became of it."""
    wire = Wire(socket.create_connection(("127.0.0.1", port), STEP_LIMIT))
    try:
        assert reply(wire).startswith(b"220 ")
        wire.send(b"EHLO eve.example.test\r\n")
        assert reply(wire).startswith(b"250 ")
        wire.send(WHOLE[:cut])
        time.sleep(PAUSE)
        wire.send(WHOLE[cut:])
        answer = reply(wire)
        if answer.startswith(b"554 5.5.0 "):
            rest = wire.drain()
            return f"says more: {rest!r}" if rest else "refused"
        if not answer.startswith(b"220 "):
            return f"answers {answer!r}"
        return try_tls(wire)
    except Ended as ended:
        return f"ends the connection: {ended}"
    finally:
        wire.close()


def try_tls(wire: Wire) -> str:
    """220 came, as RSET was still under way: TLS must fail now, and RSET must stay without an answer."""
    try:
        wire.handshake(client_context(), server=False)
    except (ssl.SSLError, Ended):
        said = bytes(wire.shaken) + wire.drain()
        return "refused" if only_alerts(said) else f"in clear behind 220: {said!r}"
    return f"lets TLS begin, where it says {wire.quiet(1)!r}"


@pytest.mark.parametrize("required", [False, True], ids=["offered", "required"])
def test_starttls_and_more_cut_anywhere(language: str, required: bool, pki: Paths, tmp_path: Path) -> None:
    with Serve(language, pki, tmp_path, require_tls=required, timeout=10) as serve:
        with ThreadPoolExecutor(len(WHOLE)) as pool:
            came = list(pool.map(lambda cut: attack(serve.port, cut), range(len(WHOLE))))
        assert came == ["refused"] * len(WHOLE), dict(enumerate(came))
    errors = [line for line in serve.stderr if line.startswith("error: ")]
    assert len(errors) == len(WHOLE), errors
    assert all("SMTPTLS_ERR_PLAINTEXT_INJECTED" in line for line in errors), errors


@pytest.mark.parametrize("required", [False, True], ids=["offered", "required"])
def test_discarded_cut_anywhere(language: str, required: bool, pki: Paths, tmp_path: Path) -> None:
    with (
        Serve(language, pki, tmp_path, require_tls=required, timeout=10, flags=["--discard"]) as serve,
        ThreadPoolExecutor(len(WHOLE)) as pool,
    ):
        came = list(pool.map(lambda cut: attack(serve.port, cut), range(len(WHOLE))))
    # The first of them end STARTTLS and have all of RSET in one segment.
    early, late = len(STARTTLS), len(INJECTED)
    assert came == ["lets TLS begin, where it says b''"] * early + ["refused"] * late, dict(enumerate(came))
    injected = [line for line in serve.stderr if "SMTPTLS_ERR_PLAINTEXT_INJECTED" in line]
    assert len(injected) == late, serve.stderr
