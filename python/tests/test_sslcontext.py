"""SSLContext: as ssl's own, beside it; what cannot be had is said at the call; nothing falls to plaintext."""

from __future__ import annotations

import gc
import pickle
import select
import shutil
import socket
import ssl
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import smtptls
from smtptls import SSLContext, SSLSocket, _sslcontext, create_default_context
from support import DEADLINE, NAME, sockets, thread

pytest_plugins = ["configurations"]


def client(pki: Any, **settings: Any) -> SSLContext:
    """A client's context that trusts the test CA."""
    context = create_default_context(cafile=pki.ca)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def server(pki: Any, kind: type[ssl.SSLContext] = SSLContext, leaf: str = "leaf") -> Any:
    """A server's context with a certificate of the test PKI."""
    context = kind(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(getattr(pki, leaf), getattr(pki, f"{leaf}_key"))
    return context


def meet(
    ours: ssl.SSLContext,
    theirs: ssl.SSLContext,
    use: Callable[[Any], Any] = lambda sock: None,
    host: str | None = NAME,
    serve: Callable[[Any], Any] | None = None,
) -> tuple[Any, list[BaseException]]:
    """What `use` makes of a client's socket, or what was raised there; and what the server raised."""

    def echo(sock: Any) -> None:
        while data := sock.recv(65536):
            sock.sendall(data)

    def work() -> None:
        with theirs.wrap_socket(there, server_side=True) as sock:
            (serve or echo)(sock)

    result: Any = None
    with sockets() as (here, there), thread(work) as raised:
        try:
            with ours.wrap_socket(here, server_hostname=host) as sock:
                result = use(sock)
        except Exception as error:
            result = error
            here.close()
    return result, raised


@pytest.mark.parametrize("ours", ["client", "server", "both"])
def test_it_is_as_ssl_s(pki: Any, ours: str) -> None:
    """The same program with either context: data arrives, and the socket answers the same."""
    plain = ssl.create_default_context(cafile=pki.ca)
    one = client(pki) if ours != "server" else plain
    other = server(pki, SSLContext if ours != "client" else ssl.SSLContext)
    suites: list[Any] = []

    def use(sock: Any) -> Any:
        for size in (1, 16384, 16385, 50_000):
            data = bytes(range(256)) * 200
            sock.sendall(data[:size])
            came = b""
            while len(came) < size:
                came += sock.recv(65536)
            assert came == data[:size]
        # Which suite it is, the server prefers by itself.
        suites.append(sock.cipher())
        facts = (
            sock.version(),
            sock.cipher()[1],
            sock.getpeercert(),
            sock.getpeercert(True),
            sock.compression(),
        )
        return (
            *facts,
            sock.selected_alpn_protocol(),
            sock.server_hostname,
            sock.server_side,
            sock.session_reused,
        )

    found, raised = meet(one, other, use)
    assert raised == []
    expected, raised = meet(plain, server(pki, ssl.SSLContext), use)
    assert raised == []
    assert found == expected
    openssl_s = ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)
    assert suites == [
        openssl_s if ours == "client" else ("TLS_AES_128_GCM_SHA256", "TLSv1.3", 128),
        openssl_s,
    ]


def test_what_a_socket_is(pki: Any) -> None:
    """A subclass, so that isinstance finds it; Info tells more than ssl. R5929-3-1, R9266-3-1."""

    def use(sock: Any) -> Any:
        assert isinstance(sock, ssl.SSLSocket)
        assert isinstance(sock, SSLSocket) and sock.info is not None
        assert isinstance(sock.context, ssl.SSLContext)
        assert sock.get_channel_binding("tls-unique") is None
        assert sock.get_channel_binding("tls-exporter") == sock.info.channel_binding
        with pytest.raises(ValueError, match="tls-nonsense"):
            sock.get_channel_binding("tls-nonsense")
        return sock.info

    info, raised = meet(client(pki), server(pki), use)
    assert raised == []
    assert info.secured
    assert info.matched_name == NAME


