"""Config: files good and bad, each fault by its name, and wrong types."""

from __future__ import annotations

import datetime
import pickle
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import smtptls
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from smtptls import Code, Config, ConfigError, Policy, Session, TlsVersion
from support import NAME, greet, meet, sockets, thread

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]


def test_from_files_and_from_memory(pki: Any) -> None:
    for config in (
        Config(keypairs=[(str(pki.leaf), str(pki.leaf_key))]),
        Config(keypairs=((pki.combined, pki.combined),)),
        Config(keypairs_pem=[(pki.leaf.read_bytes(), pki.leaf_key.read_bytes())]),
        Config(keypairs_pem=[(pki.leaf.read_text(), pki.leaf_key.read_text())]),
    ):
        assert config.has_keypair
    for config in (
        Config(roots=[pki.ca], min_version=TlsVersion.TLS1_3),
        Config(roots_pem=[pki.ca.read_bytes()]),
        Config(roots_pem=(pki.ca.read_text(), bytearray(pki.ca.read_bytes()))),
    ):
        client, server = (
            Session.client(config, Policy(), NAME),
            Session.server(Config(keypairs=[(pki.leaf, pki.leaf_key)])),
        )
        assert not config.has_keypair
        assert greet(client, server) == [None, None]


def test_a_certificate_is_chosen_by_name(trusting: Config, pki: Any) -> None:
    serving = Config(keypairs=[(pki.other, pki.other_key), (pki.leaf, pki.leaf_key), (pki.rsa, pki.rsa_key)])
    for name in (NAME, "other.example.test"):
        client, server = Session.client(trusting, Policy(), name), Session.server(serving)
        assert greet(client, server) == [None, None]


def test_the_host_name() -> None:
    assert Config().hostname
    assert Config(hostname="mx.example.test").hostname == "mx.example.test"


def test_the_roots_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pki: Any) -> None:
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(pki.ca))
    Config(system_roots=True)
    empty = tmp_path / "empty.pem"
    empty.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    with pytest.raises(ConfigError) as caught:
        Config(system_roots=True)
    assert caught.value.code is Code.NO_ROOTS


