"""Info: what it says of a connection, beside another parser; and how it is carried to another process."""

from __future__ import annotations

import copy
import datetime
import pickle
import ssl
import subprocess
import sys
from typing import Any

import pytest
import smtptls
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from smtptls import (
    Auth,
    Code,
    Config,
    ConfigError,
    Entry,
    FingerprintOf,
    Info,
    Level,
    Policy,
    Session,
    TlsVersion,
)
from support import NAME, greet, secured, sockets, thread

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

# Fields of an Info, each with what it is of a peer that showed no certificate.
OF_THE_PEER: dict[str, Any] = {
    "peer_certificates": (),
    "peer_chain_pem": "",
    "peer_subject": None,
    "peer_issuer": None,
    "peer_common_name": None,
    "peer_issuer_common_name": None,
    "peer_serial": None,
    "peer_names": (),
    "peer_not_before": None,
    "peer_not_after": None,
    "peer_key_algorithm": None,
    "peer_key_bits": None,
}
FIELDS = [name for name in vars(Info) if not name.startswith("_") and not callable(getattr(Info, name))]


def infos(trusting: Config, serving: Config) -> tuple[Info, Info]:
    """What the client and the server say of one connection."""
    client, server = secured(trusting, serving)
    assert client.info is not None and server.info is not None
    return client.info, server.info


def fields(info: Info) -> dict[str, Any]:
    return {name: getattr(info, name) for name in FIELDS}


def test_info(trusting: Config, serving: Config, pki: Any) -> None:
    client, server = secured(trusting, serving)
    info = client.info
    assert info is client.info and info is not None and server.info is not None
    assert info.version == "TLSv1.3" and info.cipher == info.cipher_openssl == "TLS_AES_128_GCM_SHA256"
    assert info.cipher_bits == 128 and info.group == "x25519"
    assert info.server_name is None and server.info.server_name == NAME
    assert info.resumed is False
    assert info.level is Level.VERIFY and server.info.level is Level.MAY
    assert info.auth is Auth.PKIX and server.info.auth is Auth.NONE
    assert info.certificate_present and not server.info.certificate_present
    assert info.trusted and info.name_matched and info.matched_name == NAME and info.doubt is None
    assert info.secured and not server.info.secured and info.doubt_depth is None
    assert info.matched_tlsa is None and info.tlsa_depth is None and info.matched_fingerprint is None
    assert info.peer_subject == f"CN={NAME}" and info.peer_issuer == "CN=smtptls test root CA"
    assert info.received_clause == f"tls {info.cipher} group {info.group}"
    assert info.exim_cipher == "TLS1.3:TLS_AES_128_GCM_SHA256:128"
    assert info.alpn is None and info.client_signature is info.client_digest is None
    assert info.channel_binding is not None and len(info.channel_binding) == 32
    assert info.channel_binding == server.info.channel_binding


