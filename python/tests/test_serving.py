"""A server's half: client certificates, key pairs with names and staples, ALPN, switches of its dialogue."""

from __future__ import annotations

import contextlib
import copy
import pickle
import ssl
from pathlib import Path
from typing import Any

import pytest
import smtptls
from smtptls import Auth, ClientAuth, Code, Config, ConfigError, Entry, KeyPair, Policy, Protocol, Session
from support import NAME, Call, greet, read, together

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

OTHER = "other.example.test"


def serving(pki: Any, **options: Any) -> Config:
    return Config(**{"keypairs": [(pki.leaf, pki.leaf_key)], **options})


def asked(config: Config, name: str = NAME, protocols: list[str] | None = None) -> tuple[str, str | None]:
    """What another implementation's client is shown, as a fingerprint, and the protocol agreed on."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    server = Session.server(config)

    def step() -> None:
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            raise smtptls.WantInput(Code.WANT_INPUT, "") from None
        finally:
            server.feed(outgoing.read()) if outgoing.pending else None

    done = [False, False]
    while not all(done):
        for side, call in enumerate((step, lambda: server.start(Entry.HANDSHAKE))):
            try:
                call()
                done[side] = True
            except (smtptls.WantInput, smtptls.WantOutput):
                pass
        data = server.output()
        server.sent(len(data))
        incoming.write(data)
    certificate = client.getpeercert(binary_form=True)
    assert certificate is not None
    return smtptls.fingerprint(certificate), client.selected_alpn_protocol()


def of(path: Path) -> str:
    der = ssl.PEM_cert_to_DER_cert(
        path.read_text().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    )
    return smtptls.fingerprint(der)


@pytest.mark.parametrize("way", list(ClientAuth))
@pytest.mark.parametrize("shows", ["a good one", "another authority's", "none"])
@pytest.mark.parametrize("names", [False, True])
def test_client_certificates(way: ClientAuth, shows: str, names: bool, pki: Any) -> None:
    """They never fail a handshake; with require the server's start fails, and refuse answers 554."""
    pairs = [] if shows == "none" else [(pki.client, pki.client_key)]
    trusted = pki.ca if shows == "a good one" else pki.wrongca
    config = serving(pki, roots=[trusted], client_auth=way, client_auth_names=names)
    client = Session.client(Config(roots=[pki.ca], keypairs=pairs), Policy(), NAME)
    server = Session.server(config)
    if way is ClientAuth.REQUIRE and shows != "a good one":
        failure = refused(client, server)
        assert failure.code is (Code.CERT_REQUIRED if shows == "none" else Code.CERT_UNTRUSTED)
        assert server.info is not None and server.info.auth is Auth.NONE
        return
    assert greet(client, server) == [None, None]
    assert server.info is not None
    sent = way is not ClientAuth.NONE and shows != "none"
    assert server.info.certificate_present == sent
    assert server.info.auth is (Auth.PKIX if sent and shows == "a good one" else Auth.NONE)
    comment = server.info.received_client
    if sent:
        assert comment is not None and comment.startswith('Client CN "')
        assert comment.endswith("(verified OK)" if shows == "a good one" else "(not verified)")
    else:
        assert comment is None


def refused(client: Session, server: Session) -> smtptls.Error:
    """The failure of the server's start. TLS is up, and the client hears 554 in it."""
    failures: list[smtptls.Error] = []

    def failing(start: Call) -> Call:
        def call() -> None:
            try:
                start()
            except (smtptls.WantInput, smtptls.WantOutput):
                raise
            except smtptls.Error as error:
                assert client.is_tls and server.is_tls
                failures.append(error)

        return call

    steps: list[list[Call]] = [[failing(side.start), side.refuse] for side in (client, server)]
    assert together(client, server, steps[0], steps[1]) == [None, None]
    failure, heard = failures
    assert heard.code is Code.REFUSED and "554 5.7.0" in heard.message
    return failure


def test_a_client_of_a_known_fingerprint(pki: Any) -> None:
    """The policy's fingerprints let a client in whom no authority vouches for."""
    config = serving(pki, client_auth="require")
    pair = [(pki.selfsigned, pki.selfsigned_key)]
    client = Session.client(Config(roots=[pki.ca], keypairs=pair), Policy(), NAME)
    server = Session.server(config, Policy("may", fingerprints=[of(pki.selfsigned)]))
    assert greet(client, server) == [None, None]
    assert server.info is not None and server.info.auth is Auth.FINGERPRINT


