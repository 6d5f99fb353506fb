"""Our client: a message through STARTTLS in as many sessions as wanted, by the Python module."""

from __future__ import annotations

import base64
import socket

import smtptls
from ca.ca import NAME, Paths
from conftest import DEADLINE, MESSAGE, RECIPIENT, SENDER
from hops import crlf

from matrix.peer import Condition


class Client:
    """It keeps a session and comes back with it."""

    def __init__(self, pki: Paths, condition: Condition, version: str, login: tuple[str, str] | None) -> None:
        only = smtptls.TlsVersion.TLS1_2 if version == "1.2" else smtptls.TlsVersion.TLS1_3
        self._config = smtptls.Config(
            hostname="client.example.test",
            roots=[pki.ca],
            keypairs=[(pki.client, pki.client_key)] if condition.own else [],
            client_sessions=1,
            min_version=only,
            max_version=only,
        )
        self._policy = smtptls.Policy("verify")
        self._login = login

    def send(self, port: int) -> smtptls.Info:
        """One message, whose acceptance the server has said."""
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
            session = smtptls.Session.client(self._config, self._policy, NAME, connection)
            session.start()
            lines = session.makefile("rb")

            def say(text: bytes, code: bytes) -> None:
                session.sendall(text)
                while (line := lines.readline())[3:4] == b"-":
                    pass
                assert line.startswith(code), f"{text[:100]!r}: {line!r}"

            if self._login:
                plain = base64.b64encode("\0{}\0{}".format(*self._login).encode())
                say(b"AUTH PLAIN %s\r\n" % plain, b"235")
            say(f"MAIL FROM:<{SENDER}> BODY=8BITMIME\r\n".encode(), b"250")
            say(f"RCPT TO:<{RECIPIENT}>\r\n".encode(), b"250")
            say(b"DATA\r\n", b"354")
            say(crlf(MESSAGE).replace(b"\r\n.", b"\r\n..") + b".\r\n", b"250")
            info = session.info
            say(b"QUIT\r\n", b"221")
            session.close()
        assert info
        return info
