"""smtptls.send: one call, one message, with aiosmtpd and with scripted peers."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import email.charset
import email.message
import email.mime.text
import email.policy
import logging
import smtplib
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import smtptls
from smtp_peers import (
    PASSWORD,
    RECIPIENT,
    SECRETS,
    SENDER,
    USER,
    Peer,
    aiosmtpd,
    dribble,
    message,
    scripted,
    secured,
)
from smtptls import Code, Config, Level, Policy
from smtptls._send import Sent, send
from smtptls._smtp import InsecureLoginError
from support import DEADLINE, NAME

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

TEXT = f"From: Alice <{SENDER}>\r\nTo: {RECIPIENT}\r\nSubject: x\r\n\r\n.\r\nHello\r\n..\r\n".encode()


def sent(message: Any, port: int, config: Config, **options: Any) -> Sent:
    options.setdefault("timeout", DEADLINE)
    options.setdefault("name", NAME)
    return send(message, "127.0.0.1", port, config=config, local_hostname="client.example.test", **options)


def take(peer: Peer) -> bytes:
    """The rest of a dialogue in plaintext, from MAIL or QUIT on; the message."""
    text = b""
    while line := peer.hear():
        if line.lower() == b"data\r\n":
            peer.say(b"354 go\r\n")
            while (line := peer.hear()) != b".\r\n":
                text += line
            peer.say(b"250 queued\r\n")
        elif line.lower() == b"quit\r\n":
            peer.say(b"221 bye\r\n")
            return text
        else:
            peer.say(b"250 ok\r\n")
    return text


def test_a_message(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls, require_starttls=True) as (port, mailbox):
        result = sent(TEXT, port, trusting, login=(USER, PASSWORD))
        assert result.is_tls and result.info and result.info.secured
        assert (result.refused, result.reply) == ({}, (250, b"2.0.0 queued as 1"))
        assert result.plaintext_reason is None
        with pytest.raises(dataclasses.FrozenInstanceError):
            result.info = None  # type: ignore[misc]
    assert mailbox.content() == TEXT
    assert (mailbox.envelopes[0].mail_from, mailbox.envelopes[0].rcpt_tos) == (SENDER, [RECIPIENT])
    assert mailbox.logins == [PASSWORD.encode()]


def test_implicit_tls(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(ssl_context=tls) as (port, mailbox):
        assert sent(message(), port, trusting, implicit_tls=True).is_tls
        with pytest.raises(smtptls.CertificateError):
            sent(message(), port, trusting, implicit_tls=True, name="x.example.test")
    assert len(mailbox.envelopes) == 1
    with pytest.raises(ValueError):
        sent(message(), port, trusting, implicit_tls=True, lmtp=True)


def test_lmtp(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(lmtp=True, tls_context=tls) as (port, mailbox):
        assert sent(message(), port, trusting, lmtp=True).is_tls
    assert len(mailbox.envelopes) == 1


def test_lmtp_in_plaintext_over_a_unix_socket(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 hi\r\n")
        assert peer.hear()[:4] == b"lhlo"
        peer.say(b"250 mail\r\n")
        take(peer)

    path = str(tmp_path / "lmtp")
    with scripted(script, path=path):
        result = send(TEXT, path, lmtp=True, policy="none", name="localhost", timeout=DEADLINE)
    assert not result.is_tls and result.reply == (250, b"queued")
    assert result.plaintext_reason and result.plaintext_reason.code is Code.NOT_WANTED


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 25),
        ({"login": (USER, PASSWORD)}, 587),
        ({"implicit_tls": True, "login": (USER, PASSWORD)}, 465),
        ({"lmtp": True}, 2003),
    ],
)
def test_the_default_port(options: dict[str, Any], expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []

    def create_connection(address: Any, *_: Any) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", create_connection)
    with pytest.raises(ConnectionRefusedError):
        send(TEXT, "127.0.0.1", **options)
    assert tried == [("127.0.0.1", expected)]


# What is sent, and to whom.


@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        (TEXT, TEXT),
        (TEXT.replace(b"\r\n", b"\n"), TEXT),
        (TEXT.decode(), TEXT),
        (TEXT[:-2], TEXT),
        (b"From alice Wed Nov 25 12:00:00 2026\n" + TEXT, TEXT),
        (TEXT.replace(b"Subject", b"BCC : c@example.test,\r\n\td@example.test\r\nSubject"), TEXT),
        (TEXT.replace(b"Subject", b"Resent-Bcc: d@example.test\nSubject"), TEXT),
        (TEXT + b"\r\nBcc: not in the head\r\n", TEXT + b"\r\nBcc: not in the head\r\n"),
    ],
)
def test_a_text(text: bytes | str, arrives: bytes, trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, mailbox):
        sent(text, port, trusting)
        assert mailbox.content() == arrives


def test_a_head_without_a_body_has_no_bcc_either(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, mailbox):
        sent(f"From: {SENDER}\nTo: {RECIPIENT}\nBcc: carol@example.test", port, trusting)
        assert mailbox.content() == f"From: {SENDER}\r\nTo: {RECIPIENT}\r\n".encode()
        assert mailbox.envelopes[0].rcpt_tos == [RECIPIENT, "carol@example.test"]


def test_an_envelope_that_is_given(trusting: Config, tls: ssl.SSLContext) -> None:
    """A bounce, of a text without a head."""
    with aiosmtpd(tls_context=tls) as (port, mailbox):
        sent(b"no head here", port, trusting, sender="", recipients=[RECIPIENT, RECIPIENT])
        sent(message(), port, trusting, sender="s@example.test", recipients="r@example.test")
        (bounce, other) = mailbox.envelopes
    assert (bounce.mail_from, bounce.rcpt_tos) == ("<>", [RECIPIENT])
    assert bounce.original_content == b"no head here\r\n"
    assert (other.mail_from, other.rcpt_tos) == ("s@example.test", ["r@example.test"])


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    ("fields", "sender", "recipients"),
    [
        ({"Cc": 'C <c@x.test>, "a, b" <d@x.test>', "Bcc": "e"}, SENDER, ["c@x.test", "d@x.test", "e"]),
        ({"Sender": "s@x.test", "Cc": f"{RECIPIENT}, c@x.test"}, "s@x.test", ["c@x.test"]),
        ({"Cc": "friends: c@x.test, d@x.test;"}, SENDER, [f"{a}@x.test" for a in "cd"]),
        ({"Cc": "undisclosed:;", "Bcc": "r@x.test"}, SENDER, ["r@x.test"]),
    ],
)  # fmt: skip
def test_an_envelope_from_the_head(
    fields: dict[str, str],
    sender: str,
    recipients: list[str],
    as_text: bool,
    trusting: Config,
    tls: ssl.SSLContext,
) -> None:
    made = message(**fields)
    with aiosmtpd(tls_context=tls) as (port, mailbox):
        sent(made.as_bytes() if as_text else made, port, trusting)
        (envelope,) = mailbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == (sender, [RECIPIENT, *recipients])
    assert b"Bcc" not in mailbox.content() and made["Bcc"] == fields.get("Bcc")


def test_a_comma_in_a_name_that_is_encoded(trusting: Config, tls: ssl.SSLContext) -> None:
    text = f"From: {SENDER}\nTo: =?utf-8?q?a=2C_b=2C_c=40x=2Etest?= <{RECIPIENT}>\n\nx\n"
    with aiosmtpd(tls_context=tls) as (port, mailbox):
        sent(text, port, trusting)
        assert mailbox.envelopes[0].rcpt_tos == [RECIPIENT]


def test_a_message_that_was_resent(trusting: Config, tls: ssl.SSLContext) -> None:
    made = message(
        Resent_Date="Wed, 25 Nov 2026 12:00:00 +0000", Resent_From="r@x.test", Resent_To="t@x.test",
        Resent_Bcc="b@x.test", Bcc="old@x.test",
    )  # fmt: skip
    with aiosmtpd(tls_context=tls) as (port, mailbox):
        sent(made, port, trusting)
        (envelope,) = mailbox.envelopes
        assert (envelope.mail_from, envelope.rcpt_tos) == ("r@x.test", ["t@x.test", "b@x.test"])
        assert b"b@x.test" not in mailbox.content() and b"old@x.test" not in mailbox.content()
        again = made.as_bytes().replace(b"Resent-Date", b"Resent-Date: x\nResent-Date")
        with pytest.raises(ValueError, match="more than once"):
            sent(again, port, trusting)
        sent(again, port, trusting, sender=SENDER, recipients=[RECIPIENT])


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (b"no head", {}),
        (b"no head", {"sender": SENDER}),
        (f"To: {RECIPIENT}\n\nx", {}),
        (f"From: {SENDER}\n\nx", {}),
        (f"From: {SENDER}\n\nx", {"recipients": []}),
    ],
)
def test_no_envelope(text: Any, options: dict[str, Any]) -> None:
    """It is found before there is a connection."""
    with pytest.raises(ValueError, match=r"sender=|recipients="):
        send(text, "127.0.0.1", 1, **options)


def test_no_command_can_be_smuggled(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, mailbox):
        for options in ({"sender": f"{SENDER}>\r\nRSET\r\n"}, {"recipients": ["x>\r\nDATA"]}):
            with pytest.raises(ValueError, match="control"):
                sent(TEXT, port, trusting, **options)
        smuggled = TEXT + b"x\n.\nMAIL FROM:<evil@example.test>\r.\rRSET\r\n"
        sent(smuggled, port, trusting)
        assert mailbox.content() == TEXT + b"x\r\n.\r\nMAIL FROM:<evil@example.test>\r\n.\r\nRSET\r\n"


def test_a_long_message_of_8_bits(trusting: Config, tls: ssl.SSLContext) -> None:
    text = "Grüße\n" * 100_000 + "From here\n.\n"
    made = message()
    made.set_content(text, cte="8bit")
    with aiosmtpd(tls_context=tls, data_size_limit=2_000_000) as (port, mailbox):
        sent(made, port, trusting)
        got = mailbox.content()
        assert "BODY=8BITMIME" in mailbox.envelopes[0].mail_options
    assert got.partition(b"\r\n\r\n")[2] == text.replace("\n", "\r\n").encode()


def test_8_bits_where_the_server_has_7(trusting: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    # As Python has it: Flask-Mail, which other tests import, changes it for the whole process.
    default = (email.charset.SHORTEST, email.charset.BASE64, "utf-8")
    monkeypatch.setitem(email.charset.CHARSETS, "utf-8", default)
    taken: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.greet(b"SIZE")
        taken.append(take(peer))

    made = message()
    made.set_content("Grüße\n", cte="8bit")
    with scripted(script) as (port, peers):
        sent(made, port, trusting, policy="none")
    assert taken[0].isascii() and b"BODY" not in peers[0].heard
    parsed: Any = email.message_from_bytes(taken[0], policy=email.policy.default)
    assert parsed.get_content() == "Grüße\n"


@pytest.mark.parametrize("as_text", [False, True])
def test_smtputf8(as_text: bool, trusting: Config, tls: ssl.SSLContext) -> None:
    made = message(Cc="Bøb <bøb@example.test>")
    text = made.as_bytes(policy=email.policy.SMTPUTF8)
    with aiosmtpd(tls_context=tls, enable_SMTPUTF8=True) as (port, mailbox):
        sent(text if as_text else made, port, trusting)
        (envelope,) = mailbox.envelopes
        assert envelope.rcpt_tos == [RECIPIENT, "bøb@example.test"]
        assert {"SMTPUTF8"} <= set(envelope.mail_options) and len(envelope.mail_options) <= 3
        assert mailbox.content() == text
    with aiosmtpd(tls_context=tls, enable_SMTPUTF8=False) as (port, mailbox):
        with pytest.raises(smtplib.SMTPNotSupportedError):
            sent(made, port, trusting)
        assert not mailbox.envelopes


def test_a_name_that_is_not_ascii_needs_no_smtputf8(trusting: Config, tls: ssl.SSLContext) -> None:
    made = message(Cc="Bøb <rob@example.test>")
    with aiosmtpd(tls_context=tls, enable_SMTPUTF8=True) as (port, mailbox):
        sent(made, port, trusting)
        assert "SMTPUTF8" not in mailbox.envelopes[0].mail_options
        assert mailbox.content().isascii()


@pytest.mark.parametrize(("charset", "marked"), [("utf-8", True), ("latin-1", False)])
def test_a_text_whose_head_is_not_ascii(
    charset: str, marked: bool, trusting: Config, tls: ssl.SSLContext
) -> None:
    """RFC 6532 knows UTF-8 and nothing else."""
    text = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nSubject: Grüße\r\n\r\nx\r\n".encode(charset)
    with aiosmtpd(tls_context=tls, enable_SMTPUTF8=True) as (port, mailbox):
        sent(text, port, trusting)
        assert ("SMTPUTF8" in mailbox.envelopes[0].mail_options) == marked
        assert mailbox.content() == text


def test_a_message_of_the_old_kind(trusting: Config, tls: ssl.SSLContext) -> None:
    made = email.mime.text.MIMEText("From here\nGrüße\n", "plain", "utf-8")
    made["From"], made["To"], made["Bcc"] = SENDER, f"Bøb <{RECIPIENT}>", "c@x.test"
    with aiosmtpd(tls_context=tls) as (port, mailbox):
        sent(made, port, trusting)
        assert mailbox.envelopes[0].rcpt_tos == [RECIPIENT, "c@x.test"]
        assert b"Bcc" not in mailbox.content()


def test_a_recipient_that_is_refused(trusting: Config, tls: ssl.SSLContext) -> None:
    bad = "nobody@refused.example.test"
    with aiosmtpd(tls_context=tls) as (port, mailbox):
        result = sent(message(Cc=bad), port, trusting)
        assert result.refused == {bad: (550, b"5.1.1 Nobody here")}
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            sent(TEXT, port, trusting, recipients=[bad])
        with pytest.raises(smtplib.SMTPAuthenticationError):
            sent(TEXT, port, trusting, login=(USER, "wrong"))
    assert len(mailbox.envelopes) == 1


# When TLS fails.


def test_a_wrong_name(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, mailbox):
        with pytest.raises(smtptls.CertificateError) as caught:
            sent(TEXT, port, trusting, name="x.example.test", login=(USER, PASSWORD))
        assert caught.value.code is Code.CERT_NAME
    assert not mailbox.envelopes and not mailbox.logins


def stripped(peer: Peer) -> None:
    peer.greet(b"SIZE", b"AUTH PLAIN LOGIN")
    take(peer)


def refused(peer: Peer) -> None:
    peer.greet(b"STARTTLS")
    peer.hear()
    peer.say(b"454 not now\r\n")
    take(peer)


def broken(peer: Peer) -> None:
    peer.greet(b"STARTTLS")
    peer.hear()
    peer.say(b"220 go\r\n")
    peer.sock.recv(4096)
    peer.say(b"\x15\x03\x03\x00\x02\x02\x28")
    peer.rest()


@pytest.mark.parametrize("script", [stripped, refused, broken])
def test_verify_sends_nothing_in_plaintext(script: Any, trusting: Config) -> None:
    with scripted(script) as (port, peers), pytest.raises(smtptls.Error):
        sent(TEXT, port, trusting, login=(USER, PASSWORD))
    heard = bytes(peers[0].heard).lower()
    assert b"mail from" not in heard and b"auth" not in heard


@pytest.mark.parametrize("policy", ["may", Level.MAY, Policy("may")])
@pytest.mark.parametrize("scripts", [[stripped], [refused], [broken, stripped]])
def test_may_falls_back_to_plaintext(
    scripts: list[Any], policy: Any, trusting: Config, caplog: pytest.LogCaptureFixture
) -> None:
    with scripted(*scripts) as (port, peers):
        result = sent(TEXT, port, trusting, policy=policy)
    assert not result.is_tls and result.info is None and result.reply == (250, b"queued")
    assert result.plaintext_reason is not None
    assert peers[-1].heard.endswith(b"\r\n\r\n..\r\nHello\r\n...\r\n.\r\nquit\r\n")
    assert f"127.0.0.1: the message goes in plaintext: {result.plaintext_reason}" in [
        record.getMessage() for record in caplog.records if record.levelno == logging.WARNING
    ]


@pytest.mark.parametrize("script", [stripped, refused, broken])
def test_may_never_logs_in_in_plaintext(script: Any, trusting: Config) -> None:
    with scripted(script) as (port, peers), pytest.raises(smtptls.Error) as caught:
        sent(TEXT, port, trusting, policy="may", login=(USER, PASSWORD))
    assert caught.value.code in (Code.NOT_OFFERED, Code.REFUSED, Code.ALERT)
    assert not any(secret in peers[0].heard for secret in SECRETS)
    assert base64.b64encode(PASSWORD.encode()) not in peers[0].heard
    assert b"mail from" not in bytes(peers[0].heard).lower()


def test_may_takes_any_certificate_but_gives_it_no_password(pki: Any, tls: ssl.SSLContext) -> None:
    config = Config(roots=[pki.wrongca])
    with aiosmtpd(tls_context=tls) as (port, mailbox):
        result = sent(TEXT, port, config, policy="may")
        assert result.is_tls and result.info and not result.info.secured and not result.plaintext_reason
        with pytest.raises(InsecureLoginError):
            sent(TEXT, port, config, policy="may", login=(USER, PASSWORD))
    assert len(mailbox.envelopes) == 1 and not mailbox.logins


def test_an_injection_is_no_reason_for_plaintext(trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n250 evil\r\n")
        peer.rest()

    with scripted(script) as (port, peers), pytest.raises(smtptls.InjectionError):
        sent(TEXT, port, trusting, policy="may")
    assert b"mail" not in bytes(peers[0].heard).lower().partition(b"\n")[2]


def test_implicit_tls_has_no_plaintext(trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"\x15\x03\x03\x00\x02\x02\x28")
        peer.rest()

    with scripted(script) as (port, _), pytest.raises(smtptls.TlsError):
        sent(TEXT, port, trusting, policy="may", implicit_tls=True)


# Time, and servers that are not there.


def silent(peer: Peer) -> None:
    peer.rest()


def silent_in_starttls(peer: Peer) -> None:
    peer.greet(b"STARTTLS")
    peer.rest()


def dribbling(peer: Peer) -> None:
    peer.say(b"220 hi\r\n")
    peer.hear()
    dribble(peer)


@pytest.mark.parametrize(
    ("script", "limits"),
    [
        (silent, {"timeout": 0.3}),
        (silent, {"deadline": 0.3}),
        (silent_in_starttls, {"timeout": 0.3}),
        (silent_in_starttls, {"deadline": 0.3}),
        (dribbling, {"deadline": 0.3}),
    ],
)
def test_time_is_bounded(script: Any, limits: dict[str, float], trusting: Config) -> None:
    begun = time.monotonic()
    with scripted(script) as (port, _):
        with pytest.raises(smtptls.Timeout) as caught:
            sent(TEXT, port, trusting, **limits)
        assert 0.25 < time.monotonic() - begun < 5
    assert isinstance(caught.value, TimeoutError) and caught.value.code is Code.TIMEOUT
    # What the session says of itself is not said in other words.
    assert ("reply to STARTTLS" in caught.value.message) == (script is silent_in_starttls)


def test_a_server_that_does_not_answer_quit_has_the_message(trusting: Config, serving: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        lines = session.makefile("rb")
        for reply in (b"250 mail\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            lines.readline()
            session.sendall(reply)
        while lines.readline() != b".\r\n":
            pass
        session.sendall(b"250 queued\r\n")
        with contextlib.suppress(OSError):
            while lines.readline():
                pass

    begun = time.monotonic()
    with scripted(script) as (port, _):
        assert sent(TEXT, port, trusting).reply == (250, b"queued")
    assert time.monotonic() - begun < 10


def test_a_server_that_is_not_there(trusting: Config) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for deadline in (None, 5.0):
        with pytest.raises(ConnectionRefusedError):
            sent(TEXT, port, trusting, deadline=deadline)


def test_a_server_that_greets_with_554(trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"554 no\r\n")
        peer.rest()

    with scripted(script) as (port, _), pytest.raises(smtplib.SMTPConnectError):
        sent(TEXT, port, trusting)
