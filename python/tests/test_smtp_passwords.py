"""Passwords of smtptls.SMTP: to whom they go, and where they are not shown."""

from __future__ import annotations

import base64
import contextlib
import smtplib
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import smtptls
from smtp_peers import (
    PASSWORD,
    SECRETS,
    USER,
    Peer,
    aiosmtpd,
    opened,
    scripted,
    secured,
)
from smtptls import Code, Config
from smtptls._smtp import InsecureLoginError

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]


def test_no_password_in_plaintext(trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"AUTH PLAIN LOGIN")
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting)
        client.user, client.password = USER, PASSWORD
        calls: list[Callable[[], Any]] = [
            lambda: client.login(USER, PASSWORD),
            lambda: client.auth("PLAIN", client.auth_plain),
            lambda: client.auth("LOGIN", client.auth_login, initial_response_ok=False),
            lambda: client.docmd("AUTH", "PLAIN " + SECRETS[1].decode()),
            lambda: client.docmd(" auTH\tPLAIN " + SECRETS[1].decode()),
            lambda: client.putcmd("AUTH PLAIN"),
        ]
        client.ehlo()
        for call in calls:
            with pytest.raises(InsecureLoginError) as caught:
                call()
            assert isinstance(caught.value, smtplib.SMTPException) and isinstance(caught.value, smtptls.Error)
            assert caught.value.code is Code.STATE
        client.close()
    assert bytes(peers[0].heard).lower() == b"ehlo client.example.test\r\n"


def test_a_password_in_plaintext_on_demand(tls: ssl.SSLContext, trusting: Config) -> None:
    with (
        aiosmtpd(tls_context=tls, auth_require_tls=False) as (port, mailbox),
        opened(port, trusting) as client,
    ):
        client.insecure_login = True
        assert client.login(USER, PASSWORD)[0] == 235
    assert mailbox.logins == [PASSWORD.encode()]


@pytest.mark.parametrize("policy", ["may", "encrypt"])
def test_no_password_for_a_server_that_proved_nothing(
    policy: str, trusting: Config, tls: ssl.SSLContext
) -> None:
    with aiosmtpd(tls_context=tls) as (port, mailbox), opened(port, trusting, policy) as client:
        client.starttls()
        assert client.is_tls
        with pytest.raises(InsecureLoginError, match="proved"):
            client.login(USER, PASSWORD)
        assert not mailbox.logins
        client.insecure_login = True
        client.login(USER, PASSWORD)
    assert mailbox.logins == [PASSWORD.encode()]


def test_a_wrong_password_is_smtplib_s_error(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, _), opened(port, trusting) as client:
        client.starttls()
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(USER, "wrong")


def test_no_password_before_the_verdict(pki: Any, serving: Config) -> None:
    """Of a server that fails, all bytes are kept, those inside TLS too."""
    inside: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS", b"AUTH PLAIN LOGIN")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        session.sendall(b"250-mail\r\n250 AUTH PLAIN\r\n235 welcome\r\n")
        with contextlib.suppress(smtptls.Error):
            while data := session.recv(4096):
                inside.append(data)

    with scripted(script) as (port, peers):
        client = opened(port, Config(roots=[pki.wrongca]))
        with contextlib.suppress(smtptls.Error):
            client.starttls()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.login(USER, PASSWORD)
    assert b"".join(inside) == b"QUIT\r\n"
    assert not any(secret in peers[0].heard for secret in SECRETS)


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("level", [1, 2])
def test_passwords_are_not_printed(
    level: int, initial: bool, trusting: Config, tls: ssl.SSLContext, capsys: pytest.CaptureFixture[str]
) -> None:
    with aiosmtpd(tls_context=tls) as (port, mailbox), opened(port, trusting) as client:
        client.set_debuglevel(level)
        client.starttls()
        client.ehlo()
        client.user, client.password = USER, PASSWORD
        with contextlib.suppress(smtplib.SMTPAuthenticationError):
            client.auth("LOGIN", client.auth_login, initial_response_ok=initial)
        client.noop()
        client.set_debuglevel(0)
    assert mailbox.logins == [PASSWORD.encode()]
    printed = capsys.readouterr().err
    for secret in (USER, PASSWORD):
        assert base64.b64encode(secret.encode()).decode() not in printed and repr(secret) not in printed
    assert "AUTH LOGIN" in printed and "(not shown)" in printed
    assert "send: 'noop" in printed and "tls: TLSv1.3" in printed and "235" in printed