# The server's leaf, the host that the client asks for, the trusted CA; and the reason of OpenSSL.
BAD = [
    ("leaf", "wrong.example.test", "ca"),
    ("leaf", "192.0.2.1", "ca"),
    ("leaf", NAME, "wrongca"),
    ("expired", NAME, "ca"),
    ("notyet", NAME, "ca"),
    ("selfsigned", NAME, "ca"),
    ("nochain", NAME, "ca"),
    ("cnonly", "wrong.example.test", "ca"),
]


@pytest.mark.parametrize(("leaf", "host", "trusted"), BAD)
def test_a_certificate_that_will_not_do(pki: Any, leaf: str, host: str, trusted: str) -> None:
    """An exception of both, with the numbers of OpenSSL in the same run."""
    found = []
    for create in (create_default_context, ssl.create_default_context):
        context = create(cafile=getattr(pki, trusted))
        key = "chain_key" if leaf == "nochain" else f"{leaf}_key"
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.load_cert_chain(getattr(pki, leaf), getattr(pki, key))
        error, _ = meet(context, theirs, host=host)
        assert isinstance(error, ssl.SSLCertVerificationError)
        assert error.args[0] == error.errno == ssl.SSL_ERROR_SSL
        assert "certificate verify failed" in str(error)
        found.append((error, (error.verify_code, error.verify_message, error.reason, error.library)))
    ours, theirs_facts = found[0][0], found[1][1]
    assert found[0][1] == theirs_facts
    assert isinstance(ours, smtptls.CertificateError)
    assert ours.code.name.startswith("CERT_")
    again = pickle.loads(pickle.dumps(ours))
    assert (type(again), again.args, vars(again)) == (type(ours), ours.args, vars(ours))


def test_a_failed_handshake_leaves_no_socket(pki: Any) -> None:
    """What fails can never go on in plaintext."""
    with sockets() as (here, there), thread(lambda: server(pki).wrap_socket(there, server_side=True).close()):
        with pytest.raises(ssl.SSLCertVerificationError):
            client(pki).wrap_socket(here, server_hostname="wrong.example.test")
        assert here.fileno() == -1
        with pytest.raises(OSError):
            here.send(b"QUIT\r\n")


def test_trust_without_names(pki: Any) -> None:
    """CERT_REQUIRED without check_hostname; CERT_NONE; and a host that is no name, as LMTP passes a path."""
    anyone = client(pki, check_hostname=False)
    for host in ("wrong.example.test", None, "run/lmtp"):
        certificate, raised = meet(anyone, server(pki), lambda sock: sock.getpeercert(), host)
        assert raised == []
        assert certificate["subject"]
    error, _ = meet(client(pki, check_hostname=False), server(pki, leaf="selfsigned"))
    assert isinstance(error, ssl.SSLCertVerificationError)
    nobody = client(pki, check_hostname=False, verify_mode=ssl.CERT_NONE)
    assert meet(nobody, server(pki, leaf="selfsigned"), lambda sock: sock.getpeercert(), None)[0] == {}
    error, _ = meet(client(pki), server(pki), host="/run/lmtp")
    assert isinstance(error, ssl.SSLCertVerificationError)
    with pytest.raises(ValueError, match="check_hostname requires server_hostname"):
        client(pki).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
    with pytest.raises(ValueError, match="leading dot"):
        client(pki).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=b".example.test")  # type: ignore[arg-type]
    untrusting = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    error, _ = meet(untrusting, server(pki))
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert error.verify_code == 20


