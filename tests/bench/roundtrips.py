"""Round trips: a proxy between client and server delays what it carries, and counts the client's turns."""

from __future__ import annotations

import contextlib
import select
import socket
import statistics
import threading
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.programs import Job

DELAY = (
    0.004  # seconds each way: longer than either end takes to answer, so that each waits for what it needs
)
SESSIONS = 4
# TCP's own handshake, and the greeting, for which no octet of the client is needed.
BEFORE_THE_FIRST_TURN = 2


class Proxy:
    """Carries one connection after another to a port. A turn of the client begins with its first octets
    after it was given something, and is one when it is answered: a close_notify at the end is none.
    """

    def __init__(self) -> None:
        self.turns: list[int] = []  # of each connection
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def lead(self, port: str) -> str:
        """The port that leads to this one from now on."""
        self._port = int(port)
        self._thread.start()
        return str(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                client, _ = self._listener.accept()
                with client, socket.create_connection(("127.0.0.1", self._port)) as server:
                    self._carry(client, server)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        """Until both have ended, each with an empty read, which is passed on as such."""
        other = {client: server, server: client}
        on_the_way: deque[tuple[float, socket.socket, bytes]] = deque()
        reading, given, turns = [client, server], True, 0
        for end in other:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (reading or on_the_way) and not self._over.is_set():
            wait = max(0.0, on_the_way[0][0] - time.monotonic()) if on_the_way else 0.05
            for end in select.select(reading, [], [], wait)[0]:
                with contextlib.suppress(ConnectionResetError):
                    data = b""
                    data = end.recv(65536)
                if not data:
                    reading.remove(end)
                elif end is client:
                    given = False
                on_the_way.append((time.monotonic() + DELAY, other[end], data))
            while on_the_way and on_the_way[0][0] <= time.monotonic():
                _, to, data = on_the_way.popleft()
                if to is client and data and not given:
                    given, turns = True, turns + 1
                with contextlib.suppress(OSError):
                    to.sendall(data) if data else to.shutdown(socket.SHUT_WR)
        self.turns.append(turns)


def round_trips(job: Job, folder: Path) -> float:
    """Of a session, from TCP's handshake to the reply to QUIT; where it resumes, without the first one."""
    proxy = Proxy()
    replace(job, warm=0, sessions=1 + SESSIONS).run(folder, proxy)
    return statistics.median(proxy.turns[1:]) + BEFORE_THE_FIRST_TURN
