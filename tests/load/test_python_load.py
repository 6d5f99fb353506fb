"""A busy server and client on smtptls.SSLContext: nothing is lost, and no descriptor or memory with time.

SMTPTLS_SESSIONS says how many sessions in all; CI has the default.
"""

from __future__ import annotations

import asyncio
import ctypes
import email.message
import gc
import os
import resource
import smtplib
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import smtptls
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from ca.ca import NAME, Paths
from conftest import missing

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(1200)]

SESSIONS = int(os.environ.get("SMTPTLS_SESSIONS", "2000"))
AT_ONCE = 500
THREADS = 32
PAGE = os.sysconf("SC_PAGE_SIZE")
# Beyond what is warm: 4 KB a session would be lost here at 2,000 sessions, and 1 KB at 10,000.
GROWTH = 8_000_000
ROUNDS = 3


class Box:
    """Counts messages by their subject."""

    def __init__(self) -> None:
        self.came: Counter[str] = Counter()
        self.tls = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.came[email.message_from_bytes(envelope.content)["Subject"]] += 1
        self.tls += session.ssl is not None
        return "250 OK"


class Busy(Controller):
    """aiosmtpd with our context, and room for many that call at once."""

    def factory(self) -> SMTP:
        return SMTP(self.handler, hostname=NAME, tls_context=self.context, require_starttls=True)

    def __init__(self, box: Box, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__(box, hostname="127.0.0.1", port=0, ready_timeout=20)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, host="127.0.0.1", port=0, backlog=2 * AT_ONCE)

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.base_events.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture(scope="module")
def contexts(pki: Paths) -> tuple[smtptls.SSLContext, smtptls.SSLContext]:
    """A client's and a server's, shared by all sessions."""
    server = smtptls.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pki.leaf, pki.leaf_key)
    return smtptls.create_default_context(cafile=pki.ca), server


@pytest.fixture(autouse=True)
def files() -> Iterator[None]:
    """Each session has a descriptor at either end, which is more than many systems allow unasked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * AT_ONCE
    if hard != resource.RLIM_INFINITY and hard < wanted:
        missing(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def busy(contexts: Any) -> Iterator[Busy]:
    controller = Busy(Box(), contexts[1])
    controller.start()
    try:
        yield controller
    finally:
        controller.stop()


def message(subject: str) -> email.message.EmailMessage:
    made = email.message.EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "a@client.test", f"b@{NAME}"
    made.set_content("hello\n" * 50)
    return made


def at_once(port: int, context: ssl.SSLContext, subjects: list[str]) -> None:
    """Send each in a session of its own, AT_ONCE at a time: all are in TLS before the first goes on."""
    barrier = asyncio.Event()

    async def send(subject: str, arrived: Counter[str], expected: int) -> None:
        smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=120)
        await smtp.connect()
        await smtp.starttls(server_hostname=NAME, tls_context=context)
        arrived["here"] += 1
        if arrived["here"] == expected:
            barrier.set()
        await asyncio.wait_for(barrier.wait(), 120)
        await smtp.send_message(message(subject))
        await smtp.quit()

    async def all_of_them() -> None:
        for begin in range(0, len(subjects), AT_ONCE):
            part = subjects[begin : begin + AT_ONCE]
            barrier.clear()
            arrived: Counter[str] = Counter()
            await asyncio.gather(*(send(subject, arrived, len(part)) for subject in part))

    asyncio.run(all_of_them())


def by_threads(port: int, context: ssl.SSLContext, subjects: list[str]) -> None:
    """Send each by smtplib, in a session of its own, by THREADS threads with one context."""
    todo, failures = list(subjects), list[BaseException]()

    def work() -> None:
        try:
            while True:
                try:
                    subject = todo.pop()
                except IndexError:
                    return
                with smtplib.SMTP("127.0.0.1", port, timeout=120) as smtp:
                    # smtplib asks for the name that it was connected by.
                    smtp._host = NAME  # type: ignore[attr-defined]
                    smtp.starttls(context=context)
                    smtp.send_message(message(subject))
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures, failures[:3]


WAYS = {"asyncio": at_once, "threads": by_threads}


def descriptors(most: int | None = None) -> int:
    """How many are open. The server's close a little after the client's: up to 10 s is waited for that."""
    end = time.monotonic() + 10
    while True:
        gc.collect()
        found = len(os.listdir("/proc/self/fd"))
        if most is None or found <= most or time.monotonic() > end:
            return found
        time.sleep(0.05)


def resident() -> int:
    """Octets of this process in memory (proc(5)), without what malloc has to spare."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_lost_and_nothing_grows(
    busy: Busy, contexts: Any, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Client and server are this process, so each session counts twice."""
    sessions = SESSIONS // len(WAYS)
    warm = max(AT_ONCE, sessions // 4) if way == "asyncio" else sessions // 4

    def subjects(first: int, count: int) -> list[str]:
        return [f"{way} {number}" for number in range(first, first + count)]

    before = descriptors()
    WAYS[way](busy.port, contexts[0], subjects(0, warm))
    assert descriptors(before) == before
    done = warm
    # On a busy machine more sessions are open at once than before, which takes memory once. What leaks
    # takes it each time.
    for _ in range(ROUNDS):
        used, begun = resident(), time.monotonic()
        WAYS[way](busy.port, contexts[0], subjects(done, sessions))
        done += sessions
        took = time.monotonic() - begun
        opened, growth = descriptors(before), resident() - used
        if "SMTPTLS_SESSIONS" in os.environ:
            with capsys.disabled():
                rate, mega = sessions / took, used / 1e6
                print(
                    f"\n{way}: {sessions} sessions, {rate:.0f}/s; RSS {mega:.1f} MB and {growth} octets more"
                )
        if growth < GROWTH:
            break
    assert busy.handler.came == Counter(subjects(0, done))
    assert busy.handler.tls == done
    assert opened == before
    assert growth < GROWTH, f"{growth / sessions:.0f} octets a session"
