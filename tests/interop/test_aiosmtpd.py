"""`send` against aiosmtpd: a password that only ever travels inside TLS, and LMTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from ca.ca import NAME, Paths
from conftest import MESSAGE, run_send
from hops import crlf, same_tls
from opensslserver import context

# It warns of the very server that a client must not fall for.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

USER, PASSWORD = "alice", "p\u00e4ss word"


class Recorder:
    """aiosmtpd's handler and authenticator in one; keeps what it was given."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.logins: list[tuple[str, bool]] = []  # mechanism, whether inside TLS
        self.tls: tuple[str, str] | None = None  # version, cipher

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.messages.append(envelope.content)
        if session.ssl:
            connection: ssl.SSLObject = session.ssl["ssl_object"]
            self.tls = (connection.version() or "", (connection.cipher() or ("",))[0])
        return "250 2.0.0 taken"

    def __call__(
        self, _server: SMTP, session: Session, _envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        self.logins.append((mechanism, session.ssl is not None))
        assert isinstance(data, LoginPassword)
        good = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
        return AuthResult(success=good, handled=False)


class Loopback(Controller):
    """aiosmtpd on a free port, as an SMTP or an LMTP server."""

    def __init__(self, recorder: Recorder, kind: type[SMTP], **options: Any) -> None:
        self._kind, self._options = kind, options
        super().__init__(recorder, hostname="127.0.0.1", port=0)

    def factory(self) -> SMTP:
        return self._kind(self.handler, authenticator=self.handler, **self._options)

    def _trigger_server(self) -> None:
        """Called once it listens, to make a first connection: by now the port is known."""
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def aiosmtpd(kind: type[SMTP], **options: Any) -> Iterator[tuple[Recorder, int]]:
    """A running server; what it saw, and its port."""
    recorder = Recorder()
    controller = Loopback(recorder, kind, **options)
    controller.start()
    try:
        yield recorder, controller.port
    finally:
        controller.stop()


@pytest.fixture
def tls(pki: Paths) -> ssl.SSLContext:
    return context(pki.leaf, pki.leaf_key)


@pytest.mark.parametrize("which", ["send", "upgrade"])
def test_password(which: str, language: str, pki: Paths, tls: ssl.SSLContext) -> None:
    """R4954-14-1: a server that would take the password in clear as well gets it inside TLS only."""
    with aiosmtpd(SMTP, tls_context=tls, auth_required=True, auth_require_tls=False) as (recorder, port):
        result = run_send(language, which=which, port=port, ca=pki.ca, user=USER, password=PASSWORD)
    result.check()
    assert recorder.logins == [("PLAIN", True)]
    assert recorder.messages == [crlf(MESSAGE)]
    assert recorder.tls
    same_tls(result.tls, *recorder.tls)


def test_wrong_password(language: str, pki: Paths, tls: ssl.SSLContext) -> None:
    with aiosmtpd(SMTP, tls_context=tls, auth_required=True) as (recorder, port):
        result = run_send(language, port=port, ca=pki.ca, user=USER, password="wrong")
    assert (result.returncode, result.error_code) == (1, "SMTPTLS_ERR_REFUSED")
    assert result.message and "AUTH" in result.message and "535" in result.message
    assert "wrong" not in result.message
    assert (recorder.logins, recorder.messages) == ([("PLAIN", True)], [])


def test_no_password_in_clear(language: str, pki: Paths) -> None:
    """SEC-6, SEC-13: a server that offers AUTH but no STARTTLS learns nothing."""
    with aiosmtpd(SMTP, auth_required=True, auth_require_tls=False) as (recorder, port):
        result = run_send(language, port=port, ca=pki.ca, user=USER, password=PASSWORD)
    assert (result.returncode, result.error_code) == (1, "SMTPTLS_ERR_NOT_OFFERED")
    assert (recorder.logins, recorder.messages) == ([], [])


@pytest.mark.parametrize(
    ("change", "code"), [({"ca": "wrongca"}, "CERT_UNTRUSTED"), ({"name": "other.example.test"}, "CERT_NAME")]
)
def test_no_password_for_a_stranger(
    change: dict[str, str], code: str, language: str, pki: Paths, tls: ssl.SSLContext
) -> None:
    """R4954-14-1: a certificate that does not verify, or has another name, gets no password."""
    flags: dict[str, Any] = {"ca": getattr(pki, change.get("ca", "ca")), "name": change.get("name", NAME)}
    with aiosmtpd(SMTP, tls_context=tls, auth_required=True) as (recorder, port):
        result = run_send(language, port=port, user=USER, password=PASSWORD, **flags)
    assert (result.returncode, result.error_code) == (1, f"SMTPTLS_ERR_{code}")
    assert (recorder.logins, recorder.messages) == ([], [])


@pytest.mark.parametrize("level", ["may", "encrypt"])
def test_password_needs_verify(level: str, language: str, pki: Paths, tls: ssl.SSLContext) -> None:
    """R4954-14-1: a password and a level that authenticates nobody are a wrong usage."""
    with aiosmtpd(SMTP, tls_context=tls) as (recorder, port):
        result = run_send(language, port=port, ca=pki.ca, level=level, user=USER, password=PASSWORD)
    assert result.returncode == 2
    assert result.stderr and not result.stdout
    assert (recorder.logins, recorder.messages) == ([], [])


@pytest.mark.parametrize("which", ["send", "upgrade"])
def test_lmtp(which: str, language: str, pki: Paths, tls: ssl.SSLContext) -> None:
    """R2033-ours-1: STARTTLS in LMTP is as in SMTP, with LHLO before and after it."""
    with aiosmtpd(LMTP, tls_context=tls) as (recorder, port):
        result = run_send(language, which=which, port=port, ca=pki.ca, lmtp=True).check()
    assert recorder.messages == [crlf(MESSAGE)]
    assert recorder.tls
    same_tls(result.tls, *recorder.tls)


def test_in_clear(language: str, pki: Paths) -> None:
    """R3207-4-5: at level may a server without STARTTLS gets the mail in clear, and the user is told."""
    with aiosmtpd(SMTP) as (recorder, port):
        result = run_send(language, port=port, ca=pki.ca, level="may").check()
    assert result.tls == "none"
    assert recorder.messages == [crlf(MESSAGE)]
    assert recorder.tls is None
