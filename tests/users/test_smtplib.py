"""smtplib with our context: SMTP, SMTP_SSL and LMTP."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import tempfile

import pytest
import smtptls
from aiosmtpd.lmtp import LMTP
from ca.ca import Paths
from conftest import DEADLINE, RECIPIENT, SENDER

from users.peers import (
    BIG,
    HOST,
    MAIL,
    MODES,
    conversation,
    mode_server,
    offer_starttls,
    openssl_server,
    refused,
    stalled,
    watched,
    within,
)


def connect(mode: str, port: int, context: ssl.SSLContext, timeout: float = DEADLINE) -> smtplib.SMTP:
    """A client in TLS."""
    if mode == "implicit":
        return smtplib.SMTP_SSL(HOST, port, timeout=timeout, context=context)
    client = smtplib.SMTP(HOST, port, timeout=timeout)
    try:
        client.starttls(context=context)
    except BaseException:
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
        client.close()
        raise
    return client


@pytest.mark.parametrize("content", [MAIL, MAIL + BIG], ids=["small", "1MB"])
@pytest.mark.parametrize("mode", MODES)
def test_send(mode: str, content: bytes, pki: Paths) -> None:
    context = watched(pki)
    with mode_server(mode, openssl_server(pki)) as recorder:
        with connect(mode, recorder.port, context) as client:
            assert isinstance(client.sock, smtptls.SSLSocket)
            info = client.sock.info
            assert info and info.trusted and info.name_matched
            assert client.sock.version() == info.version == "TLSv1.3"
            client.sendmail(SENDER, RECIPIENT, content)
        assert client.sock is None
    assert recorder.messages == [content]
    assert recorder.versions == ["TLSv1.3"]
    assert len(context.secured()) == 1


@pytest.mark.parametrize(
    ("trust", "certificate", "code"),
    [("wrongca", "leaf", smtptls.Code.CERT_UNTRUSTED), ("ca", "other", smtptls.Code.CERT_NAME)],
)
@pytest.mark.parametrize("mode", MODES)
def test_refused(mode: str, trust: str, certificate: str, code: smtptls.Code, pki: Paths) -> None:
    """Nothing of the message is sent, and the object is of no more use (in `connect`)."""
    context = watched(pki, trust)
    with mode_server(mode, openssl_server(pki, certificate)) as recorder, refused(code):
        connect(mode, recorder.port, context)
    assert context.begun == 1
    assert recorder.messages == []


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("mode", MODES)
def test_version(mode: str, version: str, pki: Paths) -> None:
    """The versions of a context are settings as ssl has them."""
    context = watched(pki)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with mode_server(mode, openssl_server(pki)) as recorder, connect(mode, recorder.port, context) as client:
        client.sendmail(SENDER, RECIPIENT, MAIL)
    assert recorder.versions == [version.replace("_", ".")]
    assert [info.version for info in context.secured()] == recorder.versions


@pytest.mark.parametrize(("ours", "theirs"), [("TLSv1_2", "TLSv1_3"), ("TLSv1_3", "TLSv1_2")])
def test_no_common_version(ours: str, theirs: str, pki: Paths) -> None:
    """The server's alert has the name that OpenSSL gives it."""
    server, context = openssl_server(pki), watched(pki)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[ours]
    server.minimum_version = server.maximum_version = ssl.TLSVersion[theirs]

    def talk(taken: socket.socket) -> None:
        offer_starttls(taken)
        with pytest.raises(ssl.SSLError):
            server.wrap_socket(taken, server_side=True)

    with conversation(talk) as port, pytest.raises(ssl.SSLError) as caught:
        connect("starttls", port, context)
    assert isinstance(caught.value, smtptls.Error)
    assert caught.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
    assert context.begun == 1


@pytest.mark.parametrize("mode", MODES)
def test_client_certificate(mode: str, pki: Paths) -> None:
    context = watched(pki, certificate="client")
    with (
        mode_server(mode, openssl_server(pki, clients="ca")) as recorder,
        connect(mode, recorder.port, context) as client,
    ):
        client.sendmail(SENDER, RECIPIENT, MAIL)
    assert recorder.certificates == [ssl.PEM_cert_to_DER_cert(pki.client.read_text())]
    assert recorder.messages == [MAIL]


@pytest.mark.parametrize("certificate", [None, "clientunknown"])
@pytest.mark.parametrize("mode", MODES)
def test_client_certificate_missing(mode: str, certificate: str | None, pki: Paths) -> None:
    context = watched(pki, certificate=certificate)
    with (
        mode_server(mode, openssl_server(pki, clients="ca")) as recorder,
        # In TLS 1.3 the server's word on it comes after the client's handshake.
        pytest.raises((smtplib.SMTPServerDisconnected, smtptls.Error)),
        connect(mode, recorder.port, context) as client,
    ):
        client.sendmail(SENDER, RECIPIENT, MAIL)
    assert context.begun == 1
    assert recorder.messages == []


