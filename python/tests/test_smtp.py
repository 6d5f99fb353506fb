"""smtptls.SMTP, SMTP_SSL and LMTP, with aiosmtpd and with scripted peers that do what no server should."""

from __future__ import annotations

import base64
import contextlib
import email.message
import email.policy
import logging
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import smtptls
from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP as LmtpServer
from aiosmtpd.smtp import SMTP as SmtpServer
from aiosmtpd.smtp import AuthResult
from smtptls import Action, Code, Config, Entry, Level, Policy, Session
from smtptls._smtp import LMTP, SMTP, SMTP_SSL, InsecureLoginError, SecuredSocket
from support import DEADLINE, NAME, thread

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

SENDER, RECIPIENT = "alice@example.test", "bob@example.test"
USER, PASSWORD = "alice", "open sesame"
SECRETS = [PASSWORD.encode(), base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())]


class Mailbox:
    """What aiosmtpd's servers deliver to; it refuses recipients at refused.example.test."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []
        self.logins: list[bytes] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _o: Any) -> str:
        if address.endswith("@refused.example.test"):
            return "550 5.1.1 Nobody here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        return f"250 2.0.0 queued as {len(self.envelopes)}"

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        self.logins.append(data.password)
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    def content(self) -> bytes:
        (envelope,) = self.envelopes
        content: bytes = envelope.original_content
        return content


class Served(Controller):
    """aiosmtpd on a free port."""

    lmtp = False

    server: Any

    def factory(self) -> Any:
        kind = LmtpServer if self.lmtp else SmtpServer
        return kind(self.handler, **self.SMTP_kwargs)

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def aiosmtpd(*, lmtp: bool = False, **options: Any) -> Iterator[tuple[int, Mailbox]]:
    """A server with STARTTLS by its tls_context, or TLS from the start by its ssl_context."""
    mailbox = Mailbox()
    served = Served(mailbox, hostname="127.0.0.1", port=0, authenticator=mailbox.authenticate, **options)
    served.lmtp = lmtp
    served.start()
    try:
        yield served.port, mailbox
    finally:
        served.stop()


class Peer:
    """A scripted server's connection; it records what comes in plaintext."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard = bytearray()
        self.buffer = b""

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def hear(self) -> bytes:
        """The next line, b"" at the end."""
        while b"\n" not in self.buffer:
            data = self.sock.recv(4096)
            if not data:
                return b""
            self.buffer += data
            self.heard += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def rest(self) -> bytes:
        """All until the end."""
        with contextlib.suppress(OSError):
            while data := self.sock.recv(4096):
                self.heard += data
        return bytes(self.heard)

    def greet(self, *extensions: bytes, behind: bytes = b"") -> None:
        self.say(b"220 mail.example.test ESMTP\r\n")
        assert self.hear()[:4].lower() == b"ehlo"
        lines = [b"mail.example.test", *extensions]
        self.say(b"".join(b"250-%s\r\n" % line for line in lines[:-1]) + b"250 %s\r\n" % lines[-1] + behind)


Script = Callable[[Peer], Any]


