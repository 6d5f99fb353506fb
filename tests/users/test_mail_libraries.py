"""redmail, emails, and logging's SMTPHandler, none of which has a place for a context."""

from __future__ import annotations

import logging
import logging.handlers
import smtplib
import ssl
import sys
import warnings
from typing import Any

import pytest
import smtptls
from aiosmtpd.smtp import AuthResult
from ca.ca import Paths
from conftest import DEADLINE, RECIPIENT, SENDER

from users.peers import HOST, MODES, judge_injected, mail_server, openssl_server, refused, watched


@pytest.mark.parametrize("mode", MODES)
def test_redmail(mode: str, pki: Paths) -> None:
    redmail = pytest.importorskip("redmail")

    def send(port: int) -> None:
        kind = smtplib.SMTP_SSL if mode == "implicit" else smtplib.SMTP
        sender = redmail.EmailSender(HOST, port, cls_smtp=kind, use_starttls=mode == "starttls")
        sender.send("smtptls", sender=SENDER, receivers=[RECIPIENT], text="one line")

    judge_injected(pki, mode, send)


# With TLS from the start emails connects twice, and forgets the first connection.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("mode", MODES)
def test_emails(mode: str, pki: Paths) -> None:
    emails = pytest.importorskip("emails")
    backends = pytest.importorskip("emails.backend.smtp")

    def send(port: int) -> None:
        message = emails.Message(subject="smtptls", text="one line", mail_from=SENDER)
        options = {"tls": True} if mode == "starttls" else {"ssl": True}
        with backends.SMTPBackend(
            host=HOST, port=port, timeout=DEADLINE, fail_silently=False, **options
        ) as backend:
            response = message.send(to=RECIPIENT, smtp=backend)
        assert response.status_code == 250

    judge_injected(pki, mode, send)


class Handler(logging.handlers.SMTPHandler):
    """As it is, but for errors, which go to the test in place of stderr."""

    def handleError(self, record: logging.LogRecord) -> None:
        raise  # the exception that is being handled


def log(port: int, secure: Any = ()) -> None:
    handler = Handler((HOST, port), SENDER, RECIPIENT, "smtptls", ("alice", "secret"), secure, DEADLINE)
    handler.emit(logging.makeLogRecord({"msg": "one line"}))
    handler.close()


def authenticator(*_: Any) -> AuthResult:
    return AuthResult(success=True)


def emit_of_3_14(self: logging.handlers.SMTPHandler, record: logging.LogRecord) -> None:
    """What SMTPHandler does from Python 3.14 on: it makes a context by itself that verifies nothing."""
    try:
        smtp = smtplib.SMTP(self.mailhost, self.mailport or 0, timeout=self.timeout)
        assert self.secure is not None
        keyfile, certfile = (*self.secure, None, None)[:2]
        make: Any = ssl._create_stdlib_context  # type: ignore[attr-defined]
        context = make(certfile=certfile, keyfile=keyfile)
        smtp.ehlo()
        smtp.starttls(context=context)
        smtp.ehlo()
        smtp.login(self.username or "", self.password)
        smtp.sendmail(
            self.fromaddr, self.toaddrs, f"Subject: {self.subject}\r\n\r\n{self.format(record)}\r\n"
        )
        smtp.quit()
    except Exception:
        self.handleError(record)


@pytest.fixture(params=["as it is", "3.14"])
def handler_version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "3.14":
        monkeypatch.setattr(logging.handlers.SMTPHandler, "emit", emit_of_3_14)


@pytest.mark.usefixtures("handler_version")
def test_logging(pki: Paths) -> None:
    judge_injected(pki, "starttls", log, authenticator=authenticator)


@pytest.mark.usefixtures("handler_version")
def test_logging_with_a_certificate(pki: Paths) -> None:
    """The key and the certificate are shown. Python 3.12 and 3.13 by themselves fail to pass them on."""
    files = (str(pki.client_key), str(pki.client))
    context = watched(pki)
    tls = openssl_server(pki, clients="ca")
    with mail_server(starttls=tls, authenticator=authenticator) as recorder:
        if sys.version_info < (3, 12):
            with warnings.catch_warnings(action="ignore"):
                log(recorder.port, files)
        try:
            smtptls.inject_into_smtplib(context)
            before = len(recorder.messages)
            log(recorder.port, files)
            assert len(recorder.messages) == before + 1
            smtptls.inject_into_smtplib(watched(pki, "wrongca"))
            with refused():
                log(recorder.port, files)
        finally:
            smtptls.extract_from_smtplib()
    assert len(recorder.messages) == before + 1
    assert set(recorder.certificates) == {ssl.PEM_cert_to_DER_cert(pki.client.read_text())}
    # The certificate has a context of its own, with the same trust.
    assert context.begun == 0


def test_context_in_an_own_handler(pki: Paths) -> None:
    """Only what SMTPHandler itself makes is replaced; outside of it a context that is given counts."""
    context = ssl.create_default_context(cafile=str(pki.ca))
    injected = watched(pki, "wrongca")
    with mail_server(starttls=openssl_server(pki)) as recorder:
        try:
            smtptls.inject_into_smtplib(injected)
            with smtplib.SMTP(HOST, recorder.port) as client:
                client.starttls(context=context)
                client.sendmail(SENDER, RECIPIENT, "Subject: smtptls\r\n\r\n")
        finally:
            smtptls.extract_from_smtplib()
    assert (len(recorder.messages), injected.begun) == (1, 0)
