"""Sessions over sockets: the socket stays its owner's, and its timeout is honoured."""

from __future__ import annotations

import contextlib
import errno
import gc
import select
import socket
import struct
import threading
import time
import weakref
from typing import Any

import pytest
import smtptls
from smtptls import Action, Close, Code, Config, Entry, Policy, Session
from support import DEADLINE, NAME, echo, sockets, thread

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]


def test_both_sides_over_sockets(trusting: Config, serving: Config) -> None:
    with echo(trusting, serving) as (client, here):
        assert client.fileno() == here.fileno()
        client.sendall(b"hello\r\n")
        assert client.recv(100) == b"hello\r\n"
        assert select.select([client], [], [], 0) == ([], [], [])
        client.sendall(bytearray(b"again"))
        assert select.select([client], [], [], DEADLINE) == ([client], [], [])
        assert client.recv(100) == b"again"


@pytest.mark.parametrize("timeout", [DEADLINE, None])
def test_bulk_both_ways(trusting: Config, serving: Config, timeout: float | None) -> None:
    with echo(trusting, serving, timeout) as (client, _here):
        data = bytes(range(256)) * 4096
        for begin in range(0, len(data), 50_000):
            part = data[begin : begin + 50_000]
            client.sendall(part)
            came = b""
            while len(came) < len(part):
                came += client.recv(65536)
            assert came == part


def test_the_socket_is_as_it_was(trusting: Config, serving: Config) -> None:
    with sockets(3.25) as (here, there):
        before = here.fileno(), here.gettimeout(), here.getblocking()
        client = Session.client(trusting, Policy("verify"), NAME, here)
        server = Session.server(serving, None, there)
        with thread(lambda: server.start(Entry.HANDSHAKE)) as raised:
            client.start(Entry.HANDSHAKE)
        assert not raised
        server.close(Close.HALF)
        assert client.recv(1) == b""
        client.close()
        assert server.recv(1) == b""
        server.close()
        assert (here.fileno(), here.gettimeout(), here.getblocking()) == before
        # After both close_notify the bytes are the programs' own.
        there.sendall(b"in clear")
        assert here.recv(100) == b"in clear"
        client = server = None  # type: ignore[assignment]
        gc.collect()
        here.sendall(b"still open")
        assert there.recv(100) == b"still open"


def test_makefile(trusting: Config, serving: Config) -> None:
    with echo(trusting, serving) as (client, here):
        with client.makefile("wb") as output:
            output.write(b"one\r\ntwo\r\n")
            output.write(b"three")
        with client.makefile("rb") as lines:
            assert lines.readline() == b"one\r\n" and lines.readline(2) == b"tw"
            assert lines.readline() == b"o\r\n" and lines.read(5) == b"three"
            assert lines.fileno() == here.fileno()
            with pytest.raises(OSError):
                lines.write(b"x")
        with client.makefile("rwb", 100) as both:
            both.write(b"four\r\n")
            both.flush()
            assert both.readline() == b"four\r\n"
        assert both.closed and client.is_tls
        with pytest.raises(ValueError):
            both.readline()
        for mode, buffering in [("r", -1), ("w", -1), ("a", -1), ("rb", 0), ("rb", -2)]:
            with pytest.raises(ValueError):
                client.makefile(mode, buffering)


def test_start_is_bounded_by_the_timeout(trusting: Config) -> None:
    """SEC-8: silence."""
    with sockets(0.3) as (here, _there):
        client = Session.client(trusting, Policy("verify"), NAME, here)
        begun = time.monotonic()
        with pytest.raises(smtptls.Timeout) as caught:
            client.start()
        assert 0.25 < time.monotonic() - begun < DEADLINE / 2
        assert (caught.value.code, caught.value.action) == (Code.TIMEOUT, Action.NEXT_HOST)
        assert isinstance(caught.value, TimeoutError)
        assert here.gettimeout() == 0.3


def test_a_peer_that_dribbles_cannot_stretch_start(trusting: Config) -> None:
    """SEC-8: the timeout is for the whole of start, not for each byte."""
    with sockets(0.5) as (here, there):
        client = Session.client(trusting, Policy("verify"), NAME, here)

        def dribble() -> None:
            with contextlib.suppress(OSError):
                for _ in range(200):
                    there.sendall(b"2")
                    time.sleep(0.1)

        with thread(dribble):
            begun = time.monotonic()
            with pytest.raises(smtptls.Timeout):
                client.start()
            assert time.monotonic() - begun < 5
            assert here.gettimeout() == 0.5
            here.close()


def test_recv_is_bounded_by_the_timeout_of_now(trusting: Config, serving: Config) -> None:
    with echo(trusting, serving) as (client, here):
        here.settimeout(0.2)
        begun = time.monotonic()
        with pytest.raises(smtptls.Timeout):
            client.recv(1)
        assert 0.15 < time.monotonic() - begun < DEADLINE / 2
        here.settimeout(DEADLINE)


def test_a_timeout_that_is_set_between_two_calls_of_start(trusting: Config) -> None:
    with sockets(0) as (here, _there):
        client = Session.client(trusting, Policy("verify"), NAME, here)
        with pytest.raises(smtptls.WantInput):
            client.start()
        here.settimeout(0.2)
        with pytest.raises(smtptls.Timeout):
            client.start()


