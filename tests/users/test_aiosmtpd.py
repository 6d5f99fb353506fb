"""aiosmtpd with our context: a mail server whose TLS is that of rustls."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
from typing import Any

import pytest
import smtptls
from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from ca.ca import Paths
from conftest import DEADLINE, RECIPIENT, SENDER

from users.peers import (
    BIG,
    HOST,
    MAIL,
    MODES,
    Recorder,
    Watched,
    command,
    mail_server,
    mode_server,
    openssl_client,
    server_side,
    until_tls,
    watched,
    within,
)


def send(mode: str, port: int, context: ssl.SSLContext, content: bytes = MAIL) -> None:
    if mode == "implicit":
        with smtplib.SMTP_SSL(HOST, port, timeout=DEADLINE, context=context) as client:
            client.sendmail(SENDER, RECIPIENT, content)
    else:
        with smtplib.SMTP(HOST, port, timeout=DEADLINE) as client:
            client.starttls(context=context)
            client.sendmail(SENDER, RECIPIENT, content)


@pytest.mark.parametrize("peer", ["openssl", "ours"])
@pytest.mark.parametrize("content", [MAIL, MAIL + BIG], ids=["small", "1MB"])
@pytest.mark.parametrize("mode", MODES)
def test_receive(mode: str, content: bytes, peer: str, pki: Paths) -> None:
    context = server_side(pki)
    client = watched(pki) if peer == "ours" else openssl_client(pki)
    with mode_server(mode, context) as recorder:
        for _ in range(3):
            send(mode, recorder.port, client, content)
    assert recorder.messages == [content] * 3
    assert recorder.ours == [True] * 3
    assert recorder.versions == ["TLSv1.3"] * 3
    assert len(context.secured()) == 3


@pytest.mark.parametrize("mode", MODES)
def test_resumption(mode: str, pki: Paths) -> None:
    """A client of OpenSSL that keeps its session is known again."""
    context = server_side(pki)
    client = openssl_client(pki)
    client.maximum_version = ssl.TLSVersion.TLSv1_2  # ssl hands out the ticket of TLS 1.3 only after a read
    with mode_server(mode, context) as recorder:
        session = None
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", recorder.port), DEADLINE) as plain:
                if mode == "starttls":
                    until_tls(plain)
                with client.wrap_socket(plain, server_hostname=HOST, session=session) as secured:
                    session = secured.session
                    assert command(secured, b"NOOP" if mode == "starttls" else b"").startswith(b"2")
    assert [info.resumed for info in context.secured()] == [False, True]


@pytest.mark.parametrize("mode", ["starttls"])
def test_lmtp(mode: str, pki: Paths) -> None:
    context = server_side(pki)
    with (
        mode_server(mode, context, kind=LMTP) as recorder,
        smtplib.LMTP(HOST, recorder.port, timeout=DEADLINE) as client,
    ):
        client.starttls(context=openssl_client(pki))
        client.sendmail(SENDER, RECIPIENT, MAIL)
    assert recorder.ours == [True]
    assert len(context.secured()) == 1


@pytest.mark.parametrize("mode", MODES)
def test_clients_of_other_trust(mode: str, pki: Paths) -> None:
    """A client that does not trust the server sends nothing, and the server goes on."""
    context = server_side(pki)
    with mode_server(mode, context) as recorder:
        with pytest.raises(ssl.SSLCertVerificationError):
            send(mode, recorder.port, openssl_client(pki, "wrongca"))
        send(mode, recorder.port, openssl_client(pki))
    assert recorder.messages == [MAIL]
    assert context.begun == 2


@pytest.mark.parametrize("mode", MODES)
def test_client_certificates(mode: str, pki: Paths) -> None:
    context = server_side(pki, clients="ca")
    with mode_server(mode, context) as recorder:
        send(mode, recorder.port, openssl_client(pki, certificate="client"))
        for certificate in (None, "clientunknown", "clientexpired"):
            with pytest.raises((OSError, smtplib.SMTPException)):
                send(mode, recorder.port, openssl_client(pki, certificate=certificate))
    assert recorder.messages == [MAIL]
    assert recorder.certificates == [ssl.PEM_cert_to_DER_cert(pki.client.read_text())]
    assert context.begun == 4


@pytest.mark.parametrize("mode", MODES)
def test_certificate_by_name(mode: str, pki: Paths) -> None:
    """sni_callback chooses another context, as with ssl."""
    good, other = server_side(pki), server_side(pki, "other")
    asked: list[str | None] = []

    def choose(secured: Any, name: str | None, _context: ssl.SSLContext) -> None:
        asked.append(name)
        secured.context = good

    other.sni_callback = choose
    with mode_server(mode, other) as recorder:
        send(mode, recorder.port, openssl_client(pki))
    assert asked == [HOST]
    assert recorder.messages == [MAIL]


def test_certificate_renewed(pki: Paths) -> None:
    """A certificate that is loaded while the server runs is what the next client gets."""
    context = Watched(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.other, pki.other_key)
    with mail_server(starttls=context) as recorder:
        with pytest.raises(ssl.SSLCertVerificationError):
            send("starttls", recorder.port, openssl_client(pki))
        context.load_cert_chain(pki.leaf, pki.leaf_key)
        send("starttls", recorder.port, openssl_client(pki))
    assert recorder.messages == [MAIL]


def test_commands_before_tls_are_dropped(pki: Paths) -> None:
    """CVE-2011-0411: plaintext that comes with STARTTLS is no command inside TLS."""
    context = server_side(pki)
    with (
        mail_server(starttls=context, require_starttls=False) as recorder,
        socket.create_connection(("127.0.0.1", recorder.port), DEADLINE) as plain,
    ):
        assert command(plain).startswith(b"220")
        assert command(plain, b"EHLO client.example.test").startswith(b"250")
        assert command(plain, b"STARTTLS\r\nMAIL FROM:<injected@example.test>").startswith(b"220")
        # It is no TLS record, so aiosmtpd may give up here; it did not up to 1.4.6.
        with openssl_client(pki).wrap_socket(plain, server_hostname=HOST) as secured:
            secured.settimeout(0.5)
            with pytest.raises(TimeoutError):
                secured.recv(1)  # nothing is answered that was not asked
            secured.settimeout(DEADLINE)
            assert command(secured, b"EHLO client.example.test").startswith(b"250")
            assert command(secured, b"RCPT TO:<bob@example.test>").startswith(b"503")
    assert recorder.messages == []


@pytest.mark.parametrize("mode", MODES)
def test_clients_that_stall(mode: str, pki: Paths) -> None:
    """Clients that say nothing in the handshake hold up nobody else."""
    context = server_side(pki)
    with mode_server(mode, context) as recorder, contextlib.ExitStack() as stack, within(10):
        for _ in range(20):
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", recorder.port), DEADLINE))
            if mode == "starttls":
                until_tls(plain)
            plain.sendall(b"\x16\x03\x01")  # the beginning of a record
        send(mode, recorder.port, openssl_client(pki))
    assert recorder.messages == [MAIL]


class Loopback(Controller):
    """aiosmtpd's own way to run in a thread, on a free port, which its connection to itself has to know."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("mode", MODES)
def test_controller(mode: str, pki: Paths) -> None:
    """aiosmtpd's Controller; for TLS from the start it begins with a connection of its own."""
    recorder, context = Recorder(), server_side(pki)
    where: dict[str, Any] = {"implicit": {"ssl_context": context}, "starttls": {"tls_context": context}}[mode]
    controller = Loopback(recorder, hostname="127.0.0.1", port=0, **where)
    controller.start()
    try:
        send(mode, controller.port, openssl_client(pki))
    finally:
        controller.stop()
    assert recorder.messages == [MAIL]
    assert recorder.ours == [True]
    assert isinstance(context.connections[-1].info, smtptls.Info)
