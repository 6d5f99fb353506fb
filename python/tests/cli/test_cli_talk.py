"""smtptls connect and smtptls send, against a scripted server and against aiosmtpd."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from commands import DEADLINE, NAME, one_line, peer, says, server, smtptls

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.timeout(120)]

HELLO = b"220 mail.example.test ESMTP\r\n"
BARE = b"250-mail.example.test\r\n250 PIPELINING\r\n"
SENDER, RECIPIENT = "alice@client.example.test", f"bob@{NAME}"


def test_a_pipe(good: int, pki: Any) -> None:
    ran = smtptls("connect", "--ca", pki.ca, f"localhost:{good}", stdin=b"NOOP\r\nQUIT\r\n")
    assert (ran.code, ran.out, ran.err) == (0, "250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n", "")


def test_no_key_is_magic_and_the_end_of_stdin_ends_it(good: int, pki: Any) -> None:
    ran = smtptls("connect", "--ca", pki.ca, "--crlf", "always", f"localhost:{good}", stdin=b"RSET\nQ\nR\n")
    assert (ran.code, ran.out) == (0, "250 2.0.0 Ok\r\n" * 3)


def test_what_was_said_before(good: int, pki: Any) -> None:
    ran = smtptls("connect", "-v", "--ca", pki.ca, f"localhost:{good}", stdin=b"QUIT\r\n")
    assert ran.code == 0
    assert "C: STARTTLS\nS: 220 2.0.0 Go ahead\ntls: TLSv1.3 " in ran.err
    assert "peer: level=verify auth=pkix\n" in ran.err


def test_a_pipe_to_the_wrong_server(pki: Any) -> None:
    with peer(server(pki.other, pki.other_key)) as port:
        asked = ("connect", "--ca", pki.ca, f"localhost:{port}")
        ran = smtptls(*asked, stdin=b"QUIT\r\n")
        assert ran.code == 1
        assert one_line(ran).endswith("it is for other.example.test (4.7.5)")
        ran = smtptls(*asked, "--insecure", stdin=b"QUIT\r\n")
        assert ran.code == 0 and ran.out == "221 2.0.0 Bye\r\n" and "WARNING: " in ran.err
        assert smtptls(*asked, "--level", "encrypt", stdin=b"QUIT\r\n").code == 0


def test_no_pipe_in_plaintext() -> None:
    with peer(says(HELLO, BARE, b"221 Bye\r\n")) as port:
        ran = smtptls("connect", "--level", "encrypt", "--ca", "none", f"localhost:{port}", stdin=b"MAIL\r\n")
        assert ran.code == 1 and "STARTTLS" in one_line(ran)
    ran = smtptls("connect", "--level", "encrypt", "--ca", "none", "localhost:1")
    assert ran.code == 3 and "no connection" in one_line(ran)
    assert smtptls("connect", "--level", "may", "localhost:1").code == 2


def test_a_pipe_to_a_server_that_falls_silent(pki: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.leaf, pki.leaf_key)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as tls:
            tls.sendall(b"220 mail.example.test ESMTP\r\n")
            # Past the client's close_notify, on the socket below, until it has gone.
            while tls.recv(100):
                pass
            with socket.socket(fileno=os.dup(tls.fileno())) as below:
                below.settimeout(DEADLINE)
                below.recv(100)

    with peer(serve) as port:
        ran = smtptls("connect", "--timeout", "1", "--ca", pki.ca, f"submissions:localhost:{port}")
        assert ran.code == 3 and ran.out == "220 mail.example.test ESMTP\r\n"
        assert ran.err == "smtptls: the server did not answer within 1 s (4.4.2)\n"


class Kept:
    """What a server took."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 No such \x1b[31muser"
        if address.startswith("later"):
            return "451 4.2.0 Later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append((session.ssl is not None, session.authenticated, envelope))
        return "250 2.0.0 Ok: queued as 4711"


class Server(Controller):
    """aiosmtpd with STARTTLS where there is a context."""

    def __init__(self, kept: Kept, context: ssl.SSLContext | None) -> None:
        self.context = context
        super().__init__(kept, hostname="127.0.0.1", port=0)

    def factory(self) -> SMTP:
        def authenticate(*_: Any) -> AuthResult:
            return AuthResult(success=_[-1].password == b"secret", handled=False)

        return SMTP(
            self.handler,
            hostname=NAME,
            tls_context=self.context,
            authenticator=authenticate,
            enable_SMTPUTF8=True,
        )

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()


@contextlib.contextmanager
def aiosmtpd(context: ssl.SSLContext | None) -> Iterator[tuple[int, Kept]]:
    kept = Kept()
    running = Server(kept, context)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        running.start()
        try:
            yield running.port, kept
        finally:
            running.stop()


