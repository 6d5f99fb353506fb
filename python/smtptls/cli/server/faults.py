"""What the test server does wrong on demand, and how a handshake goes wrong."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from .connection import Connection

GARBAGE = b"\x00\xff" * 32  # neither a TLS record nor text
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # fatal, handshake_failure (RFC 8446 section 6)
HANDSHAKES = {
    "close": "the end in place of a ServerHello",
    "garbage": "octets that are no TLS",
    "alert": "a fatal alert, handshake_failure",
    "stall": "nothing",
}


@dataclass(frozen=True)
class Faults:
    """Replies are octets with their CRLF; None stands for what a regular server says."""

    greeting: bytes | None = None
    ehlo_reply: bytes | None = None  # in plaintext
    no_starttls: bool = False
    starttls_reply: bytes | None = None
    inject_after_220: bytes = b""
    handshake: str | None = None
    offer_after_tls: bool = False
    weak: bool = False

    @property
    def answers_starttls(self) -> bool:
        """Whether STARTTLS is answered here, and not by the engine."""
        return bool(self.starttls_reply or self.inject_after_220 or self.handshake)


def spoil(connection: Connection, how: str) -> None:
    """A handshake that comes to nothing. Afterwards the connection can only be closed."""
    connection.limit()
    connection.receive()  # the ClientHello, or its beginning
    connection.tell(f"tls: {HANDSHAKES[how]}")
    if how == "stall":
        with contextlib.suppress(OSError):
            while True:  # until the client has gone or the time is over
                connection.receive()
    octets = {"garbage": GARBAGE, "alert": ALERT}.get(how)
    if octets:
        connection.sock.sendall(octets)