@pytest.mark.parametrize(
    ("mode", "leaf", "works"),
    [
        (ssl.CERT_NONE, None, True),
        (ssl.CERT_NONE, "clientunknown", True),
        (ssl.CERT_OPTIONAL, None, True),
        (ssl.CERT_OPTIONAL, "client", True),
        (ssl.CERT_OPTIONAL, "clientunknown", False),
        (ssl.CERT_REQUIRED, None, False),
        (ssl.CERT_REQUIRED, "client", True),
        (ssl.CERT_REQUIRED, "clientunknown", False),
        (ssl.CERT_REQUIRED, "clientexpired", False),
    ],
)
def test_client_certificates(pki: Any, mode: ssl.VerifyMode, leaf: str | None, works: bool) -> None:
    for kind in (SSLContext, ssl.SSLContext):
        theirs = server(pki)
        theirs.verify_mode = mode
        theirs.load_verify_locations(pki.ca)
        ours = kind(ssl.PROTOCOL_TLS_CLIENT)
        ours.load_verify_locations(pki.ca)
        if leaf:
            ours.load_cert_chain(getattr(pki, leaf), getattr(pki, f"{leaf}_key"))
        seen: list[Any] = []

        def serve(sock: Any, seen: list[Any] = seen) -> None:
            seen.append(sock.getpeercert())
            sock.sendall(b"welcome")

        answer, raised = meet(ours, theirs, lambda sock: sock.recv(100), serve=serve)
        if works:
            assert (answer, raised) == (b"welcome", [])
            assert bool(seen[0]) == (leaf is not None and mode != ssl.CERT_NONE)
        else:
            assert answer != b"welcome"
            assert seen == []
            assert isinstance(raised[0], ssl.SSLError)
            assert isinstance(raised[0], smtptls.Error)


def test_what_rustls_cannot_do_is_said_at_the_call(pki: Any) -> None:
    context = client(pki)
    calls: list[Callable[[], Any]] = [
        lambda: context.load_dh_params(pki.ca),
        lambda: setattr(context, "keylog_filename", "keys"),
        lambda: setattr(context, "post_handshake_auth", True),
        lambda: setattr(context, "hostname_checks_common_name", True),
        lambda: setattr(context, "maximum_version", ssl.TLSVersion.TLSv1_1),
        lambda: setattr(context, "verify_flags", ssl.VERIFY_CRL_CHECK_LEAF),
        lambda: setattr(context, "_msg_callback", print),
        lambda: context.set_npn_protocols(["smtp"]),
        lambda: context.set_psk_client_callback(print),
        lambda: context.set_psk_server_callback(print),
        lambda: context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=NAME, session=object()),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(NotImplementedError) as caught:
            call()
        assert isinstance(caught.value, smtptls.ConfigError)
    # Not to ask for it is fine.
    context.post_handshake_auth = context.hostname_checks_common_name = False
    context.keylog_filename = None  # type: ignore[assignment]

    def use(sock: Any) -> None:
        with pytest.raises(NotImplementedError):
            sock.verify_client_post_handshake()
        assert sock.session is None

    assert meet(context, server(pki), use) == (None, [])


def test_settings_are_checked_as_ssl_checks_them(pki: Any) -> None:
    context = client(pki)
    with pytest.raises(ValueError, match="check_hostname"):
        context.verify_mode = ssl.CERT_NONE
    with pytest.raises(TypeError):
        context.load_verify_locations()
    with pytest.raises(TypeError):
        pickle.dumps(context)
    for kind, wrong in ((ssl.PROTOCOL_TLS_CLIENT, True), (ssl.PROTOCOL_TLS_SERVER, False)):
        other = SSLContext(kind)
        other.check_hostname = False
        with pytest.raises(ssl.SSLError, match="Cannot create a"):
            other.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=wrong)
    with pytest.raises(ValueError, match="purpose"):
        create_default_context("purpose")  # type: ignore[arg-type]


def test_files_that_will_not_do(pki: Any, tmp_path: Path) -> None:
    context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
    calls: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: context.load_cert_chain(tmp_path / "none", pki.leaf_key), FileNotFoundError, "none"),
        (lambda: context.load_verify_locations(tmp_path / "none"), FileNotFoundError, "none"),
        (lambda: context.load_cert_chain(pki.leaf, pki.stray_key), ssl.SSLError, "KEY_VALUES_MISMATCH"),
        (lambda: context.load_cert_chain(pki.garbage, pki.leaf_key), ssl.SSLError, "garbage"),
        (lambda: context.load_cert_chain(pki.leaf, pki.encrypted_key), ssl.SSLError, "KEY_ENCRYPTED"),
        (lambda: context.load_verify_locations(pki.empty), ssl.SSLError, "NO_CERTIFICATE"),
        (lambda: context.load_verify_locations(cadata=b"\x30\x03abc"), ssl.SSLError, "DER"),
        (lambda: context.load_verify_locations(cadata="no certificate"), ssl.SSLError, "no certificate"),
    ]
    for call, kind, text in calls:
        with pytest.raises(kind, match=text) as caught:
            call()
        assert isinstance(caught.value, smtptls.ConfigError)
    # A failure changes nothing.
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    assert meet(client(pki), context) == (None, [])


