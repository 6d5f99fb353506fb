"""A private key that is elsewhere: start raises WantSignature, and the program has the key sign."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import smtptls
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from smtptls import Code, Config, ConfigError, Entry, KeyPair, Policy, Session, SignatureRequest
from support import NAME, read

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]


def sign(path: Any, request: SignatureRequest) -> bytes:
    """The process that has the key."""
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert request.digest is not None
    digest = getattr(hashes, request.digest)()
    if request.algorithm == "ECDSA":
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key.sign(request.message, ec.ECDSA(digest))
    assert isinstance(key, rsa.RSAPrivateKey) and request.algorithm == "RSA-PSS"
    return key.sign(request.message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)


def exchange(client: Session, server: Session) -> None:
    for one, other in ((client, server), (server, client)):
        data = one.output()
        one.sent(other.feed(data) if data else 0)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("kind", ["leaf", "rsa"])
def test_a_server_whose_key_is_elsewhere(pki: Any, trusting: Config, version: str, kind: str) -> None:
    chain, key = getattr(pki, kind), getattr(pki, f"{kind}_key")
    config = Config(
        keypairs=[KeyPair(chain, None)],
        max_version=getattr(smtptls.TlsVersion, f"TLS{version}".replace(".", "_")),
    )
    client, server = Session.client(trusting, Policy(), NAME), Session.server(config)
    asked, done = 0, {client: False, server: False}
    for _ in range(20):
        for session in (client, server):
            try:
                if not done[session]:
                    session.start(Entry.HANDSHAKE)
                    done[session] = True
                    if session is client:
                        client.flush()
            except smtptls.WantSignature as wanted:
                assert wanted.code is Code.WANT_SIGNATURE and not isinstance(wanted, BlockingIOError)
                request = session.signature_request
                assert request is not None and request == session.signature_request
                asked += 1
                with pytest.raises(ConfigError) as caught:
                    session.set_signature(b"no signature")
                assert caught.value.code is Code.KEY_MISMATCH
                session.set_signature(sign(key, request))
                assert session.signature_request is None
            except (smtptls.WantInput, smtptls.WantOutput):
                pass
            exchange(client, server)
    assert all(done.values()) and asked == 1
    assert (
        client.info is not None and client.info.server_signature == {"leaf": "ECDSA", "rsa": "RSA-PSS"}[kind]
    )
    client.sendall(b"NOOP\r\n")
    exchange(client, server)
    assert read(server) == b"NOOP\r\n"


def test_nothing_is_wanted(pki: Any) -> None:
    server = Session.server(Config(keypairs=[(pki.leaf, pki.leaf_key)]))
    assert server.signature_request is None
    with pytest.raises(smtptls.Error) as caught:
        server.set_signature(b"")
    assert caught.value.code is Code.STATE


def test_a_key_pair_without_a_key(pki: Any) -> None:
    pair = KeyPair(pki.leaf, None)
    assert pair.key is None and pickle.loads(pickle.dumps(pair)) == pair
    assert f"{pair!r}".endswith("None, names=(), ocsp=None)")
    with pytest.raises(smtptls.Error) as caught:
        Config(keypairs=[(pki.leaf, pki.leaf_key)]).replace_keypairs(keypairs=[pair])
    assert caught.value.code is Code.STATE


def test_a_banner_leaves_with_finished(pki: Any, trusting: Config) -> None:
    """0.5-RTT: the server's first flight has it, so the client reads it as soon as its handshake is done."""
    client = Session.client(trusting, Policy(), NAME)
    server = Session.server(Config(keypairs=[(pki.leaf, pki.leaf_key)]))
    for bad in (b"", b"x" * 2001):
        with pytest.raises(ConfigError):
            server.set_banner(bad)
    server.set_banner(b"220 ready\r\n")
    with pytest.raises(smtptls.WantOutput):
        client.start(Entry.HANDSHAKE)
    exchange(client, server)
    with pytest.raises(smtptls.WantOutput):
        server.start(Entry.HANDSHAKE)
    exchange(client, server)
    with pytest.raises(smtptls.WantOutput):
        client.start(Entry.HANDSHAKE)
    # The server does not get to see the client's Finished.
    client.sent(len(client.output()))
    client.start(Entry.HANDSHAKE)
    assert read(client) == b"220 ready\r\n"
