"""OpenSSL's verdict on a chain, by `openssl s_client`: the first error with its depth, or ok."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Self

from ca.chains import Chain

FAULT = re.compile(r"^verify error:num=(\d+):", re.MULTILINE)
CODE = re.compile(r"^Verify return code: (\d+) ", re.MULTILINE)
MATCH = re.compile(r"^DANE TLSA (\d) (\d) (\d) .* matched (?:TA|EE) certificate at depth (\d+)", re.MULTILINE)


def server_context(chain: Chain) -> ssl.SSLContext:
    """A server's context for any chain: without the levels that keep weak ones out."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    load(context, chain)
    return context


def load(context: ssl.SSLContext, chain: Chain) -> None:
    """The chain and its key, which load_cert_chain takes from a file only."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(chain.text + chain.key)
        file.flush()
        context.load_cert_chain(file.name)


class Server:
    """Python's ssl as a TLS server on loopback, which shakes hands with all who come."""

    def __init__(self, chain: Chain) -> None:
        self._context = server_context(chain)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            with link:
                link.settimeout(10)
                try:
                    with self._context.wrap_socket(link, server_side=True) as tls:
                        tls.recv(1)
                except OSError:
                    pass  # the client did not like what it saw


def client(port: int, *arguments: str, folder: Path, anchor: bytes) -> str:
    """What s_client says of the server behind the port."""
    (folder / "anchor.pem").write_bytes(anchor)
    command = [
        "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", "anchor.pem",
        "-no-CApath", "-no-CAstore", "-purpose", "sslserver", *arguments,
    ]  # fmt: skip
    result = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    return result.stderr + result.stdout


def verdict(text: str) -> str:
    """`ok`, under DANE with the depth of the record, or the number of the first error and its depth."""
    if fault := FAULT.search(text):
        depth = re.findall(r"^depth=(\d+)", text[: fault.start()], re.MULTILINE)
        return f"{fault[1]} {depth[-1]}"
    code = CODE.search(text)
    if not code:
        raise AssertionError(f"s_client said nothing of it:\n{text}")
    if code[1] != "0":
        return code[1]
    match = MATCH.search(text)
    return f"ok {match[4]}" if match else "ok"
