"""A web server on loopback that has an MTA-STS policy, or something else in its place."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Page:
    """What it answers."""

    text: bytes
    status: int = 200
    kind: str | None = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)
    dribble: float = 0.0  # seconds between octets, of the header too


@contextlib.contextmanager
def policy_host(
    chain: Path, key: Path, page: Page, address: str = "127.0.0.1"
) -> Iterator[tuple[int, list[str]]]:
    """Gives its port, and the paths that it was asked for with the Host of each."""
    asked: list[str] = []
    done = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(f"{self.headers['Host']}{self.path}")
            if page.dribble:
                for octet in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 4000:
                    self.wfile.write(bytes([octet]))
                    if done.wait(page.dribble):
                        return
            self.send_response(page.status)
            if page.kind is not None:
                self.send_header("Content-Type", page.kind)
            for name, value in page.headers.items():
                self.send_header(name, value)
            if "Transfer-Encoding" not in page.headers:
                self.send_header("Content-Length", str(len(page.text)))
            self.end_headers()
            self.wfile.write(page.text)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the client has refused the certificate, or has gone

        def get_request(self) -> tuple[ssl.SSLSocket, object]:
            connection, who = super().get_request()
            connection.settimeout(20)
            # The handshake waits until the thread of the connection reads.
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), who

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    server = Server((address, 0), Handler)
    worker = threading.Thread(target=server.serve_forever, args=(0.05,))
    worker.start()
    try:
        yield server.server_address[1], asked
    finally:
        done.set()
        server.shutdown()
        server.server_close()
        worker.join(20)
        assert not worker.is_alive()
