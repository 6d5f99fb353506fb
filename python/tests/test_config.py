"""Config and Policy: files good and bad, each fault by its name, and wrong types."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import smtptls
from smtptls import Code, Config, ConfigError, Level, Policy, Session, TlsVersion
from support import NAME, greet

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
    "host name": (Code.ARGUMENT, lambda pki: {"hostname": "two words"}),
    "host name empty": (Code.ARGUMENT, lambda pki: {"hostname": ""}),
    "host name with CRLF": (Code.ARGUMENT, lambda pki: {"hostname": "a\r\nQUIT"}),
    "version": (Code.ARGUMENT, lambda pki: {"min_version": 0x0301}),
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
        {"hostname": 5},
        {"hostname": b"mx"},
        {"min_version": "1.2"},
        {"min_version": True},
        {"system_roots": "yes"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_wrong_types(arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        Config(**arguments)
    assert not isinstance(caught.value, smtptls.Error)


def test_arguments_are_keywords(pki: Any) -> None:
    with pytest.raises(TypeError):
        Config("mx.example.test")  # type: ignore[misc]
    with pytest.raises(TypeError):
        Policy("verify", ["x.test"])  # type: ignore[misc]


def test_levels() -> None:
    assert Policy().level is Level.VERIFY
    for level in Level:
        assert Policy(level).level is Policy(level.label).level is level
    for wrong in ("VERIFY", "", "dane?", 0, 99):
        with pytest.raises(ConfigError) as caught:
            Policy(wrong)  # type: ignore[arg-type]
        assert caught.value.code is Code.ARGUMENT
    for strange in (None, True, 1.5, b"may"):
        with pytest.raises(TypeError):
            Policy(strange)  # type: ignore[arg-type]


def test_names_and_sni() -> None:
    Policy(names=["a.test", ".b.test", "192.0.2.1", "2001:db8::1"], sni="c.test")
    unfit: list[Any] = [
        (["two words"], ...),
        ([""], ...),
        (["a\0b"], ...),
        ([], "192.0.2.1"),
        ([], ""),
        ([], "a b"),
    ]
    for names, sni in unfit:
        with pytest.raises(ConfigError) as caught:
            Policy(names=names, sni=sni)
        assert caught.value.code is Code.ARGUMENT
    wrong: list[Any] = [("a.test", ...), ([5], ...), ([], 5), ([], b"a.test")]
    for names, sni in wrong:
        with pytest.raises(TypeError):
            Policy(names=names, sni=sni)


def test_verify_needs_roots(pki: Any) -> None:
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
