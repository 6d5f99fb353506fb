"""Many servers on loopback, each with an address of its own, good and bad: for the tests of batches."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from commands import DEADLINE, says

HELLO = b"220 mail.example.test ESMTP\r\n"
OFFER = b"250-mail.example.test\r\n250 STARTTLS\r\n"
READY = b"220 Go ahead\r\n"

Serve = Callable[[socket.socket], None]


def address(number: int) -> str:
    """Of a host; all of 127.0.0.0/8 is loopback."""
    return f"127.77.{number // 250}.{number % 250 + 1}"


class Hosts:
    """Servers that run: what they saw."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sessions: Counter[str] = Counter()  # with each address
        self.most: Counter[str] = Counter()  # at once
        self.at_once = 0
        self.starts: list[float] = []
        self._now: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def session(self, host: str) -> Iterator[None]:
        with self._changed:
            self.sessions[host] += 1
            self.starts.append(time.monotonic())
            self._now[host] += 1
            self.most[host] = max(self.most[host], self._now[host])
            self.at_once = max(self.at_once, self._now.total())
        try:
            yield
        finally:
            with self._changed:
                self._now[host] -= 1
                self._changed.notify_all()

    def target(self, number: int) -> str:
        return f"{address(number)}:{self.port}"


@contextlib.contextmanager
def hosts(serves: Mapping[int, Serve | None]) -> Iterator[Hosts]:
    """A server for each number that serves so, all on the same port; None: nobody listens there."""
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        # The first one gets a port that is free; the others have addresses that nobody else uses.
        port = 0
        for number, serve in serves.items():
            if serve is not None:
                listener = stack.enter_context(socket.create_server((address(number), port)))
                listener.setblocking(False)
                port = listener.getsockname()[1]
                selector.register(listener, selectors.EVENT_READ, (address(number), serve))
        running = Hosts(port)
        stop = threading.Event()
        workers: list[threading.Thread] = []

        def one(connection: socket.socket, host: str, serve: Serve) -> None:
            with running.session(host), connection, contextlib.suppress(OSError):
                connection.settimeout(DEADLINE)
                serve(connection)

        def accept() -> None:
            while not stop.is_set():
                for key, _ in selector.select(0.1):
                    with contextlib.suppress(BlockingIOError):
                        connection, _ = key.fileobj.accept()  # type: ignore[union-attr]
                        worker = threading.Thread(target=one, args=(connection, *key.data), daemon=True)
                        worker.start()
                        workers.append(worker)

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield running
        finally:
            stop.set()
            acceptor.join(DEADLINE)
            by = time.monotonic() + DEADLINE
            for worker in workers:
                worker.join(max(0.0, by - time.monotonic()))
            assert not any(worker.is_alive() for worker in workers)


def slow(serve: Serve, seconds: float) -> Serve:
    """A server that takes its time before it says anything."""

    def late(connection: socket.socket) -> None:
        time.sleep(seconds)
        serve(connection)

    return late


def silent(until: threading.Event, *, octets: bytes = b"") -> Serve:
    """A server that takes the connection and never ends its greeting; from some time on it closes.

    octets: what it says now and then.
    """

    def serve(connection: socket.socket) -> None:
        connection.settimeout(0.05)
        while not until.is_set():
            connection.sendall(octets)
            with contextlib.suppress(TimeoutError):
                if not connection.recv(4096):
                    return

    return serve


def floods(connection: socket.socket) -> None:
    """A line that does not end while the client is there."""
    # One that is killed leaves its end of the connection to the kernel, which takes a minute to give it up.
    connection.settimeout(4)
    connection.sendall(b"220 ")
    while True:
        connection.sendall(b"x" * 4096)


def resets(connection: socket.socket) -> None:
    """Tears the connection up as soon as it is there."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def no_tls(connection: socket.socket) -> None:
    """Garbage in place of TLS."""
    says(HELLO, OFFER, READY)(connection)
    connection.recv(4096)
    connection.sendall(b"this is no TLS record at all\r\n" * 10)


bare = says(HELLO, b"250-mail.example.test\r\n250 PIPELINING\r\n", b"221 Bye\r\n")
refuses = says(HELLO, OFFER, b"454 4.7.0 Not now\r\n", b"221 Bye\r\n")
injects = says(HELLO, OFFER, READY + b"250 injected\r\n", None)
leaves = says(HELLO)
