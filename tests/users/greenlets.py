"""smtplib with our context under gevent: the program of test_event_loops.py.

greenlets.py context|injected FOLDER-OF-THE-PKI
"""

# gevent has to be first; smtptls.SSLContext is then derived from gevent's SSLContext.
from gevent import monkey  # type: ignore[import-untyped]

monkey.patch_all()

# ruff: noqa: E402
import smtplib
import socket
import ssl
import sys
import time
from pathlib import Path

import gevent
import smtptls
from ca.ca import paths
from gevent import ssl as gevents
from gevent.server import StreamServer  # type: ignore[import-untyped]

how, pki = sys.argv[1], paths(Path(sys.argv[2]))
WAIT = 0.2  # seconds that the server takes for each reply
CLIENTS = 20
ANSWERS = {
    b"EHLO": b"250-mail.example.test\r\n250 STARTTLS\r\n",
    b"STAR": b"220 go on\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}

assert ssl.SSLContext is gevents.SSLContext
assert issubclass(smtptls.SSLContext, gevents.SSLContext)
kind = smtptls.SSLContext if how == "server" else ssl.SSLContext
named, serving = kind(ssl.PROTOCOL_TLS_SERVER), kind(ssl.PROTOCOL_TLS_SERVER)
named.load_cert_chain(pki.leaf, pki.leaf_key)
serving.load_cert_chain(pki.other, pki.other_key)


def choose(secured: ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
    """The certificate for the name that the client asks for."""
    assert isinstance(secured, gevents.SSLSocket), secured
    if name == "localhost":
        secured.context = named


serving.sni_callback = choose  # type: ignore[assignment]  # typeshed knows of no socket here
received: list[bytes] = []


def serve(connection: socket.socket, _address: object) -> None:
    """A mail server that takes its time."""
    connection.sendall(b"220 mail.example.test\r\n")
    lines = connection.makefile("rb")
    content: bytes | None = None
    try:
        while line := lines.readline():
            if content is not None:
                content += line
                if line != b".\r\n":
                    continue
                received.append(content)
                content = None
            verb = line.strip().upper()[:8]
            gevent.sleep(WAIT)
            connection.sendall(ANSWERS.get(verb[:4], b"250 ok\r\n"))
            if verb == b"DATA":
                content = b""
            elif verb == b"STARTTLS":
                lines.close()
                connection = serving.wrap_socket(connection, server_side=True)
                assert isinstance(connection, smtptls.SSLSocket) == (how == "server")
                lines = connection.makefile("rb")
            elif verb == b"QUIT":
                break
    except OSError:
        pass
    finally:
        lines.close()
        connection.close()


def stall(connection: socket.socket, _address: object) -> None:
    """The same up to TLS, where it says nothing."""
    for answer in (
        b"220 mail.example.test\r\n",
        b"250-mail.example.test\r\n250 STARTTLS\r\n",
        b"220 go on\r\n",
    ):
        connection.sendall(answer)
        connection.recv(1000)
    while connection.recv(1000):
        pass
    connection.close()


def send(port: int, context: ssl.SSLContext | None, timeout: float = 20.0) -> None:
    with smtplib.SMTP("localhost", port, timeout=timeout) as client:
        if context is None:
            client.starttls()
        else:
            client.starttls(context=context)
        assert isinstance(client.sock, smtptls.SSLSocket), client.sock
        assert client.sock.info and client.sock.info.trusted
        client.sendmail(
            "alice@example.test", "bob@example.test", b"x" * 70 + b"\r\n" + b"y" * 900_000 + b"\r\n"
        )


wrong = smtptls.create_default_context(cafile=str(pki.wrongca))
if how == "injected":
    smtptls.inject_into_smtplib()
    good = None
else:
    good = smtptls.create_default_context(cafile=str(pki.ca))

with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as silent:
    servers = [StreamServer(listener, serve), StreamServer(silent, stall)]
    for server in servers:
        server.start()
    port = servers[0].server_port

    # Each message takes eight replies. All wait at once, which they would not if one of them blocked.
    begun = time.monotonic()
    jobs = [gevent.spawn(send, port, good) for _ in range(CLIENTS)]
    gevent.joinall(jobs, raise_error=True)
    took = time.monotonic() - begun
    assert took < CLIENTS * 8 * WAIT / 2, took
    assert len(received) == CLIENTS and {len(content) for content in received} == {900_077}

    refused = 0
    try:
        send(port, wrong)
    except smtptls.CertificateError as error:
        assert isinstance(error, ssl.SSLCertVerificationError)
        refused += 1

    # A handshake that stalls ends in time, and holds up no other greenlet.
    ticks = 0

    def tick() -> None:
        global ticks
        while True:
            gevent.sleep(0.01)
            ticks += 1

    ticking = gevent.spawn(tick)
    timed_out = 0
    begun = time.monotonic()
    try:
        send(servers[1].server_port, good, timeout=0.5)
    except TimeoutError:  # gevent's, since it is gevent that waits
        timed_out += 1
    assert 0.4 < time.monotonic() - begun < 3
    assert ticks > 10, ticks
    ticking.kill()
    for server in servers:
        server.stop()

assert len(received) == CLIENTS
print(f"{len(received)} sent, {refused} refused, {timed_out} timed out")