# The kind of key, and Postfix's words for the signature.
KINDS = {
    "leaf": ("ECDSA", 256, "ECDSA (prime256v1)", "SHA256"),
    "rsa": ("RSA", 2048, "RSA-PSS (2048 bits)", "SHA512"),
    "p384": ("ECDSA", 384, "ECDSA (secp384r1)", "SHA384"),
    "ed25519": ("ED25519", 256, "ED25519", None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_sentence_of_postfix(ca: Any, pki: Any, trusting: Config, kind: str) -> None:
    algorithm, bits, signature, digest = KINDS[kind]
    if kind in ("leaf", "rsa"):
        serving = Config(keypairs=[(getattr(pki, kind), getattr(pki, f"{kind}_key"))])
    else:
        curve = ec.generate_private_key(ec.SECP384R1())
        key = curve if kind == "p384" else ed25519.Ed25519PrivateKey.generate()
        serving = Config(keypairs_pem=[(ca.pem(ca.issue(key, NAME)), ca.key_pem(key))])
    client, server = Session.client(trusting, Policy("encrypt"), NAME), Session.server(serving)
    assert greet(client, server) == [None, None]
    info, other = client.info, server.info
    assert info is not None and other is not None
    sentence = "TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits) key-exchange X25519"
    sentence += f" server-signature {signature}" + (f" server-digest {digest}" if digest else "")
    assert info.summary == other.summary == sentence
    assert repr(info) == f"<smtptls.Info {info.summary}>"
    assert (info.peer_key_algorithm, info.peer_key_bits) == (algorithm, bits)
    for side in (info, other):
        assert side.server_signature == signature.partition(" ")[0] and side.server_digest == digest


def test_at_tls_1_2(pki: Any, serving: Config) -> None:
    client, server = infos(Config(roots=[pki.ca], max_version=TlsVersion.TLS1_2), serving)
    assert client.summary == server.summary
    assert client.summary == "TLSv1.2 with cipher ECDHE-ECDSA-AES128-GCM-SHA256 (128/128 bits)"
    assert client.cipher == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    assert client.cipher_openssl == "ECDHE-ECDSA-AES128-GCM-SHA256"
    assert client.exim_cipher == "TLS1.2:ECDHE-ECDSA-AES128-GCM-SHA256:128"
    assert (client.server_signature, client.server_digest) == ("ECDSA", "SHA256")
    assert client.channel_binding is None and client.server_end_point is not None


def test_a_client_that_shows_a_certificate(pki: Any) -> None:
    """To OpenSSL, which asks for one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pki.ca)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    context.verify_mode = ssl.CERT_REQUIRED
    config = Config(roots=[pki.ca], keypairs=[(pki.client, pki.client_key)])
    with sockets() as (here, there):

        def serve() -> None:
            with context.wrap_socket(there, server_side=True) as server:
                server.sendall(b"220 x\r\n")

        with thread(serve) as raised:
            client = Session.client(config, Policy(), NAME, here)
            client.start(Entry.HANDSHAKE)
            assert client.recv(100) == b"220 x\r\n"
        assert not raised and client.info is not None
    assert (client.info.client_signature, client.info.client_digest) == ("ECDSA", "SHA256")
    assert client.info.summary.endswith(" client-signature ECDSA (prime256v1) client-digest SHA256")


def test_info_agrees_with_another_x509_parser(trusting: Config, serving: Config, pki: Any) -> None:
    certificate = x509.load_pem_x509_certificate(pki.leaf.read_bytes())
    digest = hashes.Hash(hashes.SHA256())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest.update(certificate.public_key().public_bytes(serialization.Encoding.DER, form))
    info = secured(trusting, serving)[0].info
    assert info is not None
    assert info.peer_certificates == (certificate.public_bytes(serialization.Encoding.DER),)
    assert info.peer_fingerprint() == "sha256:" + certificate.fingerprint(hashes.SHA256()).hex()
    assert info.peer_fingerprint(FingerprintOf.PUBLIC_KEY) == "sha256:" + digest.finalize().hex()
    wide = "sha512:" + certificate.fingerprint(hashes.SHA512()).hex()
    for digest_name in (smtptls.Digest.SHA512, "sha512"):
        assert info.peer_fingerprint(digest=digest_name) == wide


def test_the_certificate_in_parts(trusting: Config, serving: Config, pki: Any) -> None:
    certificate = x509.load_pem_x509_certificate(pki.leaf.read_bytes())
    info, other = infos(trusting, serving)
    assert info.peer_chain_pem == certificate.public_bytes(serialization.Encoding.PEM).decode()
    assert info.peer_common_name == NAME and info.peer_issuer_common_name == "smtptls test root CA"
    assert info.peer_serial is not None and int(info.peer_serial, 16) == certificate.serial_number
    assert info.peer_names == (f"DNS:{NAME}", "DNS:localhost", "IP:127.0.0.1")
    assert info.peer_not_before == certificate.not_valid_before_utc
    assert info.peer_not_after == certificate.not_valid_after_utc
    for moment in (info.peer_not_before, info.peer_not_after):
        assert isinstance(moment, datetime.datetime) and moment.tzinfo is datetime.UTC
    assert {name: getattr(other, name) for name in OF_THE_PEER} == OF_THE_PEER


def test_a_certificate_without_end(ca: Any, trusting: Config) -> None:
    """RFC 5280 section 4.1.2.5: the last second that X.509 can say."""
    key, last = ca.new_key(), datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    serving = Config(keypairs_pem=[(ca.pem(ca.issue(key, NAME, ends=last - now)), ca.key_pem(key))])
    client = Session.client(trusting, Policy("encrypt"), NAME)
    assert greet(client, Session.server(serving)) == [None, None]
    assert client.info is not None and client.info.peer_not_after is not None
    assert last - client.info.peer_not_after < datetime.timedelta(minutes=1)


def test_names_are_escaped(ca: Any, trusting: Config) -> None:
    """SEC-20."""
    key = ca.new_key()
    names = (x509.DNSName("a\x1b[31m.test"), x509.RFC822Name("a@example.test"))
    leaf = ca.issue(key, "a\r\nb\x1b[2Jc", names=names)
    client = Session.client(trusting, Policy("encrypt"), NAME)
    serving = Config(keypairs_pem=[(ca.pem(leaf), ca.key_pem(key))])
    assert greet(client, Session.server(serving)) == [None, None]
    assert client.info is not None
    assert client.info.peer_common_name == "a\\r\\nb\\x1b[2Jc"
    assert client.info.peer_names == ("DNS:a\\x1b[31m.test", "email:a@example.test")


def test_server_end_point(trusting: Config, serving: Config, pki: Any) -> None:
    """R5929-4-1: both sides have the digest of the server's certificate."""
    certificate = x509.load_pem_x509_certificate(pki.leaf.read_bytes())
    for info in infos(trusting, serving):
        assert info.server_end_point == certificate.fingerprint(hashes.SHA256())


def test_info_is_a_value(trusting: Config, serving: Config) -> None:
    info, other = infos(trusting, serving)
    for twin in (
        Info.from_bytes(info.to_bytes()),
        Info.from_bytes(bytearray(info.to_bytes())),
        pickle.loads(pickle.dumps(info)),
        copy.copy(info),
        copy.deepcopy(info),
    ):
        assert twin == info and hash(twin) == hash(info) and twin is not info and type(twin) is Info
        assert fields(twin) == fields(info) and twin.peer_fingerprint() == info.peer_fingerprint()
    assert info != other and info != info.to_bytes() and len({info, other, copy.copy(info)}) == 2
    assert len(FIELDS) > 40
    with pytest.raises(TypeError):
        Info()
    with pytest.raises(AttributeError):
        info.level = Level.MAY  # type: ignore[misc]
    assert Info.__module__ == "smtptls"


# Reads an Info from its standard input, and writes what it says.
READER = """
import pickle, smtptls, sys
data = sys.stdin.buffer.read()
info = smtptls.Info.from_bytes(data) if sys.argv[1] == "bytes" else pickle.loads(data)
pickle.dump((info, info.summary, info.auth, info.peer_names, info.peer_not_after), sys.stdout.buffer)
"""


@pytest.mark.parametrize("form", ["bytes", "pickle"])
def test_info_in_another_process(trusting: Config, serving: Config, form: str) -> None:
    for info in infos(trusting, serving):
        data = info.to_bytes() if form == "bytes" else pickle.dumps(info)
        command = [sys.executable, "-c", READER, form]
        done = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True)
        said = (info, info.summary, info.auth, info.peer_names, info.peer_not_after)
        assert pickle.loads(done.stdout) == said


def test_bytes_of_others(trusting: Config, serving: Config) -> None:
    """What is newer is passed over; what is none of ours is refused."""
    info = infos(trusting, serving)[0]
    data = info.to_bytes()
    assert Info.from_bytes(data + b"\xc8\0\0\0\3abc") == info
    assert Info.from_bytes(data + b"\6\0\0\0\4smtp").alpn == b"smtp"
    for end in range(0, len(data), 7):
        try:
            assert Info.from_bytes(data[:end]) != info
        except ConfigError as error:
            assert error.code is Code.ARGUMENT
    for bad in (b"", b"smtptls-info\x02", b"smtptls-info\x01", data + b"\0", bytes(2_000_000)):
        with pytest.raises(ConfigError) as caught:
            Info.from_bytes(bad)
        assert caught.value.code is Code.ARGUMENT
    for strange in (None, 5, "text"):
        with pytest.raises(TypeError):
            Info.from_bytes(strange)  # type: ignore[arg-type]
