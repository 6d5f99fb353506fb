"""Sessions back to back: two in memory with bytes carried between, or a socket pair and a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import smtptls
from smtptls import Close, Code, Entry, Policy, Session

NAME = "mail.example.test"
DEADLINE = 20.0  # seconds; a bound on hanging, not on speed

Call = Callable[[], Any]


def carry(source: Session, target: Session, piece: int | None = None) -> int:
    """Feed what `source` has to send to `target`, in pieces of that size, and say how much it was."""
    moved = 0
    while data := source.output()[:piece]:
        taken = target.feed(data)
        source.sent(taken)
        moved += taken
        if taken < len(data):
            break
    return moved


def together(
    client: Session, server: Session, for_client: list[Call], for_server: list[Call], piece: int | None = None
) -> list[Any]:
    """Do the steps of both sides, carrying bytes between; gives what the last of each returned or raised."""
    steps = [list(for_client), list(for_server)]
    results: list[Any] = [None, None]
    while True:
        stepped = False
        for side, todo in enumerate(steps):
            with contextlib.suppress(smtptls.WantInput, smtptls.WantOutput):
                while todo:
                    try:
                        results[side] = todo[0]()
                        todo.pop(0)
                    except (smtptls.WantInput, smtptls.WantOutput):
                        raise
                    except smtptls.Error as error:
                        results[side] = error
                        todo.clear()
                    stepped = True
        moved = carry(client, server, piece) + carry(server, client, piece)
        if not any(steps):
            return results
        if not moved and not stepped:
            pytest.fail(f"nothing moves any more; so far {results}")


def greet(client: Session, server: Session, piece: int | None = None) -> list[Any]:
    """Start both from the greeting. The EHLO inside TLS is for the server's program, and is answered here."""
    came = bytearray()

    def hello() -> None:
        while not came.endswith(b"\r\n"):
            came.extend(server.recv(100))

    answer = [server.start, hello, lambda: server.sendall(b"250 mail.example.test\r\n")]
    return together(client, server, [client.start], answer, piece)


def meet(
    trusting: smtptls.Config, policy: Policy, serving: smtptls.Config, host: str = NAME
) -> tuple[Session, Any]:
    """A client that has started with a server, and what its start raised, if anything."""
    client, server = Session.client(trusting, policy, host), Session.server(serving)

    def start() -> None:
        try:
            client.start()
        except (smtptls.WantInput, smtptls.WantOutput):
            raise
        except smtptls.Error:
            carry(client, server)
            server.feed(b"")  # it hears no more
            raise

    def answer() -> None:
        if server.recv(100):
            server.sendall(b"250 mail.example.test\r\n")

    return client, together(client, server, [start], [server.start, answer])[0]


def pair(
    trusting: smtptls.Config, serving: smtptls.Config, level: str = "verify", **options: Any
) -> tuple[Session, Session]:
    """Two sessions in memory that have not begun."""
    client = Session.client(trusting, Policy(level), NAME, **options)
    return client, Session.server(serving, **options)


def secured(trusting: smtptls.Config, serving: smtptls.Config) -> tuple[Session, Session]:
    """Two sessions in memory in TLS."""
    client, server = pair(trusting, serving)
    assert greet(client, server) == [None, None]
    return client, server


def read(session: Session) -> bytes:
    """All that can be read from a session in memory now."""
    came = b""
    with contextlib.suppress(smtptls.WantInput, smtptls.WantOutput):
        while data := session.recv(65536):
            came += data
    return came


@contextlib.contextmanager
def thread(work: Callable[[], Any]) -> Iterator[list[BaseException]]:
    """Run `work` beside the block; afterwards it has ended, and what it raised is in the list."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    try:
        yield raised
    finally:
        worker.join(DEADLINE)
        assert not worker.is_alive(), "the other side hangs"


@contextlib.contextmanager
def sockets(timeout: float | None = DEADLINE) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets."""
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(timeout)
        there.settimeout(timeout)
        yield here, there


@contextlib.contextmanager
def echo(
    trusting: smtptls.Config, serving: smtptls.Config, timeout: float | None = DEADLINE
) -> Iterator[tuple[Session, socket.socket]]:
    """A client in TLS over a socket; at the other end everything comes back until close_notify."""
    with sockets(timeout) as (here, there):
        there.settimeout(DEADLINE)
        client = Session.client(trusting, Policy("verify"), NAME, here)
        server = Session.server(serving, None, there)

        def serve() -> None:
            server.start(Entry.HANDSHAKE)
            while data := server.recv(65536):
                server.sendall(data)
            server.close()

        with thread(serve) as raised:
            client.start(Entry.HANDSHAKE)
            yield client, here
            broken: tuple[Code, ...] = ()
            try:
                client.close(Close.WAIT)
            except smtptls.Error:
                # Where a test has broken the connection, the other end finds it so.
                broken = (Code.IO, Code.TRUNCATED)
            here.close()
        assert all(isinstance(error, smtptls.Error) and error.code in broken for error in raised), raised
