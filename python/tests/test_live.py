"""What changes on a live Config: key pairs and ticket keys; and its verdict on a chain without a session."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import smtptls
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from smtptls import Action, Auth, Code, Config, ConfigError, Info, Policy, Session, Tlsa, TlsVersion
from support import NAME, greet, meet

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

OLD, NEW, NEXT = bytes([1] * 32), bytes([2] * 32), bytes([3] * 32)


def go(trusting: Config, serving: Config) -> Info:
    """One session, with the tickets behind its handshake."""
    client, server = Session.client(trusting, Policy(), NAME), Session.server(serving)
    assert greet(client, server) == [None, None]
    assert client.info is not None and server.info is not None
    assert client.info.resumed == server.info.resumed
    assert client.info.channel_binding == server.info.channel_binding
    return client.info


def chain(path: Path) -> list[bytes]:
    """The certificates of a file, in DER."""
    certificates = x509.load_pem_x509_certificates(path.read_bytes())
    return [certificate.public_bytes(Encoding.DER) for certificate in certificates]


def shown(trusting: Config, serving: Config) -> bytes:
    return go(trusting, serving).peer_certificates[0]


def test_key_pairs_are_read_again(trusting: Config, pki: Any, tmp_path: Path) -> None:
    """Renewed files are seen by sessions that begin afterwards; a bad one leaves the old pair serving."""
    pem, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    shutil.copy(pki.leaf, pem)
    shutil.copy(pki.leaf_key, key)
    config = Config(keypairs=[(pem, key)])
    begun = Session.server(config)
    with pytest.raises(smtptls.WantOutput):
        begun.start()
    shutil.copy(pki.rsa, pem)
    shutil.copy(pki.rsa_key, key)
    assert shown(trusting, config) == chain(pki.leaf)[0], "not before it is asked for"
    config.reload_keypairs()
    assert shown(trusting, config) == chain(pki.rsa)[0]
    assert greet(Session.client(trusting, Policy(), NAME), begun) == [None, None]

    shutil.copy(pki.leaf_key, key)
    with pytest.raises(ConfigError) as caught:
        config.reload_keypairs()
    assert caught.value.code is Code.KEY_MISMATCH and str(key) in caught.value.message
    pem.unlink()
    with pytest.raises(ConfigError) as caught:
        config.reload_keypairs()
    assert (caught.value.code, caught.value.errno) == (Code.FILE, 2) and str(pem) in caught.value.message
    assert shown(trusting, config) == chain(pki.rsa)[0]


def test_key_pairs_are_replaced(trusting: Config, pki: Any) -> None:
    """Nothing that is bad, or nothing at all, is taken."""
    config = Config(keypairs_pem=[(pki.leaf.read_bytes(), pki.leaf_key.read_bytes())])
    config.reload_keypairs()  # pairs from memory stay
    assert shown(trusting, config) == chain(pki.leaf)[0]
    config.replace_keypairs(keypairs=[(pki.rsa, pki.rsa_key)])
    assert shown(trusting, config) == chain(pki.rsa)[0]
    config.replace_keypairs(keypairs_pem=[(pki.leaf.read_text(), pki.leaf_key.read_text())])
    assert shown(trusting, config) == chain(pki.leaf)[0]
    good, bad = (pki.rsa, pki.rsa_key), (pki.leaf, pki.stray_key)
    faults: list[tuple[dict[str, Any], Code]] = [
        ({}, Code.NO_KEYPAIR),
        ({"keypairs": []}, Code.NO_KEYPAIR),
        ({"keypairs": [good, bad]}, Code.KEY_MISMATCH),
        ({"keypairs": [(pki.folder / "none.pem", pki.leaf_key)]}, Code.FILE),
        ({"keypairs_pem": [("", "")]}, Code.CERTIFICATE_PARSE),
    ]
    for arguments, code in faults:
        with pytest.raises(ConfigError) as caught:
            config.replace_keypairs(**arguments)
        assert caught.value.code is code
        assert shown(trusting, config) == chain(pki.leaf)[0]


def test_a_config_without_a_key_pair_gets_one(trusting: Config, pki: Any) -> None:
    """And offers STARTTLS from then on."""
    bare = Config()
    assert not bare.has_keypair
    bare.replace_keypairs(keypairs=[(pki.leaf, pki.leaf_key)])
    assert bare.has_keypair and shown(trusting, bare) == chain(pki.leaf)[0]


@pytest.mark.parametrize("version", list(TlsVersion))
def test_tickets_between_two_configs(pki: Any, version: TlsVersion) -> None:
    """The same keys resume each other's sessions; after rotation those of the key before."""

    def serving(**options: Any) -> Config:
        pairs = [(pki.leaf, pki.leaf_key)]
        return Config(keypairs=pairs, max_version=version, **{"ticket_keys": [OLD], **options})

    def resumes(*servers: Config, client: Config | None = None) -> list[bool]:
        client = client or Config(roots=[pki.ca], client_sessions=8)
        return [go(client, server).resumed for server in servers]

    one, two = serving(), serving(ticket_keys=(bytearray(OLD),))
    assert resumes(one, two, one) == [False, True, True]
    assert resumes(one, serving(service="submission")) == [False, False]
    assert resumes(brief := serving(ticket_lifetime=0), brief) == [False, False]
    assert resumes(long := serving(ticket_lifetime=10**12), long) == [False, True]
    assert resumes(none := serving(ticket_keys=[]), none) == [False, False]

    two.set_ticket_keys([NEW, OLD])
    # It opens the old one, and gives a new one, which is not for those that have not rotated.
    assert resumes(one, two, one) == [False, True, False]
    client = Config(roots=[pki.ca], client_sessions=8)
    assert resumes(two, client=client) == [False]
    one.set_ticket_keys(keys=[NEXT, NEW])
    assert resumes(one, client=client) == [True]
    one.set_ticket_keys([])
    assert resumes(one, one, client=client) == [False, False]