@pytest.mark.parametrize("mode", MODES)
def test_stalled_handshake(mode: str, pki: Paths) -> None:
    context = watched(pki)
    with stalled(mode) as port, within(6, at_least=0.4), pytest.raises(TimeoutError) as caught:
        connect(mode, port, context, timeout=0.4)
    assert isinstance(caught.value, smtptls.Timeout)
    assert context.begun == 1


def test_stalled_reply(pki: Paths) -> None:
    """The time limit holds inside TLS as well."""
    context = watched(pki)

    def talk(taken: socket.socket) -> None:
        offer_starttls(taken)
        with openssl_server(pki).wrap_socket(taken, server_side=True) as secured:
            assert secured.recv(100).startswith(b"ehlo")
            assert secured.recv(100) == b""

    with conversation(talk) as port:
        client = connect("starttls", port, context, timeout=0.4)
        with within(6, at_least=0.4), pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
            client.ehlo()
        client.close()
    assert len(context.secured()) == 1


def test_closed_in_handshake(pki: Paths) -> None:
    """The server ends the connection in place of TLS."""
    context = watched(pki)

    def talk(taken: socket.socket) -> None:
        offer_starttls(taken)
        taken.recv(65536)

    with conversation(talk) as port, pytest.raises(ssl.SSLEOFError) as caught:
        connect("starttls", port, context)
    assert isinstance(caught.value, smtptls.ClosedError)
    assert context.begun == 1


def test_plaintext_in_place_of_tls(pki: Paths) -> None:
    context = watched(pki)

    def talk(taken: socket.socket) -> None:
        offer_starttls(taken)
        taken.recv(100)
        taken.sendall(b"250 there is no TLS here\r\n")
        with contextlib.suppress(ConnectionResetError):
            while taken.recv(65536):
                pass

    with conversation(talk) as port, pytest.raises(ssl.SSLError) as caught:
        connect("starttls", port, context)
    assert isinstance(caught.value, smtptls.Error)
    assert context.begun == 1


def test_lmtp(pki: Paths) -> None:
    context = watched(pki)
    with (
        mode_server("starttls", openssl_server(pki), kind=LMTP) as recorder,
        smtplib.LMTP(HOST, recorder.port) as client,
    ):
        client.starttls(context=context)
        assert isinstance(client.sock, smtptls.SSLSocket)
        client.sendmail(SENDER, RECIPIENT, MAIL)
    assert recorder.messages == [MAIL]
    assert len(context.secured()) == 1


@pytest.mark.parametrize("verified", [True, False])
def test_lmtp_over_a_path(verified: bool, pki: Paths) -> None:
    """smtplib gives the path as the server's name: no certificate has it, and it is no SNI."""
    # A name of a socket is as short as this, or ssl.py finds no way to write it.
    with tempfile.TemporaryDirectory(prefix="l", dir="/tmp") as folder:
        lmtp_over_a_path(verified, pki, f"{folder}/s")


def lmtp_over_a_path(verified: bool, pki: Paths, path: str) -> None:
    context = watched(pki)
    if not verified:
        context.check_hostname = False
    asked: list[str | None] = []

    def remember(_socket: object, name: str | None, _context: object) -> None:
        asked.append(name)

    tls = openssl_server(pki)
    tls.sni_callback = remember

    def talk(taken: socket.socket) -> None:
        # The connection of `conversation` says when; this one is the client's.
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            listener.settimeout(DEADLINE)
            taken.sendall(b"x")
            accepted, _address = listener.accept()
            with accepted:
                accepted.settimeout(DEADLINE)
                offer_starttls(accepted)
                if not verified:
                    with tls.wrap_socket(accepted, server_side=True) as secured:
                        while secured.recv(100):
                            secured.sendall(b"221 bye\r\n")

    with conversation(talk) as port:
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as ready:
            assert ready.recv(1) == b"x"
        client = smtplib.LMTP(path)
        if verified:
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                client.starttls(context=context)
            assert isinstance(caught.value, smtptls.CertificateError)
            with pytest.raises(smtplib.SMTPServerDisconnected):
                client.noop()
            client.close()
        else:
            client.starttls(context=context)
            assert isinstance(client.sock, smtptls.SSLSocket)
            client.quit()
    if not verified:
        assert asked == [None]
        assert len(context.secured()) == 1
