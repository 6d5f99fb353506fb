"""Threads that work on targets: in their order, but those whose host is busy are passed over for now."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from .gate import Cancelled

AHEAD = 1024  # targets that are looked at for one whose host is free
NAME = "smtptls-check"  # of a thread

Found = TypeVar("Found")


class Pool(Generic[Found]):
    """Threads, and the queue that they put into what they found; or what they raised, which ends them all."""

    def __init__(
        self,
        size: int,
        per_host: int,
        targets: Iterable[tuple[int, str]],
        work: Callable[[int], Found],
    ) -> None:
        """targets: the number of each, and its host."""
        self.found: queue.SimpleQueue[tuple[int, Found] | BaseException] = queue.SimpleQueue()
        self._per_host = per_host
        self._targets = iter(targets)
        self._work = work
        self._changed = threading.Condition()
        self._ahead: list[tuple[int, str]] = []
        self._next: tuple[int, str] | None = next(self._targets, None)
        self._below = 0
        self._busy: Counter[str] = Counter()
        self._is_stopped = False
        # Whoever is in a call that cannot be ended (a name service) does not hold up the end of the process.
        self._threads = [threading.Thread(target=self._run, name=NAME, daemon=True) for _ in range(size)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def allow(self, below: int) -> None:
        """Targets below that number may begin."""
        with self._changed:
            self._below = below
            self._changed.notify_all()

    def stop(self) -> None:
        """Nothing begins any more, and what is found from now on is not wanted."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        by = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, by - time.monotonic()))

    def _run(self) -> None:
        try:
            while (taken := self._take()) is not None:
                number, host = taken
                found = self._work(number)
                with self._changed:
                    self._busy -= Counter((host,))  # and no host stays that has none
                    if self._is_stopped:
                        return
                    self.found.put((number, found))
        except Cancelled:
            pass
        except BaseException as error:
            self.found.put(error)

    def _take(self) -> tuple[int, str] | None:
        """The next target whose host is free.

        Who finishes one takes the next, so those who wait have nothing to hear of it.
        """
        with self._changed:
            while not self._is_stopped:
                while self._next is not None and self._next[0] < self._below and len(self._ahead) < AHEAD:
                    self._ahead.append(self._next)
                    self._next = next(self._targets, None)
                for place, (_, host) in enumerate(self._ahead):
                    if self._busy[host] < self._per_host:
                        self._busy[host] += 1
                        return self._ahead.pop(place)
                self._changed.wait()
        return None
