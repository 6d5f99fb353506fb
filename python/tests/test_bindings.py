"""What bindings of TLS libraries got wrong, asked of ours: the GIL, busy loops, errors, whose the socket is,
bursts of records, two threads at once, Ctrl-C, fork, use after close, pickle.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import os
import pickle
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import smtptls
from smtptls import Code, Config, Entry, Policy, Session, SSLContext, SSLSocket, create_default_context
from support import DEADLINE, NAME, carry, secured, sockets, thread

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

WAYS = ("SSLSocket", "Session")


@pytest.fixture(scope="module")
def contexts(pki: Any) -> tuple[SSLContext, SSLContext]:
    """A client's and a server's."""
    server = SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pki.leaf, pki.leaf_key)
    return create_default_context(cafile=pki.ca), server


@pytest.fixture(params=WAYS)
def ends(request: pytest.FixtureRequest, contexts: Any, trusting: Config, serving: Config) -> Any:
    """Makes of two sockets a client and a server, SSLSockets or Sessions, that have not begun."""

    @contextlib.contextmanager
    def make(here: socket.socket, there: socket.socket) -> Iterator[tuple[Any, Any]]:
        if request.param == "Session":
            yield Session.client(trusting, Policy("verify"), NAME, here), Session.server(serving, None, there)
            return
        client = contexts[0].wrap_socket(here, server_hostname=NAME, do_handshake_on_connect=False)
        server = contexts[1].wrap_socket(there, server_side=True, do_handshake_on_connect=False)
        with client, server:
            yield client, server

    return make


def shake(end: Any) -> None:
    end.start(Entry.HANDSHAKE) if isinstance(end, Session) else end.do_handshake()


def meet(client: Any, server: Any) -> None:
    with thread(lambda: shake(server)) as raised:
        shake(client)
        if isinstance(client, Session):
            client.flush()
    assert not raised


# Other threads.


@pytest.mark.parametrize("call", ["handshake", "recv", "sendall"])
def test_other_threads_go_on_while_one_waits(ends: Any, call: str) -> None:
    """The peer does its part only after this thread has been round often, which needs the GIL."""
    data = b"x" * 4_000_000  # more than a socket pair holds

    def take(end: Any) -> None:
        came = 0
        while came < len(data):
            came += len(end.recv(65536))

    with sockets() as pair, ends(*pair) as (client, server):
        if call != "handshake":
            meet(client, server)
        waits, done = threading.Event(), threading.Event()

        ours = {"handshake": lambda: shake(client), "recv": lambda: client.recv(1)}
        theirs = {"handshake": lambda: shake(server), "recv": lambda: server.sendall(b"x")}

        def work() -> None:
            waits.set()
            ours.get(call, lambda: client.sendall(data))()
            done.set()

        with thread(work) as raised:
            assert waits.wait(DEADLINE)
            for _ in range(300):
                time.sleep(0.001)
                assert not done.is_set()
            theirs.get(call, lambda: take(server))()
        assert not raised and done.is_set()


class Counted(socket.socket):
    """A socket that counts how often it was asked."""

    calls = 0

    def recv(self, *arguments: Any) -> bytes:
        Counted.calls += 1
        return super().recv(*arguments)

    def send(self, *arguments: Any) -> int:
        Counted.calls += 1
        return super().send(*arguments)


class CountedSSLSocket(SSLSocket, Counted):
    """The same below TLS, where `_own_methods` finds it."""


@pytest.mark.parametrize("call", ["handshake", "recv", "sendall"])
@pytest.mark.parametrize("way", WAYS)
def test_a_wait_is_no_loop(
    pki: Any, contexts: Any, trusting: Config, serving: Config, way: str, call: str
) -> None:
    """A wait of 0.3 s asks the socket a few times, and takes no time of the processor."""
    with sockets() as (plain, there):
        here = Counted(fileno=plain.detach())
        here.settimeout(DEADLINE)
        client: Any
        server: Any = Session.server(serving, None, there)
        if way == "Session":
            client = Session.client(trusting, Policy("verify"), NAME, here)
        else:
            context = create_default_context(cafile=pki.ca)
            context.sslsocket_class = CountedSSLSocket  # type: ignore[assignment]
            client = context.wrap_socket(here, server_hostname=NAME, do_handshake_on_connect=False)
            here = client
        with here:
            if call != "handshake":
                meet(client, server)
                assert Counted.calls > 2
            here.settimeout(0.3)
            Counted.calls, cpu = 0, time.thread_time()
            with pytest.raises(TimeoutError) as caught:
                match call:
                    case "handshake":
                        shake(client)
                    case "recv":
                        client.recv(1)
                    case "sendall":
                        client.sendall(b"x" * 4_000_000)
            spent = time.thread_time() - cpu
        assert isinstance(caught.value, smtptls.Timeout)
        # What is sent before the socket is full leaves in pieces.
        assert 0 < Counted.calls <= (40 if call == "sendall" else 5)
        assert spent < (0.25 if call == "sendall" else 0.1)


def wrapped(ours: ssl.SSLContext, here: Any, theirs: ssl.SSLContext, there: Any) -> tuple[Any, Any]:
    """A client and a server in TLS."""
    client = ours.wrap_socket(here, server_hostname=NAME, do_handshake_on_connect=False)
    server = theirs.wrap_socket(there, server_side=True, do_handshake_on_connect=False)
    meet(client, server)
    return client, server


def pump(send: Any, recv: Any, size: int) -> None:
    """Send and receive so much at once, on two threads."""
    block = bytes(range(256)) * 256

    def sending() -> None:
        for _ in range(0, size, len(block)):
            send.sendall(block)

    with thread(sending) as raised:
        came = 0
        while came < size:
            data = recv.recv(65536)
            assert data and data == (block + block)[came % len(block) :][: len(data)]
            came += len(data)
    assert not raised


SIZE = 320 * 65536  # 20 MiB


def test_two_threads_have_a_direction_each(contexts: Any) -> None:
    """Full duplex, while each side waits in both directions at once."""
    with sockets() as (here, there):
        client, server = wrapped(contexts[0], here, contexts[1], there)
        with client, server:
            with thread(lambda: pump(server, server, SIZE)) as raised:
                pump(client, client, SIZE)
            assert not raised


def test_unwrap_does_not_wait_for_a_reader(contexts: Any) -> None:
    """close_notify leaves at once: the peer may wait for it, and nothing else ends the other's recv."""
    with sockets() as (here, there):
        client, server = wrapped(contexts[0], here, contexts[1], there)
        with client, server:
            server.settimeout(3)
            with thread(lambda: client.recv(1)):
                time.sleep(0.1)
                with thread(client.unwrap):
                    try:
                        assert server.recv(1) == b""
                    finally:
                        server.shutdown(socket.SHUT_RDWR)


