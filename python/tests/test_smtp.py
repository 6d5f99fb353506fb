"""smtptls.SMTP, SMTP_SSL and LMTP with servers that work, and the socket that they put below smtplib."""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import smtptls
from smtp_peers import (
    PASSWORD,
    RECIPIENT,
    SENDER,
    USER,
    Peer,
    Script,
    aiosmtpd,
    assert_gone,
    message,
    opened,
    scripted,
    secured,
)
from smtptls import Code, Config, Level, Policy
from smtptls._smtp import LMTP, SMTP, SMTP_SSL, SecuredSocket
from support import DEADLINE, NAME

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]


def test_a_message_by_starttls(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls, require_starttls=True) as (port, mailbox):
        with opened(port, trusting) as client:
            assert isinstance(client, smtplib.SMTP) and not client.is_tls and client.info is None
            assert client.mail(SENDER)[0] == 530
            assert client.starttls() == (220, b"")
            assert client.is_tls and client.info and client.info.secured
            assert client.info.matched_name == NAME and client.error is None
            assert client.session is client.sock.session
            # RFC 3207 section 4.2: what was before TLS is forgotten.
            assert client.ehlo_resp is client.helo_resp is None
            assert client.esmtp_features == {} and not client.does_esmtp
            client.login(USER, PASSWORD)
            assert not client.has_extn("starttls") and client.has_extn("auth")
            assert client.send_message(message()) == {}
            assert client.data_reply == (250, b"2.0.0 queued as 1")
            with pytest.raises(smtptls.Error, match="active already"):
                client.starttls()
            assert client.is_tls and client.noop()[0] == 250
        assert client.info and client.info.secured  # it stays until the next connect
        assert_gone(client)
    assert mailbox.logins == [PASSWORD.encode()]
    assert mailbox.envelopes[0].mail_from == SENDER


def test_config_policy_and_name_of_the_call(trusting: Config, pki: Any, tls: ssl.SSLContext) -> None:
    """They come before those of the object."""
    wrong = Config(roots=[pki.wrongca])
    with aiosmtpd(tls_context=tls) as (port, _):
        with opened(port, wrong, "encrypt", name="x.example.test") as client:
            client.starttls(config=trusting, policy=Policy("verify"), name=NAME)
            assert client.info and client.info.level is Level.VERIFY and client.info.matched_name == NAME
        with opened(port, wrong, name="x.example.test") as client:
            client.starttls(policy=Level.ENCRYPT)
            assert client.info and client.info.level is Level.ENCRYPT


def test_the_default_is_the_system_s_trust(tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, _), SMTP("127.0.0.1", port, timeout=DEADLINE) as client:
        with pytest.raises(smtptls.Error) as caught:
            client.starttls(name=NAME)
        assert caught.value.code in (Code.CERT_UNTRUSTED, Code.NO_ROOTS)
        assert client.sock is None


