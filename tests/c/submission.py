"""A submission server on aiosmtpd, with STARTTLS or TLS from the first byte, that keeps what it was given."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

USER, PASSWORD = "alice", "p\u00e4ss word"


class Submission(Controller):
    """aiosmtpd's controller, handler and authenticator in one."""

    def __init__(self, tls: ssl.SSLContext, implicit: bool) -> None:
        self.messages: list[bytes] = []
        self.logins: list[tuple[str, bool]] = []  # mechanism, whether user and password were right
        # aiosmtpd knows only of TLS that began with STARTTLS.
        options: dict[str, Any] = {"auth_required": True, "auth_require_tls": not implicit}
        options |= {"ssl_context": tls} if implicit else {"tls_context": tls, "require_starttls": True}
        super().__init__(self, hostname="127.0.0.1", port=0, authenticator=self.authenticate, **options)

    def _trigger_server(self) -> None:
        """Called once it listens, to make a first connection: by now the port is known."""
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.messages.append(envelope.content)
        return "250 2.0.0 taken"

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        good = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
        self.logins.append((mechanism, good))
        return AuthResult(success=good, handled=False)


@contextmanager
def submission(tls: ssl.SSLContext, *, implicit: bool = False) -> Iterator[Submission]:
    """A running server."""
    server = Submission(tls, implicit)
    server.start()
    try:
        yield server
    finally:
        server.stop()
