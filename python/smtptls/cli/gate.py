"""How many sessions there are at once with a host, how many begin in a second; and an end to all of them."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator


class Cancelled(Exception):
    """The gate was closed: what this thread has begun is not wanted any more."""


class Gate:
    """Sessions go through it. Without numbers it holds nobody up."""

    def __init__(self, per_host: float = math.inf, rate: float = math.inf) -> None:
        self._per_host = per_host
        self._interval = 1 / rate  # 0 for a rate without end
        self._changed = threading.Condition()
        self._sessions: Counter[str] = Counter()  # with each address
        self._next = 0.0  # when the next session may begin
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_closed = False

    @contextlib.contextmanager
    def session(self, addresses: Iterable[str]) -> Iterator[float]:
        """A session with the host that has these addresses; gives the seconds that it had to wait.

        It counts for all of them, since nobody knows yet which one will answer.
        """
        keys = set(addresses)
        began = time.monotonic()
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or all(self._sessions[key] < self._per_host for key in keys)
            )
            self._sessions.update(keys)
            start = max(time.monotonic(), self._next)
            self._next = start + self._interval
        try:
            self._wait(start)
            yield time.monotonic() - began
        finally:
            with self._changed:
                self._sessions -= Counter(keys)  # and no key stays for a host that has none
                self._changed.notify_all()

    def watch(self, sock: socket.socket) -> None:
        """A socket that an end to all is an end to; raises Cancelled where that is over."""
        with self._changed:
            self._sockets.add(sock)
        self._wait(0.0)

    def close(self) -> None:
        """An end to all: who waits for a peer in another thread hears that it has gone."""
        with self._changed:
            self._is_closed = True
            sockets = list(self._sockets)
            self._changed.notify_all()
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _wait(self, start: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, start - time.monotonic())
            if self._is_closed:
                raise Cancelled