def test_the_policy_is_about_the_host_of_connect(trusting: Config, tls: ssl.SSLContext) -> None:
    """smtplib itself has no name there up to Python 3.13, and keeps the first one later."""
    with aiosmtpd(tls_context=tls) as (port, _):
        client = SMTP(config=trusting, timeout=DEADLINE)
        for host, name in [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")]:
            client.connect(host, port)
            client.starttls()
            assert client.info and client.info.matched_name == name
            assert client.ehlo()[0] == 250
            # Without quit: an earlier connection, its extensions and its TLS leave no trace.
        client.connect(f"localhost:{port}")
        assert client.info is None and not client.is_tls and client.esmtp_features == {}
        client.starttls()
        assert client.info and client.info.matched_name == "localhost"
        client.quit()


def test_a_wrong_name(trusting: Config, tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "smtptls")
    with (
        aiosmtpd(tls_context=tls) as (port, mailbox),
        opened(port, trusting, name="x.example.test") as client,
    ):
        with pytest.raises(smtptls.CertificateError) as caught:
            client.starttls()
        assert caught.value.code is Code.CERT_NAME and client.error is caught.value
        assert client.info and not client.info.secured and client.info.certificate_present
        assert_gone(client)
    assert not mailbox.envelopes
    assert "x.example.test: SMTPTLS_ERR_CERT_NAME" in caplog.text


def test_an_untrusted_server_is_left_by_quit_inside_tls(pki: Any, serving: Config) -> None:
    """RFC 3207 section 4.1."""
    inside: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        inside.append(session.recv(100))
        inside.append(session.recv(100))

    with scripted(script) as (port, peers):
        client = opened(port, Config(roots=[pki.wrongca]))
        with pytest.raises(smtptls.CertificateError) as caught:
            client.starttls()
        assert caught.value.code is Code.CERT_UNTRUSTED
        assert_gone(client)
    assert inside == [b"QUIT\r\n", b""]
    assert bytes(peers[0].heard).lower() == b"ehlo client.example.test\r\nstarttls\r\n"


def test_a_client_certificate(pki: Any) -> None:
    wants = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wants.load_cert_chain(pki.leaf, pki.leaf_key)
    wants.load_verify_locations(pki.ca)
    wants.verify_mode = ssl.CERT_REQUIRED
    wants.maximum_version = ssl.TLSVersion.TLSv1_2
    config = Config(roots=[pki.ca], keypairs=[(pki.client, pki.client_key)])
    with aiosmtpd(tls_context=wants) as (port, mailbox):
        with opened(port, config) as client:
            client.starttls()
            client.send_message(message())
        with opened(port, Config(roots=[pki.ca])) as client:
            with pytest.raises(smtptls.TlsError):
                client.starttls()
            assert_gone(client)
    assert len(mailbox.envelopes) == 1


@pytest.mark.parametrize("length", [0, 1_000_000])
def test_a_message_arrives_as_it_was(length: int, trusting: Config, tls: ssl.SSLContext) -> None:
    line = b"." * 3 + bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n"
    text = b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\n\r\n" + line * (length // len(line)) + b".\r\n"
    with aiosmtpd(tls_context=tls, data_size_limit=2_000_000) as (port, mailbox):
        with opened(port, trusting) as client:
            client.starttls()
            client.sendmail(SENDER, RECIPIENT, text, ["BODY=8BITMIME"])
        assert mailbox.content() == text


def test_smtputf8(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls, enable_SMTPUTF8=True) as (port, mailbox):
        with opened(port, trusting) as client:
            client.starttls()
            sent = message("Grüße\n")
            sent.replace_header("To", "bøb@example.test")
            client.send_message(sent)
        assert mailbox.envelopes[0].rcpt_tos == ["bøb@example.test"]
        assert "To: bøb@example.test\r\n".encode() in mailbox.content()


def test_implicit_tls(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(ssl_context=tls) as (port, mailbox):
        with opened(port, trusting, kind=SMTP_SSL) as client:
            assert client.is_tls and client.info and client.info.secured
            client.send_message(message())
            with pytest.raises(smtptls.Error, match="active already"):
                client.starttls()
            assert client.is_tls
        with pytest.raises(smtptls.CertificateError) as caught:
            opened(port, trusting, kind=SMTP_SSL, name="x.example.test")
        assert caught.value.code is Code.CERT_NAME
        later = SMTP_SSL(config=trusting, timeout=DEADLINE)
        assert later.default_port == 465
        later.connect("localhost", port)
        assert later.info and later.info.matched_name == "localhost"
        later.quit()
        later._name = "x.example.test"
        with pytest.raises(smtptls.CertificateError):
            later.connect("localhost", port)
        assert later.info and not later.info.secured and later.error
        assert_gone(later)
    assert len(mailbox.envelopes) == 1


@pytest.mark.parametrize("policy", ["none", "may", "verify"])
def test_implicit_tls_never_becomes_plaintext(policy: str, trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 plaintext\r\n")
        peer.rest()

    with scripted(script) as (port, peers), pytest.raises(smtptls.Error):
        opened(port, trusting, policy, SMTP_SSL)
    assert b"ehlo" not in peers[0].heard.lower()


def test_lmtp(trusting: Config, tls: ssl.SSLContext) -> None:
    served = aiosmtpd(lmtp=True, tls_context=tls)
    with served as (port, mailbox), opened(port, trusting, kind=LMTP) as client:
        assert isinstance(client, smtplib.LMTP)
        client.starttls()
        assert client.info and client.info.secured
        client.send_message(message())
    assert len(mailbox.envelopes) == 1


def test_lmtp_answers_for_each_recipient(trusting: Config, serving: Config, tmp_path: Path) -> None:
    """RFC 2033 section 4.2, over a unix socket and inside TLS."""
    path = str(tmp_path / "lmtp")
    people = [f"{name}@example.test" for name in ("bob", "carol", "dave", "eve")]

    def script(peer: Peer) -> None:
        peer.say(b"220 hi\r\n")
        assert peer.hear() == b"lhlo client.example.test\r\n"
        peer.say(b"250-mail\r\n250 STARTTLS\r\n")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        lines = session.makefile("rb")
        replies = [b"250 mail\r\n", b"250 ok\r\n"] + [b"250 ok\r\n", b"550 no\r\n"] + [b"250 ok\r\n"] * 2
        for reply in [*replies, b"354 go\r\n"]:
            assert lines.readline()
            session.sendall(reply)
        while lines.readline() != b".\r\n":
            pass
        session.sendall(b"452 full\r\n250 dave has it\r\n250 eve has it\r\n")
        assert lines.readline() == b"quit\r\n"
        session.sendall(b"221 bye\r\n")

    with scripted(script, path=path):
        client = LMTP(
            path, local_hostname="client.example.test", name=NAME, config=trusting, timeout=DEADLINE
        )
        client.starttls()
        refused = client.sendmail(SENDER, people, "x\n")
        assert refused == {"carol@example.test": (550, b"no"), "bob@example.test": (452, b"full")}
        assert client.data_reply == (250, b"dave has it")
        assert client.quit() == (221, b"bye")


@pytest.mark.parametrize("close", [False, True])
def test_lmtp_answers_that_do_not_come(
    trusting: Config, serving: Config, tmp_path: Path, close: bool
) -> None:
    """R2033-4.2-2: who has no answer is tried again; who has one has it."""
    path = str(tmp_path / "lmtp")
    people = [f"{name}@example.test" for name in ("bob", "carol", "dave")]

    def script(answers: bytes) -> Script:
        def talk(peer: Peer) -> None:
            peer.say(b"220 hi\r\n")
            peer.hear()
            peer.say(b"250-mail\r\n250 STARTTLS\r\n")
            peer.hear()
            peer.say(b"220 go\r\n")
            session = secured(serving, peer)
            lines = session.makefile("rb")
            for reply in [b"250 mail\r\n"] + [b"250 ok\r\n"] * 4 + [b"354 go\r\n"]:
                assert lines.readline()
                session.sendall(reply)
            while lines.readline() != b".\r\n":
                pass
            session.sendall(answers)
            if close:
                session.close()

        return talk

    def delivered() -> tuple[dict[str, Any], LMTP]:
        client = LMTP(path, name=NAME, config=trusting, timeout=DEADLINE)
        client.starttls()
        return client.sendmail(SENDER, people, "x\n"), client

    answers = [b"250 bob has it\r\n250 carol", b"550 bob is gone\r\n", b"250 bob"]
    with scripted(*map(script, answers), path=path):
        refused, client = delivered()
        assert {who: code for who, (code, _) in refused.items()} == dict.fromkeys(people[1:], 451)
        assert_gone(client)
        # With nobody served, nobody bounces who could be tried again.
        with pytest.raises(smtplib.SMTPDataError) as caught:
            delivered()
        assert caught.value.smtp_code == 451
        with pytest.raises(smtplib.SMTPServerDisconnected):
            delivered()


def test_a_path_is_no_name(trusting: Config, tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 hi\r\n")
        peer.hear()
        peer.say(b"250-mail\r\n250 STARTTLS\r\n")
        peer.rest()

    path = str(tmp_path / "lmtp")
    with scripted(script, path=path):
        client = LMTP(path, config=trusting, timeout=DEADLINE)
        with pytest.raises(smtptls.ConfigError, match="name="):
            client.starttls()
        assert_gone(client)


def test_the_secured_socket(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, _), opened(port, trusting) as client:
        plain = client.sock
        client.starttls()
        sock = client.sock
        assert isinstance(sock, SecuredSocket) and sock.fileno() == plain.fileno()
        assert sock.getpeername() == ("127.0.0.1", port)
        assert sock.gettimeout() == DEADLINE
        sock.settimeout(DEADLINE / 2)
        assert plain.gettimeout() == DEADLINE / 2
        assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert client.noop()[0] == 250
        sock.close()
        assert plain.fileno() == -1
        with pytest.raises(OSError):
            sock.sendall(b"x")


def test_close_says_close_notify(trusting: Config, serving: Config) -> None:
    ends: list[bool] = []

    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        assert session.recv(100) == b""
        ends.append(session.is_truncated)

    with scripted(script) as (port, _):
        client = opened(port, trusting)
        client.starttls()
        client.close()
    assert ends == [False]


def test_source_address(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, _):
        client = opened(port, trusting, source_address=("127.0.0.3", 0))
        assert client.sock.getsockname()[0] == "127.0.0.3"
        client.starttls()
        client.quit()