def test_the_session_can_have_a_timeout_of_its_own(trusting: Config) -> None:
    with sockets(None) as (here, _there):
        client = Session.client(trusting, Policy("verify"), NAME, here)
        client.settimeout(0.2)
        begun = time.monotonic()
        with pytest.raises(smtptls.Timeout):
            client.start()
        assert 0.15 < time.monotonic() - begun < DEADLINE / 2
        assert here.gettimeout() is None and here.getblocking()


def test_a_longer_timeout_than_the_socket_s(trusting: Config, serving: Config) -> None:
    with sockets(0.05) as (here, there):
        there.settimeout(DEADLINE)
        client = Session.client(trusting, Policy("verify"), NAME, here)
        client.settimeout(DEADLINE)
        server = Session.server(serving, None, there)

        def late() -> None:
            time.sleep(0.3)
            server.start(Entry.HANDSHAKE)

        with thread(late) as raised:
            client.start(Entry.HANDSHAKE)
        assert not raised and here.gettimeout() == 0.05


def test_a_deadline_for_all_calls(trusting: Config, serving: Config) -> None:
    with echo(trusting, serving) as (client, _here):
        client.set_deadline(0.3)
        begun = time.monotonic()
        with pytest.raises(smtptls.Timeout):
            for _ in range(100):
                client.sendall(b"x")
                client.recv(1)
                time.sleep(0.02)
        assert time.monotonic() - begun < DEADLINE / 2
        client.set_deadline(None)


def test_a_session_goes_on_after_a_timeout(trusting: Config, serving: Config) -> None:
    """A server that has waited long enough says 421, inside TLS."""
    with echo(trusting, serving) as (client, here):
        here.settimeout(0.1)
        with pytest.raises(smtptls.Timeout):
            client.recv(1)
        here.settimeout(DEADLINE)
        client.sendall(b"421 4.4.2 ")
        assert client.recv(100) == b"421 4.4.2 "


@pytest.mark.parametrize("seconds", [-1, float("nan"), -0.001])
def test_no_timeout(trusting: Config, seconds: float) -> None:
    with sockets() as (here, _there):
        client = Session.client(trusting, Policy("verify"), NAME, here)
        for call in (client.settimeout, client.set_deadline):
            with pytest.raises(ValueError):
                call(seconds)


def test_a_wait_takes_no_time_of_the_processor(trusting: Config) -> None:
    with sockets(1.0) as (here, _there):
        client = Session.client(trusting, Policy("verify"), NAME, here)
        begun = time.process_time()
        with pytest.raises(smtptls.Timeout):
            client.start()
        assert time.process_time() - begun < 0.3


def test_non_blocking(trusting: Config, serving: Config) -> None:
    with sockets(0) as (here, there):
        there.settimeout(DEADLINE)
        client = Session.client(trusting, Policy("verify"), NAME, here)
        server = Session.server(serving, None, there)
        nothing_came = threading.Event()

        def serve() -> None:
            assert nothing_came.wait(DEADLINE)
            server.start(Entry.HANDSHAKE)
            server.sendall(server.recv(100))

        with thread(serve) as raised:
            end = time.monotonic() + DEADLINE

            def finish(call: Any) -> Any:
                while time.monotonic() < end:
                    try:
                        return call()
                    except smtptls.WantInput:
                        nothing_came.set()
                        select.select([here], [], [], DEADLINE)
                    except smtptls.WantOutput:
                        select.select([], [here], [], DEADLINE)
                raise AssertionError("it never ends")

            finish(lambda: client.start(Entry.HANDSHAKE))
            client.sendall(b"ping")
            assert finish(lambda: client.recv(100)) == b"ping"
            assert nothing_came.is_set()
            with pytest.raises(BlockingIOError):
                client.recv(1)
            assert client.makefile("rb").read(1) in (None, b"")
        assert not raised and here.gettimeout() == 0


def test_non_blocking_sends_what_there_is_room_for(trusting: Config, serving: Config) -> None:
    with sockets() as (here, there):
        client = Session.client(trusting, Policy("verify"), NAME, here)
        server = Session.server(serving, None, there)
        with thread(lambda: server.start(Entry.HANDSHAKE)):
            client.start(Entry.HANDSHAKE)
        here.setblocking(False)
        data, sent = bytes(range(256)) * 16384, 0
        with pytest.raises(smtptls.WantOutput) as caught:
            client.sendall(data)
        sent = caught.value.characters_written
        assert 0 < sent < len(data)
        came = bytearray()
        there.settimeout(0.5)
        with contextlib.suppress(smtptls.Timeout):
            while len(came) < sent:
                with contextlib.suppress(smtptls.WantOutput):
                    client.flush()
                came += server.recv(65536)
        assert came == data[:sent]


