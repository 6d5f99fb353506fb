"""Python's smtplib talks to `serve`: SMTP and LMTP, with TLS by OpenSSL and without, and what 530 bars."""

from __future__ import annotations

import smtplib
import ssl
from pathlib import Path

import pytest
from ca.ca import NAME, Paths
from conftest import DEADLINE, MESSAGE, RECIPIENT, SENDER, Serve
from hops import crlf, openssl_name, ours, same_tls

FIRST = (530, b"5.7.0 Must issue a STARTTLS command first")

# R3207-4-8: with TLS required, everything but NOOP, EHLO, STARTTLS and QUIT is answered with 530.
BARRED = [
    "HELO client.example.test",
    f"MAIL FROM:<{SENDER}>",
    f"RCPT TO:<{RECIPIENT}>",
    "DATA",
    "BDAT 0 LAST",
    "RSET",
    "VRFY bob",
    "EXPN staff",
    "HELP",
    "AUTH PLAIN AGFsaWNlAHNlY3JldA==",
    "ETRN example.test",
    "TURN",
    "XCLIENT NAME=x",
    "XYZZY",
    "LHLO client.example.test",
    f"mail from:<{SENDER}>",
]


def client_context(pki: Paths, version: str | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(pki.ca))
    if version:
        made.minimum_version = made.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    return made


def connect(serve: Serve, kind: type[smtplib.SMTP] = smtplib.SMTP) -> smtplib.SMTP:
    client = kind(local_hostname="client.example.test")
    client.timeout = DEADLINE
    code, _text = client.connect(serve.host, serve.port)
    assert code == 220
    client._host = NAME  # type: ignore[attr-defined]  # the name that starttls checks and sends as SNI
    return client


def secure(client: smtplib.SMTP, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """STARTTLS, with the certificate checked; an end without close_notify will be an error."""
    assert client.starttls(context=tls)[0] == 220
    assert isinstance(client.sock, ssl.SSLSocket)
    client.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]
    return client.sock


@pytest.mark.parametrize("key", ["leaf", "rsa", "chain"])
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_starttls(version: str, key: str, language: str, pki: Paths, tmp_path: Path) -> None:
    """R3207-5-1 from the client's side: two messages in one session, and an orderly end (SEC-12)."""
    cert, key_file = getattr(pki, key), getattr(pki, f"{key}_key")
    with Serve(language, pki, tmp_path, cert=cert, key=key_file) as serve:
        client = connect(serve)
        client.ehlo()
        assert client.has_extn("starttls")
        tls = secure(client, client_context(pki, version))
        client.ehlo()
        assert not client.has_extn("starttls")  # R3207-4.2-9
        for _ in range(2):
            assert client.sendmail(SENDER, RECIPIENT, crlf(MESSAGE), ["BODY=8BITMIME"]) == {}
        negotiated = tls.cipher()
        assert negotiated
        same_tls(serve.out.wait("tls: "), version, negotiated[0])
        assert client.docmd("QUIT")[0] == 221
        assert tls.recv(1) == b""  # close_notify; without it this raises SSLEOFError
        client.close()
        stored = serve.wait_mail(2)
    for content in stored:
        trace, message = ours(content)
        assert message == MESSAGE
        assert (trace["protocol"], trace["helo"]) == ("ESMTPS", "client.example.test")
        # R8314-4.3-1, R8314-4.3-2: the suite by its IANA name, and the group.
        assert openssl_name(trace["suite"] or "") == negotiated[0]
        assert (trace["suite"] or "").startswith("TLS_") and trace["group"]
    assert serve.stderr == []


def test_many_at_once(language: str, pki: Paths, tmp_path: Path) -> None:
    """Sessions do not wait for each other: eight stand open, and the last opened is the first served."""
    tls = client_context(pki)
    with Serve(language, pki, tmp_path) as serve:
        clients = [connect(serve) for _ in range(8)]
        for client in reversed(clients):
            secure(client, tls)
        for client in reversed(clients):
            client.sendmail(SENDER, RECIPIENT, crlf(MESSAGE), ["BODY=8BITMIME"])
        for client in clients:
            client.quit()
        stored = serve.wait_mail(8)
    assert [ours(content)[1] for content in stored] == [MESSAGE] * 8


@pytest.mark.parametrize(("hello", "protocol"), [("EHLO", "ESMTP"), ("HELO", "SMTP")])
def test_in_clear(hello: str, protocol: str, language: str, pki: Paths, tmp_path: Path) -> None:
    """R3207-4-6: a public server takes mail without TLS; then Received tells of none (R3848-1-1)."""
    with Serve(language, pki, tmp_path) as serve:
        client = connect(serve)
        if hello == "HELO":
            client.helo()
        client.sendmail(SENDER, RECIPIENT, crlf(MESSAGE))
        client.quit()
        (stored,) = serve.wait_mail()
    trace, message = ours(stored)
    assert message == MESSAGE
    assert (trace["protocol"], trace["suite"], trace["group"]) == (protocol, None, None)


