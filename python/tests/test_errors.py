"""Exceptions: their classes, their attributes, and how they travel."""

from __future__ import annotations

import copy
import pickle
import ssl
from typing import Any

import pytest
import smtptls
from smtptls import Action, Code, Config, Error, Policy, Session
from support import NAME

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

ALL = list(Code)
CLASSES: dict[type[Error], tuple[type[BaseException], ...]] = {
    smtptls.WantInput: (BlockingIOError,),
    smtptls.WantOutput: (BlockingIOError,),
    smtptls.WantSignature: (),
    smtptls.Timeout: (TimeoutError,),
    smtptls.ConfigError: (ValueError,),
    smtptls.ProtocolError: (),
    smtptls.StarttlsUnavailable: (smtptls.ProtocolError,),
    smtptls.InjectionError: (smtptls.ProtocolError,),
    smtptls.PolicyError: (),
    smtptls.TlsError: (ssl.SSLError,),
    smtptls.CertificateError: (smtptls.TlsError, ssl.SSLCertVerificationError, ValueError),
    smtptls.ClosedError: (smtptls.TlsError, ssl.SSLEOFError),
}


@pytest.mark.parametrize("code", ALL, ids=lambda code: code.name)
def test_every_code_has_its_class(code: Code) -> None:
    error = Error(code, "why")
    assert isinstance(error, Error) and isinstance(error, OSError)
    if code not in (Code.IO, Code.STATE, Code.INTERNAL):
        assert type(error) in CLASSES
    assert error.code is code and error.message == "why" == error.strerror
    assert error.errno is None and error.alert is None and error.tlsrpt is None
    assert error.tlsrpt_reason is None and error.enhanced_status is None and error.is_temporary
    assert error.reply is None
    assert error.action is Action.FAIL
    assert str(error) == f"{error.name}: why"
    assert error.name == ("SMTPTLS_" if code.name.startswith("WANT") else "SMTPTLS_ERR_") + code.name


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_has_its_bases(kind: type[Error]) -> None:
    assert issubclass(kind, Error) and kind.__module__ == "smtptls"
    for base in CLASSES[kind]:
        assert issubclass(kind, base)


@pytest.mark.parametrize("code", ALL, ids=lambda code: code.name)
def test_they_can_be_pickled_and_copied(code: Code) -> None:
    error = Error(
        code,
        "why",
        errno=5,
        alert=40,
        action=Action.NEXT_HOST,
        tlsrpt="validation-failure",
        tlsrpt_reason="sts-mx-mismatch",
        enhanced_status="5.7.30",
        reply="454 4.7.0 Not now",
    )
    error.note = "by a program"  # type: ignore[attr-defined]
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error) and str(twin) == str(error) and repr(twin) == repr(error)
        for name in ("code", "message", "errno", "alert", "action", "note"):
            assert getattr(twin, name) == getattr(error, name)
        for name in ("tlsrpt", "tlsrpt_reason", "enhanced_status", "is_temporary", "reply"):
            assert getattr(twin, name) == getattr(error, name)


def test_numbers_will_do_and_must_exist() -> None:
    assert Error(-63, "x", action=3).action is Action.NEXT_HOST
    assert isinstance(Error(-63, "x"), smtptls.CertificateError)
    for wrong in (0, 1, -9999):
        with pytest.raises(ValueError):
            Error(wrong, "x")


@pytest.mark.parametrize(("status", "temporary"), [(None, True), ("4.7.5", True), ("5.7.10", False)])
def test_what_is_worth_trying_later(status: str | None, temporary: bool) -> None:
    assert Error(Code.REQUIRETLS, "why", enhanced_status=status).is_temporary is temporary


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (smtptls.PolicyError, {Code.DANE_REQUIRED, Code.DNSSEC, Code.STS_MX, Code.REQUIRETLS}),
        (smtptls.StarttlsUnavailable, {Code.NOT_OFFERED, Code.REFUSED, Code.NOT_REQUESTED, Code.NOT_WANTED}),
    ],
)
def test_what_is_in_a_class(kind: type[Error], codes: set[Code]) -> None:
    assert {code for code in ALL if isinstance(Error(code, "why"), kind)} == codes


def test_an_alert_of_the_peer(trusting: Config) -> None:
    client = Session.client(trusting, Policy("may"), NAME)
    with pytest.raises(smtptls.WantOutput):
        client.start(smtptls.Entry.HANDSHAKE)
    client.sent(len(client.output()))
    client.feed(b"\x15\x03\x03\x00\x02\x02\x28")
    with pytest.raises(smtptls.TlsError) as caught:
        client.start(smtptls.Entry.HANDSHAKE)
    error = caught.value
    assert (error.code, error.alert, error.action) == (Code.ALERT, 40, Action.RECONNECT)
    assert (error.tlsrpt, error.tlsrpt_reason) == ("validation-failure", "tls-handshake-failure")
    assert error.enhanced_status == "4.7.5" and error.is_temporary
    assert client.reports == [(smtptls.Tlsrpt.VALIDATION_FAILURE, "tls-handshake-failure")]
    assert str(client.error) == str(error)


@pytest.mark.parametrize(
    ("level", "reply", "code", "action", "tlsrpt"),
    [
        ("may", b"250 x\r\n", Code.NOT_OFFERED, Action.CONTINUE, "starttls-not-supported"),
        ("encrypt", b"250 x\r\n", Code.NOT_OFFERED, Action.NEXT_HOST, "starttls-not-supported"),
        ("verify", b"451 x\r\n", Code.REFUSED, Action.NEXT_HOST, None),
        ("verify", b"220-x\r\n250 y\r\n", Code.SMTP_SYNTAX, Action.NEXT_HOST, None),
        ("verify", b"x" * 3000, Code.TOO_LONG, Action.NEXT_HOST, None),
        ("verify", b"250 x\r\n250 y\r\n", Code.UNSOLICITED, Action.NEXT_HOST, None),
    ],
)
def test_what_a_server_can_do_wrong(
    trusting: Config, level: str, reply: bytes, code: Code, action: Action, tlsrpt: str | None
) -> None:
    client = Session.client(trusting, Policy(level), NAME)
    client.feed(b"220 hi\r\n")
    with pytest.raises(smtptls.WantOutput):
        client.start()
    client.sent(len(client.output()))
    client.feed(reply)
    with pytest.raises(smtptls.ProtocolError) as caught:
        client.start()
    error = caught.value
    assert (error.code, error.action, error.tlsrpt) == (code, action, tlsrpt)


def test_text_of_the_peer_is_escaped(trusting: Config) -> None:
    """SEC-20: no control character of the peer's comes into a log."""
    client = Session.client(trusting, Policy("verify"), NAME)
    client.feed(b"554 \x1b[31m\xff\r\n")
    with pytest.raises(smtptls.Error) as caught:
        client.start()
    assert caught.value.message.isascii() and caught.value.message.isprintable()
    assert r"\x1b[31m\xff" in caught.value.message


@pytest.mark.parametrize("data", [b"a\tb\\\x00\xe9", bytearray(b"x"), memoryview(b"x")])
def test_escape(data: Any) -> None:
    assert smtptls.escape(data).isprintable()
    assert smtptls.escape(b"a\tb\\\x00\xe9") == r"a\tb\\\x00\xe9"
    assert smtptls.escape(b"x" * 1000) == "x" * 200 + "..."
    with pytest.raises(TypeError):
        smtptls.escape("text")  # type: ignore[arg-type]
