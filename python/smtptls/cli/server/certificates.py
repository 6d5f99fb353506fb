"""Throw-away certificates for the test server, good and bad ones, by the package cryptography."""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..exits import Stop

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    _Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

DAY = datetime.timedelta(days=1)
WRONG_NAME = "wrong.invalid"
KINDS = {
    "valid": "good for a month",
    "expired": "ended yesterday",
    "not-yet-valid": "begins tomorrow",
    "wrong-name": f"is for {WRONG_NAME}",
    "self-signed": "no authority signed it",
    "v1": "X.509 version 1, without extensions",
    "rsa1024": "an RSA key of 1024 bits",
}
# Of the kinds whose time is not the usual.
TIMES = {"expired": (-3 * DAY, -DAY), "not-yet-valid": (DAY, 30 * DAY)}
USUAL = (-DAY, 30 * DAY)


@dataclass(frozen=True)
class Authority:
    """Whom clients are to trust: it signs the certificates."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return _pem(self.certificate)


def demand() -> None:
    """Says what to install where cryptography is missing."""
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise Stop(
            "certificates are made with the package cryptography, which is not installed: "
            "pip install 'smtptls[cli]', or give one by --cert PEM"
        ) from error


def make_authority() -> Authority:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("smtptls serve test CA")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(name, name, key.public_key(), USUAL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def make_pair(
    authority: Authority, kind: str, names: list[str], folder: Path, stem: str
) -> tuple[Path, Path]:
    """Writes a chain and its key for these names, and gives their paths."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key: _Key = ec.generate_private_key(ec.SECP256R1())
    if kind == "rsa1024":
        key = rsa.generate_private_key(65537, 1024)
    names = [WRONG_NAME] if kind == "wrong-name" else names
    certificate = _issue(authority, kind, names, key)
    chain = folder / f"{stem}.pem"
    # With the authority's own, which DANE-TA needs (RFC 7672 section 3.1.2).
    chain.write_bytes(certificate if kind == "self-signed" else certificate + authority.pem)
    return chain, _write_key(folder / f"{stem}.key", key)


def _issue(authority: Authority, kind: str, names: list[str], key: _Key) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    if kind == "v1":
        return _pem(_version_1(authority, names[0], key))
    subject = _name(names[0])
    signer: _Key = key if kind == "self-signed" else authority.key
    issuer = subject if kind == "self-signed" else authority.certificate.subject
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return _pem(
        _builder(subject, issuer, key.public_key(), TIMES.get(kind, USUAL))
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(signer, hashes.SHA256())
    )


def _version_1(authority: Authority, name: str, key: _Key) -> x509.Certificate:
    """cryptography makes version 3 only: so one of those, less its version, signed anew."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    made = _builder(_name(name), authority.certificate.subject, key.public_key(), USUAL)
    template = made.sign(authority.key, hashes.SHA256())
    body, rest = _element(template.tbs_certificate_bytes)
    version = b"\xa0\x03\x02\x01\x02"  # [0] INTEGER 2, absent where it is 0 (RFC 5280 section 4.1)
    assert not rest and body.startswith(version)
    to_sign = _der(0x30, body.removeprefix(version))
    whole, _ = _element(template.public_bytes(Encoding.DER))
    _, behind = _element(whole)  # the algorithm, then the signature
    algorithm = behind[: len(behind) - len(_element(behind)[1])]
    signature = authority.key.sign(to_sign, ec.ECDSA(hashes.SHA256()))
    return x509.load_der_x509_certificate(_der(0x30, to_sign + algorithm + _der(0x03, b"\0" + signature)))


def _element(der: bytes) -> tuple[bytes, bytes]:
    """The content of the first element, and what is behind it (X.690 section 8.1)."""
    length, start = der[1], 2
    if length >= 0x80:
        start += length - 0x80
        length = int.from_bytes(der[2:start], "big")
    return der[start : start + length], der[start + length :]


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 + len(octets)]) + octets + content


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    times: tuple[datetime.timedelta, datetime.timedelta],
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + times[0])
        .not_valid_after(now + times[1])
    )


def _name(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    # No common name is longer than 64 (RFC 5280 appendix A.1); clients look at the other names anyway.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
        **dict.fromkeys(others, False),
    )


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _write_key(path: Path, key: _Key) -> Path:
    from cryptography.hazmat.primitives import serialization

    octets = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(octets)
    return path
