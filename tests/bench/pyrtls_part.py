"""pyrtls' part of a handshake in memory, where it is installed; the other part is ssl's. It has no context
for ssl's users, so that it can be compared in nothing else.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any

from ca.ca import NAME, Paths


def parts(
    pki: Paths, client: ssl.SSLContext, server: ssl.SSLContext, count: int
) -> dict[str, Callable[[], float]]:
    """For each role what gives the microseconds of CPU of one handshake; nothing without pyrtls."""
    try:
        import pyrtls
    except ImportError:
        return {}
    trusting = pyrtls.ClientConfig(platform_verifier=False, custom_roots=[pki.ca.read_text()])
    serving = pyrtls.ServerConfig([pki.leaf.read_text()], pki.leaf_key.read_text())

    def of_client() -> float:
        came, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        other = server.wrap_bio(came, sent, server_side=True)
        return shake(lambda: pyrtls.ClientConnection(trusting, NAME), other, came, sent)

    def of_server() -> float:
        came, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        other = client.wrap_bio(came, sent, server_hostname=NAME)
        return shake(lambda: pyrtls.ServerConnection(serving), other, came, sent)

    return {"client": lambda: mean(of_client, count), "server": lambda: mean(of_server, count)}


def mean(handshake: Callable[[], float], count: int) -> float:
    return sum(handshake() for _ in range(count)) / count * 1e6


def shake(make: Callable[[], Any], other: ssl.SSLObject, came: ssl.MemoryBIO, sent: ssl.MemoryBIO) -> float:
    """Seconds of CPU that pyrtls takes, from the making of the connection until ssl has done its part too."""
    begun = time.process_time()
    connection, room, spent = make(), bytearray(32768), 0.0
    spent += time.process_time() - begun
    for _ in range(10):
        begun = time.process_time()
        if data := sent.read():
            connection.read_tls(data)
            connection.process_new_packets()
        while connection.writable():
            came.write(room[: connection.write_tls_into(room)])
        spent += time.process_time() - begun
        try:
            other.do_handshake()
        except ssl.SSLWantReadError:
            continue
        if not sent.pending:
            return spent
    raise RuntimeError("pyrtls: the handshake does not end")