def test_a_call_that_does_not_wait_beside_one_that_does(contexts: Any) -> None:
    """While another thread has the socket it says what it says where nothing has come."""
    with sockets() as (here, there):
        client, server = wrapped(contexts[0], here, contexts[1], there)
        with client, server:
            with thread(lambda: client.recv(1)) as raised:
                time.sleep(0.1)
                try:
                    for timeout, kind in ((0, ssl.SSLWantReadError), (0.1, smtptls.Timeout)):
                        client.settimeout(timeout)
                        with pytest.raises(kind):
                            client.recv(1)
                finally:
                    server.sendall(b"x")
            assert not raised


def test_a_session_has_both_directions_on_one_thread(trusting: Config, serving: Config) -> None:
    """Its documentation has one thread at a time: so it is select, and a socket that does not wait."""
    with sockets() as (here, there):
        sessions = (
            Session.client(trusting, Policy("verify"), NAME, here),
            Session.server(serving, None, there),
        )
        meet(*sessions)
        here.setblocking(False)
        there.setblocking(False)
        with thread(lambda: duplex(sessions[1], there)) as raised:
            duplex(sessions[0], here)
        assert not raised


def duplex(session: Session, sock: socket.socket) -> None:
    """Send and receive SIZE octets at once."""
    block = memoryview(bytes(range(256)) * 512)
    sent = came = moved = 0
    writes, since = True, time.monotonic()
    while sent < SIZE or came < SIZE or writes:
        writes = False
        try:
            if sent < SIZE:
                at = sent % 256
                sent += session.send(block[at : at + min(65536, SIZE - sent)])
                writes = True  # the last of it may be waiting to leave
                continue
            session.flush()
        except smtptls.WantOutput:
            writes = True
        with contextlib.suppress(smtptls.WantInput, smtptls.WantOutput):
            while came < SIZE:
                data = session.recv(65536)
                at = came % 256
                assert data and data == bytes(block[at : at + len(data)])
                came += len(data)
        if sent + came > moved:
            moved, since = sent + came, time.monotonic()
        assert time.monotonic() - since < 5, f"nothing moves any more: {sent} sent, {came} came"
        if sent < SIZE or came < SIZE or writes:
            select.select([sock], [sock] if writes else [], [], 5)


# Bursts.


