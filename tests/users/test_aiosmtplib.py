"""aiosmtplib with our context."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
import smtptls
from ca.ca import Paths
from conftest import RECIPIENT, SENDER

from users.peers import (
    BIG,
    HOST,
    MAIL,
    MODES,
    Recorder,
    mail_server,
    mode_server,
    openssl_server,
    refused,
    run,
    stalled,
    watched,
    within,
)

aiosmtplib = pytest.importorskip("aiosmtplib")


def client(mode: str, port: int, context: ssl.SSLContext, **options: Any) -> Any:
    how = {"use_tls": mode == "implicit", "start_tls": mode == "starttls"}
    return aiosmtplib.SMTP(hostname=HOST, port=port, tls_context=context, **how, **options)


@pytest.mark.parametrize("content", [MAIL, MAIL + BIG], ids=["small", "1MB"])
@pytest.mark.parametrize("mode", MODES)
def test_send(mode: str, content: bytes, pki: Paths) -> None:
    context = watched(pki)

    async def main(port: int) -> None:
        async with client(mode, port, context) as smtp:
            assert isinstance(smtp.get_transport_info("ssl_object"), smtptls.SSLObject)
            await smtp.sendmail(SENDER, [RECIPIENT], content)

    with mode_server(mode, openssl_server(pki)) as recorder:
        run(main(recorder.port))
    assert recorder.messages == [content]
    assert recorder.versions == ["TLSv1.3"]
    assert [info.trusted for info in context.secured()] == [True]


def test_send_in_one_call(pki: Paths) -> None:
    """aiosmtplib.send, and STARTTLS by itself where the server offers it."""
    context = watched(pki)

    async def main(port: int) -> None:
        await aiosmtplib.send(
            MAIL, sender=SENDER, recipients=[RECIPIENT], hostname=HOST, port=port, tls_context=context
        )

    with mail_server(starttls=openssl_server(pki)) as recorder:
        run(main(recorder.port))
    assert recorder.versions == ["TLSv1.3"]
    assert len(context.secured()) == 1


def test_starttls_by_hand(pki: Paths) -> None:
    context = watched(pki)

    async def main(port: int) -> None:
        smtp = aiosmtplib.SMTP(hostname=HOST, port=port, start_tls=False)
        await smtp.connect()
        await smtp.starttls(tls_context=context)
        await smtp.sendmail(SENDER, [RECIPIENT], MAIL)
        await smtp.quit()

    with mail_server(starttls=openssl_server(pki)) as recorder:
        run(main(recorder.port))
    assert recorder.messages == [MAIL]
    assert len(context.secured()) == 1


@pytest.mark.parametrize(
    ("trust", "certificate", "code"),
    [("wrongca", "leaf", smtptls.Code.CERT_UNTRUSTED), ("ca", "other", smtptls.Code.CERT_NAME)],
)
@pytest.mark.parametrize("mode", MODES)
def test_refused(mode: str, trust: str, certificate: str, code: smtptls.Code, pki: Paths) -> None:
    context = watched(pki, trust)

    async def main(port: int) -> None:
        try:
            with refused(code):
                await client(mode, port, context).connect()
        except aiosmtplib.SMTPConnectError as error:
            # With TLS from the start it has the error as its cause.
            assert isinstance(error.__cause__, smtptls.CertificateError)
            assert error.__cause__.code == code

    with mode_server(mode, openssl_server(pki, certificate)) as recorder:
        run(main(recorder.port))
    assert context.begun == 1
    assert recorder.messages == []


@pytest.mark.parametrize("mode", MODES)
def test_client_certificate(mode: str, pki: Paths) -> None:
    async def main(port: int, context: ssl.SSLContext) -> None:
        async with client(mode, port, context) as smtp:
            await smtp.sendmail(SENDER, [RECIPIENT], MAIL)

    with mode_server(mode, openssl_server(pki, clients="ca")) as recorder:
        run(main(recorder.port, watched(pki, certificate="client")))
        with pytest.raises((aiosmtplib.SMTPException, OSError)):
            run(main(recorder.port, watched(pki)))
    assert recorder.certificates == [ssl.PEM_cert_to_DER_cert(pki.client.read_text())]
    assert recorder.messages == [MAIL]


@pytest.mark.parametrize("mode", MODES)
def test_stalled_handshake(mode: str, pki: Paths) -> None:
    context = watched(pki)

    async def main(port: int) -> None:
        with pytest.raises(TimeoutError):
            await client(mode, port, context, timeout=0.4).connect()

    with stalled(mode) as port, within(6, at_least=0.4):
        run(main(port))
    assert context.begun == 1


@pytest.mark.parametrize("mode", MODES)
def test_cancelled(mode: str, pki: Paths) -> None:
    """A task cancelled in the handshake leaves no connection open: `stalled` waits for its end."""
    context = watched(pki)

    async def main(port: int) -> None:
        task = asyncio.create_task(client(mode, port, context).connect())
        while not context.begun:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with stalled(mode) as port, within(6):
        run(main(port))


@pytest.mark.parametrize("mode", MODES)
def test_cancelled_message(mode: str, pki: Paths) -> None:
    """A task cancelled while the server takes its time; the next one has a connection of its own."""
    context = watched(pki)

    async def main(recorder: Recorder) -> None:
        async def send() -> None:
            async with client(mode, recorder.port, context) as smtp:
                await smtp.sendmail(SENDER, [RECIPIENT], MAIL)

        recorder.delay = 0.5
        task = asyncio.create_task(send())
        while not any(connection.info for connection in vars(context).get("connections", [])):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        recorder.delay = 0
        await send()

    with mode_server(mode, openssl_server(pki)) as recorder:
        run(main(recorder))
    # The first one was all sent; it is the server's to take or to drop.
    assert recorder.messages in ([MAIL], [MAIL, MAIL])
    assert len(context.secured()) == 2
