"""Signals, threads and processes: Ctrl-C, other threads while one waits, two threads in one session, fork."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import smtptls
from smtptls import Code, Config, Entry, Policy, Session
from support import DEADLINE, NAME, echo, greet, sockets, thread

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

# Waits in a call that nothing ends but a signal.
WAITING = """
import signal, smtptls, socket
signal.signal(signal.SIGINT, signal.default_int_handler)  # test runners may have it ignored
here, there = socket.socketpair()
here.settimeout({timeout})
session = smtptls.Session.client(smtptls.Config(), smtptls.Policy("may"), "mail.example.test", here)
print("ready", flush=True)
try:
    session.start()
except KeyboardInterrupt:
    print("interrupted", here.gettimeout(), flush=True)
"""


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_ctrl_c(timeout: float | None) -> None:
    command = [sys.executable, "-c", WAITING.format(timeout=timeout)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.2)
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == f"interrupted {timeout}\n"
            assert time.monotonic() - begun < 2
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()


def test_a_signal_that_raises_nothing_ends_no_wait(trusting: Config, serving: Config) -> None:
    """EINTR: the handler runs, and the call goes on."""
    seen = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))
    try:
        with sockets() as (here, there):
            client = Session.client(trusting, Policy("verify"), NAME, here)
            server = Session.server(serving, None, there)

            def late() -> None:
                time.sleep(0.5)
                server.start(Entry.HANDSHAKE)

            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
            with thread(late) as raised:
                client.start(Entry.HANDSHAKE)
            assert not raised and len(seen) > 2
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_other_threads_run_while_one_waits(trusting: Config) -> None:
    with sockets(0.5) as (here, _there):
        client = Session.client(trusting, Policy("verify"), NAME, here)
        count, done = 0, threading.Event()

        def work() -> None:
            nonlocal count
            while not done.is_set():
                count += 1
                time.sleep(0.001)

        with thread(work):
            with pytest.raises(smtptls.Timeout):
                client.start()
            done.set()
        assert count > 20


def test_two_threads_in_one_session(trusting: Config, serving: Config) -> None:
    """The second gets an error, and nobody hangs; the first is not disturbed."""
    with echo(trusting, serving) as (client, _here):
        came: list[bytes] = []
        with thread(lambda: came.append(client.recv(100))) as raised:
            time.sleep(0.2)
            calls: list[Any] = [
                lambda: client.sendall(b"x"),
                lambda: client.recv(1),
                client.pending,
                client.close,
            ]
            calls += [lambda: client.info, lambda: client.error, lambda: client.start()]
            for call in calls:
                with pytest.raises(smtptls.Error) as caught:
                    call()
                assert caught.value.code is Code.STATE
            assert client.fileno() >= 0
            _here.shutdown(socket.SHUT_RD)
        assert came == [b""] and not raised


def test_a_call_from_within_a_call(trusting: Config) -> None:
    """A signal handler or a socket of somebody's own may come back to the session that waits for it."""
    seen: list[BaseException] = []

    with sockets() as (here, _there):

        class Curious:
            def __getattr__(self, name: str) -> Any:
                return getattr(here, name)

            def recv(self, _: int) -> bytes:
                try:
                    client.recv(1)
                except smtptls.Error as error:
                    seen.append(error)
                return b""

        client = Session.client(trusting, Policy("verify"), NAME, Curious())
        with pytest.raises(smtptls.ClosedError):
            client.start()
    assert [error.code for error in seen if isinstance(error, smtptls.Error)] == [Code.STATE]


def test_many_threads_share_a_config(trusting: Config, serving: Config) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                with echo(trusting, serving) as (client, _here):
                    client.sendall(b"x" * 5000)
                    assert client.recv(1) == b"x"
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(DEADLINE * 2)
    assert not failures


def test_a_config_changes_while_sessions_run(pki: Any, tmp_path: Path) -> None:
    """Every session succeeds, with a pair of before or after, whatever other threads do to the Config."""
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    names = ("leaf", "rsa")

    def write(name: str) -> None:
        shutil.copy(getattr(pki, name), chain)
        shutil.copy(getattr(pki, f"{name}_key"), key)

    write("leaf")
    serving = Config(keypairs=[(chain, key)], ticket_keys=[bytes(32)])
    memory = [(getattr(pki, name).read_bytes(), getattr(pki, f"{name}_key").read_bytes()) for name in names]
    replaced = Config(keypairs_pem=memory[:1], ticket_keys=[bytes(32)])
    done, failures, shown = threading.Event(), list[BaseException](), set[str | None]()

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    def sessions() -> None:
        client = Config(roots=[pki.ca], client_sessions=2)
        while not done.is_set():
            for config in (serving, replaced):
                session = Session.client(client, Policy(), NAME)
                assert greet(session, Session.server(config)) == [None, None]
                assert session.info is not None
                shown.add(session.info.peer_key_algorithm)

    def files() -> None:
        for turn in range(60):
            write(names[turn % 2])
            serving.reload_keypairs()
            time.sleep(0.01)
        done.set()

    def the_rest() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            replaced.replace_keypairs(keypairs_pem=[memory[turn % 2]])
            for config in (serving, replaced):
                config.set_ticket_keys([bytes([turn % 7] * 32), bytes(32)])

    workers = [threading.Thread(target=guarded, args=(work,)) for work in 3 * [sessions] + [files, the_rest]]
    for worker in workers:
        worker.start()
    workers[3].join(DEADLINE)
    done.set()
    for worker in workers:
        worker.join(DEADLINE)
    assert not failures and shown == {"ECDSA", "RSA"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of fork beside threads, from 3.12 on
def test_a_config_made_before_fork(trusting: Config, serving: Config) -> None:
    """A Config is good in any child; each child has random numbers of its own."""
    with sockets() as (here, there):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                server = Session.server(serving, None, there)
                server.start(Entry.HANDSHAKE)
                server.sendall(server.recv(100))
                server.close()
                status = 0
            finally:
                os._exit(status)
        there.close()
        client = Session.client(trusting, Policy("verify"), NAME, here)
        client.start(Entry.HANDSHAKE)
        client.sendall(b"from the parent")
        assert client.recv(100) == b"from the parent"
        assert os.waitpid(child, 0)[1] == 0
