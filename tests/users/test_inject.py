"""inject_into_smtplib, by itself: the packages that it is for are in the files beside this one."""

from __future__ import annotations

import contextlib
import logging.handlers
import smtplib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import smtptls
from aiosmtpd.lmtp import LMTP
from ca.ca import Paths
from conftest import DEADLINE, RECIPIENT, SENDER

from users.peers import (
    HOST,
    MAIL,
    MODES,
    Watched,
    conversation,
    judge_injected,
    mail_server,
    mode_server,
    offer_starttls,
    openssl_client,
    openssl_server,
    refused,
    stalled,
    watched,
    within,
)

PATCHED: list[tuple[Any, str]] = [
    (smtplib.SMTP, "connect"),
    (smtplib.SMTP, "starttls"),
    (smtplib.SMTP_SSL, "__init__"),
    (logging.handlers.SMTPHandler, "emit"),
]


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Whatever a test does, the next one begins with Python's own; and each undoing is one of everything."""
    before = [vars(owner)[name] for owner, name in PATCHED]
    yield
    smtptls.extract_from_smtplib()
    assert [vars(owner)[name] for owner, name in PATCHED] == before


def send(mode: str, port: int, *args: Any, host: str = HOST, **options: Any) -> smtplib.SMTP:
    """Sends a message as a program does that gives no context; gives the client, for what is left of it."""
    if mode == "implicit":
        with smtplib.SMTP_SSL(host, port, None, *args, **options) as secured:
            secured.sendmail(SENDER, RECIPIENT, MAIL)
        return secured
    with smtplib.SMTP(host, port) as client:
        client.starttls(*args, **options)
        client.sendmail(SENDER, RECIPIENT, MAIL)
    return client


@pytest.mark.parametrize("mode", MODES)
def test_verifies(mode: str, pki: Paths) -> None:
    def send_it(port: int) -> None:
        send(mode, port)

    judge_injected(pki, mode, send_it)


def test_lmtp_verifies(pki: Paths) -> None:
    def send_it(port: int) -> None:
        with smtplib.LMTP(HOST, port) as client:
            client.starttls()
            client.sendmail(SENDER, RECIPIENT, MAIL)

    judge_injected(pki, "starttls", send_it, kind=LMTP)


