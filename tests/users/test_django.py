"""Django's mail through smtptls.django.EmailBackend."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import smtptls
from ca.ca import Paths
from conftest import RECIPIENT, SENDER

from users.peers import (
    HOST,
    MODES,
    mail_server,
    mode_server,
    openssl_server,
    refused,
    stalled,
    watched,
    within,
)

django = pytest.importorskip("django")

from django.conf import settings  # noqa: E402

if not settings.configured:
    settings.configure()

from django.core import mail  # noqa: E402
from django.core.mail.backends import smtp as djangos  # noqa: E402
from django.test import override_settings  # noqa: E402

BACKEND = "smtptls.django.EmailBackend"

# Django 6.1 would rather have MAILERS; `test_mailers` has.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")

with warnings.catch_warnings(action="ignore"):
    from smtptls.django import EmailBackend


@contextlib.contextmanager
def configured(port: int, mode: str | None, **more: Any) -> Iterator[None]:
    """Settings for a server; mode None says nothing of TLS."""
    given: dict[str, Any] = {"EMAIL_BACKEND": BACKEND, "EMAIL_HOST": HOST, "EMAIL_PORT": port}
    if mode is not None:
        given |= {"EMAIL_USE_TLS": mode == "starttls", "EMAIL_USE_SSL": mode == "implicit"}
    with override_settings(**(given | more)):
        yield


def connection_of(**options: Any) -> Any:
    """The backend of the settings. (Any, since Django's types say of all backends what is true of each.)"""
    return mail.get_connection(**options)


def send(body: str = "one line", **options: Any) -> int:
    return int(mail.send_mail("smtptls", body, SENDER, [RECIPIENT], **options))


@pytest.mark.parametrize("mode", [*MODES, None])
def test_send(mode: str | None, pki: Paths) -> None:
    """Without a word on TLS there is STARTTLS."""
    with (
        mode_server(mode or "starttls", openssl_server(pki)) as recorder,
        configured(recorder.port, mode, EMAIL_SSL_CAFILE=str(pki.ca)),
    ):
        assert send() == 1
    assert recorder.versions == ["TLSv1.3"]
    assert b"\r\n\r\none line" in recorder.messages[0]


@pytest.mark.parametrize("mode", MODES)
def test_by_rustls(mode: str, pki: Paths) -> None:
    context = watched(pki)
    with (
        mode_server(mode, openssl_server(pki)) as recorder,
        configured(recorder.port, mode),
        connection_of(context=context) as connection,
    ):
        assert isinstance(connection.connection.sock, smtptls.SSLSocket)
        assert send(connection=connection) == 1
        assert send(("x" * 70 + "\n") * 15_000, connection=connection) == 1
    assert [info.trusted for info in context.secured()] == [True]
    assert len(recorder.messages) == 2
    assert recorder.messages[1].count(b"x" * 70 + b"\r\n") == 15_000


@pytest.mark.parametrize("mode", [*MODES, None])
def test_refused(mode: str | None, pki: Paths) -> None:
    """Wrong CA, wrong name; and by default it is the system whose authorities are trusted."""
    with mode_server(mode or "starttls", openssl_server(pki)) as recorder:
        with configured(recorder.port, mode, EMAIL_SSL_CAFILE=str(pki.wrongca)), refused():
            send()
        with configured(recorder.port, mode), refused():
            send()
    with (
        mode_server(mode or "starttls", openssl_server(pki, "other")) as other,
        configured(other.port, mode, EMAIL_SSL_CAFILE=str(pki.ca)),
        refused(smtptls.Code.CERT_NAME),
    ):
        send()
    assert (recorder.messages, other.messages) == ([], [])


@pytest.mark.parametrize("mode", MODES)
def test_fail_silently(mode: str, pki: Paths) -> None:
    """As with Django: nothing is raised, and nothing sent, not at a second attempt either."""
    context = watched(pki, "wrongca")
    with mode_server(mode, openssl_server(pki)) as recorder, configured(recorder.port, mode):
        backend = connection_of(fail_silently=True, context=context)
        assert send(connection=backend) == 0
        assert send(connection=backend) == 0
        assert backend.connection is None
        backend.close()
    assert context.begun == 2
    assert recorder.messages == []


@pytest.mark.parametrize("silently", [True, False])
def test_server_without_starttls(silently: bool) -> None:
    """A connection in plaintext is not kept for the next message; Django 4.2 did."""
    with mail_server() as recorder, configured(recorder.port, "starttls"):
        backend = connection_of(fail_silently=silently)
        for _ in range(2):
            with contextlib.nullcontext() if silently else pytest.raises(smtplib.SMTPNotSupportedError):
                assert send(connection=backend) == 0
            assert backend.connection is None
    assert recorder.messages == []


def test_plaintext_if_said() -> None:
    with mail_server() as recorder:
        with configured(recorder.port, None), pytest.raises(smtplib.SMTPNotSupportedError):
            send()
        with configured(recorder.port, None, EMAIL_USE_TLS=False):
            assert send() == 1
        with configured(recorder.port, "starttls"):
            assert send(connection=connection_of(use_tls=False)) == 1
    assert recorder.versions == [None, None]


@pytest.mark.parametrize("mode", MODES)
def test_client_certificate(mode: str, pki: Paths) -> None:
    """The settings of Django; the server is verified all the same."""
    files = {"EMAIL_SSL_CERTFILE": str(pki.client), "EMAIL_SSL_KEYFILE": str(pki.client_key)}
    with mode_server(mode, openssl_server(pki, clients="ca")) as recorder:
        with configured(recorder.port, mode, EMAIL_SSL_CAFILE=str(pki.ca)), pytest.raises(OSError):
            send()
        with configured(recorder.port, mode, EMAIL_SSL_CAFILE=str(pki.ca), **files):
            assert send() == 1
        with configured(recorder.port, mode, EMAIL_SSL_CAFILE=str(pki.wrongca), **files), refused():
            send()
    assert recorder.certificates == [ssl.PEM_cert_to_DER_cert(pki.client.read_text())]


@pytest.mark.parametrize("silently", [True, False])
def test_no_such_file(silently: bool) -> None:
    with mail_server() as recorder, configured(recorder.port, "starttls", EMAIL_SSL_CAFILE="/nowhere/ca.pem"):
        if silently:
            # It cannot be read after the connection stands, so it comes too late for Django to raise it.
            assert send(fail_silently=True) == 0
        else:
            with pytest.raises(FileNotFoundError) as caught:
                send()
            assert isinstance(caught.value, smtptls.Error)
    assert recorder.messages == []


@pytest.mark.parametrize("mode", MODES)
def test_timeout(mode: str, pki: Paths) -> None:
    context = watched(pki)
    with (
        stalled(mode) as port,
        configured(port, mode, EMAIL_TIMEOUT=0.4),
        within(6, at_least=0.4),
        pytest.raises(smtptls.Timeout) as caught,
    ):
        send(connection=connection_of(context=context))
    assert isinstance(caught.value, TimeoutError)
    assert context.begun == 1


def test_arguments(pki: Paths) -> None:
    """By position as Django has them; both ways of TLS at once are Django's own error."""
    with configured(25, None):
        backend = EmailBackend("h", 26, "u", "p", True, False, False, 7, "k", "c", ssl_cafile=pki.ca)
        found = (backend.host, backend.port, backend.username, backend.use_tls, backend.timeout)
        assert found == ("h", 26, "u", True, 7)
        assert (backend.ssl_keyfile, backend.ssl_certfile) == ("k", "c")
        with pytest.raises(ValueError, match="mutually"):
            EmailBackend(use_tls=True, use_ssl=True)
        with pytest.raises(TypeError):
            EmailBackend(context=ssl.create_default_context())  # type: ignore[arg-type]
        assert isinstance(EmailBackend(), djangos.EmailBackend)
        assert EmailBackend(use_ssl=True).use_tls is False
        with override_settings(EMAIL_USE_SSL=True):
            assert (EmailBackend().use_ssl, EmailBackend().use_tls) == (True, False)
            assert EmailBackend(use_ssl=False).use_tls is True  # not in plaintext, which nobody has asked for
        assert isinstance(EmailBackend().ssl_context, smtptls.SSLContext)
        assert (own := EmailBackend()).ssl_context is own.ssl_context


@pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS came with Django 6.1")
@pytest.mark.parametrize("options", [{"use_tls": True}, {"use_ssl": True}, {}, {"use_tls": False}])
def test_mailers(options: dict[str, Any], pki: Paths) -> None:
    """Everything is in OPTIONS; without a word on TLS there is STARTTLS here as well, and on its port."""
    server: dict[str, Any] = {}
    if options.get("use_tls", True):
        server["implicit" if "use_ssl" in options else "starttls"] = openssl_server(pki)
    with mail_server(**server) as recorder:
        given = {"host": HOST, "port": recorder.port, "ssl_cafile": str(pki.ca), **options}
        wrong = given | {"ssl_cafile": str(pki.wrongca)}
        mailers = {
            "default": {"BACKEND": BACKEND, "OPTIONS": given},
            "wrong": {"BACKEND": BACKEND, "OPTIONS": wrong},
            "ports": {"BACKEND": BACKEND, "OPTIONS": {"host": HOST, **options}},
        }
        with override_settings(MAILERS=mailers):
            assert send() == 1
            if server:
                with refused():
                    send(using="wrong")
            ports: Any = mail.mailers["ports"]
            port = ports.port
    assert recorder.versions == (["TLSv1.3"] if server else [None])
    assert port == (465 if "use_ssl" in options else 25 if options.get("use_tls") is False else 587)