def test_tls_required(language: str, pki: Paths, tmp_path: Path) -> None:
    """R3207-4-8, R3207-4-10: the whole table of verbs before TLS, and that it leaves no trace after it."""
    with Serve(language, pki, tmp_path, require_tls=True) as serve:
        client = connect(serve)
        for command in BARRED:
            assert client.docmd(command) == FIRST, command
        assert client.docmd("NOOP")[0] == 250
        assert client.docmd("EHLO client.example.test")[0] == 250
        for command in BARRED:
            assert client.docmd(command) == FIRST, f"{command} after EHLO"
        code, text = client.docmd("STARTTLS now")
        assert (code, text[:5]) == (501, b"5.5.4")  # R3207-4-3
        secure(client, client_context(pki))
        client.sendmail(SENDER, RECIPIENT, crlf(MESSAGE), ["BODY=8BITMIME"])
        client.quit()
        (stored,) = serve.wait_mail()

        client = connect(serve)
        assert client.docmd("QUIT")[0] == 221  # the last of the four exempt ones
        client.close()
    assert ours(stored)[1] == MESSAGE


def test_smtp_commands(language: str, pki: Paths, tmp_path: Path) -> None:
    """R5321-4.1.4-1 to -3, R5321-4.2.4-1: any command that a client may send gets its answer, TLS or not."""

    def table(client: smtplib.SMTP) -> None:
        assert client.docmd("NOOP")[0] == 250
        assert client.docmd(f"MAIL FROM:<{SENDER}>")[0] == 503  # no EHLO yet
        assert client.docmd("EHLO client.example.test")[0] == 250
        assert client.docmd("DATA")[0] == 503
        assert client.docmd(f"RCPT TO:<{RECIPIENT}>")[0] == 503
        assert client.docmd(f"MAIL FROM:<{SENDER}>")[0] == 250
        assert client.docmd("DATA")[0] == 503
        assert client.docmd(f"RCPT TO:<{RECIPIENT}>")[0] == 250
        assert client.docmd("RSET")[0] == 250
        assert client.docmd("DATA")[0] == 503
        assert client.docmd("VRFY bob")[0] in (250, 252, 502)
        assert client.docmd("HELP")[0] in (211, 214, 502)
        assert client.docmd("AUTH PLAIN AGEAYg==")[0] == 502
        assert client.docmd("LHLO client.example.test")[0] == 500  # R2033-4.1-1
        assert client.docmd("XYZZY")[0] == 500

    with Serve(language, pki, tmp_path) as serve:
        client = connect(serve)
        table(client)
        secure(client, client_context(pki))
        table(client)  # R3207-4.2-2: it starts from nothing again
        assert client.docmd("STARTTLS")[0] == 503  # R3207-4.2-10
        client.quit()
    assert list(tmp_path.glob("*.eml")) == []


def test_extensions(language: str, pki: Paths, tmp_path: Path) -> None:
    """What EHLO offers before TLS and inside it: the same, but for STARTTLS (R3207-2-2, R3207-4.2-9)."""
    with Serve(language, pki, tmp_path) as serve:
        client = connect(serve)
        client.ehlo()
        before = dict(client.esmtp_features)
        secure(client, client_context(pki))
        client.ehlo()
        after = dict(client.esmtp_features)
        client.quit()
    assert before == {**after, "starttls": ""}
    assert {"pipelining", "8bitmime", "size", "enhancedstatuscodes"} <= after.keys()


def test_lmtp(language: str, pki: Paths, tmp_path: Path) -> None:
    """R2033-ours-1, R2033-4.2-1: LMTP through STARTTLS, with a reply for each recipient after the dot."""
    with Serve(language, pki, tmp_path, lmtp=True, require_tls=True) as serve:
        client = connect(serve, smtplib.LMTP)
        for hello in ("EHLO", "HELO"):
            code, _text = client.docmd(f"{hello} client.example.test")
            assert code in (500, 530), hello  # R2033-4.1-1: never 2xx
        secure(client, client_context(pki))
        client.ehlo()  # smtplib says LHLO
        assert client.mail(SENDER, ["BODY=8BITMIME"])[0] == 250
        for recipient in (RECIPIENT, f"carol@{NAME}"):
            assert client.rcpt(recipient)[0] == 250
        assert client.data(crlf(MESSAGE))[0] == 250
        assert client.getreply()[0] == 250  # the second recipient's
        client.quit()
        stored = serve.wait_mail()
    for content in stored:
        trace, message = ours(content)
        assert (trace["protocol"], message) == ("LMTPS", MESSAGE)
