"""A mail host with one configuration and a process for each connection, made by fork, as sendmail has it.

    python host.py ADDRESS PORT CERT KEY TICKET_KEYS MOST

The parent makes the configuration, and reads key pairs and ticket keys again at SIGHUP; children that it
forks afterwards have the new ones. MOST is how many children it lets serve at once. At SIGTERM it waits for
them and says how many sessions there were, how many were resumed, and how many failed.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys

from smtptls import Config, Error, Session

FAILED, NEW, RESUMED = 1, 0, 3  # how a child ends


def serve(config: Config, connection: socket.socket) -> int:
    """One session, from the greeting to QUIT."""
    connection.settimeout(20)
    try:
        session = Session.server(config, None, connection)
        session.start()
        for line in session.makefile("rb"):
            if line.upper() == b"QUIT\r\n":
                session.sendall(b"221 2.0.0 Bye\r\n")
                session.close()
                return RESUMED if session.info and session.info.resumed else NEW
            session.sendall(b"250 2.0.0 OK\r\n")
        return FAILED
    except Error as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return FAILED


def main(address: str, port: str, cert: str, key: str, ticket_keys: str, most: str) -> None:
    config = Config(keypairs=[(cert, key)], ticket_key_file=ticket_keys)
    ended: dict[int, int] = {FAILED: 0, NEW: 0, RESUMED: 0}
    children = 0

    def collect(flags: int) -> None:
        nonlocal children
        while children:
            child, status = os.waitpid(-1, flags)
            if not child:
                return
            children -= 1
            ended[os.waitstatus_to_exitcode(status)] += 1
            if not flags:
                return

    listener = socket.create_server((address, int(port)), backlog=256)
    # Signals are let through only while it waits, so that they never come in the middle of something.
    caught: list[int] = []
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda number, _: caught.append(number))
    waking, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    print(f"listening: {address}:{listener.getsockname()[1]}", flush=True)
    while signal.SIGTERM not in caught:
        wanted: list[int | socket.socket] = [waking, listener] if children < int(most) else [waking]
        ready, _, _ = select.select(wanted, [], [])
        if waking in ready:
            os.read(waking, 4096)
        collect(os.WNOHANG)
        if signal.SIGHUP in caught:
            caught.remove(signal.SIGHUP)
            config.reload_keypairs()
            config.reload_ticket_keys()
            print("reloaded", flush=True)
        if listener in ready:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    status = FAILED
                    try:
                        listener.close()
                        status = serve(config, connection)
                    finally:
                        os._exit(status)
            children += 1
    listener.close()
    while children:
        collect(0)
    files = len(os.listdir("/proc/self/fd"))
    print(
        f"ended: new={ended[NEW]} resumed={ended[RESUMED]} failed={ended[FAILED]} files={files}", flush=True
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
