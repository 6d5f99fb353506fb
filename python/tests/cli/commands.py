"""For the tests of the command: it runs in a process of its own, against peers that follow a script."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEADLINE = 20.0  # seconds; a bound on hanging, not on speed
NAME = "mail.example.test"
PACKAGE = Path(__file__).resolve().parents[2]
# What a user may have set is not what is tested.
CLEAN = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR")}


@dataclass
class Ran:
    """What a run of the command came to."""

    code: int
    out: str
    err: str


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-W", "error", "-X", "dev", "-m", "smtptls", *map(str, arguments)]


def smtptls(*arguments: Any, stdin: bytes = b"", env: dict[str, str] | None = None) -> Ran:
    """Run the command to its end. Nothing of it is ever a traceback or a warning."""
    done = subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        timeout=60,
        env=CLEAN | (env or {}),
        check=False,
    )
    ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in ran.err and "Warning" not in ran.err, ran.err
    return ran


def hears() -> None:
    """In the command: a shell starts what is in the background with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def running(
    *arguments: Any, env: dict[str, str] | None = None, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A run of the command that is looked at on the way. It hears SIGINT."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    with subprocess.Popen(
        command(*arguments),
        # One heap for all threads: how much of each is in use is by chance.
        env=CLEAN | {"MALLOC_ARENA_MAX": "1"} | (env or {}),
        preexec_fn=hears,
        **pipes,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def one_line(ran: Ran) -> str:
    """The complaint of a run that failed: exactly one line on stderr, and nothing on stdout."""
    lines = ran.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("smtptls: ") and not ran.out, ran
    return lines[0].removeprefix("smtptls: ")


@contextlib.contextmanager
def peer(serve: Callable[[socket.socket], None], address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A server on loopback that serves each connection so, one after the other; gives its port."""
    listener = socket.create_server((address, port))
    listener.settimeout(0.1)
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection, contextlib.suppress(OSError):
                connection.settimeout(DEADLINE)
                serve(connection)

    worker = threading.Thread(target=run)
    worker.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        worker.join(DEADLINE)
        listener.close()
        assert not worker.is_alive()


def line(connection: socket.socket) -> str:
    """A line that the client sent, octet by octet, so that nothing behind it is taken."""
    came = b""
    while not came.endswith(b"\n"):
        octet = connection.recv(1)
        if not octet:
            raise ConnectionError("the client has gone")
        came += octet
    return came.decode().strip()


def server(
    chain: Path,
    key: Path | None = None,
    *,
    greeting: bytes = b"220 mail.example.test ESMTP\r\n",
    before: bytes = b"250-mail.example.test\r\n250 STARTTLS\r\n",
    answer: bytes = b"220 2.0.0 Go ahead\r\n",
    inside: bytes = b"250-mail.example.test\r\n250 PIPELINING\r\n",
    implicit: bool = False,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> Callable[[socket.socket], None]:
    """A server with OpenSSL's TLS, by its replies."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A test wants certificates that OpenSSL would rather not have.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(chain, key)
    context.maximum_version = newest

    def serve(connection: socket.socket) -> None:
        if not implicit:
            connection.sendall(greeting)
            while not (verb := line(connection)[:8].upper()).startswith("STARTTLS"):
                if verb.startswith("QUIT"):
                    connection.sendall(b"221 2.0.0 Bye\r\n")
                    return
                connection.sendall(before if verb.startswith(("EHLO", "LHLO")) else b"250 2.0.0 Ok\r\n")
            connection.sendall(answer)
            if not answer.startswith(b"220"):
                line(connection)
                return
        with context.wrap_socket(connection, server_side=True) as tls:
            if implicit:
                tls.sendall(greeting)
            while not (verb := line(tls)[:8].upper()).startswith("QUIT"):
                tls.sendall(inside if verb.startswith(("EHLO", "LHLO")) else b"250 2.0.0 Ok\r\n")
            tls.sendall(b"221 2.0.0 Bye\r\n")
            with contextlib.suppress(OSError):
                tls.unwrap()

    return serve


def says(*script: bytes | None) -> Callable[[socket.socket], None]:
    """A server that says these, each after a line of the client; None waits until the client goes."""

    def serve(connection: socket.socket) -> None:
        for number, words in enumerate(script):
            if number:
                line(connection)
            if words is None:
                while connection.recv(4096):
                    pass
                return
            connection.sendall(words)

    return serve