@pytest.fixture
def mail(pki: Any) -> Iterator[tuple[int, Kept]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    with aiosmtpd(context) as running:
        yield running


ENVELOPE = ("--from", SENDER, "--to", RECIPIENT)


def test_a_message_is_sent(mail: tuple[int, Kept], pki: Any, tmp_path: Path) -> None:
    port, kept = mail
    message = tmp_path / "message.eml"
    message.write_bytes(b"Subject: hello\n\n.a line\nend\n")
    ran = smtptls("send", *ENVELOPE, "--ca", pki.ca, f"localhost:{port}", message)
    assert (ran.code, ran.err) == (0, "")
    assert "OK: sent: 250 2.0.0 Ok: queued as 4711\n" in ran.out
    assert "level verify, proved by pkix; secured: yes" in ran.out
    ((was_tls, _, envelope),) = kept.messages
    assert was_tls and envelope.mail_from == SENDER and envelope.rcpt_tos == [RECIPIENT]
    assert envelope.content == b"Subject: hello\r\n\r\n.a line\r\nend\r\n"


def test_a_test_message_and_stdin(mail: tuple[int, Kept], pki: Any) -> None:
    port, kept = mail
    assert (
        smtptls("send", *ENVELOPE, "--subject", "Gr\u00fc\u00dfe", "--ca", pki.ca, f"localhost:{port}").code
        == 0
    )
    assert (
        smtptls("send", *ENVELOPE, "--ca", pki.ca, f"localhost:{port}", "-", stdin=b"Subject: x\n\ny\n").code
        == 0
    )
    first, second = (envelope.content for _, _, envelope in kept.messages)
    assert b"Subject: =?utf-8?" in first and b"Message-ID: <" in first
    assert second == b"Subject: x\r\n\r\ny\r\n"


def test_a_login(mail: tuple[int, Kept], pki: Any, tmp_path: Path) -> None:
    port, kept = mail
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    login = ("send", *ENVELOPE, "--ca", pki.ca, "--user", "alice", f"localhost:{port}")
    assert smtptls(*login, "--password-file", secret).code == 0
    assert smtptls(*login, env={"SMTPTLS_PASSWORD": "secret"}).code == 0
    assert all(authenticated for _, authenticated, _ in kept.messages) and len(kept.messages) == 2
    ran = smtptls(*login, env={"SMTPTLS_PASSWORD": "wrong"})
    assert ran.code == 1 and "535" in one_line(ran) and "wrong" not in ran.err
    # It is for a server that has proved who it is.
    ran = smtptls(*login, "--level", "encrypt", "--password-file", secret)
    assert ran.code == 1 and "proved" in one_line(ran) and len(kept.messages) == 2
    assert smtptls(*login).code == 2
    assert smtptls("send", *ENVELOPE, "--password-file", secret, f"localhost:{port}").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("send", *ENVELOPE, "--user", "alice", "--password-file", "-", "localhost:25", "-"),
        ("send", *ENVELOPE, "--sts", "-", "localhost:25", "-"),
        ("connect", "--sts", "-", "localhost:25"),
    ],
)
def test_standard_input_is_one_thing(arguments: tuple[str, ...]) -> None:
    """Or the one who reads first would have all of it, and a password might go out as a message."""
    ran = smtptls(*arguments, stdin=b"secret\n")
    assert ran.code == 2 and "standard input" in one_line(ran)


def test_recipients_are_refused(mail: tuple[int, Kept], pki: Any) -> None:
    port, kept = mail
    send = ("send", "--from", SENDER, "--ca", pki.ca, f"localhost:{port}")
    ran = smtptls(*send, "--to", RECIPIENT, "--to", "nobody@example.test")
    assert ran.code == 1 and "FAIL: nobody@example.test refused" in ran.out and "OK: sent" in ran.out
    ran = smtptls(*send, "--to", "nobody@example.test")
    assert ran.code == 1 and "550 5.1.1 No such" in one_line(ran) and "\x1b" not in ran.err
    assert smtptls(*send, "--to", "later@example.test").code == 3
    assert len(kept.messages) == 1


def test_nothing_is_sent_to_the_wrong_server(mail: tuple[int, Kept], pki: Any) -> None:
    port, kept = mail
    send = ("send", *ENVELOPE, f"localhost:{port}", "--ca")
    ran = smtptls(*send, pki.wrongca)
    assert ran.code == 1 and one_line(ran).startswith("not sent: ")
    ran = smtptls(*send, "none", "--level", "dane", "--dnssec", "secure", "--tlsa", "3 1 1 " + "00" * 32)
    assert ran.code == 1 and "TLSA" in one_line(ran)
    assert not kept.messages
    assert smtptls(*send, "none", "--level", "encrypt").code == 0


def test_plaintext_is_told() -> None:
    with aiosmtpd(None) as (port, kept):
        ran = smtptls("send", *ENVELOPE, "--ca", "none", "--level", "may", f"localhost:{port}")
        assert ran.code == 0 and ran.out.startswith("WARN: the message went in plaintext\n")
        assert [was_tls for was_tls, _, _ in kept.messages] == [False]
        assert smtptls("send", *ENVELOPE, "--ca", "none", "--level", "encrypt", f"localhost:{port}").code == 1
        assert len(kept.messages) == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((*ENVELOPE, "localhost:1"), 3),
        ((*ENVELOPE, "localhost:1", "/nowhere.eml"), 2),
        (("--from", SENDER, "--to", "a\r\nRCPT TO:<b>", "localhost:1"), 2),
        (("--from", "two\nlines", "--to", RECIPIENT, "localhost:1"), 2),
        ((*ENVELOPE, "--subject", "a\nb: c", "localhost:1"), 2),
        ((*ENVELOPE, "unix:/nowhere/lmtp"), 3),
    ],
)
def test_nothing_to_send_to_or_with(arguments: tuple[str, ...], code: int) -> None:
    ran = smtptls("send", "--ca", "none", "--level", "encrypt", *arguments)
    assert ran.code == code
    one_line(ran)