def test_a_certificate_is_renewed(pki: Any, tmp_path: Path) -> None:
    """Connections that begin after load_cert_chain have the new one; what was read once is not read again."""
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    context = SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def shown() -> Any:
        def use(sock: Any) -> Any:
            return sock.getpeercert(True)

        return meet(client(pki, check_hostname=False), context, use)[0]

    certificates = []
    for leaf in ("leaf", "other"):
        shutil.copy(getattr(pki, leaf), chain)
        shutil.copy(getattr(pki, f"{leaf}_key"), key)
        context.load_cert_chain(chain, key)
        chain.unlink()
        key.unlink()
        certificates.append(shown())
        assert shown() == certificates[-1]
    expected = [ssl.PEM_cert_to_DER_cert(path.read_text()) for path in (Path(pki.leaf), Path(pki.other))]
    assert certificates == expected
    # Another setting does not lose them.
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    assert shown() == certificates[-1]


def test_the_server_name_chooses(pki: Any) -> None:
    """RFC 6066 section 3: a callback sees the name before the handshake, and may choose another context."""
    seen: list[Any] = []
    other = server(pki, leaf="other")
    first = server(pki)

    def choose(sock: Any, name: str | None, context: SSLContext) -> int | None:
        seen.append((name, context is first))
        if name == "other.example.test":
            sock.context = other
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name == "nobody.example.test" else None

    first.sni_callback = choose
    for host in (NAME, "other.example.test"):
        assert meet(client(pki), first, host=host) == (None, [])
        assert meet(ssl.create_default_context(cafile=pki.ca), first, host=host) == (None, [])
    error, raised = meet(ssl.create_default_context(cafile=pki.ca), first, host="nobody.example.test")
    assert isinstance(error, ssl.SSLError)
    assert error.reason == "TLSV1_UNRECOGNIZED_NAME"
    assert isinstance(raised[0], ssl.SSLError)
    assert seen[0] == (NAME, True)
    first.set_servername_callback(None)
    assert meet(client(pki), first) == (None, [])
    with pytest.raises(TypeError):
        first.sni_callback = "no callback"


