"""A throw-away PKI for the tests: made anew for every run, so that nothing committed can expire.

Use it as a module, `make(folder)` gives a `Paths`, or by hand: `python tests/ca/ca.py FOLDER`.
All good leaves are for mail.example.test, localhost and 127.0.0.1, with the extended key usage serverAuth.

    ca.pem                            root CA: give it to --ca
    leaf.pem          leaf.key        good leaf, ECDSA P-256
    rsa.pem           rsa.key         good leaf, RSA-2048
    chain.pem         chain.key       good leaf and, behind it, the intermediate CA that signed it
    nochain.pem       (chain.key)     the same leaf without its intermediate: no path to ca.pem
    combined.pem                      key and certificate of leaf.pem in one file
    expired.pem       expired.key     ended yesterday
    notyet.pem        notyet.key      begins in ten days
    other.pem         other.key       for other.example.test only
    wildcard.pem      wildcard.key    for *.example.test only
    cnonly.pem        cnonly.key      mail.example.test as common name, no subject alternative name
    srv.pem           srv.key         mail.example.test as SRV-ID only (RFC 4985)
    client.pem        client.key      extended key usage clientAuth only
    clientexpired.pem clientexpired.key  the same, and it ended yesterday
    clientunknown.pem clientunknown.key  the same, signed by nobody's CA
    clientlong.pem    clientlong.key  the same as client.pem, and behind it 200 times the root CA: over 64 KiB
    weak.pem          weak.key        RSA-1024
    selfsigned.pem    selfsigned.key  self-signed, not a CA
    caleaf.pem        caleaf.key      self-signed CA certificate that serves as a leaf
    wrongca.pem                       a second root CA; it has signed nothing
    encrypted.key                     leaf.key encrypted with the password "secret" (PKCS #8)
    stray.key                         an ECDSA key that belongs to no certificate
    empty.pem                         an empty file
    garbage.pem                       PEM armour around octets that are no certificate and no key
    old.crl                           revocation list of the root CA with nobody on it; it expired yesterday
    empty.crl                         the list after that, still with nobody on it
    revoked.crl                       the newest list, with leaf.pem on it
    roots/                            a directory with ca.pem: give it to --ca
"""

from __future__ import annotations

import datetime
import ipaddress
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "mail.example.test"
OTHER_NAME = "other.example.test"
PASSWORD = "secret"
SRV_NAME = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7")  # id-on-dnsSRV, an IA5String
SERVICE = f"_submission.{NAME}".encode()

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
DAY = datetime.timedelta(days=1)
GOOD_NAMES: tuple[x509.GeneralName, ...] = (
    x509.DNSName(NAME),
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
)


@dataclass(frozen=True)
class Paths:
    """Where the files are; the list above says what each one is."""

    folder: Path
    ca: Path
    leaf: Path
    leaf_key: Path
    rsa: Path
    rsa_key: Path
    chain: Path
    chain_key: Path
    nochain: Path
    combined: Path
    expired: Path
    expired_key: Path
    notyet: Path
    notyet_key: Path
    other: Path
    other_key: Path
    wildcard: Path
    wildcard_key: Path
    cnonly: Path
    cnonly_key: Path
    srv: Path
    srv_key: Path
    client: Path
    client_key: Path
    clientexpired: Path
    clientexpired_key: Path
    clientunknown: Path
    clientunknown_key: Path
    clientlong: Path
    clientlong_key: Path
    weak: Path
    weak_key: Path
    selfsigned: Path
    selfsigned_key: Path
    caleaf: Path
    caleaf_key: Path
    wrongca: Path
    encrypted_key: Path
    stray_key: Path
    empty: Path
    garbage: Path
    empty_crl: Path
    revoked_crl: Path
    old_crl: Path
    roots: Path


def paths(folder: Path) -> Paths:
    """The file names of a PKI in `folder`: field `x_key` is x.key, `x_crl` is x.crl, and `x` is x.pem."""

    def name(field: str) -> str:
        stem, _, kind = field.rpartition("_")
        return f"{stem}.{kind}" if kind in ("key", "crl") else f"{field}.pem"

    names = [field for field in Paths.__dataclass_fields__ if field not in ("folder", "roots")]
    return Paths(folder=folder, roots=folder / "roots", **{n: folder / name(n) for n in names})


@dataclass(frozen=True)
class Issuer:
    """A CA: its certificate and its key."""

    certificate: x509.Certificate
    key: Key


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def issue(
    key: Key,
    common_name: str,
    *,
    issuer: Issuer | None = None,
    names: tuple[x509.GeneralName, ...] = GOOD_NAMES,
    is_ca: bool = False,
    path_length: int | None = None,
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.SERVER_AUTH,
    begins: datetime.timedelta = -DAY,
    ends: datetime.timedelta = 30 * DAY,
    signs: bool | None = None,
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    digest: hashes.SHA256 | hashes.SHA512 | None = None,
) -> x509.Certificate:
    """Sign a certificate over `key`; without an issuer it signs itself. Times are counted from now.

    `signs` is the key usage keyCertSign, by default a CA's; `extra` are further extensions, critical or not.
    """
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = issuer.key if issuer else key
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
         "decipher_only"), False)  # fmt: skip
    signs = is_ca if signs is None else signs
    usage |= {"digital_signature": True, "key_cert_sign": signs, "crl_sign": is_ca}
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=path_length), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if purpose is not None and (names or not is_ca):
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    if isinstance(signer, ed25519.Ed25519PrivateKey):
        return builder.sign(signer, None)
    return builder.sign(signer, digest or hashes.SHA256())