@pytest.mark.parametrize("size", [8 * 1024, 16 * 1024, 16 * 1024 + 1, 1_000_000])
@pytest.mark.parametrize("piece", [100, 65536])
def test_a_burst_is_read_to_its_end(ends: Any, size: int, piece: int) -> None:
    """All of it is there before the first call, as far as the socket holds it; then nobody sends any more."""
    with sockets() as pair, ends(*pair) as (client, server):
        meet(client, server)
        with thread(lambda: server.sendall(b"x" * size)) as raised:
            time.sleep(0.05)
            came = 0
            while came < size:
                came += len(client.recv(piece))
            assert came == size
        assert not raised


@pytest.mark.parametrize("size", [8 * 1024, 16 * 1024, 1_000_000])
def test_a_burst_wakes_who_waits_with_select(ends: Any, size: int) -> None:
    """Nothing is left behind TLS that neither `pending` nor the descriptor tells of."""
    with sockets() as pair, ends(*pair) as (client, server):
        meet(client, server)
        with thread(lambda: server.sendall(b"x" * size)) as raised:
            came = 0
            while came < size:
                if not client.pending():
                    assert select.select([client.fileno()], [], [], DEADLINE)[0], came
                came += len(client.recv(1000))
        assert not raised


# Errors.


def failing(pki: Any, kind: str) -> tuple[Callable[[Any], None], dict[str, Any]]:
    """What the peer does, and how the client's context differs."""
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(pki.leaf, pki.leaf_key)
    settings: dict[str, Any] = {}

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), theirs.wrap_socket(sock, server_side=True) as wrapped:
            wrapped.recv(1)

    def say(data: bytes) -> Callable[[socket.socket], None]:
        def speak(sock: socket.socket) -> None:
            sock.recv(65536)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        return speak

    match kind:
        case "garbage":
            return say(b"\x16\x03\x03\x00\x05garbage" * 9), settings
        case "plaintext":
            return say(b"220 mail.example.test ESMTP\r\n"), settings
        case "alert":
            return say(b"\x15\x03\x03\x00\x02\x02\x28"), settings
        case "end":
            return say(b""), settings
        case "untrusted":
            settings["ca"] = pki.wrongca
        case "name":
            settings["host"] = "wrong.example.test"
        case "no name":
            settings["host"] = "not a name"
        case "version":
            theirs.maximum_version = ssl.TLSVersion.TLSv1_2
            settings["newest"] = True
    return serve, settings


FAILURES = ["garbage", "plaintext", "alert", "end", "untrusted", "name", "no name", "version"]


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_of_tls_is_ssl_s_error_and_ours(pki: Any, kind: str) -> None:
    """smtplib and others catch OSError and ssl.SSLError, and would let a bare ValueError through."""
    serve, settings = failing(pki, kind)
    context = create_default_context(cafile=settings.get("ca", pki.ca))
    if "newest" in settings:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    with sockets() as (here, there), thread(lambda: serve(there)):
        with pytest.raises(ssl.SSLError) as caught:
            context.wrap_socket(here, server_hostname=settings.get("host", NAME))
        assert isinstance(caught.value, smtptls.Error)
        assert caught.value.code is not Code.INTERNAL
        assert caught.value.errno and caught.value.reason
        assert here.fileno() == -1


@pytest.mark.parametrize("kind", [kind for kind in FAILURES if kind not in ("plaintext", "no name")])
def test_a_failure_of_a_session_s_tls_is_too(pki: Any, kind: str) -> None:
    serve, settings = failing(pki, kind)
    newest = smtptls.TlsVersion.TLS1_3 if "newest" in settings else smtptls.TlsVersion.TLS1_2
    config = Config(roots=[settings.get("ca", pki.ca)], min_version=newest)
    with sockets() as (here, there), thread(lambda: serve(there)):
        session = Session.client(config, Policy("verify"), settings.get("host", NAME), here)
        with pytest.raises(ssl.SSLError) as caught:
            session.start(Entry.HANDSHAKE)
        assert isinstance(caught.value, smtptls.TlsError)
        # What is polite now is the caller's choice, so the connection stays.
        assert here.fileno() >= 0
        here.close()


# Whose the socket is.