FAULTS: dict[str, tuple[Code, Any]] = {
    "roots missing": (Code.FILE, lambda pki: {"roots": [pki.folder / "none.pem"]}),
    "roots a folder": (Code.FILE, lambda pki: {"roots": [pki.folder]}),
    "roots empty": (Code.CERTIFICATE_PARSE, lambda pki: {"roots": [pki.empty]}),
    "roots garbage": (Code.CERTIFICATE_PARSE, lambda pki: {"roots": [pki.garbage]}),
    "roots of keys": (Code.CERTIFICATE_PARSE, lambda pki: {"roots": [pki.leaf_key]}),
    "roots of text": (Code.CERTIFICATE_PARSE, lambda pki: {"roots_pem": ["no PEM at all"]}),
    "roots below a file": (Code.FILE, lambda pki: {"roots": [pki.ca / "none.pem"]}),
    "chain missing": (Code.FILE, lambda pki: {"keypairs": [(pki.folder / "none.pem", pki.leaf_key)]}),
    "chain empty": (Code.CERTIFICATE_PARSE, lambda pki: {"keypairs": [(pki.empty, pki.leaf_key)]}),
    "chain garbage": (Code.CERTIFICATE_PARSE, lambda pki: {"keypairs": [(pki.garbage, pki.leaf_key)]}),
    "key missing": (Code.FILE, lambda pki: {"keypairs": [(pki.leaf, pki.folder / "none.key")]}),
    "key empty": (Code.KEY_PARSE, lambda pki: {"keypairs": [(pki.leaf, pki.empty)]}),
    "key a certificate": (Code.KEY_PARSE, lambda pki: {"keypairs": [(pki.leaf, pki.leaf)]}),
    "key encrypted": (Code.KEY_ENCRYPTED, lambda pki: {"keypairs": [(pki.leaf, pki.encrypted_key)]}),
    "key of another": (Code.KEY_MISMATCH, lambda pki: {"keypairs": [(pki.leaf, pki.stray_key)]}),
    "directory missing": (Code.FILE, lambda pki: {"roots_dirs": [pki.folder / "none"]}),
    "directory a file": (Code.FILE, lambda pki: {"roots_dirs": [pki.ca]}),
    "list missing": (Code.FILE, lambda pki: {"crls": [pki.folder / "none.pem"]}),
    "list empty": (Code.CRL_PARSE, lambda pki: {"crls": [pki.empty]}),
    "list a certificate": (Code.CRL_PARSE, lambda pki: {"crls": [pki.ca]}),
    "list of text": (Code.CRL_PARSE, lambda pki: {"crls_pem": ["no PEM at all"]}),
    "sessions": (Code.ARGUMENT, lambda pki: {"client_sessions": -1}),
    "host name": (Code.ARGUMENT, lambda pki: {"hostname": "two words"}),
    "host name empty": (Code.ARGUMENT, lambda pki: {"hostname": ""}),
    "host name with CRLF": (Code.ARGUMENT, lambda pki: {"hostname": "a\r\nQUIT"}),
    "version": (Code.ARGUMENT, lambda pki: {"min_version": 0x0301}),
    "version newest": (Code.ARGUMENT, lambda pki: {"max_version": 0x0305}),
    "versions crossed": (
        Code.ARGUMENT,
        lambda pki: {"min_version": TlsVersion.TLS1_3, "max_version": TlsVersion.TLS1_2},
    ),
    "ticket key": (Code.ARGUMENT, lambda pki: {"ticket_keys": [bytes(31)]}),
    "ticket lifetime": (Code.ARGUMENT, lambda pki: {"ticket_lifetime": -1}),
    "tickets": (Code.ARGUMENT, lambda pki: {"tickets": -1}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_have_names(pki: Any, fault: str) -> None:
    code, arguments = FAULTS[fault]
    with pytest.raises(ConfigError) as caught:
        Config(**arguments(pki))
    assert caught.value.code is code and isinstance(caught.value, ValueError)
    assert caught.value.action is smtptls.Action.FAIL and caught.value.tlsrpt is None
    if fault.endswith("missing"):
        assert caught.value.errno == 2 and "none" in caught.value.message


@pytest.mark.parametrize(
    "arguments",
    [
        {"roots": "a path alone"},
        {"roots": [5]},
        {"roots": Path("/etc")},
        {"roots_pem": b"PEM alone"},
        {"roots_pem": [None]},
        {"keypairs": [("one",)]},
        {"keypairs": ["ab", "cd"]},
        {"keypairs_pem": [(1, 2)]},
        {"roots_dirs": "a path alone"},
        {"crls": [5]},
        {"crls_pem": b"PEM alone"},
        {"client_sessions": "many"},
        {"client_sessions": None},
        {"hostname": 5},
        {"hostname": b"mx"},
        {"min_version": "1.2"},
        {"min_version": True},
        {"max_version": None},
        {"ciphers": 5},
        {"ciphers": b"TLS_AES_128_GCM_SHA256"},
        {"groups": [b"x25519"]},
        {"groups": [None]},
        {"service": None},
        {"service": b"smtp"},
        {"ticket_keys": bytes(32)},
        {"ticket_keys": [32 * "x"]},
        {"ticket_lifetime": 1.5},
        {"tickets": None},
        {"system_roots": "yes"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_wrong_types(arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        Config(**arguments)
    assert not isinstance(caught.value, smtptls.Error)


def test_arguments_are_keywords() -> None:
    with pytest.raises(TypeError):
        Config("mx.example.test")  # type: ignore[misc]


def test_a_directory_of_roots(pki: Any, tmp_path: Path, serving: Config) -> None:
    """As `openssl rehash` fills one: links by hash beside other files."""
    (tmp_path / "root.pem").write_bytes(pki.ca.read_bytes())
    (tmp_path / "0a1b2c3d.0").symlink_to("root.pem")
    (tmp_path / "README").write_text("no certificate")
    client = Session.client(Config(roots_dirs=[tmp_path]), Policy(), NAME)
    assert greet(client, Session.server(serving)) == [None, None]


@pytest.mark.parametrize("form", ["pem", "der", "memory", "text"])
def test_revocation_lists(ca: Any, tmp_path: Path, form: str) -> None:
    """Of two certificates of one authority the revoked one fails; and both do where the list has expired."""
    authority = ca.Issuer(ca.issue(key := ca.new_key(), "revoking CA", names=(), is_ca=True), key)
    leaves = []
    for _ in range(2):
        key = ca.new_key()
        leaves.append((ca.issue(key, NAME, issuer=authority), ca.key_pem(key)))

    def outcome(crl: Any, leaf: int) -> Code | None:
        encoding = serialization.Encoding.DER if form == "der" else serialization.Encoding.PEM
        path, content = tmp_path / "list", crl.public_bytes(encoding)
        path.write_bytes(content)
        lists: dict[str, Any] = {"crls": [path]}
        if form in ("memory", "text"):
            lists = {"crls_pem": [content if form == "memory" else content.decode()]}
        trusting = Config(roots_pem=[ca.pem(authority.certificate)], **lists)
        certificate, key_pem = leaves[leaf]
        failed = meet(trusting, Policy(), Config(keypairs_pem=[(ca.pem(certificate), key_pem)]))[1]
        assert failed is None or isinstance(failed, smtptls.CertificateError), failed
        return failed.code if failed else None

    current = revocation_list(ca, authority, leaves[0][0])
    assert outcome(current, 0) is Code.CERT_REVOKED
    assert outcome(current, 1) is None
    old = revocation_list(ca, authority, leaves[0][0], ended=True)
    assert outcome(old, 1) is Code.CRL_EXPIRED


def revocation_list(ca: Any, issuer: Any, revoked: Any, ended: bool = False) -> Any:
    """A list of one certificate, that is good from yesterday until tomorrow, or was until an hour ago."""
    now = datetime.datetime.now(datetime.UTC)
    until = now - datetime.timedelta(hours=1) if ended else now + ca.DAY
    entry = x509.RevokedCertificateBuilder().serial_number(revoked.serial_number).revocation_date(now).build()
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(now - ca.DAY).next_update(until).add_revoked_certificate(entry)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    return builder.sign(issuer.key, hashes.SHA256())


def test_sessions_are_resumed(pki: Any) -> None:
    """A client that keeps sessions resumes one; a client that does not, never."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    for sessions, resumed in ((8, [False, True]), (0, [False, False])):
        config = Config(roots=[pki.ca], client_sessions=sessions)
        assert [resume(config, context) for _ in range(2)] == resumed


def resume(config: Config, context: ssl.SSLContext) -> bool:
    """One connection to OpenSSL, which sends tickets; whether a session was resumed."""
    with sockets() as (here, there):

        def serve() -> None:
            with context.wrap_socket(there, server_side=True) as server:
                server.sendall(b"220 x\r\n")
                server.recv(100)

        with thread(serve) as raised:
            client = Session.client(config, Policy(), NAME, here)
            client.start(smtptls.Entry.HANDSHAKE)
            assert client.recv(100) == b"220 x\r\n"  # and the tickets before it
            client.sendall(b"QUIT\r\n")
        assert not raised
        assert client.info is not None
        return client.info.resumed


def test_verify_needs_roots() -> None:
    client = Session.client(Config(), Policy("verify"), NAME)
    with pytest.raises(ConfigError) as caught:
        client.start()
    assert caught.value.code is Code.NO_ROOTS and client.output() == b""


def test_requiring_starttls_needs_a_key_pair() -> None:
    server = Session.server(Config(), Policy("encrypt"))
    with pytest.raises(ConfigError) as caught:
        server.start()
    assert caught.value.code is Code.NO_KEYPAIR


def test_wrong_types_for_a_session(trusting: Config) -> None:
    policy, make, serve = Policy(), cast(Any, Session.client), cast(Any, Session.server)
    types_of_factories: list[Callable[[], Any]] = [
        lambda: make(policy, trusting, NAME),
        lambda: make(trusting, policy, 5),
        lambda: make(trusting, None, NAME),
        lambda: make(trusting, policy, NAME, protocol="SMTP"),
        lambda: serve(None),
        lambda: serve(trusting, extensions="SIZE"),
        lambda: Session(),
    ]
    for wrong in types_of_factories:
        with pytest.raises(TypeError):
            wrong()
    session: Any = Session.client(trusting, policy, NAME)
    types: list[Callable[[], Any]] = [
        lambda: session.start("greeting"),
        lambda: session.start(smtptls.Entry.GREETING, b""),
        lambda: session.feed("text"),
        lambda: session.sendall("text"),
        lambda: session.recv("1"),
        lambda: session.recv_into(b"read-only"),
        lambda: session.close("send"),
    ]
    for wrong in types:
        with pytest.raises(TypeError):
            wrong()
    ranges: list[Callable[[], Any]] = [
        lambda: session.start(3),
        lambda: session.start(smtptls.Entry.GREETING, -1),
        lambda: session.recv(-1),
        lambda: session.sent(-1),
        lambda: session.set_command("EHLO x"),
    ]
    for wrong in ranges:
        with pytest.raises(ConfigError) as caught:
            wrong()
        assert caught.value.code is Code.ARGUMENT


def test_they_cannot_be_changed_or_pickled(trusting: Config) -> None:
    for thing in (trusting, Policy(), Session.client(trusting, Policy(), NAME)):
        with pytest.raises(AttributeError):
            thing.level = 5  # type: ignore[union-attr,misc]
        with pytest.raises(TypeError):
            pickle.dumps(thing)
        assert type(thing).__module__ == "smtptls"
