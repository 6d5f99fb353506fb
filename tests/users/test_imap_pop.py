"""imaplib and poplib with our context, for mailers that fetch mail as well."""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import smtptls
from ca.ca import Paths
from conftest import DEADLINE

from users.peers import (
    BIG,
    HOST,
    MODES,
    conversation,
    openssl_server,
    refused,
    watched,
    within,
)

Answers = dict[bytes, list[bytes]]


@contextlib.contextmanager
def fetching(protocol: str, mode: str, context: ssl.SSLContext | None) -> Iterator[int]:
    """A small IMAP or POP3 server with one message; without a context it stalls where TLS should begin."""
    big = b"* 1 FETCH (RFC822 {%d}\r\n" % len(BIG)
    answers: Answers = {
        "imap": {
            b"CAPABILITY": [b"* CAPABILITY IMAP4rev1 STARTTLS\r\n"],
            b"SELECT": [b"* 1 EXISTS\r\n"],
            b"FETCH": [big, BIG, b")\r\n"],
            b"LOGOUT": [b"* BYE\r\n"],
        },
        "pop": {
            b"CAPA": [b"+OK\r\n", b"STLS\r\n", b".\r\n"],
            b"RETR": [b"+OK\r\n", BIG, b".\r\n"],
        },
    }[protocol]

    def talk(taken: socket.socket, opened: contextlib.ExitStack) -> None:
        def secure(plain: socket.socket) -> socket.socket:
            if context is not None:
                return opened.enter_context(context.wrap_socket(plain, server_side=True))
            while plain.recv(65536):
                pass
            raise EOFError

        connection = secure(taken) if mode == "implicit" else taken
        greeting = b"* OK ready\r\n" if protocol == "imap" else b"+OK ready\r\n"
        connection.sendall(greeting)
        while line := until_end(connection):
            words = line.upper().split()
            tag, verb = (words[0], words[1]) if protocol == "imap" else (b"", words[0])
            done = tag + b" OK done\r\n" if protocol == "imap" else b"+OK done\r\n"
            upgrade = verb in (b"STARTTLS", b"STLS")
            # A reply of several lines in POP3 begins with its own +OK.
            reply = answers.get(verb, [])
            whole = b"".join(reply) + (b"" if protocol == "pop" and reply else done)
            connection.sendall(whole)
            if upgrade:
                connection = secure(connection)

    def quietly(taken: socket.socket) -> None:
        # A client that refuses ends the connection in any of these ways.
        with contextlib.suppress(EOFError, OSError), contextlib.ExitStack() as opened:
            talk(taken, opened)

    with conversation(quietly) as port:
        yield port


def until_end(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        line += byte
    return line


def imap(mode: str, port: int, context: ssl.SSLContext, timeout: float) -> imaplib.IMAP4:
    if mode == "implicit":
        return imaplib.IMAP4_SSL(HOST, port, ssl_context=context, timeout=timeout)
    client = imaplib.IMAP4(HOST, port, timeout)
    try:
        client.starttls(context)
    except BaseException:
        # The connection is closed by now, which both find an error.
        with contextlib.suppress(OSError):
            client.shutdown()
        raise
    return client


def pop(mode: str, port: int, context: ssl.SSLContext, timeout: float) -> poplib.POP3:
    if mode == "implicit":
        return poplib.POP3_SSL(HOST, port, timeout=timeout, context=context)
    client = poplib.POP3(HOST, port, timeout)
    try:
        client.stls(context)
    except BaseException:
        with contextlib.suppress(OSError):
            client.close()
        raise
    return client


def connect(protocol: str, mode: str, port: int, context: ssl.SSLContext, timeout: float = DEADLINE) -> Any:
    return (imap if protocol == "imap" else pop)(mode, port, context, timeout)


protocols = pytest.mark.parametrize("protocol", ["imap", "pop"])
modes = pytest.mark.parametrize("mode", MODES)


@protocols
@modes
def test_fetch(mode: str, protocol: str, pki: Paths) -> None:
    """A megabyte, unchanged."""
    context = watched(pki)
    with fetching(protocol, mode, openssl_server(pki)) as port:
        client = connect(protocol, mode, port, context)
        assert isinstance(client.sock, smtptls.SSLSocket)
        assert client.sock.info and client.sock.info.trusted
        if protocol == "imap":
            client.state = "AUTH"
            client.select("INBOX")
            _ok, parts = client.fetch("1", "(RFC822)")
            assert parts[0][1] == BIG
            client.logout()
        else:
            _reply, lines, _size = client.retr(1)
            assert b"".join(line + b"\r\n" for line in lines) == BIG
            client.quit()
    assert len(context.secured()) == 1


@pytest.mark.parametrize(
    ("trust", "certificate", "code"),
    [("wrongca", "leaf", smtptls.Code.CERT_UNTRUSTED), ("ca", "other", smtptls.Code.CERT_NAME)],
)
@protocols
@modes
def test_refused(
    mode: str, protocol: str, trust: str, certificate: str, code: smtptls.Code, pki: Paths
) -> None:
    context = watched(pki, trust)
    with fetching(protocol, mode, openssl_server(pki, certificate)) as port, refused(code):
        connect(protocol, mode, port, context)
    assert context.begun == 1


@protocols
@modes
def test_client_certificate(mode: str, protocol: str, pki: Paths) -> None:
    context = watched(pki, certificate="client")
    with fetching(protocol, mode, openssl_server(pki, clients="ca")) as port:
        client = connect(protocol, mode, port, context)
        assert client.noop()
        client.logout() if protocol == "imap" else client.quit()
    assert len(context.secured()) == 1


@protocols
@modes
def test_stalled_handshake(mode: str, protocol: str, pki: Paths) -> None:
    context = watched(pki)
    with (
        fetching(protocol, mode, None) as port,
        within(6, at_least=0.4),
        pytest.raises(TimeoutError) as caught,
    ):
        connect(protocol, mode, port, context, timeout=0.4)
    assert isinstance(caught.value, smtptls.Timeout)
    assert context.begun == 1