def test_a_session_leaves_the_socket_alone(trusting: Config, serving: Config) -> None:
    with sockets() as (here, there):
        numbers = here.fileno(), there.fileno()
        sessions = (
            Session.client(trusting, Policy("verify"), NAME, here),
            Session.server(serving, None, there),
        )
        meet(*sessions)
        with thread(sessions[0].close), contextlib.suppress(smtptls.WantInput):
            assert sessions[1].recv(1) == b""
        sessions[1].close()
        del sessions
        gc.collect()
        assert (here.fileno(), there.fileno()) == numbers and here.gettimeout() == DEADLINE
        for end in (here, there):
            end.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                end.recv(65536)  # close_notify, where nobody has read it
            end.settimeout(DEADLINE)
        here.sendall(b"QUIT\r\n")
        assert there.recv(100) == b"QUIT\r\n"


def test_wrap_socket_takes_the_socket_as_ssl_does(contexts: Any, pki: Any) -> None:
    for context in (contexts[0], ssl.create_default_context(cafile=pki.ca)):
        with sockets() as (here, _there):
            number = here.fileno()
            wrapped = context.wrap_socket(here, server_hostname=NAME, do_handshake_on_connect=False)
            assert here.fileno() == -1 and wrapped.fileno() == number
            assert wrapped.gettimeout() == DEADLINE
            with pytest.raises(OSError):
                here.send(b"in plaintext")
            wrapped.close()
            with pytest.raises(OSError):
                os.fstat(number)


# Ctrl-C.

INTERRUPTED = """
import signal, socket, ssl, sys, threading, time
import smtptls
from smtptls import *
signal.signal(signal.SIGINT, signal.default_int_handler)  # test runners may have it ignored
way, call, timeout, ca, leaf, key = sys.argv[1:]
here, there = socket.socketpair()
here.settimeout(float(timeout) if timeout != "None" else None)
if way == "Session":
    client = Session.client(Config(roots=[ca]), Policy("verify"), "mail.example.test", here)
    shake = lambda: client.start(Entry.HANDSHAKE)
else:
    client = create_default_context(cafile=ca).wrap_socket(
        here, server_hostname="mail.example.test", do_handshake_on_connect=False)
    shake = client.do_handshake
if call != "handshake":
    server = Session.server(Config(keypairs=[(leaf, key)]), None, there)
    other = threading.Thread(target=server.start, args=[Entry.HANDSHAKE])
    other.start()
    shake()
    if way == "Session":
        client.flush()
    other.join()
send = lambda: client.sendall(b"x" * 4_000_000)
do = {"handshake": shake, "recv": lambda: client.recv(1), "sendall": send}[call]
print("ready", flush=True)
try:
    do()
except KeyboardInterrupt:
    print("interrupted", repr(time.monotonic()), flush=True)
"""


@pytest.mark.parametrize("timeout", [None, 60.0])
@pytest.mark.parametrize("call", ["handshake", "recv", "sendall"])
@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c(
    pki: Any, way: str, call: str, timeout: float | None, record_property: Callable[[str, object], None]
) -> None:
    """It is heard within 100 ms; the bound is wider, for a machine that is busy."""
    command = [sys.executable, "-c", INTERRUPTED, way, call, str(timeout), pki.ca, pki.leaf, pki.leaf_key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            asleep(process.pid)
            begun = time.monotonic()  # the same clock in all processes
            os.kill(process.pid, signal.SIGINT)
            assert select.select([process.stdout], [], [], 10)[0], "the signal is not heard"
            word, _, at = process.stdout.readline().partition(" ")
            assert word == "interrupted"
            took = float(at) - begun
            record_property("seconds", took)
            assert took < 1, took
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()


def asleep(pid: int) -> None:
    """Wait until a process does nothing any more (proc(5)): so it waits in its call."""
    end, still = time.monotonic() + DEADLINE, 0
    while still < 10:
        assert time.monotonic() < end
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        still = still + 1 if state == "S" else 0
        time.sleep(0.01)


# Fork.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("used", [False, True], ids=["new", "used before"])
def test_contexts_go_through_fork(pki: Any, used: bool) -> None:
    """A context from before is good in parent and child, on either side, also if it has been in use."""
    client = create_default_context(cafile=pki.ca)
    server = SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pki.leaf, pki.leaf_key)

    def serve(sock: socket.socket) -> None:
        with server.wrap_socket(sock, server_side=True) as wrapped:
            wrapped.sendall(wrapped.recv(100).upper())

    def call(sock: socket.socket) -> bytes:
        with client.wrap_socket(sock, server_hostname=NAME) as wrapped:
            wrapped.sendall(b"from one to the other")
            return wrapped.recv(100)

    if used:
        with sockets() as (here, there), thread(lambda: serve(there)) as raised:
            assert call(here) == b"FROM ONE TO THE OTHER"
        assert not raised
    with sockets() as one, sockets() as other:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads, which are pytest's
            child = os.fork()
        if child == 0:
            status = 1
            try:
                serve(one[1])
                status = 0 if call(other[0]) == b"FROM ONE TO THE OTHER" else 2
            finally:
                os._exit(status)
        one[1].close()
        other[0].close()
        try:
            assert call(one[0]) == b"FROM ONE TO THE OTHER"
            serve(other[1])
        finally:
            status = os.waitpid(child, 0)[1]
        assert status == 0


