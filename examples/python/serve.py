"""A small SMTP and LMTP server with STARTTLS: a thread for each connection."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import smtptls
from dialogue import EXTENSIONS, Dialogue
from serve_options import make_config, parse
from smtptls import ClientAuth, Code, Protocol

STOP = (signal.SIGINT, signal.SIGTERM)


class Server:
    """What all connections share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.config = make_config(options)
        # A public server must not require TLS (RFC 3207 section 4).
        self.policy = smtptls.Policy("encrypt" if options.require_tls else "may")
        self.protocol = Protocol.LMTP if options.lmtp else Protocol.SMTP
        self.timeout: float = options.timeout
        self.store = Path(options.store) if options.store else None
        self.count = itertools.count()

    def session(self, connection: socket.socket | None) -> smtptls.Session:
        session = smtptls.Session.server(
            self.config, self.policy, connection, protocol=self.protocol, extensions=EXTENSIONS
        )
        if self.options.greeting is not None:
            session.set_greeting(self.options.greeting)
        if self.options.not_now:
            session.set_not_now()
        session.set_discard(self.options.discard)
        session.set_exempt_more(self.options.exempt_more)
        return session

    def reload(self) -> None:
        """Read key pairs and ticket keys again, for sessions that begin from now on."""
        errors: list[smtptls.Error] = []
        reloads = [self.config.reload_keypairs]
        reloads += [self.config.reload_ticket_keys] if self.options.ticket_keys else []
        for reload in reloads:  # the one may be good where the other is not
            try:
                reload()
            except smtptls.Error as error:
                errors.append(error)
        if not errors:
            tell("reloaded")
        for failed in errors:
            report(failed)

    def tell_tls(self, info: smtptls.Info) -> None:
        """Print what TLS came out as, and who the client is, if it was asked."""
        tell(f"tls: {info.summary}{' resumed' if info.resumed else ''}")
        if self.options.client_auth != ClientAuth.NONE.label:
            tell(f"client: auth={info.auth.label} subject={info.peer_subject or '-'}")

    def put(self, message: bytes) -> None:
        """Store a message. Its file is whole as soon as it has its name."""
        if self.store is None:
            return
        name = f"{time.time_ns()}.{os.getpid()}.{next(self.count)}"
        draft = self.store / f"{name}.tmp"
        with draft.open("wb") as file:
            file.write(message)
            file.flush()
            os.fsync(file.fileno())  # before the client hears that it is stored
        draft.rename(self.store / f"{name}.eml")

    def serve(self, connection: socket.socket) -> None:
        # They are for the main thread, whose accept() they end.
        signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP, signal.SIGHUP))
        with connection:
            try:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Dialogue(self, connection).run()
            except OSError as error:  # smtptls.Error is one
                report(error)
            leave(connection)


def leave(connection: socket.socket) -> None:
    """Let the client read our last words: to close a socket with input unread would tear them up."""
    by = time.monotonic() + 1
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while (left := by - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(4096):
                break


def tell(line: str) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def report(error: OSError) -> None:
    if not isinstance(error, smtptls.Error):
        code = Code.TIMEOUT if isinstance(error, TimeoutError) and error.errno is None else Code.IO
        error = smtptls.Error(code, f"the connection failed: {error.strerror or error}", errno=error.errno)
    with contextlib.suppress(OSError):
        line = f"error: {error} (action {error.action.label}, tlsrpt {error.tlsrpt or 'none'})"
        sys.stderr.write(f"{line}\n")


def main() -> int:
    options = parse()
    # Ends all threads at once; a message that has not been answered for is not lost by that.
    for number in STOP:
        signal.signal(number, lambda *_: os._exit(0))
    try:
        server = Server(options)
        # A flag that no session can have shows now, and not when the first client comes.
        server.session(None)
        signal.signal(signal.SIGHUP, lambda *_: server.reload())
        listener = socket.create_server(("127.0.0.1", options.port), backlog=128)
    except OSError as error:
        report(error)
        return 1
    tell(f"listening: 127.0.0.1:{listener.getsockname()[1]}")
    while True:
        try:
            connection, _ = listener.accept()
            threading.Thread(target=server.serve, args=(connection,), daemon=True).start()
        except (OSError, RuntimeError):
            # Too many open files or threads, say. The next one may be luckier.
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