@contextlib.contextmanager
def scripted(*scripts: Script, path: str | None = None) -> Iterator[tuple[int, list[Peer]]]:
    """A server that does one script after the other, each with one client; its port, and its connections."""
    peers: list[Peer] = []
    with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as listener:
        listener.bind(path or ("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(DEADLINE)

        def serve() -> None:
            for script in scripts:
                sock, _ = listener.accept()
                with sock:
                    sock.settimeout(DEADLINE)
                    peers.append(Peer(sock))
                    script(peers[-1])

        with thread(serve) as raised:
            yield 0 if path else listener.getsockname()[1], peers
        assert not raised, raised


def secured(config: Config, peer: Peer) -> Session:
    """The peer's side of TLS."""
    session = Session.server(config, None, peer.sock)
    session.start(Entry.HANDSHAKE)
    return session


def starttls_reply(reply: bytes) -> Script:
    """A peer that offers STARTTLS and answers it so."""

    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        assert peer.hear() == b"STARTTLS\r\n"
        peer.say(reply)
        peer.rest()

    return script


@pytest.fixture(scope="module")
def tls(pki: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    return context


def opened(
    port: int, config: Config, policy: Any = "verify", kind: type[SMTP] = SMTP, **options: Any
) -> SMTP:
    options.setdefault("name", NAME)
    options.setdefault("timeout", DEADLINE)
    options.setdefault("local_hostname", "client.example.test")
    return kind("127.0.0.1", port, config=config, policy=policy, **options)


def assert_gone(client: SMTP) -> None:
    assert client.sock is None and not client.is_tls
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.noop()


def message(text: str = "Hello\n") -> email.message.EmailMessage:
    made = email.message.EmailMessage()
    made["From"], made["To"], made["Subject"] = SENDER, RECIPIENT, "Test"
    made.set_content(text)
    return made


# Against aiosmtpd.


def test_a_message_by_starttls(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls, require_starttls=True) as (port, mailbox):
        with opened(port, trusting) as client:
            assert isinstance(client, smtplib.SMTP) and not client.is_tls and client.info is None
            assert client.mail(SENDER)[0] == 530
            assert client.starttls() == (220, b"")
            assert client.is_tls and client.info and client.info.secured
            assert client.info.matched_name == NAME and client.error is None
            assert client.session is client.sock.session
            # RFC 3207 section 4.2: what was before TLS is forgotten.
            assert client.ehlo_resp is client.helo_resp is None
            assert client.esmtp_features == {} and not client.does_esmtp
            client.login(USER, PASSWORD)
            assert not client.has_extn("starttls") and client.has_extn("auth")
            assert client.send_message(message()) == {}
            assert client.data_reply == (250, b"2.0.0 queued as 1")
            with pytest.raises(smtptls.Error, match="active already"):
                client.starttls()
            assert client.is_tls and client.noop()[0] == 250
        assert client.info and client.info.secured  # it stays until the next connect
        assert_gone(client)
    assert mailbox.logins == [PASSWORD.encode()]
    assert mailbox.envelopes[0].mail_from == SENDER


def test_config_policy_and_name_of_the_call(trusting: Config, pki: Any, tls: ssl.SSLContext) -> None:
    """They come before those of the object."""
    wrong = Config(roots=[pki.wrongca])
    with aiosmtpd(tls_context=tls) as (port, _):
        with opened(port, wrong, "encrypt", name="x.example.test") as client:
            client.starttls(config=trusting, policy=Policy("verify"), name=NAME)
            assert client.info and client.info.level is Level.VERIFY and client.info.matched_name == NAME
        with opened(port, wrong, name="x.example.test") as client:
            client.starttls(policy=Level.ENCRYPT)
            assert client.info and client.info.level is Level.ENCRYPT


def test_the_default_is_the_system_s_trust(tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, _), SMTP("127.0.0.1", port, timeout=DEADLINE) as client:
        with pytest.raises(smtptls.Error) as caught:
            client.starttls(name=NAME)
        assert caught.value.code in (Code.CERT_UNTRUSTED, Code.NO_ROOTS)
        assert client.sock is None


def test_the_policy_is_about_the_host_of_connect(trusting: Config, tls: ssl.SSLContext) -> None:
    """smtplib itself has no name there up to Python 3.13, and keeps the first one later."""
    with aiosmtpd(tls_context=tls) as (port, _):
        client = SMTP(config=trusting, timeout=DEADLINE)
        for host, name in [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")]:
            client.connect(host, port)
            client.starttls()
            assert client.info and client.info.matched_name == name
            assert client.ehlo()[0] == 250
            # Without quit: an earlier connection, its extensions and its TLS leave no trace.
        client.connect(f"localhost:{port}")
        assert client.info is None and not client.is_tls and client.esmtp_features == {}
        client.starttls()
        assert client.info and client.info.matched_name == "localhost"
        client.quit()


def test_a_wrong_name(trusting: Config, tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "smtptls")
    with (
        aiosmtpd(tls_context=tls) as (port, mailbox),
        opened(port, trusting, name="x.example.test") as client,
    ):
        with pytest.raises(smtptls.CertificateError) as caught:
            client.starttls()
        assert caught.value.code is Code.CERT_NAME and client.error is caught.value
        assert client.info and not client.info.secured and client.info.certificate_present
        assert_gone(client)
    assert not mailbox.envelopes
    assert "x.example.test: SMTPTLS_ERR_CERT_NAME" in caplog.text


def test_an_untrusted_server_is_left_by_quit_inside_tls(pki: Any, serving: Config) -> None:
    """RFC 3207 section 4.1."""
    inside: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        inside.append(session.recv(100))
        inside.append(session.recv(100))

    with scripted(script) as (port, peers):
        client = opened(port, Config(roots=[pki.wrongca]))
        with pytest.raises(smtptls.CertificateError) as caught:
            client.starttls()
        assert caught.value.code is Code.CERT_UNTRUSTED
        assert_gone(client)
    assert inside == [b"QUIT\r\n", b""]
    assert bytes(peers[0].heard).lower() == b"ehlo client.example.test\r\nstarttls\r\n"


def test_a_client_certificate(pki: Any) -> None:
    wants = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wants.load_cert_chain(pki.leaf, pki.leaf_key)
    wants.load_verify_locations(pki.ca)
    wants.verify_mode = ssl.CERT_REQUIRED
    wants.maximum_version = ssl.TLSVersion.TLSv1_2
    config = Config(roots=[pki.ca], keypairs=[(pki.client, pki.client_key)])
    with aiosmtpd(tls_context=wants) as (port, mailbox):
        with opened(port, config) as client:
            client.starttls()
            client.send_message(message())
        with opened(port, Config(roots=[pki.ca])) as client:
            with pytest.raises(smtptls.TlsError):
                client.starttls()
            assert_gone(client)
    assert len(mailbox.envelopes) == 1


@pytest.mark.parametrize("length", [0, 1_000_000])
def test_a_message_arrives_as_it_was(length: int, trusting: Config, tls: ssl.SSLContext) -> None:
    line = b"." * 3 + bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n"
    text = b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\n\r\n" + line * (length // len(line)) + b".\r\n"
    with aiosmtpd(tls_context=tls, data_size_limit=2_000_000) as (port, mailbox):
        with opened(port, trusting) as client:
            client.starttls()
            client.sendmail(SENDER, RECIPIENT, text, ["BODY=8BITMIME"])
        assert mailbox.content() == text


def test_smtputf8(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls, enable_SMTPUTF8=True) as (port, mailbox):
        with opened(port, trusting) as client:
            client.starttls()
            sent = message("Grüße\n")
            sent.replace_header("To", "bøb@example.test")
            client.send_message(sent)
        assert mailbox.envelopes[0].rcpt_tos == ["bøb@example.test"]
        assert "To: bøb@example.test\r\n".encode() in mailbox.content()


def test_implicit_tls(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(ssl_context=tls) as (port, mailbox):
        with opened(port, trusting, kind=SMTP_SSL) as client:
            assert client.is_tls and client.info and client.info.secured
            client.send_message(message())
            with pytest.raises(smtptls.Error, match="active already"):
                client.starttls()
            assert client.is_tls
        with pytest.raises(smtptls.CertificateError) as caught:
            opened(port, trusting, kind=SMTP_SSL, name="x.example.test")
        assert caught.value.code is Code.CERT_NAME
        later = SMTP_SSL(config=trusting, timeout=DEADLINE)
        assert later.default_port == 465
        later.connect("localhost", port)
        assert later.info and later.info.matched_name == "localhost"
        later.quit()
        later._name = "x.example.test"
        with pytest.raises(smtptls.CertificateError):
            later.connect("localhost", port)
        assert later.info and not later.info.secured and later.error
        assert_gone(later)
    assert len(mailbox.envelopes) == 1


@pytest.mark.parametrize("policy", ["none", "may", "verify"])
def test_implicit_tls_never_becomes_plaintext(policy: str, trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 plaintext\r\n")
        peer.rest()

    with scripted(script) as (port, peers), pytest.raises(smtptls.Error):
        opened(port, trusting, policy, SMTP_SSL)
    assert b"ehlo" not in peers[0].heard.lower()


def test_lmtp(trusting: Config, tls: ssl.SSLContext) -> None:
    served = aiosmtpd(lmtp=True, tls_context=tls)
    with served as (port, mailbox), opened(port, trusting, kind=LMTP) as client:
        assert isinstance(client, smtplib.LMTP)
        client.starttls()
        assert client.info and client.info.secured
        client.send_message(message())
    assert len(mailbox.envelopes) == 1


def test_lmtp_answers_for_each_recipient(trusting: Config, serving: Config, tmp_path: Path) -> None:
    """RFC 2033 section 4.2, over a unix socket and inside TLS."""
    path = str(tmp_path / "lmtp")
    people = [f"{name}@example.test" for name in ("bob", "carol", "dave", "eve")]

    def script(peer: Peer) -> None:
        peer.say(b"220 hi\r\n")
        assert peer.hear() == b"lhlo client.example.test\r\n"
        peer.say(b"250-mail\r\n250 STARTTLS\r\n")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        lines = session.makefile("rb")
        replies = [b"250 mail\r\n", b"250 ok\r\n"] + [b"250 ok\r\n", b"550 no\r\n"] + [b"250 ok\r\n"] * 2
        for reply in [*replies, b"354 go\r\n"]:
            assert lines.readline()
            session.sendall(reply)
        while lines.readline() != b".\r\n":
            pass
        session.sendall(b"452 full\r\n250 dave has it\r\n250 eve has it\r\n")
        assert lines.readline() == b"quit\r\n"
        session.sendall(b"221 bye\r\n")

    with scripted(script, path=path):
        client = LMTP(
            path, local_hostname="client.example.test", name=NAME, config=trusting, timeout=DEADLINE
        )
        client.starttls()
        refused = client.sendmail(SENDER, people, "x\n")
        assert refused == {"carol@example.test": (550, b"no"), "bob@example.test": (452, b"full")}
        assert client.data_reply == (250, b"dave has it")
        assert client.quit() == (221, b"bye")


@pytest.mark.parametrize("close", [False, True])
def test_lmtp_answers_that_do_not_come(
    trusting: Config, serving: Config, tmp_path: Path, close: bool
) -> None:
    """R2033-4.2-2: who has no answer is tried again; who has one has it."""
    path = str(tmp_path / "lmtp")
    people = [f"{name}@example.test" for name in ("bob", "carol", "dave")]

    def script(answers: bytes) -> Script:
        def talk(peer: Peer) -> None:
            peer.say(b"220 hi\r\n")
            peer.hear()
            peer.say(b"250-mail\r\n250 STARTTLS\r\n")
            peer.hear()
            peer.say(b"220 go\r\n")
            session = secured(serving, peer)
            lines = session.makefile("rb")
            for reply in [b"250 mail\r\n"] + [b"250 ok\r\n"] * 4 + [b"354 go\r\n"]:
                assert lines.readline()
                session.sendall(reply)
            while lines.readline() != b".\r\n":
                pass
            session.sendall(answers)
            if close:
                session.close()

        return talk

    def delivered() -> tuple[dict[str, Any], LMTP]:
        client = LMTP(path, name=NAME, config=trusting, timeout=DEADLINE)
        client.starttls()
        return client.sendmail(SENDER, people, "x\n"), client

    answers = [b"250 bob has it\r\n250 carol", b"550 bob is gone\r\n", b"250 bob"]
    with scripted(*map(script, answers), path=path):
        refused, client = delivered()
        assert {who: code for who, (code, _) in refused.items()} == dict.fromkeys(people[1:], 451)
        assert_gone(client)
        # With nobody served, nobody bounces who could be tried again.
        with pytest.raises(smtplib.SMTPDataError) as caught:
            delivered()
        assert caught.value.smtp_code == 451
        with pytest.raises(smtplib.SMTPServerDisconnected):
            delivered()


def test_a_path_is_no_name(trusting: Config, tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 hi\r\n")
        peer.hear()
        peer.say(b"250-mail\r\n250 STARTTLS\r\n")
        peer.rest()

    path = str(tmp_path / "lmtp")
    with scripted(script, path=path):
        client = LMTP(path, config=trusting, timeout=DEADLINE)
        with pytest.raises(smtptls.ConfigError, match="name="):
            client.starttls()
        assert_gone(client)


# Attacks, and servers that fail.


@pytest.mark.parametrize("policy", ["may", "verify"])
def test_a_reply_behind_220(policy: str, trusting: Config) -> None:
    """The response injection of 2021: it never becomes the first reply inside TLS."""
    injected = b"250-evil\r\n250 AUTH PLAIN\r\n"
    with scripted(starttls_reply(b"220 go\r\n" + injected)) as (port, peers):
        client = opened(port, trusting, policy)
        with pytest.raises(smtptls.InjectionError) as caught:
            client.starttls()
        assert caught.value.action is Action.NEXT_HOST
        assert_gone(client)
    assert bytes(peers[0].heard).lower() == b"ehlo client.example.test\r\nstarttls\r\n"


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("policy", ["may", "verify"])
@pytest.mark.parametrize(
    ("extra", "offer"), [(b"220 go\r\n", b"STARTTLS"), (b"2", b"STARTTLS"), (b"250 STARTTLS\r\n", b"SIZE")]
)
def test_a_reply_behind_that_to_ehlo(
    extra: bytes, offer: bytes, policy: str, at_once: bool, trusting: Config, caplog: pytest.LogCaptureFixture
) -> None:
    said = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet(offer, behind=extra if at_once else b"")
        if not at_once:
            time.sleep(0.05)
            peer.say(extra)
        said.set()
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting, policy)
        client.ehlo()
        assert said.wait(DEADLINE)
        with pytest.raises(smtptls.InjectionError):
            client.starttls()
        assert_gone(client)
    # Not a byte was sent.
    assert bytes(peers[0].heard).lower() == b"ehlo client.example.test\r\n"
    assert [record.levelname for record in caplog.records if record.name == "smtptls"] == ["WARNING"]


@pytest.mark.parametrize("hello", [b"SIZE 1000", b"X-STARTTLS", b"XXXXXXXA"])
def test_starttls_that_is_stripped(hello: bytes, trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(hello)
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting)
        with pytest.raises(smtptls.StarttlsUnavailable) as caught:
            client.starttls()
        error = caught.value
        assert (error.code, error.action) == (Code.NOT_OFFERED, Action.NEXT_HOST)
        assert (error.tlsrpt, error.enhanced_status) == ("starttls-not-supported", "4.7.4")
        assert hello.decode() in error.message
        assert client.session and client.session.reports
        assert_gone(client)
    assert bytes(peers[0].heard).lower() == b"ehlo client.example.test\r\nquit\r\n"


@pytest.mark.parametrize(
    "lines", [[b"\xff\x00 x"], [b"", b" "], [b"x" * 2000] * 5, [b"X%d" % n for n in range(5000)]]
)
def test_an_odd_reply_to_ehlo_without_starttls(lines: list[bytes], trusting: Config) -> None:
    """smtplib takes it; what the engine makes of it is an error in any case."""

    def script(peer: Peer) -> None:
        peer.greet(*lines)
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting)
        with pytest.raises(smtptls.Error) as caught:
            client.starttls()
        assert caught.value.action is Action.NEXT_HOST
        assert_gone(client)
    assert b"STARTTLS" not in peers[0].heard


def test_a_server_without_esmtp(trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 hi\r\n")
        peer.hear()
        peer.say(b"502 what\r\n")
        peer.hear()
        peer.say(b"250 hello\r\n")
        peer.rest()

    with scripted(script) as (port, _):
        client = opened(port, trusting)
        with pytest.raises(smtptls.StarttlsUnavailable):
            client.starttls()
        assert_gone(client)


def test_a_server_that_answers_no_hello(trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 hi\r\n")
        for _ in range(2):
            peer.hear()
            peer.say(b"502 what\r\n")
        assert peer.rest().count(b"\n") == 2

    with scripted(script) as (port, _):
        client = opened(port, trusting, "may")
        with pytest.raises(smtplib.SMTPHeloError):
            client.starttls()
        assert_gone(client)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"454 4.7.0 not now\r\n", Code.REFUSED),
        (b"421 bye\r\n", Code.REFUSED),
        (b"garbage\r\n", Code.SMTP_SYNTAX),
        (b"250 2.0.0 yes\r\n", Code.SMTP_SYNTAX),
        (b"220 go\r\n", Code.EOF),
        (b"220 go\r\ngarbage", Code.PLAINTEXT_INJECTED),
        (b"2" * 100_000, Code.TOO_LONG),
    ],
)
def test_a_reply_that_does_not_lead_to_tls(reply: bytes, code: Code, trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(reply)
        if code is Code.EOF:
            peer.sock.recv(4096)
            peer.sock.shutdown(socket.SHUT_WR)
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting)
        with pytest.raises(smtptls.Error) as caught:
            client.starttls()
        assert (caught.value.code, caught.value.action) == (code, Action.NEXT_HOST)
        assert_gone(client)
    assert b"QUIT\r\n" in peers[0].heard if code is Code.REFUSED else b"QUIT" not in peers[0].heard


@pytest.mark.parametrize(
    ("garbage", "kind", "action"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x28", smtptls.TlsError, Action.RECONNECT),  # alert handshake_failure
        (b"\xff" * 100, smtptls.TlsError, Action.RECONNECT),
        (b"250 this is no TLS\r\n", smtptls.InjectionError, Action.NEXT_HOST),
    ],
)
def test_garbage_where_tls_should_be(
    garbage: bytes, kind: type[smtptls.Error], action: Action, trusting: Config
) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n")
        peer.sock.recv(4096)
        peer.say(garbage)
        peer.rest()

    with scripted(script) as (port, _):
        client = opened(port, trusting, "may")
        with pytest.raises(kind) as caught:
            client.starttls()
        assert caught.value.action is action
        assert_gone(client)  # plaintext only on a new connection


@pytest.mark.parametrize("reply", [b"", b"220 go\r\n"])
def test_silence(reply: bytes, trusting: Config) -> None:
    with scripted(starttls_reply(reply)) as (port, _):
        client = opened(port, trusting, timeout=0.3)
        client.ehlo()
        begun = time.monotonic()
        with pytest.raises(smtptls.Timeout):
            client.starttls()
        assert 0.25 < time.monotonic() - begun < 5
        assert_gone(client)


def dribble(peer: Peer) -> None:
    with contextlib.suppress(OSError):
        for _ in range(200):
            peer.say(b"2")
            time.sleep(0.05)


def test_a_deadline_in_plaintext(trusting: Config) -> None:
    """A server that dribbles cannot stretch it, and it is for all commands together."""

    def script(peer: Peer) -> None:
        peer.say(b"220 hi\r\n")
        peer.hear()
        dribble(peer)

    with scripted(script) as (port, _):
        client = opened(port, trusting, timeout=DEADLINE)
        client.set_deadline(0.4)
        begun = time.monotonic()
        with pytest.raises(smtplib.SMTPServerDisconnected) as caught:
            client.ehlo()
        assert isinstance(caught.value.__context__, TimeoutError)
        assert 0.3 < time.monotonic() - begun < 5
        with pytest.raises(ValueError):
            client.set_deadline(float("nan"))


def test_a_deadline_in_tls(trusting: Config, serving: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        with contextlib.suppress(OSError):
            for _ in range(200):
                session.sendall(b"2")
                time.sleep(0.05)

    with scripted(script) as (port, _):
        client = opened(port, trusting)
        client.set_deadline(0.6)
        begun = time.monotonic()
        client.starttls()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.ehlo()
        assert 0.5 < time.monotonic() - begun < 5


def test_a_deadline_that_is_lifted(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, _):
        client = SMTP(config=trusting, timeout=DEADLINE)
        client.set_deadline(0.5)
        client.connect("localhost", port)
        client.ehlo()
        assert client.sock.gettimeout() <= 0.5
        client.set_deadline(None)
        assert client.sock.gettimeout() == DEADLINE
        client.set_deadline(0.5)
        client.starttls()
        client.set_deadline(None)
        assert client.sock.gettimeout() == DEADLINE
        time.sleep(0.6)
        assert client.noop()[0] == 250
        client.set_deadline(0)
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
        with pytest.raises(smtptls.Timeout):
            client.connect("localhost", port)


def test_a_peer_that_goes_in_tls(trusting: Config, serving: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        session.recv(100)

    with scripted(script) as (port, _):
        client = opened(port, trusting)
        client.starttls()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.ehlo()
        assert_gone(client)
        assert client.session and client.session.is_truncated


def test_an_interrupted_starttls_leaves_no_plaintext(
    trusting: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(starttls_reply(b"")) as (port, _):
        client = opened(port, trusting)
        client.ehlo()

        def interrupt(_flags: int = 0) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(client, "_unread", interrupt)
        client.sock.sendall(b"STARTTLS\r\n")
        with pytest.raises(KeyboardInterrupt):
            client.starttls()
        assert_gone(client)


@pytest.mark.parametrize(
    "arguments", [{"config": "x"}, {"policy": 3.5}, {"policy": "verified"}, {"name": "a b"}]
)
def test_a_mistake_of_the_caller_leaves_no_plaintext(arguments: dict[str, Any], trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        assert peer.rest().count(b"\n") == 1

    with scripted(script) as (port, _):
        client = opened(port, trusting)
        with pytest.raises((TypeError, ValueError)):
            client.starttls(**arguments)
        assert_gone(client)


# Plaintext that the policy allows.


@pytest.mark.parametrize(
    ("policy", "offers", "code"),
    [
        ("may", [b"STARTTLS"], Code.REFUSED),
        ("may", [b"SIZE"], Code.NOT_OFFERED),
        ("none", [b"STARTTLS"], Code.NOT_WANTED),
        ("none", [b"SIZE"], Code.NOT_WANTED),
    ],
)
def test_plaintext_that_the_policy_allows(
    policy: str, offers: list[bytes], code: Code, trusting: Config
) -> None:
    def script(peer: Peer) -> None:
        peer.greet(*offers)
        line = peer.hear()
        if line == b"STARTTLS\r\n":
            peer.say(b"454 not now\r\n")
            line = peer.hear()
        assert line == b"noop\r\n"
        peer.say(b"250 still here\r\n")
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting, policy)
        with pytest.raises(smtptls.StarttlsUnavailable) as caught:
            client.starttls()
        assert (caught.value.code, caught.value.action) == (code, Action.CONTINUE)
        assert client.error is caught.value
        assert client.noop() == (250, b"still here")
        with pytest.raises(InsecureLoginError):
            client.login(USER, PASSWORD)
        client.close()
    assert not any(secret in peers[0].heard for secret in SECRETS)


def test_starttls_may_be_tried_again(trusting: Config, serving: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"454 not now\r\n")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        assert session.recv(100) == b"noop\r\n"
        session.sendall(b"250 ok\r\n")

    with scripted(script) as (port, _):
        client = opened(port, trusting, "may")
        with pytest.raises(smtptls.StarttlsUnavailable):
            client.starttls()
        client.starttls(policy="verify")
        assert client.error is None and client.info and client.info.secured
        assert client.noop() == (250, b"ok")
        client.close()


# Passwords.


def test_no_password_in_plaintext(trusting: Config) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"AUTH PLAIN LOGIN")
        peer.rest()

    with scripted(script) as (port, peers):
        client = opened(port, trusting)
        client.user, client.password = USER, PASSWORD
        calls: list[Callable[[], Any]] = [
            lambda: client.login(USER, PASSWORD),
            lambda: client.auth("PLAIN", client.auth_plain),
            lambda: client.auth("LOGIN", client.auth_login, initial_response_ok=False),
            lambda: client.docmd("AUTH", "PLAIN " + SECRETS[1].decode()),
            lambda: client.docmd(" auTH\tPLAIN " + SECRETS[1].decode()),
            lambda: client.putcmd("AUTH PLAIN"),
        ]
        client.ehlo()
        for call in calls:
            with pytest.raises(InsecureLoginError) as caught:
                call()
            assert isinstance(caught.value, smtplib.SMTPException) and isinstance(caught.value, smtptls.Error)
            assert caught.value.code is Code.STATE
        client.close()
    assert bytes(peers[0].heard).lower() == b"ehlo client.example.test\r\n"


def test_a_password_in_plaintext_on_demand(tls: ssl.SSLContext, trusting: Config) -> None:
    with (
        aiosmtpd(tls_context=tls, auth_require_tls=False) as (port, mailbox),
        opened(port, trusting) as client,
    ):
        client.insecure_login = True
        assert client.login(USER, PASSWORD)[0] == 235
    assert mailbox.logins == [PASSWORD.encode()]


@pytest.mark.parametrize("policy", ["may", "encrypt"])
def test_no_password_for_a_server_that_proved_nothing(
    policy: str, trusting: Config, tls: ssl.SSLContext
) -> None:
    with aiosmtpd(tls_context=tls) as (port, mailbox), opened(port, trusting, policy) as client:
        client.starttls()
        assert client.is_tls
        with pytest.raises(InsecureLoginError, match="proved"):
            client.login(USER, PASSWORD)
        assert not mailbox.logins
        client.insecure_login = True
        client.login(USER, PASSWORD)
    assert mailbox.logins == [PASSWORD.encode()]


def test_a_wrong_password_is_smtplib_s_error(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, _), opened(port, trusting) as client:
        client.starttls()
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(USER, "wrong")


def test_no_password_before_the_verdict(pki: Any, serving: Config) -> None:
    """Of a server that fails, all bytes are kept, those inside TLS too."""
    inside: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS", b"AUTH PLAIN LOGIN")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        session.sendall(b"250-mail\r\n250 AUTH PLAIN\r\n235 welcome\r\n")
        with contextlib.suppress(smtptls.Error):
            while data := session.recv(4096):
                inside.append(data)

    with scripted(script) as (port, peers):
        client = opened(port, Config(roots=[pki.wrongca]))
        with contextlib.suppress(smtptls.Error):
            client.starttls()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.login(USER, PASSWORD)
    assert b"".join(inside) == b"QUIT\r\n"
    assert not any(secret in peers[0].heard for secret in SECRETS)


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("level", [1, 2])
def test_passwords_are_not_printed(
    level: int, initial: bool, trusting: Config, tls: ssl.SSLContext, capsys: pytest.CaptureFixture[str]
) -> None:
    with aiosmtpd(tls_context=tls) as (port, mailbox), opened(port, trusting) as client:
        client.set_debuglevel(level)
        client.starttls()
        client.ehlo()
        client.user, client.password = USER, PASSWORD
        with contextlib.suppress(smtplib.SMTPAuthenticationError):
            client.auth("LOGIN", client.auth_login, initial_response_ok=initial)
        client.noop()
        client.set_debuglevel(0)
    assert mailbox.logins == [PASSWORD.encode()]
    printed = capsys.readouterr().err
    for secret in (USER, PASSWORD):
        assert base64.b64encode(secret.encode()).decode() not in printed and repr(secret) not in printed
    assert "AUTH LOGIN" in printed and "(not shown)" in printed
    assert "send: 'noop" in printed and "tls: TLSv1.3" in printed and "235" in printed


# What stands in the place of the socket.


def test_the_secured_socket(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, _), opened(port, trusting) as client:
        plain = client.sock
        client.starttls()
        sock = client.sock
        assert isinstance(sock, SecuredSocket) and sock.fileno() == plain.fileno()
        assert sock.getpeername() == ("127.0.0.1", port)
        assert sock.gettimeout() == DEADLINE
        sock.settimeout(DEADLINE / 2)
        assert plain.gettimeout() == DEADLINE / 2
        assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert client.noop()[0] == 250
        sock.close()
        assert plain.fileno() == -1
        with pytest.raises(OSError):
            sock.sendall(b"x")


def test_close_says_close_notify(trusting: Config, serving: Config) -> None:
    ends: list[bool] = []

    def script(peer: Peer) -> None:
        peer.greet(b"STARTTLS")
        peer.hear()
        peer.say(b"220 go\r\n")
        session = secured(serving, peer)
        assert session.recv(100) == b""
        ends.append(session.is_truncated)

    with scripted(script) as (port, _):
        client = opened(port, trusting)
        client.starttls()
        client.close()
    assert ends == [False]


def test_source_address(trusting: Config, tls: ssl.SSLContext) -> None:
    with aiosmtpd(tls_context=tls) as (port, _):
        client = opened(port, trusting, source_address=("127.0.0.3", 0))
        assert client.sock.getsockname()[0] == "127.0.0.3"
        client.starttls()
        client.quit()