# After the end.


def test_use_after_close_is_as_ssl_s(contexts: Any, pki: Any) -> None:
    """An error of the same kind, and never a word in plaintext."""
    calls: dict[str, Callable[[Any], Any]] = {
        "recv": lambda sock: sock.recv(1),
        "recv_into": lambda sock: sock.recv_into(bytearray(1)),
        "read": lambda sock: sock.read(1),
        "send": lambda sock: sock.send(b"x"),
        "sendall": lambda sock: sock.sendall(b"x"),
        "write": lambda sock: sock.write(b"x"),
        "unwrap": lambda sock: sock.unwrap(),
        "do_handshake": lambda sock: sock.do_handshake(),
        "pending": lambda sock: sock.pending(),
        "getpeercert": lambda sock: sock.getpeercert(),
        "cipher": lambda sock: sock.cipher(),
        "version": lambda sock: sock.version(),
        "getpeername": lambda sock: sock.getpeername(),
        "fileno": lambda sock: sock.fileno(),
        "close": lambda sock: sock.close(),
    }
    found: list[dict[str, Any]] = []
    for context in (contexts[0], ssl.create_default_context(cafile=pki.ca)):
        with sockets() as (here, there):
            client, server = wrapped(context, here, contexts[1], there)
            with server:
                client.close()
                results: dict[str, Any] = {}
                for name, call in calls.items():
                    try:
                        results[name] = call(client)
                    except Exception as error:
                        results[name] = error
                found.append(results)
    ours, theirs_results = found
    for name, expected in theirs_results.items():
        if isinstance(expected, Exception):
            kind = OSError if isinstance(expected, OSError) else type(expected)
            assert isinstance(ours[name], kind), (name, ours[name], expected)
        else:
            assert not isinstance(ours[name], Exception), (name, ours[name], expected)


def test_a_session_after_its_end(trusting: Config, serving: Config) -> None:
    client, server = secured(trusting, serving)
    for session, peer in ((client, server), (server, client)):
        with contextlib.suppress(smtptls.WantOutput):
            session.close()
        carry(session, peer)
    client.close()
    assert not client.is_tls
    calls = (lambda: client.sendall(b"x"), lambda: client.recv(1), client.start, client.insecure_continue)
    for call in calls:
        with pytest.raises(smtptls.Error) as caught:
            call()
        assert caught.value.code is Code.STATE


def test_an_object_after_its_end(contexts: Any) -> None:
    buffers = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in range(2)]
    client = contexts[0].wrap_bio(*buffers[0], server_hostname=NAME)
    server = contexts[1].wrap_bio(*buffers[1], server_side=True)
    for call in [client.do_handshake, server.do_handshake] * 2 + [
        client.unwrap,
        server.unwrap,
        client.unwrap,
    ]:
        with contextlib.suppress(ssl.SSLWantReadError):
            call()
        for (_, outgoing), (incoming, _) in (buffers, buffers[::-1]):
            incoming.write(outgoing.read())
    for call in (lambda: client.write(b"x"), lambda: client.read(1), lambda: server.read(1)):
        with pytest.raises(ssl.SSLError):
            call()
    assert all(buffer[1].read() == b"" for buffer in buffers)


# Copies.


def test_what_has_secrets_is_neither_pickled_nor_copied(contexts: Any, trusting: Config) -> None:
    buffers = ssl.MemoryBIO(), ssl.MemoryBIO()
    wrapped = contexts[0].wrap_bio(*buffers, server_hostname=NAME)
    with sockets() as (here, _there):
        session = Session.client(trusting, Policy(), NAME)
        sock = contexts[0].wrap_socket(here, server_hostname=NAME, do_handshake_on_connect=False)
        with sock:
            for thing in (*contexts, sock, wrapped, wrapped._sslobj, session, trusting):
                for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                    # Of some objects pickle finds out only at the other end, by its oldest protocols.
                    with pytest.raises(TypeError):
                        made = pickle.dumps(thing, protocol)
                        assert protocol < 2
                        pickle.loads(made)
                with pytest.raises(TypeError):
                    copy.deepcopy(thing)