def test_a_callback_that_fails(pki: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    context = server(pki)

    def fails(*_: Any) -> None:
        raise RuntimeError("no choice")

    context.sni_callback = fails
    error, _ = meet(ssl.create_default_context(cafile=pki.ca), context)
    assert isinstance(error, ssl.SSLError)
    assert "HANDSHAKE_FAILURE" in str(error.reason)
    assert [type(one.exc_value) for one in shown] == [RuntimeError]
    # A context of ssl's own would be OpenSSL's.
    context.sni_callback = lambda sock, *_: setattr(sock, "context", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    error, _ = meet(client(pki), context)
    assert isinstance(error, ssl.SSLError)
    assert isinstance(shown[-1].exc_value, TypeError)


def test_nothing_goes_in_plaintext_after_tls(pki: Any) -> None:
    """ssl's own sends plaintext after unwrap and shutdown; here only the socket that unwrap returns does."""

    def serve(sock: Any) -> None:
        assert sock.recv(100) == b"in TLS"
        plain = sock.unwrap()
        assert plain.recv(100) == b"in plaintext"
        plain.close()

    def use(sock: Any) -> None:
        sock.sendall(b"in TLS")
        plain = sock.unwrap()
        assert not isinstance(plain, ssl.SSLSocket)
        assert plain.gettimeout() == DEADLINE
        with pytest.raises(OSError):
            sock.send(b"lost")
        plain.sendall(b"in plaintext")
        plain.close()

    assert meet(client(pki), server(pki), use, serve=serve) == (None, [])

    def half(sock: Any) -> bytes:
        sock.sendall(b"question")
        sock.shutdown(socket.SHUT_WR)
        with pytest.raises(OSError):
            sock.send(b"more")
        return bytes(sock.recv(100))

    def answer(sock: Any) -> None:
        assert sock.recv(100) == b"question"
        assert sock.recv(100) == b""
        sock.sendall(b"answer")

    assert meet(client(pki), server(pki), half, serve=answer) == (b"answer", [])


def test_data_that_nobody_reads(pki: Any) -> None:
    """Rule 5: unwrap with unread data fails; a read behind both close_notify raises SSLZeroReturnError."""

    def serve(sock: Any) -> None:
        sock.sendall(b"unread")
        with pytest.raises(OSError):
            sock.unwrap()

    def use(sock: Any) -> Any:
        with pytest.raises(ssl.SSLError, match="APPLICATION_DATA_AFTER_CLOSE_NOTIFY"):
            sock.unwrap()
        assert sock.recv(100) == b"unread"
        with pytest.raises(ssl.SSLZeroReturnError) as caught:
            sock.recv(100)
        return caught.value

    error, _ = meet(client(pki), server(pki), use, serve=serve)
    assert isinstance(error, smtptls.Error)
    assert error.args[0] == ssl.SSL_ERROR_ZERO_RETURN


def test_an_end_without_close_notify(pki: Any) -> None:
    for suppress in (True, False):
        with sockets() as (here, there):

            def work(there: socket.socket = there) -> None:
                sock = server(pki).wrap_socket(there, server_side=True)
                sock.sendall(b"half a mes")
                sock.close()

            with thread(work):
                sock = client(pki).wrap_socket(here, server_hostname=NAME, suppress_ragged_eofs=suppress)
                with sock:
                    assert sock.recv(100) == b"half a mes"
                    if suppress:
                        assert sock.recv(100) == b""
                        continue
                    with pytest.raises(ssl.SSLEOFError) as caught:
                        sock.recv(100)
                    assert isinstance(caught.value, smtptls.ClosedError)
                    assert caught.value.args[0] == ssl.SSL_ERROR_EOF


def test_no_octet_is_read_ahead(pki: Any) -> None:
    """Rule 1: who waits with select for the descriptor finds there what was not read."""

    def serve(sock: Any) -> None:
        for n in range(3):
            sock.sendall(bytes([n]) * 100)
        assert sock.recv(100) == b"done"

    def use(sock: Any) -> None:
        for n in range(3):
            assert select.select([sock], [], [], DEADLINE)[0]
            assert sock.recv(40) == bytes([n]) * 40
            assert sock.pending() == 60
            assert sock.recv(16384) == bytes([n]) * 60
            assert sock.pending() == 0
        sock.sendall(b"done")

    assert meet(client(pki), server(pki), use, serve=serve) == (None, [])


def test_a_socket_that_does_not_wait(pki: Any) -> None:
    """SSLWantReadError and SSLWantWriteError; data that did not leave is not counted as sent."""
    size = 4 << 20
    # The peer stands still until the client has met either error: neither may hang on who is quicker.
    nothing_came, nothing_leaves = threading.Event(), threading.Event()

    def work() -> None:
        assert nothing_came.wait(DEADLINE)
        with server(pki).wrap_socket(there, server_side=True) as sock:
            assert nothing_leaves.wait(DEADLINE)
            came = 0
            while came < size:
                came += len(sock.recv(65536))
            sock.sendall(b"all")

    with sockets() as (here, there):
        with thread(work) as raised:
            here.setblocking(False)
            sock = client(pki).wrap_socket(here, server_hostname=NAME, do_handshake_on_connect=False)

            def again(call: Callable[[], Any]) -> Any:
                while True:
                    try:
                        return call()
                    except ssl.SSLWantReadError as error:
                        assert isinstance(error, smtptls.WantInput)
                        assert error.args[0] == ssl.SSL_ERROR_WANT_READ
                        nothing_came.set()
                        assert select.select([sock], [], [], DEADLINE)[0]
                    except ssl.SSLWantWriteError as error:
                        assert isinstance(error, smtptls.WantOutput)
                        assert error.args[0] == ssl.SSL_ERROR_WANT_WRITE
                        nothing_leaves.set()
                        assert select.select([], [sock], [], DEADLINE)[1]

            with sock:
                again(sock.do_handshake)
                data = memoryview(bytes(size))
                sent = 0
                while sent < size:
                    rest = data[sent:]
                    sent += again(partial(sock.send, rest))
                assert again(lambda: sock.recv(100)) == b"all"
        assert raised == []
        assert nothing_came.is_set() and nothing_leaves.is_set()


def test_a_write_that_is_not_tried_again(pki: Any) -> None:
    """As OpenSSL: what was to be sent has to come again."""
    with sockets() as (here, there):
        kept: list[Any] = []
        with thread(lambda: kept.append(server(pki).wrap_socket(there, server_side=True))) as raised:
            sock = client(pki).wrap_socket(here, server_hostname=NAME)
        assert raised == []
        with sock:
            sock.setblocking(False)
            with pytest.raises(ssl.SSLWantWriteError):
                while True:
                    sock.send(bytes(16384))
            with pytest.raises(ssl.SSLError, match="BAD_WRITE_RETRY"):
                sock.send(b"other data")
        kept[0].close()


def test_a_silent_peer(pki: Any) -> None:
    """The socket's timeout holds for the handshake, and a peer that dribbles does not stretch it."""
    with sockets(0.3) as (here, there):
        with pytest.raises(TimeoutError) as caught:
            client(pki).wrap_socket(here, server_hostname=NAME)
        assert isinstance(caught.value, smtptls.Timeout)
        assert "handshake operation timed out" in str(caught.value)
        assert there.recv(5)[:2] == b"\x16\x03"
    with sockets(0.5) as (here, there):
        stop: list[bool] = []

        def dribble() -> None:
            there.sendall(b"\x16\x03\x03\x40\x00")
            while not stop:
                there.sendall(b"\x02")
                select.select([], [], [], 0.05)

        with thread(dribble):
            try:
                with pytest.raises(TimeoutError):
                    client(pki).wrap_socket(here, server_hostname=NAME)
            finally:
                stop.append(True)


def test_plaintext_where_tls_should_begin(pki: Any) -> None:
    with sockets() as (here, there):
        there.sendall(b"220 2.0.0 injected\r\n")
        with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER") as caught:
            client(pki).wrap_socket(here, server_hostname=NAME)
        assert isinstance(caught.value, smtptls.InjectionError)


def test_nothing_is_kept_alive(pki: Any) -> None:
    """Rule 6: a socket that is dropped is gone at once, without the garbage collector."""
    dropped: list[Any] = []

    def use(sock: Any) -> None:
        dropped.extend([weakref.ref(sock), weakref.ref(sock._sslobj)])

    gc.disable()
    try:
        context = client(pki)
        assert meet(context, server(pki), use) == (None, [])
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        obj = context.wrap_bio(incoming, outgoing, server_hostname=NAME)
        dropped.extend([weakref.ref(obj), weakref.ref(context)])
        del obj, context
        assert [one() for one in dropped] == [None] * 4
    finally:
        gc.enable()


def test_two_buffers(pki: Any) -> None:
    """As anyio and trio call it: by position, and with the host name as bytes."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    one: Any = client(pki).wrap_bio(down, up, False, NAME.encode(), None)
    other: Any = server(pki).wrap_bio(up, down, True)
    done = [False, False]
    while not all(done):
        for n, side in enumerate((one, other)):
            try:
                side.do_handshake()
                done[n] = True
            except ssl.SSLWantReadError:
                pass
    data = bytes(range(256)) * 1000
    assert one.write(memoryview(data)) == len(data)
    buffer = bytearray(300_000)
    assert other.read(300_000, buffer) == len(data)
    assert buffer[: len(data)] == data
    assert one.write(b"") == 0
    with pytest.raises(ssl.SSLWantReadError):
        other.read()
    with pytest.raises(ssl.SSLWantReadError):
        one.unwrap()
    assert other.read(10) == b""
    assert other.unwrap() is None
    assert one.unwrap() is None
    assert one.info is not None


def test_from_a_config_and_a_policy(pki: Any) -> None:
    """Levels that ssl does not know, such as DANE; such a context does not change."""
    der = ssl.PEM_cert_to_DER_cert(Path(pki.leaf).read_text())
    right = smtptls.Policy("dane-only", tlsa=[smtptls.Tlsa.of(der)], tlsa_dnssec="secure")
    wrong = smtptls.Policy("dane-only", tlsa=["3 1 1 " + "00" * 32], tlsa_dnssec="secure")
    serving = smtptls.Config(keypairs=[(pki.leaf, pki.leaf_key)])
    theirs = SSLContext.from_config(serving, purpose=ssl.Purpose.CLIENT_AUTH)
    ours = SSLContext.from_config(smtptls.Config(), right)
    info, raised = meet(ours, theirs, lambda sock: sock.info)
    assert raised == []
    assert info.auth == smtptls.Auth.DANE_EE
    error, _ = meet(SSLContext.from_config(smtptls.Config(), wrong), theirs)
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert error.code == smtptls.Code.DANE_MISMATCH  # type: ignore[attr-defined]
    changes: list[Callable[[], Any]] = [
        lambda: setattr(ours, "verify_mode", ssl.CERT_NONE),
        lambda: setattr(ours, "check_hostname", False),
        lambda: ours.load_verify_locations(pki.ca),
        lambda: ours.load_cert_chain(pki.leaf, pki.leaf_key),
        lambda: ours.set_ciphers("DEFAULT"),
    ]
    for change in changes:
        with pytest.raises(smtptls.Error) as caught:
            change()
        assert caught.value.code == smtptls.Code.FROZEN


def test_suites_versions_and_protocols(pki: Any) -> None:
    context = client(pki)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+CHACHA20")
    assert {one["name"] for one in context.get_ciphers() if one["protocol"] != "TLSv1.3"} == {
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    }
    context.set_alpn_protocols(["http/1.1", "smtp"])
    theirs = server(pki)
    theirs.set_alpn_protocols(["smtp"])

    def use(sock: Any) -> Any:
        return sock.cipher()[0], sock.version(), sock.selected_alpn_protocol()

    expected = ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2", "smtp")
    assert meet(context, theirs, use) == (expected, [])
    with pytest.raises(ssl.SSLError, match="No cipher can be selected"):
        context.set_ciphers("AES128-SHA")
    with pytest.raises(ssl.SSLError):
        context.set_ciphers("nonsense")
    context = client(pki)
    with pytest.warns(DeprecationWarning):
        context.options |= ssl.OP_NO_TLSv1_3
    assert meet(context, server(pki), lambda sock: sock.version()) == ("TLSv1.2", [])
    with pytest.warns(DeprecationWarning):
        context.options |= ssl.OP_NO_TLSv1_2
    with pytest.raises(ssl.SSLError, match="NO_PROTOCOLS_AVAILABLE"):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=NAME)
    context = client(pki)
    context.set_ecdh_curve("secp384r1")
    assert meet(context, server(pki), lambda sock: sock.info.group) == ("secp384r1", [])
    with pytest.raises(ValueError):
        context.set_ecdh_curve("brainpoolP256r1")


def test_whom_it_trusts_can_be_seen(pki: Any) -> None:
    der = ssl.PEM_cert_to_DER_cert(Path(pki.ca).read_text())
    for settings in ({"cafile": pki.ca}, {"cadata": der}, {"cadata": Path(pki.ca).read_text()}):
        context = create_default_context(**settings)
        assert context.get_ca_certs(True) == [der]
        assert context.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}
        assert meet(context, server(pki)) == (None, [])
    assert meet(create_default_context(capath=pki.roots), server(pki)) == (None, [])
    ours, theirs = create_default_context(), ssl.create_default_context()
    assert ours.cert_store_stats() == theirs.cert_store_stats()
    asking = create_default_context(ssl.Purpose.CLIENT_AUTH)
    assert (asking.verify_mode, asking.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize("method", ["wrap_socket", "wrap_bio"])
def test_another_ssl_module_is_refused(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ssl's classes would go to OpenSSL, importing fails."""
    _sslcontext._check()
    own = getattr(ssl.SSLContext, method)

    def around(self: Any, *arguments: Any, **options: Any) -> Any:
        plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        plain.check_hostname = False
        return own(plain, *arguments, **options)

    monkeypatch.setattr(ssl.SSLContext, method, around)
    with pytest.raises(ImportError, match="is not made as smtptls"):
        _sslcontext._check()
