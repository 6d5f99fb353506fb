"""Sockets that do not block: loops over SSLWantReadError with select and poll, as event loops do it."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import smtptls
from ca.ca import Paths
from conftest import DEADLINE

from users.peers import (
    BIG,
    HOST,
    Watched,
    conversation,
    openssl_client,
    openssl_server,
    refused,
    server_side,
    watched,
    within,
)


def ready(sock: socket.socket, call: Callable[[], Any], counts: dict[type, int] | None = None) -> Any:
    """Calls until it does not want anything any more, and waits with select for what it wants."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            return call()
        except ssl.SSLWantReadError as error:
            assert isinstance(error, smtptls.WantInput)
            assert select.select([sock], [], [], DEADLINE)[0], "nothing comes"
            wanted: type = ssl.SSLWantReadError
        except ssl.SSLWantWriteError as error:
            assert isinstance(error, smtptls.WantOutput)
            assert select.select([], [sock], [], DEADLINE)[1], "nothing goes"
            wanted = ssl.SSLWantWriteError
        if counts is not None:
            counts[wanted] = counts.get(wanted, 0) + 1
    pytest.fail("it never ends")


def echo(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    def talk(taken: socket.socket) -> None:
        with context.wrap_socket(taken, server_side=True) as secured:
            while data := secured.recv(65536):
                secured.sendall(data)

    return talk


def nonblocking(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), DEADLINE)
    plain.setblocking(False)
    return context.wrap_socket(plain, server_hostname=HOST, do_handshake_on_connect=False)


def test_round_trips(pki: Paths) -> None:
    context, counts = watched(pki), dict[type, int]()
    begin = threading.Event()

    def talk(taken: socket.socket) -> None:
        assert begin.wait(DEADLINE)
        echo(openssl_server(pki))(taken)

    with conversation(talk) as port, nonblocking(port, context) as client:
        assert isinstance(client, smtptls.SSLSocket)
        for _ in range(2):
            with pytest.raises(ssl.SSLWantReadError):
                client.do_handshake()
        begin.set()
        ready(client, client.do_handshake, counts)
        assert client.info and client.info.trusted
        for number in range(50):
            line = b"line %d\r\n" % number
            assert ready(client, partial(client.send, line)) == len(line)
            came = b""
            while not came.endswith(b"\n"):
                came += ready(client, lambda: client.recv(100), counts)
            assert came == line
        with pytest.raises(ssl.SSLWantReadError):
            client.recv(100)
    assert counts[ssl.SSLWantReadError] >= 1
    assert len(context.secured()) == 1


def test_big(pki: Paths) -> None:
    """A megabyte to a reader that waits: parts are taken, the rest is wanted again, and nothing is lost."""
    context, counts = watched(pki), dict[type, int]()
    begin = threading.Event()
    came = bytearray()

    def talk(taken: socket.socket) -> None:
        with openssl_server(pki).wrap_socket(taken, server_side=True) as secured:
            assert begin.wait(DEADLINE)
            while data := secured.recv(65536):
                came.extend(data)
            secured.unwrap().close()

    content = BIG * 8
    with conversation(talk) as port, nonblocking(port, context) as client:
        ready(client, client.do_handshake)
        sent, blocked = 0, False
        while sent < len(content):
            part = content[sent : sent + 100_000]
            try:
                sent += client.send(part)
            except ssl.SSLWantWriteError:
                blocked = True
                begin.set()
                sent += ready(client, partial(client.send, part), counts)
        begin.set()
        assert blocked
        ready(client, client.unwrap).close()
    assert came == content


def test_select_sees_what_is_left(pki: Paths) -> None:
    """What has been read from the socket and not been asked for is in `pending`, and nowhere else."""
    context = watched(pki)

    def talk(taken: socket.socket) -> None:
        with openssl_server(pki).wrap_socket(taken, server_side=True) as secured:
            secured.sendall(b"a" * 100)
            secured.sendall(b"b" * 100)
            assert secured.recv(1) == b""

    with conversation(talk) as port, nonblocking(port, context) as client:
        ready(client, client.do_handshake)
        assert ready(client, lambda: client.recv(1)) == b"a"
        assert client.pending() == 99
        assert client.recv(99) == b"a" * 99
        assert client.pending() == 0
        # The second record is not read ahead, so select knows of it.
        assert select.select([client], [], [], DEADLINE)[0]
        assert ready(client, lambda: client.recv(1000)) == b"b" * 100


def test_poll_with_time_limits(pki: Paths) -> None:
    """A time limit set after the fact holds for each call."""
    context = watched(pki)
    with conversation(echo(openssl_server(pki))) as port, nonblocking(port, context) as client:
        ready(client, client.do_handshake)
        client.settimeout(0.3)
        with within(6, at_least=0.3), pytest.raises(TimeoutError) as caught:
            client.recv(1)
        assert isinstance(caught.value, smtptls.Timeout)
        client.settimeout(DEADLINE)
        client.sendall(b"still good")
        assert client.recv(100) == b"still good"
        client.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            client.recv(1)


def test_refused(pki: Paths) -> None:
    context = watched(pki, "wrongca")

    def talk(taken: socket.socket) -> None:
        try:
            with openssl_server(pki).wrap_socket(taken, server_side=True) as secured:
                assert secured.recv(100) == b""
        except OSError:
            pass

    with conversation(talk) as port, nonblocking(port, context) as client:
        with refused():
            ready(client, client.do_handshake)
        with pytest.raises(OSError):
            client.send(b"all the same")
    assert context.begun == 1


def test_server(pki: Paths) -> None:
    """The other side: one thread, twenty clients, and poll."""
    context = server_side(pki)
    clients, failed = 20, list[BaseException]()

    def ask(port: int, number: int) -> None:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), DEADLINE) as plain,
                openssl_client(pki).wrap_socket(plain, server_hostname=HOST) as secured,
            ):
                for line in range(5):
                    secured.sendall(b"%d %d\r\n" % (number, line))
                    assert secured.recv(100) == b"%d %d\r\n" % (number, line)
        except BaseException as error:
            failed.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threads = [threading.Thread(target=ask, args=(port, number)) for number in range(clients)]
        for thread in threads:
            thread.start()
        serve_all(listener, context, clients)
        for thread in threads:
            thread.join(DEADLINE)
    assert failed == []
    assert len(context.secured()) == clients


def serve_all(listener: socket.socket, context: Watched, clients: int) -> None:
    """An echo for each of so many clients, until all have gone."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    sessions: dict[int, ssl.SSLSocket] = {}
    greeted: set[int] = set()
    end = time.monotonic() + DEADLINE
    while clients:
        assert time.monotonic() < end
        for number, _event in poll.poll(DEADLINE * 1000):
            if number == listener.fileno():
                plain, _address = listener.accept()
                plain.setblocking(False)
                secured = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                sessions[secured.fileno()] = secured
                poll.register(secured, select.POLLIN)
                continue
            session = sessions[number]
            try:
                if number not in greeted:
                    session.do_handshake()
                    greeted.add(number)
                while data := session.recv(1000):
                    session.sendall(data)
            except ssl.SSLWantReadError:
                continue
            poll.unregister(number)
            sessions.pop(number).close()
            greeted.discard(number)
            clients -= 1