@pytest.mark.parametrize("mode", MODES)
def test_system_authorities(mode: str, pki: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a context it is the system whose authorities are trusted."""
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with mode_server(mode, openssl_server(pki)) as recorder:
        smtptls.inject_into_smtplib()
        with refused():
            send(mode, recorder.port)
        smtptls.extract_from_smtplib()
        monkeypatch.setenv("SSL_CERT_FILE", str(pki.ca))
        smtptls.inject_into_smtplib()
        send(mode, recorder.port)
    assert len(recorder.messages) == 1


def test_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The context of all is made when the first needs it, even if many come at once."""
    made: list[smtptls.SSLContext] = []

    def make() -> smtptls.SSLContext:
        made.append(smtptls.create_default_context())
        return made[-1]

    monkeypatch.setattr("smtptls._inject.create_default_context", make)
    smtptls.inject_into_smtplib()
    smtptls.inject_into_smtplib()
    assert made == []
    barrier = threading.Barrier(8)
    taken: list[ssl.SSLContext] = []

    def take() -> None:
        barrier.wait(DEADLINE)
        taken.append(smtplib.SMTP_SSL().context)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert len(made) == 1
    assert taken == made * 8


@pytest.mark.parametrize("mode", MODES)
def test_given_context_stays(mode: str, pki: Paths) -> None:
    """A context of ssl, verified or not, and one of ours are used as they are."""
    injected, own = watched(pki, "wrongca"), watched(pki)
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    smtptls.inject_into_smtplib(injected)
    with mode_server(mode, openssl_server(pki)) as recorder:
        for context in (openssl_client(pki), unverified, own):
            send(mode, recorder.port, context=context)
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            send(mode, recorder.port, context=openssl_client(pki, "wrongca"))
    assert not isinstance(caught.value, smtptls.Error)
    assert len(recorder.messages) == 3
    assert (injected.begun, own.begun) == (0, 1)


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("injected", ["given", "default"])
@pytest.mark.parametrize("mode", MODES)
def test_files(mode: str, injected: str, by_name: bool, pki: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """keyfile and certfile, by name and by position, are shown; the server is verified, as it was not."""
    if mode == "implicit" and not hasattr(smtplib.SMTP_SSL(), "keyfile"):
        pytest.skip("Python 3.12 has no keyfile any more")
    files = (str(pki.client_key), str(pki.client))
    args = () if by_name else files
    named = dict(zip(("keyfile", "certfile"), files, strict=True)) if by_name else {}
    monkeypatch.setenv("SSL_CERT_FILE", str(pki.ca))
    context = watched(pki) if injected == "given" else None
    with mode_server(mode, openssl_server(pki, clients="ca")) as recorder:
        smtptls.inject_into_smtplib(context)
        with warnings.catch_warnings(action="error"):
            send(mode, recorder.port, *args, **named)
        with pytest.raises((OSError, smtptls.Error)):
            send(mode, recorder.port)  # the certificate is not everybody's
        smtptls.inject_into_smtplib(watched(pki, "wrongca"))
        with refused():
            send(mode, recorder.port, *args, **named)
    assert recorder.certificates == [ssl.PEM_cert_to_DER_cert(pki.client.read_text())]


def test_same_settings(pki: Paths) -> None:
    """What a client's certificate is added to has the settings of the context that was injected."""
    from smtptls._inject import _same

    first = watched(pki)
    first.check_hostname = False
    first.minimum_version = ssl.TLSVersion.TLSv1_3
    first.options |= ssl.OP_NO_TICKET
    first.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    second = _same(first)
    for name in (
        "check_hostname",
        "verify_mode",
        "verify_flags",
        "options",
        "minimum_version",
        "maximum_version",
    ):
        assert getattr(second, name) == getattr(first, name), name
    assert second.get_ciphers() == first.get_ciphers()
    assert second.get_ca_certs() == first.get_ca_certs() != []

    fixed = smtptls.SSLContext.from_config(smtptls.Config(roots=[pki.ca]))
    with pytest.raises(ValueError, match="Config"):
        _same(fixed)


@pytest.mark.parametrize(
    ("args", "options"),
    [
        (("nowhere.key", "nowhere.pem"), {}),
        (("nowhere.key",), {}),
        (("nowhere.key",), {"context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}),
    ],
    ids=["no file", "key alone", "both"],
)
def test_mistakes_close(args: tuple[str, ...], options: dict[str, Any]) -> None:
    """A mistake in what starttls is given never leaves a connection in plaintext."""
    smtptls.inject_into_smtplib()
    with mail_server() as recorder:
        client = smtplib.SMTP(HOST, recorder.port)
        with pytest.raises((OSError, ValueError)):
            starttls: Any = client.starttls
            starttls(*args, **options)
        assert client.sock is None
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.sendmail(SENDER, RECIPIENT, MAIL)
    assert recorder.messages == []


def by_host_and_port(host: str, port: int) -> smtplib.SMTP:
    return smtplib.SMTP(f"{host}:{port}")


def by_connect(host: str, port: int) -> smtplib.SMTP:
    client = smtplib.SMTP()
    client.connect(host, port)
    return client


def by_connect_elsewhere(host: str, port: int) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", port)
    client.quit()
    client.connect(host, port)
    return client


def by_connect_with_port_in_host(host: str, port: int) -> smtplib.SMTP:
    client = smtplib.SMTP()
    client.connect(f"{host}:{port}")
    return client


def by_keywords(host: str, port: int) -> smtplib.SMTP:
    client = smtplib.SMTP()
    client.connect(port=port, host=host)
    return client


@pytest.mark.parametrize(
    "way", [by_host_and_port, by_connect, by_connect_elsewhere, by_connect_with_port_in_host, by_keywords]
)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_name_is_that_of_the_host(host: str, way: Callable[[str, int], smtplib.SMTP], pki: Paths) -> None:
    """The name that is verified is that of the host connected to, however it was told."""
    context = watched(pki)
    smtptls.inject_into_smtplib(context)
    with mail_server(openssl_server(pki)) as recorder, way(host, recorder.port) as client:
        client.starttls()
        assert isinstance(client.sock, smtptls.SSLSocket)
        assert client.sock.server_hostname == host
        client.sendmail(SENDER, RECIPIENT, MAIL)
    with mail_server(openssl_server(pki, "other")) as other:
        client = way(host, other.port)
        with pytest.raises(smtptls.CertificateError):
            client.starttls()
        client.close()
    assert (len(recorder.messages), len(other.messages)) == (1, 0)


def test_implicit_by_connect(pki: Paths) -> None:
    smtptls.inject_into_smtplib(watched(pki))
    with mail_server(implicit=openssl_server(pki)) as recorder, smtplib.SMTP_SSL() as client:
        client.connect(HOST, recorder.port)
        assert isinstance(client.sock, smtptls.SSLSocket)
        client.sendmail(SENDER, RECIPIENT, MAIL)
    assert len(recorder.messages) == 1


def test_no_name_at_all(pki: Paths) -> None:
    """A class of its own that connects by itself leaves no name; then there is no TLS, and no plaintext."""

    class Own(smtplib.SMTP):
        def connect(self, host: str = "", port: int = 0, source_address: Any = None) -> Any:
            self.sock = socket.create_connection(("127.0.0.1", port), DEADLINE)
            return self.getreply()

    smtptls.inject_into_smtplib(watched(pki))
    with mail_server(openssl_server(pki)) as recorder:
        client = Own()
        client.connect(port=recorder.port)
        with pytest.raises(ValueError):
            client.starttls()
        assert client.sock is None
    assert recorder.messages == []


def test_name_set_by_hand(pki: Paths) -> None:
    """A program that sets the name after it has connected has that one verified."""
    smtptls.inject_into_smtplib(watched(pki))
    with mail_server(openssl_server(pki, "other")) as recorder, smtplib.SMTP(HOST, recorder.port) as client:
        client._host = "other.example.test"  # type: ignore[attr-defined]
        client.starttls()
        client.sendmail(SENDER, RECIPIENT, MAIL)
    assert len(recorder.messages) == 1


def test_derived_classes(pki: Paths) -> None:
    """Classes that were derived before the injection, and that have a starttls of their own."""

    class Own(smtplib.SMTP):
        def starttls(self, *args: Any, **options: Any) -> Any:
            self.called = True
            return super().starttls(*args, **options)

    class OwnImplicit(smtplib.SMTP_SSL):
        def __init__(self, port: int) -> None:
            super().__init__(HOST, port)

    context = watched(pki)
    smtptls.inject_into_smtplib(context)
    with mail_server(openssl_server(pki)) as recorder, mail_server(implicit=openssl_server(pki)) as implicit:
        with Own(HOST, recorder.port) as client:
            client.starttls()
            assert client.called
            client.sendmail(SENDER, RECIPIENT, MAIL)
        with OwnImplicit(implicit.port) as secured:
            secured.sendmail(SENDER, RECIPIENT, MAIL)
    assert len(context.secured()) == 2
    assert (len(recorder.messages), len(implicit.messages)) == (1, 1)


def test_server_without_starttls() -> None:
    """smtplib's own error, and its own way: the program may go on."""
    smtptls.inject_into_smtplib()
    with mail_server() as recorder, smtplib.SMTP(HOST, recorder.port) as client:
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.starttls()
        assert client.noop()[0] == 250


@pytest.mark.parametrize("mode", MODES)
def test_stalled(mode: str, pki: Paths) -> None:
    """A server that stalls is given up in time, and nothing goes out in plaintext: `stalled` sees to it."""
    context = watched(pki)
    smtptls.inject_into_smtplib(context)
    with stalled(mode) as port, within(6, at_least=0.4):
        if mode == "implicit":
            with pytest.raises(smtptls.Timeout):
                smtplib.SMTP_SSL(HOST, port, timeout=0.4)
        else:
            client = smtplib.SMTP(HOST, port, timeout=0.4)
            with pytest.raises(smtptls.Timeout):
                client.starttls()
            assert client.sock is None
            with pytest.raises(smtplib.SMTPServerDisconnected):
                client.quit()
    assert context.begun == 1


def test_wrong_certificate_closes(pki: Paths) -> None:
    smtptls.inject_into_smtplib(watched(pki, "wrongca"))

    def talk(taken: socket.socket) -> None:
        offer_starttls(taken)
        with (
            contextlib.suppress(OSError),
            openssl_server(pki).wrap_socket(taken, server_side=True) as secured,
        ):
            assert secured.recv(100) == b""

    with conversation(talk) as port:
        client = smtplib.SMTP(HOST, port)
        with refused():
            client.starttls()
        assert client.sock is None


def test_what_may_be_injected() -> None:
    """No context of ssl: its TLS would be OpenSSL's. And none for a server."""
    with pytest.raises(TypeError):
        smtptls.inject_into_smtplib(ssl.create_default_context())  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        smtptls.inject_into_smtplib(smtptls.create_default_context(ssl.Purpose.CLIENT_AUTH))
    assert "connect" in smtplib.SMTP.connect.__qualname__
    assert not hasattr(smtplib.SMTP.connect, "__wrapped__")


def test_somebody_else_in_between(pki: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undoing ours would undo theirs: it is an error that says where, and nothing changes."""
    smtptls.inject_into_smtplib(watched(pki))
    ours = smtplib.SMTP.starttls

    def theirs(self: smtplib.SMTP, *args: Any, **options: Any) -> Any:
        return ours(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(smtplib.SMTP, "starttls", theirs)
        with pytest.raises(RuntimeError, match=r"smtplib\.SMTP\.starttls has been replaced"):
            smtptls.extract_from_smtplib()
        assert smtplib.SMTP.starttls is theirs
        second = watched(pki)
        smtptls.inject_into_smtplib(second)  # this changes the context alone
        assert smtplib.SMTP.starttls is theirs
        with mail_server(openssl_server(pki)) as recorder:
            send("starttls", recorder.port)
        assert len(second.secured()) == 1
    smtptls.extract_from_smtplib()


def test_somebody_else_before(pki: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there is put back, be it Python's or another's; and it is called."""
    pythons, called = smtplib.SMTP.starttls, []

    def theirs(self: smtplib.SMTP, *, context: ssl.SSLContext | None = None) -> Any:
        called.append(context)
        return pythons(self, context=context)

    with monkeypatch.context() as patch:
        patch.setattr(smtplib.SMTP, "starttls", theirs)
        context = watched(pki)
        smtptls.inject_into_smtplib(context)
        with mail_server(openssl_server(pki)) as recorder:
            send("starttls", recorder.port)
        smtptls.extract_from_smtplib()
        assert smtplib.SMTP.starttls is theirs
    assert called == [context]


def test_undoing_twice_and_once_too_often() -> None:
    smtptls.extract_from_smtplib()
    smtptls.inject_into_smtplib()
    smtptls.inject_into_smtplib()
    smtptls.extract_from_smtplib()
    smtptls.extract_from_smtplib()


def test_threads(pki: Paths) -> None:
    """Messages while others inject and undo: each goes as Python has it, or is verified."""
    contexts: list[Watched] = [watched(pki) for _ in range(4)]
    stop = threading.Event()
    failed: list[BaseException] = []

    def switch(context: Watched) -> None:
        while not stop.is_set():
            smtptls.inject_into_smtplib(context)
            smtptls.extract_from_smtplib()

    def work(port: int) -> None:
        try:
            for _ in range(10):
                send("starttls", port)
        except BaseException as error:
            failed.append(error)

    with mail_server(openssl_server(pki)) as recorder:
        switching = [threading.Thread(target=switch, args=(context,)) for context in contexts]
        working = [threading.Thread(target=work, args=(recorder.port,)) for _ in range(4)]
        for thread in switching + working:
            thread.start()
        for thread in working:
            thread.join(DEADLINE)
        stop.set()
        for thread in switching:
            thread.join(DEADLINE)
    # Between the two there is Python's own, or the default context of ours, which refuses the test's CA.
    assert all(isinstance(error, smtptls.CertificateError) for error in failed), failed
    assert len(recorder.messages) + len(failed) >= 4
    assert Path(smtplib.SMTP.starttls.__code__.co_filename).name == "smtplib.py"
