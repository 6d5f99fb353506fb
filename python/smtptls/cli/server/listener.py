"""Takes connections, each into a thread of its own and only so many at a time, until it is told to stop."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import sys
import threading
import time
from collections.abc import Callable

from ..._errors import Error
from ..._native import escape
from ..output import complain
from .connection import Connection, Pace
from .dialogue import Dialogue, Settings

MOST = 32  # connections at a time
BUSY = b"421 4.3.2 Too many connections, try again later\r\n"
FAREWELL = 5.0  # seconds in which connections end that are told to

Host = Callable[[Settings, Connection, str], Dialogue]


class Listener:
    """A server on a listening socket, which becomes its own."""

    def __init__(
        self,
        listener: socket.socket,
        settings: Settings,
        *,
        timeout: float = 60.0,
        pace: Pace | None = None,
        is_verbose: bool = False,
        host: Host = Dialogue,
    ) -> None:
        self.listener = listener
        self.settings = settings
        self.timeout = timeout
        self.pace = pace or Pace()
        self.is_verbose = is_verbose
        self.host = host
        self.stopping = threading.Event()
        self.numbers = itertools.count(1)
        self.running: dict[threading.Thread, Connection] = {}
        self.lock = threading.Lock()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)

    def stop(self) -> None:
        """Safe in a signal handler, and in any thread."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._wake.send(b".")

    def run(self, ready: Callable[[], None], *, once: bool = False) -> None:
        """Calls ready and serves until stop; with once it ends when its first connection has."""
        self.listener.setblocking(False)
        try:
            ready()
            while not self.stopping.is_set():
                there, _, _ = select.select([self.listener, self._woken], [], [])
                if self.listener not in there or (taken := self._accept()) is None:
                    continue
                worker = self._begin(*taken)
                if once and worker is not None:
                    self.listener.close()
                    while worker.is_alive() and not self.stopping.is_set():
                        worker.join(0.1)
                    return
        finally:
            self._end()

    def _accept(self) -> tuple[socket.socket, str] | None:
        try:
            sock, address = self.listener.accept()
        except OSError:
            # The client has gone, or there are too many open files; the next one may be luckier.
            time.sleep(0.05)
            return None
        return sock, str(address[0]) if address else "localhost"  # a unix socket's has none

    def _begin(self, sock: socket.socket, client: str) -> threading.Thread | None:
        with self.lock:
            if len(self.running) >= MOST:
                self._refuse(sock)
                return None
            number = next(self.numbers)
            with contextlib.suppress(OSError):  # replies are small, and wait for no company
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tell = (lambda text: _print(number, text)) if self.is_verbose else _silent
            connection = Connection(sock, self.timeout, self.pace, self.stopping, tell)
            worker = threading.Thread(target=self._serve, args=(connection, client), daemon=True)
            self.running[worker] = connection
            worker.start()
            return worker

    def _refuse(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.setblocking(False)
            if not self.settings.implicit:
                sock.send(BUSY)

    def _serve(self, connection: Connection, client: str) -> None:
        connection.tell(f"connection from {client}")
        try:
            self.host(self.settings, connection, client).run()
        except OSError as error:
            text = error.message if isinstance(error, Error) else str(error.strerror or error)
            connection.tell(f"error: {escape(text.encode())}")
            if isinstance(error, TimeoutError) and not isinstance(error, Error):
                with contextlib.suppress(OSError):  # RFC 5321 section 3.8
                    connection.send(b"421 4.4.2 Timeout, closing the connection\r\n")
        except Exception as error:
            complain(f"a bug in smtptls serve: {type(error).__name__}: {escape(str(error).encode())}")
        finally:
            connection.leave()
            connection.tell("end")
            with self.lock:
                connection.sock.close()
                self.running.pop(threading.current_thread(), None)

    def _end(self) -> None:
        self.stopping.set()
        self.listener.close()
        with self.lock:
            workers = list(self.running)
            for connection in self.running.values():
                connection.abort()
        by = time.monotonic() + FAREWELL
        for worker in workers:
            worker.join(max(0.0, by - time.monotonic()))
        self._wake.close()
        self._woken.close()


def _print(number: int, text: str) -> None:
    with contextlib.suppress(OSError, AttributeError, ValueError):  # stderr may be closed
        sys.stderr.write(f"[{number}] {text}\n")
        sys.stderr.flush()


def _silent(text: str) -> None:
    """Without -v there is no transcript."""