def revocation_list(
    issuer: Issuer,
    number: int,
    *revoked: x509.Certificate,
    begins: datetime.timedelta,
    ends: datetime.timedelta = 30 * DAY,
) -> x509.CertificateRevocationList:
    """A list of an issuer (RFC 5280 section 5); of several the one with the highest number counts."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now + begins)
        .next_update(now + ends)
        .add_extension(identifier, critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(now + begins).build())
    return builder.sign(issuer.key, hashes.SHA256())


def pem(certificate: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: Key, password: str | None = None) -> bytes:
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        protection = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def write_key(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def make(folder: Path) -> Paths:
    """Make the whole PKI in `folder` (made if missing)."""
    folder.mkdir(parents=True, exist_ok=True)
    to = paths(folder)

    root_key = new_key()
    root = Issuer(issue(root_key, "smtptls test root CA", names=(), is_ca=True), root_key)
    inner_key = new_key()
    inner = Issuer(
        issue(inner_key, "smtptls test intermediate CA", issuer=root, names=(), is_ca=True, path_length=0),
        inner_key,
    )
    to.ca.write_bytes(pem(root.certificate))
    to.wrongca.write_bytes(pem(issue(new_key(), "smtptls test wrong CA", names=(), is_ca=True)))

    key = new_key()
    certificate = issue(key, NAME, issuer=root)
    to.leaf.write_bytes(pem(certificate))
    write_key(to.leaf_key, key_pem(key))
    write_key(to.combined, key_pem(key) + pem(certificate))
    write_key(to.encrypted_key, key_pem(key, PASSWORD))
    to.old_crl.write_bytes(pem(revocation_list(root, 1, begins=-10 * DAY, ends=-DAY)))
    to.empty_crl.write_bytes(pem(revocation_list(root, 2, begins=-2 * DAY)))
    to.revoked_crl.write_bytes(pem(revocation_list(root, 3, certificate, begins=-DAY)))
    to.roots.mkdir(exist_ok=True)
    (to.roots / "ca.pem").write_bytes(pem(root.certificate))

    key = new_key()
    certificate = issue(key, NAME, issuer=inner)
    to.chain.write_bytes(pem(certificate) + pem(inner.certificate))
    to.nochain.write_bytes(pem(certificate))
    write_key(to.chain_key, key_pem(key))

    def leaf(at: Path, key_at: Path, over: Key, name: str = NAME, **details: object) -> None:
        at.write_bytes(pem(issue(over, name, **details)))  # type: ignore[arg-type]
        write_key(key_at, key_pem(over))

    def rsa_key(bits: int) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)

    leaf(to.rsa, to.rsa_key, rsa_key(2048), issuer=root)
    leaf(to.weak, to.weak_key, rsa_key(1024), issuer=root)
    leaf(to.expired, to.expired_key, new_key(), issuer=root, begins=-10 * DAY, ends=-DAY)
    leaf(to.notyet, to.notyet_key, new_key(), issuer=root, begins=10 * DAY)
    leaf(to.other, to.other_key, new_key(), OTHER_NAME, issuer=root, names=(x509.DNSName(OTHER_NAME),))
    wild = "*." + NAME.partition(".")[2]
    leaf(to.wildcard, to.wildcard_key, new_key(), wild, issuer=root, names=(x509.DNSName(wild),))
    leaf(to.cnonly, to.cnonly_key, new_key(), issuer=root, names=())
    service = x509.OtherName(SRV_NAME, b"\x16" + bytes([len(SERVICE)]) + SERVICE)
    leaf(to.srv, to.srv_key, new_key(), issuer=root, names=(service,))
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH
    leaf(to.client, to.client_key, new_key(), issuer=root, purpose=purpose)
    leaf(
        to.clientexpired,
        to.clientexpired_key,
        new_key(),
        issuer=root,
        purpose=purpose,
        begins=-10 * DAY,
        ends=-DAY,
    )
    stranger_key = new_key()
    stranger = Issuer(issue(stranger_key, "smtptls test stranger CA", names=(), is_ca=True), stranger_key)
    leaf(to.clientunknown, to.clientunknown_key, new_key(), issuer=stranger, purpose=purpose)
    to.clientlong.write_bytes(to.client.read_bytes() + 200 * to.ca.read_bytes())
    write_key(to.clientlong_key, to.client_key.read_bytes())
    leaf(to.selfsigned, to.selfsigned_key, new_key())
    leaf(to.caleaf, to.caleaf_key, new_key(), is_ca=True)

    write_key(to.stray_key, key_pem(new_key()))
    to.empty.write_bytes(b"")
    to.garbage.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    return to


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: ca.py FOLDER")
    make(Path(sys.argv[1]))
