"""Chains of certificates that mail servers show, good, bad and odd: made anew for every run.

`make()` gives them by name; what each one is stands beside its name in tests/judging/chains.toml, and a test
makes sure that both know the same names. All are for mail.example.test unless they say otherwise.
"""

from __future__ import annotations

import ipaddress
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ca.ca import DAY, NAME, OTHER_NAME, Issuer, Key, issue, key_pem, new_key, pem
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Chain:
    """What a server shows, and the anchor that the client is told to trust."""

    certificates: list[bytes]  # in PEM, the server's own first
    key: bytes
    anchor: bytes

    @property
    def leaf(self) -> bytes:
        """The server's own certificate, in DER."""
        return der(self.certificates[0])

    @property
    def text(self) -> bytes:
        return b"".join(self.certificates)


def der(text: bytes) -> bytes:
    """The DER of a certificate in PEM; also of one that cannot be read any further."""
    import ssl

    return ssl.PEM_cert_to_DER_cert(text.decode())


def to_pem(octets: bytes) -> bytes:
    import ssl

    return ssl.DER_cert_to_PEM_cert(octets).encode()


def dns(*names: str) -> tuple[x509.GeneralName, ...]:
    return tuple(x509.DNSName(name) for name in names)


@dataclass
class Maker:
    """The authorities, and the chains made so far."""

    folder: Path
    found: dict[str, Chain] = field(default_factory=dict)
    root: Issuer = field(init=False)
    inner: Issuer = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.authority("Chains Root")
        self.inner = self.authority("Chains Intermediate", self.root)

    def authority(
        self, name: str, above: Issuer | None = None, key: Key | None = None, **details: object
    ) -> Issuer:
        key = key or new_key()
        details = {"names": (), "is_ca": True} | details
        return Issuer(issue(key, name, issuer=above, **details), key)  # type: ignore[arg-type]

    def add(
        self,
        name: str,
        above: Issuer | None,
        *behind: Issuer,
        key: Key | None = None,
        common_name: str = NAME,
        anchor: Issuer | bytes | None = None,
        change: Callable[[bytes], bytes] = lambda octets: octets,
        **details: object,
    ) -> None:
        """A chain whose leaf is signed by `above`, or by itself, with the certificates `behind` it."""
        key = key or new_key()
        details = {"names": dns(NAME)} | details
        leaf = issue(key, common_name, issuer=above, **details)  # type: ignore[arg-type]
        text = to_pem(change(leaf.public_bytes(serialization.Encoding.DER)))
        anchor = anchor or self.root
        self.found[name] = Chain(
            [text, *(pem(one.certificate) for one in behind)],
            key_pem(key),
            anchor if isinstance(anchor, bytes) else pem(anchor.certificate),
        )

    def openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)


def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def make() -> dict[str, Chain]:
    with tempfile.TemporaryDirectory() as folder:
        maker = Maker(Path(folder))
        keys(maker)
        orders(maker)
        trust(maker)
        dates(maker)
        names(maker)
        purposes(maker)
        limits(maker)
        old(maker)
        return maker.found


def keys(m: Maker) -> None:
    m.add("ecdsa-p256", m.root)
    m.add("ecdsa-p384", m.root, key=ec.generate_private_key(ec.SECP384R1()))
    m.add("rsa-2048", m.root, key=rsa_key(2048))
    m.add("rsa-3072", m.root, key=rsa_key(3072))
    m.add("ed25519", m.root, key=ed25519.Ed25519PrivateKey.generate())
    big = m.authority("RSA Root", key=rsa_key(2048))
    m.add("rsa-sha512", big, key=rsa_key(2048), anchor=big, digest=hashes.SHA512())