def test_a_reset_has_its_errno(trusting: Config) -> None:
    """SEC-7: the network's failure is IO with the errno, and its cause is Python's own exception."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), DEADLINE) as here,
    ):
        there, _ = listener.accept()
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
        there.close()
        client = Session.client(trusting, Policy("verify"), NAME, here)
        with pytest.raises(smtptls.Error) as caught:
            client.start()
    error = caught.value
    assert (error.code, error.errno, error.action) == (Code.IO, errno.ECONNRESET, Action.NEXT_HOST)
    assert isinstance(error.__cause__, ConnectionResetError) and error.tlsrpt is None


def test_the_end_of_the_connection(trusting: Config) -> None:
    with sockets() as (here, there):
        client = Session.client(trusting, Policy("verify"), NAME, here)
        there.sendall(b"220 hi\r\n")
        there.shutdown(socket.SHUT_WR)
        with pytest.raises(smtptls.ClosedError) as caught:
            client.start()
        assert caught.value.code is Code.EOF


def test_a_closed_socket(trusting: Config, serving: Config) -> None:
    with sockets() as (here, there):
        client = Session.client(trusting, Policy("verify"), NAME, here)
        here.close()
        with pytest.raises(smtptls.Error) as caught:
            client.start()
        assert (caught.value.code, caught.value.errno) == (Code.IO, errno.EBADF)
        assert client.fileno() == -1
        # The session has failed for good.
        with pytest.raises(smtptls.Error):
            client.recv(1)
        del there


class Fake:
    """A socket of somebody else's making."""

    def __init__(self, real: socket.socket, **replaced: Any) -> None:
        self.real = real
        self.replaced = replaced

    def __getattr__(self, name: str) -> Any:
        return self.replaced.get(name) or getattr(self.real, name)


def test_a_socket_like_object(trusting: Config, serving: Config) -> None:
    """gevent and PySocks have sockets of their own; whatever has the methods will do."""
    with sockets() as (here, there):
        server = Session.server(serving, None, there)
        client = Session.client(trusting, Policy("verify"), NAME, Fake(here))
        with thread(lambda: server.start(Entry.HANDSHAKE)) as raised:
            client.start(Entry.HANDSHAKE)
        assert not raised


class Strange(BaseException):
    """Nothing that anybody expects."""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, Strange, MemoryError, SystemExit])
@pytest.mark.parametrize("method", ["recv", "send", "gettimeout"])
def test_an_exception_of_the_socket_reaches_the_caller(
    trusting: Config, kind: type[BaseException], method: str
) -> None:
    exception = kind("mine")

    def fail(*_: Any) -> None:
        raise exception

    with sockets() as (here, there):
        there.sendall(b"220 hi\r\n")
        client = Session.client(trusting, Policy("verify"), NAME, Fake(here, **{method: fail}))
        with pytest.raises(kind) as caught:
            client.start()
        assert caught.value is exception
        assert here.gettimeout() == DEADLINE
        if method != "gettimeout":
            # The session has failed for good, with an error of its own.
            with pytest.raises(smtptls.Error) as later:
                client.start()
            assert later.value.code is Code.IO


@pytest.mark.parametrize("answer", [b"x" * 100_000, "text", None, 5])
def test_a_recv_that_lies(trusting: Config, answer: object) -> None:
    with sockets() as (here, _there):
        client = Session.client(trusting, Policy("verify"), NAME, Fake(here, recv=lambda _: answer))
        with pytest.raises((smtptls.Error, TypeError)):
            client.start()


@pytest.mark.parametrize("answer", [10**6, 0, -1, None, "text"])
def test_a_send_that_lies(trusting: Config, answer: object) -> None:
    with sockets() as (here, there):
        there.sendall(b"220 hi\r\n")
        here.settimeout(0.2)
        client = Session.client(trusting, Policy("verify"), NAME, Fake(here, send=lambda _: answer))
        with pytest.raises((smtptls.Error, TypeError, OverflowError)):
            client.start()


def test_timeouts_set_by_hand_on_the_descriptor(trusting: Config) -> None:
    with sockets(None) as (here, _there):
        here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 200_000))
        client = Session.client(trusting, Policy("verify"), NAME, here)
        with pytest.raises(smtptls.Timeout):
            client.start()


@pytest.mark.parametrize("sock", ["text", 5, object(), b""])
def test_what_is_no_socket(trusting: Config, sock: Any) -> None:
    with pytest.raises(TypeError):
        Session.client(trusting, Policy("verify"), NAME, sock)


def test_memory_calls_are_not_for_sockets(trusting: Config) -> None:
    with sockets() as (here, _there):
        client = Session.client(trusting, Policy("verify"), NAME, here)
        for call in (lambda: client.feed(b"x"), client.output, lambda: client.sent(1)):
            with pytest.raises(smtptls.Error) as caught:
                call()
            assert caught.value.code is Code.STATE


class Owner(socket.socket):
    """A socket that knows its session, which makes a circle."""

    session: Session


def test_a_circle_of_socket_and_session_is_collected(trusting: Config) -> None:
    with sockets() as (here, _there):
        owner = Owner(fileno=here.detach())
        owner.session = Session.client(trusting, Policy("verify"), NAME, owner)
        gone = weakref.ref(owner.session)
        owner.close()
        del owner
        gc.collect()
        assert gone() is None