def test_client_auth_by_name(pki: Any) -> None:
    for way in ClientAuth:
        serving(pki, client_auth=way.label)
    assert [way.label for way in ClientAuth] == ["none", "ask", "require"]
    with pytest.raises(ConfigError, match="there are none, ask, require"):
        Config(client_auth="always")
    for wrong in (None, True, 1.5):
        with pytest.raises(TypeError):
            Config(client_auth=wrong)  # type: ignore[arg-type]


def test_key_pairs_in_mixed_files(pki: Any, tmp_path: Path) -> None:
    """Behind those of keypairs, and before those from memory; they are read again."""
    path = tmp_path / "chains.pem"
    text = "".join(one.read_text() for one in (pki.other_key, pki.other, pki.leaf_key, pki.leaf))
    path.write_text(text)
    config = Config(keypairs_files=[path])
    assert [asked(config, name)[0] for name in (NAME, OTHER, "no.test")] == [
        of(pki.leaf),
        of(pki.other),
        of(pki.other),
    ]
    memory = [(pki.other.read_bytes(), pki.other_key.read_bytes())]
    later = Config(keypairs=[(pki.leaf, pki.leaf_key)], keypairs_files=[path], keypairs_pem=memory)
    assert asked(later, "no.test")[0] == of(pki.leaf)
    path.write_text(pki.leaf_key.read_text() + pki.leaf.read_text())
    config.reload_keypairs()
    assert asked(config, OTHER)[0] == of(pki.leaf)
    path.write_text(text + pki.leaf_key.read_text())
    with pytest.raises(ConfigError) as caught:
        config.reload_keypairs()
    assert str(path) in caught.value.message and "line " in caught.value.message
    config.replace_keypairs(keypairs_files=[pki.combined])
    assert asked(config)[0] == of(pki.leaf)


def test_further_names(pki: Any) -> None:
    pairs = [
        KeyPair(pki.leaf, pki.leaf_key),
        KeyPair(pki.other, pki.other_key, names=[".sub.test", "A.test"]),
    ]
    config = Config(keypairs=pairs)
    for name, path in (("a.test", pki.other), ("x.sub.test", pki.other), ("sub.test", pki.leaf)):
        assert asked(config, name)[0] == of(path)
    config.replace_keypairs(keypairs=[*pairs, (pki.rsa, pki.rsa_key)])
    assert asked(config, "a.test")[0] == of(pki.other)
    with pytest.raises(ConfigError):
        Config(keypairs=[KeyPair(pki.leaf, pki.leaf_key, names=["two words"])])


def test_a_staple_is_read_with_its_pair(pki: Any, tmp_path: Path) -> None:
    staple = tmp_path / "staple.der"
    pair = KeyPair(pki.leaf, pki.leaf_key, ocsp=staple)
    with pytest.raises(ConfigError) as caught:
        Config(keypairs=[pair])
    assert (caught.value.code, caught.value.errno) == (Code.FILE, 2) and str(staple) in caught.value.message
    staple.write_bytes(b"\x30\x03\x0a\x01\x06")
    config = Config(keypairs=[pair])
    staple.write_bytes(b"no staple")
    with pytest.raises(ConfigError) as caught:
        config.reload_keypairs()
    assert caught.value.code is Code.CERTIFICATE_PARSE and str(staple) in caught.value.message
    assert asked(config)[0] == of(pki.leaf)


def test_a_key_pair_is_a_value() -> None:
    pair = KeyPair(Path("/a"), "/b", names=["x.test"], ocsp="/c")
    assert (pair.chain, pair.key, pair.names, pair.ocsp) == (Path("/a"), Path("/b"), ("x.test",), Path("/c"))
    assert repr(pair) == "KeyPair('/a', '/b', names=('x.test',), ocsp='/c')"
    assert eval(repr(pair)) == pair and hash(pair) == hash(eval(repr(pair)))
    assert (
        pair != KeyPair("/a", "/b") and KeyPair("/a", "/b").ocsp is None and KeyPair("/a", "/b").names == ()
    )
    assert copy.copy(pair) == pair and pickle.loads(pickle.dumps(pair)) == pair
    with pytest.raises(AttributeError):
        pair.chain = Path("/d")  # type: ignore[misc]
    wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        (("/a",), {}),
        (("/a", "/b"), {"names": "x.test"}),
        (("/a", "/b"), {"names": [1]}),
        (("/a", "/b"), {"ocsp": 1}),
    ]
    for arguments, keywords in wrong:
        with pytest.raises(TypeError):
            KeyPair(*arguments, **keywords)
    for pairs in ([KeyPair], ["ab"], [("a", "b", "c")], [("a",)]):
        with pytest.raises((TypeError, ValueError)) as caught:
            Config(keypairs=pairs)  # type: ignore[arg-type]
        assert not isinstance(caught.value, smtptls.Error)