def orders(m: Maker) -> None:
    upper = m.authority("Upper", m.root)
    lower = m.authority("Lower", upper)
    stranger = m.authority("Stranger")
    m.add("intermediate", m.inner, m.inner)
    m.add("two-intermediates", lower, lower, upper)
    m.add("anchor-sent-along", lower, lower, upper, m.root)
    m.add("wrong-order", lower, upper, lower)
    m.add("superfluous", m.inner, stranger, m.inner, upper)
    m.add("sent-twice", m.inner, m.inner, m.inner)
    m.add("no-intermediate", m.inner)
    m.add("gap", lower, lower)
    m.add("anchor-in-the-middle", m.inner, anchor=m.inner)
    other = m.authority("Other Root")
    cross = m.authority("Chains Root", other, key=m.root.key)
    cross_old = m.authority("Chains Root", other, key=m.root.key, begins=-20 * DAY, ends=-DAY)
    m.add("cross-signed", m.inner, m.inner, cross, anchor=other)
    m.add("cross-signed-both", m.inner, m.inner, cross)
    m.add("cross-signed-expired", m.inner, m.inner, cross_old)
    m.add("cross-signed-only-expired", m.inner, m.inner, cross_old, anchor=other)
    long = [m.root]
    for number in range(9):
        long.append(m.authority(f"Long {number}", long[-1]))
    m.add("seven-intermediates", long[7], *reversed(long[1:8]))
    m.add("nine-intermediates", long[9], *reversed(long[1:10]))


def trust(m: Maker) -> None:
    stranger = m.authority("Stranger")
    impostor = m.authority("Chains Root")
    m.add("unknown-ca", stranger, stranger)
    m.add("impostor", impostor, impostor)
    m.add("impostor-not-sent", impostor)
    m.add("self-signed", None)
    m.add("ca-as-leaf", None, is_ca=True)
    m.add("ca-as-leaf-signed", m.root, is_ca=True)
    for name, is_ca in (("self-signed-anchor", False), ("ca-as-leaf-anchor", True)):
        m.add(name, None, is_ca=is_ca)
        chain = m.found[name]
        m.found[name] = Chain(chain.certificates, chain.key, chain.certificates[0])
    # The last octet of the leaf's signature is wrong.
    m.add("bad-signature", m.root, change=lambda octets: octets[:-1] + bytes([octets[-1] ^ 1]))


def dates(m: Maker) -> None:
    past: dict[str, Any] = {"begins": -20 * DAY, "ends": -DAY}
    future: dict[str, Any] = {"begins": 10 * DAY, "ends": 20 * DAY}
    m.add("expired", m.root, **past)
    m.add("not-yet-valid", m.root, **future)
    old, early = m.authority("Old", m.root, **past), m.authority("Early", m.root, **future)
    m.add("expired-intermediate", old, old)
    m.add("not-yet-valid-intermediate", early, early)
    m.add("expired-leaf-and-intermediate", old, old, **past)
    ended = m.authority("Ended Root", **past)
    m.add("expired-anchor", ended, ended, anchor=ended)
    stranger = m.authority("Stranger")
    m.add("expired-and-unknown", stranger, stranger, **past)
    m.add("expired-and-other-name", m.root, names=dns(OTHER_NAME), **past)


def names(m: Maker) -> None:
    parent = NAME.partition(".")[2]
    m.add("other-name", m.root, names=dns(OTHER_NAME))
    m.add("second-name", m.root, names=dns(OTHER_NAME, NAME))
    m.add("capitals", m.root, names=dns("MAIL.Example.TEST"))
    m.add("wildcard", m.root, names=dns(f"*.{parent}"))
    m.add("wildcard-too-high", m.root, names=dns("*.test"))
    m.add("wildcard-in-a-label", m.root, names=dns(f"m*.{parent}"))
    m.add("wildcard-alone", m.root, names=dns("*"))
    m.add("common-name-only", m.root, names=())
    m.add("common-name-right", m.root, names=dns(OTHER_NAME))
    m.add("address-only", m.root, names=(x509.IPAddress(ipaddress.ip_address("127.0.0.1")),))
    m.add("mail-address-only", m.root, names=(x509.RFC822Name(f"postmaster@{NAME}"),))
    m.add("uri-only", m.root, names=(x509.UniformResourceIdentifier(f"smtp://{NAME}"),))
    m.add("hundred-names", m.root, names=dns(*(f"host{n}.example.test" for n in range(100)), NAME))