@pytest.mark.parametrize(("tickets", "sessions"), [(0, 0), (1, 1), (2, 2), (9, 2)])
def test_number_of_tickets(pki: Any, tickets: int, sessions: int) -> None:
    pairs = [(pki.leaf, pki.leaf_key)]
    client = Config(roots=[pki.ca], client_sessions=8)
    go(client, Config(keypairs=pairs, ticket_keys=[OLD], tickets=tickets))
    silent = Config(keypairs=pairs, ticket_keys=[OLD], tickets=0)
    assert sum(go(client, silent).resumed for _ in range(4)) == sessions


def test_ticket_keys_of_another_length(serving: Config) -> None:
    for key in (b"", bytes(31), bytes(33)):
        with pytest.raises(ConfigError) as caught:
            Config(ticket_keys=[OLD, key])
        assert caught.value.code is Code.ARGUMENT and "ticket key 2" in caught.value.message
        with pytest.raises(ConfigError):
            serving.set_ticket_keys([key])


def test_wrong_types(trusting: Config, pki: Any) -> None:
    live: Any = trusting
    for keys in (None, OLD, "key", [5], [OLD.decode()]):
        with pytest.raises(TypeError):
            live.set_ticket_keys(keys)
    for pairs in (None, [("one",)], ["ab"], "ab"):
        with pytest.raises((TypeError, ValueError)) as caught:
            live.replace_keypairs(keypairs=pairs)
        assert not isinstance(caught.value, smtptls.Error)
    with pytest.raises(TypeError):
        live.replace_keypairs([(pki.leaf, pki.leaf_key)])
    wrong: list[Any] = [
        (None, NAME, []),
        (Policy(), None, []),
        (Policy(), NAME, b"DER"),
        (Policy(), NAME, ["x"]),
    ]
    for arguments in wrong:
        with pytest.raises(TypeError):
            live.judge(*arguments)


def test_judge(trusting: Config, pki: Any) -> None:
    """How a server would be authenticated."""
    leaf = chain(pki.leaf)
    record = Policy("dane", tlsa=[Tlsa.of(leaf[0])], tlsa_dnssec="secure")
    finger = Policy("fingerprint", fingerprints=[smtptls.fingerprint(leaf[0])])
    assert trusting.judge(Policy(), NAME, leaf) is Auth.PKIX
    assert trusting.judge(Policy(), NAME, (bytearray(leaf[0]),)) is Auth.PKIX
    assert trusting.judge(policy=Policy(), host=NAME, chain=chain(pki.chain)) is Auth.PKIX
    assert Config().judge(record, NAME, leaf) is Auth.DANE_EE
    assert Config().judge(finger, NAME, leaf) is Auth.FINGERPRINT
    assert Config().judge(Policy("may"), NAME, leaf) is Auth.NONE
    assert trusting.judge(Policy("encrypt"), NAME, [b"no certificate"]) is Auth.NONE


def test_judge_at_another_time(trusting: Config, pki: Any) -> None:
    expired, leaf = chain(pki.expired), chain(pki.leaf)
    end = x509.load_der_x509_certificate(expired[0]).not_valid_after_utc.timestamp()
    assert trusting.judge(Policy(), NAME, expired, now=end - 1) is Auth.PKIX
    for now in (end + 1, 0, 1e12):
        with pytest.raises(smtptls.CertificateError) as caught:
            trusting.judge(Policy(), NAME, expired, now=now)
        assert caught.value.code is Code.CERT_TIME
    assert trusting.judge(Policy(), NAME, leaf, now=time.time()) is Auth.PKIX
    live: Any = trusting
    for wrong, error in ((-1, smtptls.ConfigError), (float("nan"), smtptls.ConfigError), ("now", TypeError)):
        with pytest.raises(error):
            live.judge(Policy(), NAME, leaf, now=wrong)


def test_judge_says_what_a_session_says(trusting: Config, pki: Any) -> None:
    for name in ("selfsigned", "expired", "notyet", "other", "nochain", "client"):
        pem = getattr(pki, name)
        key = pki.chain_key if name == "nochain" else getattr(pki, f"{name}_key")
        _, failed = meet(trusting, Policy(), Config(keypairs=[(pem, key)]))
        with pytest.raises(smtptls.CertificateError) as caught:
            trusting.judge(Policy(), NAME, chain(pem))
        assert str(caught.value) == str(failed) and caught.value.action is failed.action is Action.NEXT_HOST
        assert (caught.value.tlsrpt, caught.value.tlsrpt_reason) == (failed.tlsrpt, failed.tlsrpt_reason)


def test_judge_without_a_verdict(trusting: Config, pki: Any) -> None:
    """What fails before a certificate is looked at, and where there is none."""
    bogus = Policy("dane", tlsa_dnssec="bogus")
    for config, policy, host, code in (
        (Config(), Policy(), NAME, Code.NO_ROOTS),
        (trusting, Policy(), "", Code.ARGUMENT),
        (trusting, bogus, NAME, Code.DNSSEC),
    ):
        with pytest.raises(smtptls.Error) as caught:
            config.judge(policy, host, chain(pki.leaf))
        assert caught.value.code is code
    for nothing in ([], [b""], [b"no certificate"]):
        with pytest.raises(smtptls.CertificateError):
            trusting.judge(Policy(), NAME, nothing)
