"""A small SMTP server on Python's ssl module, and so on OpenSSL, that keeps what it saw of a client."""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from conftest import DEADLINE


def context(cert: Path, key: Path, version: str | None = None) -> ssl.SSLContext:
    """A server context with one key pair and, if given, only this TLS version ("TLSv1.2", "TLSv1.3")."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The weakest certificates must load too: judging them is the client's part.
    made.set_ciphers("DEFAULT:@SECLEVEL=0")
    made.load_cert_chain(cert, key)
    if version:
        made.minimum_version = made.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    return made


@dataclass
class Seen:
    """One session from the server's side."""

    clear: list[str] = field(default_factory=list)  # command lines before TLS
    secured: list[str] = field(default_factory=list)  # command lines inside TLS
    version: str = ""
    cipher: str = ""
    sni: str | None = None
    message: bytes = b""  # unstuffed, with the line ends of the wire
    ended: str = ""  # how the client closed: "close_notify", "bare" (no more than TCP), "clear" (was no TLS)
    trouble: str = ""  # an exception that ended the session early


class OpensslServer:
    """Serves one client after another on a free port of loopback, for the length of a `with` block."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._tls.sni_callback = self._note_sni
        self._sessions: list[Seen] = []
        self._changed = threading.Condition()
        self._stopping = False

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stopping = True
        with socket.create_connection(("127.0.0.1", self.port)):
            pass  # wakes accept
        self._thread.join(DEADLINE)
        self._listener.close()

    def seen(self, index: int = 0) -> Seen:
        """The session with this index, once it has ended."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._sessions) > index, DEADLINE):
                pytest.fail(f"session {index} has not ended in {DEADLINE:g} s")
        return self._sessions[index]

    def _note_sni(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self._current.sni = name

    def _accept(self) -> None:
        while True:
            link, _address = self._listener.accept()
            if self._stopping:
                link.close()
                return
            link.settimeout(DEADLINE)
            self._current = Seen()
            try:
                self._session(link, self._current)
            except (OSError, EOFError, ValueError) as trouble:
                self._current.trouble = repr(trouble)
                link.close()
            with self._changed:
                self._sessions.append(self._current)
                self._changed.notify_all()

    def _session(self, link: socket.socket, seen: Seen) -> None:
        link.sendall(b"220 openssl.example.test ESMTP\r\n")
        lines = link.makefile("rb")
        while True:
            line = lines.readline()
            if not line:
                seen.ended = "close_notify" if seen.version else "clear"
                link.close()
                return
            command = line.decode("ascii").removesuffix("\r\n")
            (seen.secured if seen.version else seen.clear).append(command)
            verb = command.split(" ")[0].upper()
            if verb == "STARTTLS":
                link.sendall(b"220 2.0.0 go ahead\r\n")
                # suppress_ragged_eofs off: an end without close_notify must show as an error.
                link = self._tls.wrap_socket(link, server_side=True, suppress_ragged_eofs=False)
                lines = link.makefile("rb")
                assert isinstance(link, ssl.SSLSocket)
                seen.version, seen.cipher = link.version() or "", (link.cipher() or ("",))[0]
            elif verb == "DATA":
                link.sendall(b"354 send it\r\n")
                while (text := lines.readline()) != b".\r\n":
                    if not text:
                        raise EOFError("the message stopped short")
                    seen.message += text.removeprefix(b".")
                link.sendall(b"250 2.0.0 taken\r\n")
            elif verb == "EHLO":
                starttls = b"" if seen.version else b"250-STARTTLS\r\n"
                link.sendall(b"250-openssl.example.test\r\n" + starttls + b"250 8BITMIME\r\n")
            elif verb == "QUIT":
                seen.ended = self._end(link, bool(seen.message))
                return
            else:
                link.sendall(b"250 2.0.0 ok\r\n")

    @staticmethod
    def _end(link: socket.socket, polite: bool) -> str:
        """Answer QUIT, and find out how the client closes.

        One that has got nothing done may close without waiting for our answer, as Postfix does; so it gets
        its chance before the answer, which could fail and take with it what the client has sent.
        """
        with link:
            for wait, answer in ((DEADLINE if polite else 2.0, polite), (DEADLINE, not polite)):
                link.settimeout(DEADLINE)
                if answer:
                    link.sendall(b"221 2.0.0 bye\r\n")
                link.settimeout(wait)
                try:
                    if link.recv(1):
                        return "more input"
                    return "close_notify" if isinstance(link, ssl.SSLSocket) else "clear"
                except TimeoutError:
                    continue
                except ssl.SSLEOFError:
                    return "bare"
        return "nothing"