def test_application_protocols(pki: Any) -> None:
    """A server with some is strict; one without ignores them (RFC 9325 section 3.8)."""
    strict = serving(pki, alpn=["smtp", b"esmtp"])
    assert asked(strict)[1] is None
    assert asked(strict, protocols=["esmtp"])[1] == "esmtp"
    assert asked(serving(pki), protocols=["http/1.1"])[1] is None
    for offered in (["http/1.1"], ["http/1.1", "smtp"]):
        with pytest.raises(smtptls.TlsError) as caught:
            asked(strict, protocols=offered)
        assert caught.value.code is Code.HANDSHAKE
    client = Session.client(Config(roots=[pki.ca], alpn=["smtp"]), Policy(), NAME)
    assert greet(client, Session.server(strict)) == [None, None]
    assert client.info is not None and client.info.alpn == b"smtp"
    for bad in ("", "x" * 256):
        with pytest.raises(ConfigError):
            Config(alpn=[bad])
    with pytest.raises(TypeError):
        Config(alpn="smtp")


def answers(server: Session, *commands: str) -> list[str]:
    """What a server in plaintext answers, first of all its greeting."""
    replies = []
    for command in (None, *commands):
        if command is not None:
            server.feed(f"{command}\r\n".encode())
        with contextlib.suppress(smtptls.Error):
            server.start()
        data = server.output()
        server.sent(len(data))
        replies.append(data.decode())
    return replies


def test_the_greeting(pki: Any) -> None:
    server = Session.server(serving(pki, hostname=NAME))
    server.set_greeting("ESMTP ready, no UBE")
    assert answers(server) == [f"220 {NAME} ESMTP ready, no UBE\r\n"]
    for bad in ("", "a\r\nb", "\u00e9", "x" * 401):
        with pytest.raises(ConfigError):
            Session.server(serving(pki)).set_greeting(bad)
    lmtp = Session.server(serving(pki, hostname=NAME), protocol=Protocol.LMTP)
    assert answers(lmtp) == [f"220 {NAME} LMTP\r\n"]


@pytest.mark.parametrize(("level", "mail"), [("may", ""), ("encrypt", "530 5.7.0 ")])
def test_not_now(level: str, mail: str, pki: Any) -> None:
    """RFC 3207 section 4: not offered, and 454 to those who ask all the same."""
    server = Session.server(serving(pki), Policy(level))
    server.set_not_now()
    said = answers(server, "EHLO a", "STARTTLS", "NOOP", "MAIL FROM:<a@b.test>")
    assert "STARTTLS" not in said[1]
    assert [reply[:10] for reply in said[2:]] == ["454 4.7.0 ", "250 2.0.0 ", mail]


def test_more_exemptions(pki: Any) -> None:
    commands = ("HELO a", "HELP", "MAIL FROM:<a@b.test>", "XCLIENT NAME=a")
    plain = Session.server(serving(pki), Policy("encrypt"))
    plain.set_exempt_more(False)
    assert all(reply.startswith("530 5.7.0 ") for reply in answers(plain, *commands)[1:])
    more = Session.server(serving(pki), Policy("encrypt"))
    more.set_exempt_more(True)
    assert [reply[:3] for reply in answers(more, *commands)] == ["220", "250", "214", "530", ""]
    assert more.leftover() == b"XCLIENT NAME=a\r\n"


def test_injected_commands_are_dropped(pki: Any, trusting: Config) -> None:
    """As Postfix does, where it was asked for; never answered and never executed either way."""
    server = Session.server(serving(pki))
    server.set_discard(True)
    assert answers(server, "STARTTLS\r\nRSET\r\nEHLO injected")[1] == "220 2.0.0 Ready to start TLS\r\n"
    client = Session.client(trusting, Policy(), NAME)
    assert together(client, server, [lambda: client.start(Entry.HANDSHAKE)], [server.start]) == [None, None]
    assert read(server) == b""
    for discard in (True, False):
        begun = Session.server(serving(pki))
        begun.set_discard(discard)
        with pytest.raises(smtptls.Error) as caught:
            begun.start(Entry.COMMAND, unread=4)
        assert isinstance(caught.value, smtptls.InjectionError) != discard


def test_they_come_before_start(pki: Any) -> None:
    server = Session.server(serving(pki))
    with pytest.raises((smtptls.WantInput, smtptls.WantOutput)):
        server.start()
    for call in (
        lambda: server.set_greeting("late"),
        server.set_not_now,
        lambda: server.set_discard(True),
        lambda: server.set_exempt_more(True),
    ):
        with pytest.raises(smtptls.Error, match="comes before start") as caught:
            call()
        assert caught.value.code is Code.STATE
