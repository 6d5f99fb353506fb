"""Our verdict on a chain: a session in memory, against a server that shows it, Python's ssl or ours."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from typing import Protocol

import smtptls
from smtptls import Config, Entry, Policy, Session


@dataclass(frozen=True)
class Verdict:
    """What came of a handshake."""

    session: Session
    error: smtptls.Error | None

    @property
    def info(self) -> smtptls.Info:
        """The facts; there are some whenever TLS came up."""
        assert self.session.info is not None, self.error
        return self.session.info

    def __str__(self) -> str:
        """`ok`, with the depth of the record that matched, or the code, the depth and the TLSRPT type."""
        if self.error is None:
            return "ok" if self.info.tlsa_depth is None else f"ok {self.info.tlsa_depth}"
        return f"{self.error.code.name} {self.info.doubt_depth} {self.error.tlsrpt}"


class Peer(Protocol):
    """A server in memory."""

    def answer(self, octets: bytes) -> bytes:
        """What it says to this."""


class OpenSSL:
    """Python's ssl."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def answer(self, octets: bytes) -> bytes:
        self._incoming.write(octets)
        # What it does not like it says in an alert.
        with contextlib.suppress(ssl.SSLError):
            self._tls.do_handshake()
        return self._outgoing.read()


class Ours:
    """Our own server, for the few chains that OpenSSL would not show."""

    def __init__(self, config: Config) -> None:
        self._session = Session.server(config)

    def answer(self, octets: bytes) -> bytes:
        self._session.feed(octets)
        with contextlib.suppress(smtptls.WantInput, smtptls.WantOutput):
            self._session.start(Entry.HANDSHAKE)
        output = self._session.output()
        self._session.sent(len(output))
        return output


def judge(config: Config, policy: Policy, host: str, server: ssl.SSLContext | Config) -> Verdict:
    """A handshake of a client with this policy and a server with this context."""
    session = Session.client(config, policy, host)
    peer: Peer = OpenSSL(server) if isinstance(server, ssl.SSLContext) else Ours(server)
    for _ in range(20):
        try:
            session.start(Entry.HANDSHAKE)
            return Verdict(session, None)
        except (smtptls.WantInput, smtptls.WantOutput):
            pass
        except smtptls.Error as error:
            return Verdict(session, error)
        output = session.output()
        session.sent(len(output))
        session.feed(peer.answer(output))
    raise AssertionError("the handshake has no end")
