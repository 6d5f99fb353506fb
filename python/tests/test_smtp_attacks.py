"""smtptls.SMTP with peers that attack, strip STARTTLS, go or are silent; plaintext that a policy allows."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import threading
import time
from typing import Any

import pytest
import smtptls
from smtp_peers import (
    PASSWORD,
    SECRETS,
    USER,
    Peer,
    aiosmtpd,
    assert_gone,
    dribble,
    opened,
    scripted,
    secured,
    starttls_reply,
)
from smtptls import Action, Code, Config
from smtptls._smtp import SMTP, InsecureLoginError
from support import DEADLINE

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]


@pytest.mark.parametrize("policy", ["may", "verify"])
def test_a_reply_behind_220(policy: str, trusting: Config) -> None:
    """The response injection of 2021: it never becomes the first reply inside TLS."""
    injected = b"250-evil\r\n250 AUTH PLAIN\r\n"
    with scripted(starttls_reply(b"220 go\r\n" + injected)) as (port, peers):
        client = opened(port, trusting, policy)
        with pytest.raises(smtptls.InjectionError) as caught:
            client.starttls()
        assert caught.value.action is Action.NEXT_HOST
        assert_gone(client)
    assert bytes(peers[0].heard).lower() == b"ehlo client.example.test\r\nstarttls\r\n"


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("policy", ["may", "verify"])
@pytest.mark.parametrize(
    ("extra", "offer"), [(b"220 go\r\n", b"STARTTLS"), (b"2", b"STARTTLS"), (b"250 STARTTLS\r\n", b"SIZE")]
)
def test_a_reply_behind_that_to_ehlo(
    extra: bytes, offer: bytes, policy: str, at_once: bool, trusting: Config, caplog: pytest.LogCaptureFixture
) -> None:
    said = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet(offer, behind=extra if at_once else b"")
        if not at_once:
            time.sleep(0.05)
            peer.say(extra)
        said.set()
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting, policy)
        client.ehlo()
        assert said.wait(DEADLINE)
        with pytest.raises(smtptls.InjectionError):
            client.starttls()
        assert_gone(client)
    # Not a byte was sent.
    assert bytes(peers[0].heard).lower() == b"ehlo client.example.test\r\n"
    assert [record.levelname for record in caplog.records if record.name == "smtptls"] == ["WARNING"]


@pytest.mark.parametrize("hello", [b"SIZE 1000", b"X-STARTTLS", b"XXXXXXXA"])
def test_starttls_that_is_stripped(hello: bytes, trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(hello)
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting)
        with pytest.raises(smtptls.StarttlsUnavailable) as caught:
            client.starttls()
        error = caught.value
        assert (error.code, error.action) == (Code.NOT_OFFERED, Action.NEXT_HOST)
        assert (error.tlsrpt, error.enhanced_status) == ("starttls-not-supported", "4.7.4")
        assert hello.decode() in error.message
        assert client.session and client.session.reports
        assert_gone(client)
    assert bytes(peers[0].heard).lower() == b"ehlo client.example.test\r\nquit\r\n"


@pytest.mark.parametrize(
    "lines", [[b"\xff\x00 x"], [b"", b" "], [b"x" * 2000] * 5, [b"X%d" % n for n in range(5000)]]
)
def test_an_odd_reply_to_ehlo_without_starttls(lines: list[bytes], trusting: Config) -> None:
    """smtplib takes it; what the engine makes of it is an error in any case."""

    def script(peer: Peer) -> None:
        peer.greet(*lines)
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting)
        with pytest.raises(smtptls.Error) as caught:
            client.starttls()
        assert caught.value.action is Action.NEXT_HOST
        assert_gone(client)
    assert b"STARTTLS" not in peers[0].heard


def test_a_server_without_esmtp(trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 hi\r\n")
        peer.hear()
        peer.say(b"502 what\r\n")
        peer.hear()
        peer.say(b"250 hello\r\n")
        peer.rest()

    with scripted(script) as (port, _):
        client = opened(port, trusting)
        with pytest.raises(smtptls.StarttlsUnavailable):
            client.starttls()
        assert_gone(client)


def test_a_server_that_answers_no_hello(trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 hi\r\n")
        for _ in range(2):
            peer.hear()
            peer.say(b"502 what\r\n")
        assert peer.rest().count(b"\n") == 2

    with scripted(script) as (port, _):
        client = opened(port, trusting, "may")
        with pytest.raises(smtplib.SMTPHeloError):
            client.starttls()
        assert_gone(client)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"454 4.7.0 not now\r\n", Code.REFUSED),
        (b"421 bye\r\n", Code.REFUSED),
        (b"garbage\r\n", Code.SMTP_SYNTAX),
        (b"250 2.0.0 yes\r\n", Code.SMTP_SYNTAX),
        (b"220 go\r\n", Code.EOF),
        (b"220 go\r\ngarbage", Code.PLAINTEXT_INJECTED),
        (b"2" * 100_000, Code.TOO_LONG),
    ],
)
def test_a_reply_that_does_not_lead_to_tls(reply: bytes, code: Code, trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(reply)
        if code is Code.EOF:
            peer.sock.recv(4096)
            peer.sock.shutdown(socket.SHUT_WR)
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting)
        with pytest.raises(smtptls.Error) as caught:
            client.starttls()
        assert (caught.value.code, caught.value.action) == (code, Action.NEXT_HOST)
        refusal = reply.decode().rstrip() if code is Code.REFUSED else None
        assert client.error is not None and caught.value.reply == client.error.reply == refusal
        assert_gone(client)
    assert b"QUIT\r\n" in peers[0].heard if code is Code.REFUSED else b"QUIT" not in peers[0].heard


@pytest.mark.parametrize(
    ("garbage", "kind", "action"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x28", smtptls.TlsError, Action.RECONNECT),  # alert handshake_failure
        (b"\xff" * 100, smtptls.TlsError, Action.RECONNECT),
        (b"250 this is no TLS\r\n", smtptls.InjectionError, Action.NEXT_HOST),
    ],
)
def test_garbage_where_tls_should_be(
    garbage: bytes, kind: type[smtptls.Error], action: Action, trusting: Config
) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n")
        peer.sock.recv(4096)
        peer.say(garbage)
        peer.rest()

    with scripted(script) as (port, _):
        client = opened(port, trusting, "may")
        with pytest.raises(kind) as caught:
            client.starttls()
        assert caught.value.action is action
        assert_gone(client)  # plaintext only on a new connection


@pytest.mark.parametrize("reply", [b"", b"220 go\r\n"])
def test_silence(reply: bytes, trusting: Config) -> None:
    with scripted(starttls_reply(reply)) as (port, _):
        client = opened(port, trusting, timeout=0.3)
        client.ehlo()
        begun = time.monotonic()
        with pytest.raises(smtptls.Timeout):
            client.starttls()
        assert 0.25 < time.monotonic() - begun < 5
        assert_gone(client)


def test_a_deadline_in_plaintext(trusting: Config) -> None:
    """A server that dribbles cannot stretch it, and it is for all commands together."""

    def script(peer: Peer) -> None:
        peer.say(b"220 hi\r\n")
        peer.hear()
        dribble(peer)

    with scripted(script) as (port, _):
        client = opened(port, trusting, timeout=DEADLINE)
        client.set_deadline(0.4)
        begun = time.monotonic()
        with pytest.raises(smtplib.SMTPServerDisconnected) as caught:
            client.ehlo()
        assert isinstance(caught.value.__context__, TimeoutError)
        assert 0.3 < time.monotonic() - begun < 5
        with pytest.raises(ValueError):
            client.set_deadline(float("nan"))


def test_a_deadline_in_tls(trusting: Config, serving: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        with contextlib.suppress(OSError):
            for _ in range(200):
                session.sendall(b"2")
                time.sleep(0.05)

    with scripted(script) as (port, _):
        client = opened(port, trusting)
        client.set_deadline(0.6)
        begun = time.monotonic()
        client.starttls()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.ehlo()
        assert 0.5 < time.monotonic() - begun < 5


def test_a_deadline_that_is_lifted(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, _):
        client = SMTP(config=trusting, timeout=DEADLINE)
        client.set_deadline(0.5)
        client.connect("localhost", port)
        client.ehlo()
        assert client.sock.gettimeout() <= 0.5
        client.set_deadline(None)
        assert client.sock.gettimeout() == DEADLINE
        client.set_deadline(0.5)
        client.starttls()
        client.set_deadline(None)
        assert client.sock.gettimeout() == DEADLINE
        time.sleep(0.6)
        assert client.noop()[0] == 250
        client.set_deadline(0)
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
        with pytest.raises(smtptls.Timeout):
            client.connect("localhost", port)


def test_a_peer_that_goes_in_tls(trusting: Config, serving: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        session.recv(100)

    with scripted(script) as (port, _):
        client = opened(port, trusting)
        client.starttls()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.ehlo()
        assert_gone(client)
        assert client.session and client.session.is_truncated


def test_an_interrupted_starttls_leaves_no_plaintext(
    trusting: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(starttls_reply(b"")) as (port, _):
        client = opened(port, trusting)
        client.ehlo()

        def interrupt(_flags: int = 0) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(client, "_unread", interrupt)
        client.sock.sendall(b"STARTTLS\r\n")
        with pytest.raises(KeyboardInterrupt):
            client.starttls()
        assert_gone(client)


@pytest.mark.parametrize(
    "arguments", [{"config": "x"}, {"policy": 3.5}, {"policy": "verified"}, {"name": "a b"}]
)
def test_a_mistake_of_the_caller_leaves_no_plaintext(arguments: dict[str, Any], trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        assert peer.rest().count(b"\n") == 1

    with scripted(script) as (port, _):
        client = opened(port, trusting)
        with pytest.raises((TypeError, ValueError)):
            client.starttls(**arguments)
        assert_gone(client)


@pytest.mark.parametrize(
    ("policy", "offers", "code"),
    [
        ("may", [b"STARTTLS"], Code.REFUSED),
        ("may", [b"SIZE"], Code.NOT_OFFERED),
        ("none", [b"STARTTLS"], Code.NOT_WANTED),
        ("none", [b"SIZE"], Code.NOT_WANTED),
    ],
)
def test_plaintext_that_the_policy_allows(
    policy: str, offers: list[bytes], code: Code, trusting: Config
) -> None:
    def script(peer: Peer) -> None:
        peer.greet(*offers)
        line = peer.hear()
        if line == b"STARTTLS\r\n":
            peer.say(b"454 not now\r\n")
            line = peer.hear()
        assert line == b"noop\r\n"
        peer.say(b"250 still here\r\n")
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting, policy)
        with pytest.raises(smtptls.StarttlsUnavailable) as caught:
            client.starttls()
        assert (caught.value.code, caught.value.action) == (code, Action.CONTINUE)
        assert client.error is caught.value
        assert client.noop() == (250, b"still here")
        with pytest.raises(InsecureLoginError):
            client.login(USER, PASSWORD)
        client.close()
    assert not any(secret in peers[0].heard for secret in SECRETS)


def test_starttls_may_be_tried_again(trusting: Config, serving: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"454 not now\r\n")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        assert session.recv(100) == b"noop\r\n"
        session.sendall(b"250 ok\r\n")

    with scripted(script) as (port, _):
        client = opened(port, trusting, "may")
        with pytest.raises(smtptls.StarttlsUnavailable):
            client.starttls()
        client.starttls(policy="verify")
        assert client.error is None and client.info and client.info.secured
        assert client.noop() == (250, b"ok")
        client.close()
