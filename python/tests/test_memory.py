"""Two sessions back to back in memory: every entry, reading and writing, and how to leave."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

import pytest
import smtptls
from smtptls import Action, Close, Code, Config, Entry, Policy, Protocol, Session
from support import NAME, carry, greet, pair, read, secured, together

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]


@pytest.mark.parametrize("piece", [None, 1, 7, 512])
def test_from_the_greeting(trusting: Config, serving: Config, piece: int | None) -> None:
    """R3207-5-1: the example dialogue, in pieces of every size."""
    client, server = pair(trusting, serving)
    assert greet(client, server, piece) == [None, None]
    assert client.is_tls and server.is_tls
    assert client.reply == "250 mail.example.test"


def test_ehlo_inside_tls_is_the_program_s(trusting: Config, serving: Config) -> None:
    """R3207-4.2-2, R3207-4.2-3: what was said before TLS is forgotten on both sides."""
    client, server = pair(trusting, serving)
    lines = []
    answer = b"250-mail.example.test\r\n250 SIZE 5\r\n"
    for_server = [server.start, lambda: lines.append(server.recv(100)), lambda: server.sendall(answer)]
    assert together(client, server, [client.start], for_server) == [None, None]
    assert lines == [b"EHLO client.example.test\r\n"]
    assert client.reply == "250-mail.example.test\n250 SIZE 5"
    assert server.hello is None


def test_from_the_command(trusting: Config, serving: Config) -> None:
    client, server = pair(trusting, serving)
    with pytest.raises(smtptls.WantOutput):
        client.start(Entry.COMMAND)
    assert client.output() == b"STARTTLS\r\n"
    client.sent(len(client.output()))  # the server's program has read this
    server.set_command("starttls\r\n")
    # The client's Finished waits for its EHLO, and leaves with it.
    for_client = [lambda: client.start(Entry.COMMAND), lambda: client.sendall(b"EHLO x\r\n")]
    for_server = [lambda: server.start(Entry.COMMAND), lambda: server.recv(100)]
    assert together(client, server, for_client, for_server) == [None, b"EHLO x\r\n"]


def test_from_the_handshake(trusting: Config, serving: Config) -> None:
    client, server = pair(trusting, serving)
    begin = [lambda: client.start(Entry.HANDSHAKE)], [lambda: server.start(Entry.HANDSHAKE)]
    assert together(client, server, *begin) == [None, None]


def test_lmtp(trusting: Config, serving: Config) -> None:
    """R2033-ours-1."""
    client, server = pair(trusting, serving, protocol=Protocol.LMTP)
    said = []
    while True:
        try:
            client.start()
            break
        except smtptls.WantInput:
            with pytest.raises((smtptls.WantInput, smtptls.WantOutput)):
                server.start()
            carry(server, client)
        except smtptls.WantOutput:
            said.append(client.output())
            carry(client, server)
            if said[-1] == b"STARTTLS\r\n":
                break
    assert said == [b"LHLO client.example.test\r\n", b"STARTTLS\r\n"]


def test_extensions_are_offered(trusting: Config, serving: Config) -> None:
    client = Session.client(trusting, Policy("may"), NAME)
    server = Session.server(serving, Policy("may"), extensions=["SIZE 1000", "8BITMIME"])
    for call in (server.start, client.start, server.start):
        with pytest.raises((smtptls.WantInput, smtptls.WantOutput)):
            call()
        carry(client, server)
        carry(server, client)
    with pytest.raises((smtptls.WantInput, smtptls.WantOutput)):
        client.start()
    assert client.reply is not None
    assert {"250-SIZE 1000", "250-8BITMIME", "250 STARTTLS"} <= set(client.reply.split("\n"))


@pytest.mark.parametrize("line", ["SIZE\r\nQUIT", "", "STARTTLS", "x" * 600, "\u00e9"])
def test_an_extension_must_fit_on_a_line(serving: Config, line: str) -> None:
    with pytest.raises(smtptls.ConfigError) as caught:
        Session.server(serving, extensions=[line])
    assert caught.value.code is Code.ARGUMENT


def test_tls_1_2_against_another_implementation(trusting: Config, serving: Config, pki: Any) -> None:
    """R8314-4-1: TLS 1.2 is spoken, unless the configuration asks for more; OpenSSL is the client."""
    context = ssl.create_default_context(cafile=pki.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def shake(server: Session) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, server_hostname=NAME)
        for _ in range(10):
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            if data := outgoing.read():
                server.feed(data)
            with contextlib.suppress(smtptls.WantInput, smtptls.WantOutput):
                server.start(Entry.HANDSHAKE)
                return
            incoming.write(server.output())
            server.sent(len(server.output()))

    server = Session.server(serving)
    shake(server)
    assert server.info is not None
    assert server.info.version == "TLSv1.2" and server.info.channel_binding is None

    newer = Config(min_version=smtptls.TlsVersion.TLS1_3, keypairs=[(pki.leaf, pki.leaf_key)])
    with pytest.raises(smtptls.TlsError) as caught:
        shake(Session.server(newer))
    assert caught.value.code is Code.HANDSHAKE


@pytest.mark.parametrize("size", [1, 16384, 16385, 200_000])
def test_what_is_written_is_read(trusting: Config, serving: Config, size: int) -> None:
    client, server = secured(trusting, serving)
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    sent, came = 0, b""
    while sent < size or client.output():
        with contextlib.suppress(smtptls.WantOutput):
            sent += client.send(data[sent:])
        carry(client, server)
        came += read(server)
    assert came == data


def test_sendall_says_how_much_was_taken(trusting: Config, serving: Config) -> None:
    client, server = secured(trusting, serving)
    data = b"x" * 1_000_000
    with pytest.raises(smtptls.WantOutput) as caught:
        client.sendall(data)
    taken = caught.value.characters_written
    assert 0 < taken < len(data)
    came = b""
    while carry(client, server):
        came += read(server)
    assert came == data[:taken]


def test_more_gathers_in_one_record(trusting: Config, serving: Config) -> None:
    client, _server = secured(trusting, serving)
    client.flush()
    for line in (b"MAIL FROM:<>\r\n", b"RCPT TO:<a@b>\r\n"):
        client.sendall(line, more=True)
    assert client.output() == b""
    client.sendall(b"DATA\r\n")
    record = client.output()
    assert record[:1] == b"\x17" and len(record) == 5 + int.from_bytes(record[3:5], "big")


def test_recv_into_and_pending(trusting: Config, serving: Config) -> None:
    client, server = secured(trusting, serving)
    with pytest.raises(smtptls.WantInput):
        server.recv(10)
    client.sendall(memoryview(b"0123456789"))
    carry(client, server)
    assert server.pending() >= 10
    buffer = bytearray(b"....")
    assert server.recv_into(buffer) == 4 and buffer == b"0123"
    assert server.recv_into(memoryview(buffer)[2:]) == 2 and buffer == b"0145"
    assert server.recv(0) == b"" and server.recv(100) == b"6789" and server.pending() == 0


def test_close_notify_and_what_follows_it(trusting: Config, serving: Config) -> None:
    client, server = secured(trusting, serving)
    with pytest.raises(smtptls.WantOutput):
        client.close()
    carry(client, server)
    server.feed(b"QUIT\r\n")
    assert read(server) == b"" and server.recv(1) == b"" and not server.is_truncated
    assert server.leftover() == b"QUIT\r\n"
    client.close()
    assert not client.is_tls
    with pytest.raises(smtptls.Error) as caught:
        client.sendall(b"x")
    assert caught.value.code is Code.STATE


def test_close_half_and_wait(trusting: Config, serving: Config) -> None:
    client, server = secured(trusting, serving)
    with pytest.raises(smtptls.WantOutput):
        client.close(Close.HALF)
    carry(client, server)
    assert server.recv(1) == b""
    server.sendall(b"last words")
    with pytest.raises(smtptls.WantOutput):
        server.close()
    carry(server, client)
    assert client.recv(100) == b"last words" and client.recv(100) == b""
    client.close(Close.WAIT)


def test_truncation_shows(trusting: Config, serving: Config) -> None:
    """SEC-12."""
    client, server = secured(trusting, serving)
    server.sendall(b"250 ok\r\n")
    carry(server, client)
    assert client.feed(b"") == 0
    assert client.recv(100) == b"250 ok\r\n" and client.recv(100) == b"" and client.is_truncated
    with pytest.raises(smtptls.ClosedError) as caught:
        client.close()
    assert caught.value.code is Code.TRUNCATED


def test_the_client_goes_on_without_starttls(trusting: Config, serving: Config) -> None:
    """R3207-6-1: plaintext that the policy allows is an error with the action CONTINUE, never a success."""
    server = Session.server(serving)
    with pytest.raises(smtptls.WantOutput):
        server.start()
    server.sent(len(server.output()))
    server.feed(b"EHLO client.example.test\r\nMAIL FROM:<a@b>\r\nRCPT")
    with pytest.raises(smtptls.StarttlsUnavailable) as caught:
        server.start()
    assert (caught.value.code, caught.value.action) == (Code.NOT_REQUESTED, Action.CONTINUE)
    assert server.leftover() == b"MAIL FROM:<a@b>\r\nRCPT"
    assert server.hello == "EHLO client.example.test"
    assert server.error is not None and server.error.code is Code.NOT_REQUESTED


def test_starttls_with_a_parameter_is_answered(serving: Config) -> None:
    """R3207-4-3."""
    server = Session.server(serving)
    server.set_command(b"STARTTLS now\r\n")
    with pytest.raises(smtptls.ProtocolError) as caught:
        server.start(Entry.COMMAND)
    assert (caught.value.code, caught.value.action) == (Code.SMTP_SYNTAX, Action.CONTINUE)
    assert server.output().startswith(b"501 5.5.4 ")


def test_a_failed_verdict_is_refused_politely(trusting: Config, pki: Any) -> None:
    """R3207-4.1-1, R3207-4.1-3: no byte passes before the verdict, and then QUIT."""
    stranger = Config(keypairs=[(pki.selfsigned, pki.selfsigned_key)])
    client, server = pair(trusting, stranger)
    failed, done = together(client, server, [client.start], [server.start])
    assert isinstance(failed, smtptls.CertificateError) and done is None
    assert (failed.code, failed.action) == (Code.CERT_UNTRUSTED, Action.NEXT_HOST)
    assert failed.tlsrpt == "certificate-not-trusted"
    assert client.info is not None and not client.info.trusted and client.info.name_matched
    assert client.info.doubt == failed.message and client.info.doubt_depth == 0
    assert client.reports == [(smtptls.Tlsrpt.CERTIFICATE_NOT_TRUSTED, failed.tlsrpt_reason)]
    assert not client.info.secured
    with pytest.raises(smtptls.CertificateError):
        client.sendall(b"MAIL FROM:<a@b>\r\n")
    with pytest.raises(smtptls.WantOutput):
        client.refuse()
    carry(client, server)
    client.refuse()
    assert read(server) == b"QUIT\r\n" and not server.is_truncated


def test_going_on_all_the_same_has_insecure_in_its_name(trusting: Config, pki: Any) -> None:
    client, server = pair(trusting, Config(keypairs=[(pki.other, pki.other_key)]))
    failed, _ = together(client, server, [client.start], [server.start])
    assert failed.code is Code.CERT_NAME and failed.tlsrpt == "certificate-host-mismatch"
    client.insecure_continue()
    client.sendall(b"EHLO x\r\n")
    carry(client, server)
    assert read(server) == b"EHLO x\r\n"
    with pytest.raises(smtptls.Error) as caught:
        client.insecure_continue()
    assert caught.value.code is Code.STATE


def test_names_and_sni_of_the_policy(trusting: Config, pki: Any) -> None:
    other = Config(keypairs=[(pki.other, pki.other_key)])
    for policy, sent in [
        (Policy(names=["other.example.test"]), NAME),
        (Policy(names=[".example.test"], sni="third.example.test"), "third.example.test"),
        (Policy(names=("nope.test", "other.example.test"), sni=None), None),
        (Policy(names=["other.example.test"], sni=...), NAME),
    ]:
        client, server = Session.client(trusting, policy, NAME), Session.server(other)
        assert greet(client, server) == [None, None]
        assert server.info is not None and server.info.server_name == sent


def test_injected_plaintext_is_an_error_of_its_own(trusting: Config, serving: Config) -> None:
    """SEC-1, SEC-3: CVE-2011-0411 and its mirror image."""
    client = Session.client(trusting, Policy("verify"), NAME)
    with pytest.raises(smtptls.WantOutput):
        client.start(Entry.COMMAND)
    client.sent(len(client.output()))
    client.feed(b"220 go\r\n250 injected\r\n")
    with pytest.raises(smtptls.InjectionError) as caught:
        client.start(Entry.COMMAND)
    assert (caught.value.code, caught.value.action) == (Code.PLAINTEXT_INJECTED, Action.NEXT_HOST)

    for session in (Session.client(trusting, Policy("may"), NAME), Session.server(serving)):
        with pytest.raises(smtptls.InjectionError):
            session.start(Entry.COMMAND, unread=6)
        assert session.output() == b""


def test_a_failed_session_stays_failed(trusting: Config) -> None:
    client = Session.client(trusting, Policy("verify"), NAME)
    client.feed(b"554 no\r\n")
    with pytest.raises(smtptls.StarttlsUnavailable) as first:
        client.start()
    with pytest.raises(smtptls.StarttlsUnavailable) as second:
        client.start()
    assert str(first.value) == str(second.value) == str(client.error)


def test_socket_calls_need_a_socket(trusting: Config) -> None:
    client = Session.client(trusting, Policy("verify"), NAME)
    for call in (client.fileno, lambda: client.settimeout(1), lambda: client.set_deadline(1)):
        with pytest.raises(smtptls.Error) as caught:
            call()
        assert caught.value.code is Code.STATE


def test_calls_in_the_wrong_order(trusting: Config, serving: Config) -> None:
    client, server = pair(trusting, serving)
    for call in (
        lambda: client.recv(1),
        lambda: client.sendall(b"x"),
        client.refuse,
        client.insecure_continue,
    ):
        with pytest.raises(smtptls.Error) as caught:
            call()
        assert caught.value.code is Code.STATE
    assert client.info is None and client.error is None and not client.is_tls and client.pending() == 0
    assert greet(client, server) == [None, None]
    with pytest.raises(smtptls.Error) as caught:
        client.start()
    assert caught.value.code is Code.STATE
    with pytest.raises(smtptls.Error) as caught:
        server.set_command("STARTTLS")
    assert caught.value.code is Code.STATE


def test_the_time_allowed(serving: Config, trusting: Config) -> None:
    """Who carries the bytes has the clock: a server says 421 then (RFC 5321 section 3.8)."""
    server = Session.server(serving)
    with pytest.raises(smtptls.WantOutput):
        server.start()
    server.sent(len(server.output()))
    late = server.expire()
    assert isinstance(late, smtptls.Timeout) and (late.code, late.action) == (Code.TIMEOUT, Action.FAIL)
    assert server.output() == b"421 4.4.2 Timeout exceeded, closing connection\r\n"
    with pytest.raises(smtptls.Timeout):
        server.start()
    client = Session.client(trusting, Policy("may"), NAME)
    with pytest.raises(smtptls.WantInput):
        client.start()
    late = client.expire()
    assert (late.code, late.action, late.enhanced_status) == (Code.TIMEOUT, Action.NEXT_HOST, "4.4.2")
    assert client.output() == b"" and type(client.error) is smtptls.Timeout


def test_the_reply_is_with_the_error_wherever_it_is_had(trusting: Config) -> None:
    """R3207-4-5: 454 is for now, which tells who raised it, `error` and `expire`."""
    client = Session.client(trusting, Policy("encrypt"), NAME)
    for line in (b"220 mx.example.test\r\n", b"250-mx.example.test\r\n250 STARTTLS\r\n"):
        client.feed(line)
        with pytest.raises(smtptls.WantOutput):
            client.start()
        client.sent(len(client.output()))
    client.feed(b"454 4.7.0 Not now\r\n")
    with pytest.raises(smtptls.StarttlsUnavailable) as caught:
        client.start()
    for error in (caught.value, client.error, client.expire()):
        assert error is not None and error.reply == "454 4.7.0 Not now"