def purposes(m: Maker) -> None:
    m.add("no-purpose", m.root, purpose=None)
    m.add("any-purpose", m.root, purpose=ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    m.add("for-clients", m.root, purpose=CLIENT)
    narrow = m.authority("For Clients", m.root, extra=((x509.ExtendedKeyUsage([CLIENT]), False),))
    m.add("intermediate-for-clients", narrow, narrow)
    plain = m.authority("Not a CA", m.root, is_ca=False, signs=True)
    m.add("intermediate-not-a-ca", plain, plain)
    mute = m.authority("No keyCertSign", m.root, signs=False)
    m.add("intermediate-may-not-sign", mute, mute)
    private = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")
    for name, critical in (("unknown-extension", False), ("unknown-critical-extension", True)):
        m.add(name, m.root, extra=((x509.UnrecognizedExtension(private, b"\x05\x00"), critical),))
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x05\x00\xff")
    m.add("unreadable-names", m.root, names=(), extra=((odd, False),))


def limits(m: Maker) -> None:
    short = m.authority("Short", m.root, path_length=0)
    below = m.authority("Below Short", short)
    m.add("path-length-kept", short, short)
    m.add("path-length-broken", below, below, short)

    def constrained(permitted: list[str] | None, excluded: list[str] | None) -> Issuer:
        def subtrees(domains: list[str] | None) -> list[x509.GeneralName] | None:
            return [x509.DNSName(domain) for domain in domains] if domains else None

        constraints = x509.NameConstraints(subtrees(permitted), subtrees(excluded))
        return m.authority("Constrained", m.root, extra=((constraints, True),))

    for name, permitted, excluded in (
        ("name-constraints-kept", ["example.test"], None),
        ("name-constraints-broken", ["example.net"], None),
        ("name-constraints-excluded", None, ["example.test"]),
    ):
        issuer = constrained(permitted, excluded)
        m.add(name, issuer, issuer)


def old(m: Maker) -> None:
    m.add("rsa-1024", m.root, key=rsa_key(1024))
    weak = m.authority("Weak", m.root, key=rsa_key(1024))
    m.add("rsa-1024-intermediate", weak, weak)
    # What the builder will not make: SHA-1, and X.509 version 1.
    (m.folder / "root.pem").write_bytes(pem(m.root.certificate))
    (m.folder / "root.key").write_bytes(key_pem(m.root.key))
    (m.folder / "san").write_text(f"subjectAltName=DNS:{NAME}\n")
    (m.folder / "ca").write_text("basicConstraints=critical,CA:TRUE\n")

    def sign(name: str, subject: str, *arguments: str) -> None:
        m.openssl(
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            f"/CN={subject}",
        )
        request = ("-in", f"{name}.csr", "-days", "30", "-out", f"{name}.pem")
        m.openssl("x509", "-req", *request, *arguments)

    by_root = ("-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial")
    sign("sha1", NAME, *by_root, "-sha1", "-extfile", "san")
    sign("v1", NAME, *by_root)
    sign("v1ca", "Version 1 Root", "-signkey", "v1ca.key")
    sign("below", NAME, "-CA", "v1ca.pem", "-CAkey", "v1ca.key", "-CAcreateserial", "-extfile", "san")
    sign("sha1ca", "SHA-1 Intermediate", *by_root, "-sha1", "-extfile", "ca")
    sign("undersha1", NAME, "-CA", "sha1ca.pem", "-CAkey", "sha1ca.key", "-CAcreateserial", "-extfile", "san")

    def chain(name: str, *files: str, anchor: str = "root") -> None:
        texts = [(m.folder / f"{file}.pem").read_bytes() for file in (*files, anchor)]
        m.found[name] = Chain(texts[:-1], (m.folder / f"{files[0]}.key").read_bytes(), texts[-1])

    chain("sha1", "sha1")
    chain("sha1-intermediate", "undersha1", "sha1ca")
    chain("version-1", "v1")
    chain("version-1-anchor", "below", "v1ca", anchor="v1ca")
