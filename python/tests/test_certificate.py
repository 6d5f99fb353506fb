"""certificate_dict against what `ssl` makes of the same certificate."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from smtptls import Code, ConfigError
from smtptls._native import certificate_dict

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

MODULE: Any = ssl
Expect = Callable[[bytes], dict[str, Any] | None]


@pytest.fixture
def expect(tmp_path: Path) -> Expect:
    """What `ssl` gives for a certificate; None if it gives nothing."""

    def of(der: bytes) -> dict[str, Any] | None:
        path = tmp_path / "certificate.pem"
        path.write_text(ssl.DER_cert_to_PEM_cert(der))
        try:
            decoded: dict[str, Any] = MODULE._ssl._test_decode_cert(str(path))
        except (ssl.SSLError, ValueError, SystemError):  # Not UTF-8; and a slip of CPython itself.
            return None
        return decoded

    return of


def given(der: bytes) -> dict[str, Any] | None:
    try:
        return certificate_dict(der)
    except ConfigError as error:
        assert error.code is Code.ARGUMENT
        return None


def is_same(der: bytes, expect: Expect) -> dict[str, Any]:
    """Both read it, to the same dict in the same order."""
    decoded = expect(der)
    assert decoded is not None
    ours = certificate_dict(der)
    assert list(ours.items()) == list(decoded.items())
    return ours


# --- DER by hand, for what no tool would make


def tlv(tag: int, *contents: bytes) -> bytes:
    whole = b"".join(contents)
    if len(whole) < 0x80:
        return bytes([tag, len(whole)]) + whole
    length = len(whole).to_bytes((len(whole).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + whole


def seq(*contents: bytes) -> bytes:
    return tlv(0x30, *contents)


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    octets = b""
    for arc in [40 * first + second, *rest]:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        octets += bytes(reversed(groups))
    return tlv(6, octets)


def rdn(*attributes: tuple[str, int, bytes]) -> bytes:
    return tlv(0x31, *(seq(oid(kind), tlv(tag, value)) for kind, tag, value in attributes))


def extension(kind: str, *contents: bytes) -> bytes:
    return seq(oid(kind), tlv(4, *contents))


CN = "2.5.4.3"
SAN = "2.5.29.17"
POINTS = "2.5.29.31"
ACCESS = "1.3.6.1.5.5.7.1.1"
OCSP = "1.3.6.1.5.5.7.48.1"
SUBJECT = seq(rdn((CN, 0x0C, b"mail.example.test")))
BEGIN = tlv(0x17, b"260101000000Z")
END = tlv(0x17, b"270101000000Z")
V3 = tlv(0xA0, tlv(2, b"\2"))
ALGORITHM = seq(oid("1.2.840.10045.4.3.2"))
KEY = seq(seq(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")), tlv(3, b"\0\4" + bytes(64)))


def build(
    *extensions: bytes,
    version: bytes = V3,
    serial: bytes = b"\1",
    subject: bytes = SUBJECT,
    begin: bytes = BEGIN,
    end: bytes = END,
    after: bytes = b"",
) -> bytes:
    listed = tlv(0xA3, seq(*extensions)) if extensions else b""
    fields = [version, tlv(2, serial), ALGORITHM, SUBJECT, seq(begin, end), subject, KEY, after, listed]
    return seq(seq(*fields), ALGORITHM, tlv(3, b"\0" + bytes(8)))


def san(*names: bytes) -> bytes:
    return build(extension(SAN, seq(*names)))


# --- real certificates


def test_of_the_interpreter(expect: Expect) -> None:
    test = pytest.importorskip("test", reason="this interpreter comes without its own tests")
    folder = Path(test.__file__).parent
    ders = []
    for path in sorted([*folder.glob("*.pem"), *folder.glob("certdata/*.pem"), *folder.glob("certdata/*/*")]):
        text = path.read_bytes() if path.is_file() else b""
        for part in text.split(b"-----BEGIN CERTIFICATE-----")[1:]:
            body = part.decode("latin-1").partition("-----END CERTIFICATE-----")[0]
            try:
                ders.append(ssl.PEM_cert_to_DER_cert(ssl.PEM_HEADER + body.rstrip() + "\n" + ssl.PEM_FOOTER))
            except ValueError:
                assert path.name == "badcert.pem"
    if not ders:
        pytest.skip("this interpreter comes without the certificates of its own tests")
    for der in ders:
        if expect(der) is None:
            assert given(der) is None
        else:
            is_same(der, expect)


def test_of_the_system(expect: Expect) -> None:
    roots = ssl.create_default_context().get_ca_certs(True)
    if not roots:
        pytest.skip("this system has no trust store")
    for der in roots:
        is_same(der, expect)


def test_of_every_kind(expect: Expect) -> None:
    name = x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "CH")]),
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Zürich Mail"),
                    x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Post"),
                ]
            ),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.test")]),
        ]
    )
    uri = x509.UniformResourceIdentifier
    aia = AuthorityInformationAccessOID
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("*.example.test"),
            x509.RFC822Name("postmaster@example.test"),
            uri("https://example.test/"),
            x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
            x509.IPAddress(ipaddress.ip_address("2001:db8::ab:1")),
            x509.DirectoryName(name),
            x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4.5")),
            x509.RegisteredID(NameOID.COMMON_NAME),
            x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), tlv(0x0C, b"text")),
        ]
    )
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(aia.CA_ISSUERS, uri("http://example.test/ca.crt")),
            x509.AccessDescription(aia.OCSP, uri("http://ocsp.example.test/")),
            x509.AccessDescription(aia.OCSP, x509.DNSName("ocsp.example.test")),
            x509.AccessDescription(aia.OCSP, uri("http://ocsp2.example.test/")),
        ]
    )
    crl = [uri("http://example.test/1.crl"), x509.DNSName("no.uri"), uri("ldap://example.test/2.crl")]
    points = x509.CRLDistributionPoints(
        [
            x509.DistributionPoint(crl, None, None, None),
            x509.DistributionPoint(None, name.rdns[1], None, None),
            x509.DistributionPoint(None, None, None, [x509.DirectoryName(name)]),
        ]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(name, name, key.public_key(), 0xAB << 120)
    builder = builder.not_valid_before(datetime.datetime(2018, 8, 9, 4, 23, 5))
    builder = builder.not_valid_after(datetime.datetime(2058, 12, 31, 23, 59, 59))
    for one in (names, access, points):
        builder = builder.add_extension(one, critical=one is names)
    der = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    ours = is_same(der, expect)
    assert list(ours) == [
        "subject",
        "issuer",
        "version",
        "serialNumber",
        "notBefore",
        "notAfter",
        "subjectAltName",
        "OCSP",
        "caIssuers",
        "crlDistributionPoints",
    ]
    assert len(ours["subject"]) == 3 and len(ours["subject"][1]) == 2
    assert ours["notBefore"] == "Aug  9 04:23:05 2018 GMT"
    assert ("IP Address", "2001:DB8:0:0:0:0:AB:1") in ours["subjectAltName"]
    assert certificate_dict(memoryview(der)) == ours == certificate_dict(bytearray(der))


# --- every corner


STRINGS = [
    (0x0C, "Zürich \U0001f4ec".encode()),
    (0x0C, b""),
    (0x0C, b"a\0b"),
    (0x0C, b"\xff"),
    (0x0C, b"\xed\xa0\x80"),
    (0x12, b"12 3"),
    (0x13, b"plain"),
    (0x13, b"\xe9"),
    (0x14, b"Z\xfcrich\x80"),
    (0x15, b"videotex"),
    (0x16, b"ia5\xe4"),
    (0x17, b"260101000000Z"),
    (0x1A, b"visible"),
    (0x1B, b"general"),
    (0x1C, "Zürich \U0001f4ec".encode("utf-32-be")),
    (0x1C, b"\0\0\0"),
    (0x1C, b"\0\x11\0\0"),
    (0x1E, "Zürich".encode("utf-16-be")),
    (0x1E, "\U0001f4ec".encode("utf-16-be")),
    (0x1E, b"\0"),
    (0x03, b"\0bits"),
    (0x03, b"\4\xff\xff"),
    (0x03, b"\0"),
    (0x03, b"\x08a"),
    (0x03, b""),
    (0x04, b"octets"),
    (0x30, b""),
]


@pytest.mark.parametrize(("tag", "value"), STRINGS)
def test_strings(tag: int, value: bytes, expect: Expect) -> None:
    der = build(subject=seq(rdn((CN, tag, value))))
    assert given(der) == expect(der)


def test_long_names(expect: Expect) -> None:
    """Every type of OpenSSL in the arcs that hold the types of names."""
    arcs = (
        "2.5.4.",
        "0.9.2342.19200300.100.1.",
        "1.2.840.113549.1.9.",
        "1.3.6.1.4.1.311.60.2.1.",
        "1.3.6.1.4.1.311.20.2.",
        "1.3.6.1.5.5.7.8.",
        "1.3.6.1.5.5.7.9.",
        "1.2.643.100.",
        "1.2.643.3.131.1.",
    )
    dotted = [arc + str(last) for arc in arcs for last in range(300)]
    der = build(subject=seq(*(rdn((one, 0x0C, b"x")) for one in dotted)))
    ours = certificate_dict(der)
    if ssl.OPENSSL_VERSION_INFO[:2] == (3, 0):
        is_same(der, expect)
    names = [name for ((name, _),) in ours["subject"]]
    # A later OpenSSL knows more of them.
    assert all(name in (one, known(one)) for name, one in zip(names, dotted, strict=True))
    assert sum(name not in dotted for name in names) > 120


def known(dotted: str) -> str:
    try:
        return str(MODULE._ssl.txt2obj(dotted)[2])
    except ValueError:
        return dotted


OIDS = ["0.0", "0.39", "1.0", "1.39", "2.0", "2.39", "2.47", "2.48", "2.999", "1.2.840.0"]


@pytest.mark.parametrize("dotted", [*OIDS, f"2.25.{2**128 - 1}"])
def test_unknown_oids(dotted: str, expect: Expect) -> None:
    der = build(extension(SAN, seq(tlv(0x88, oid(dotted)[2:]))), subject=seq(rdn((dotted, 0x0C, b"x"))))
    is_same(der, expect)


def test_endless_oid() -> None:
    """Arcs end at 128 bits; OpenSSL's end at 4 kilobits."""
    assert given(build(subject=seq(rdn((f"2.25.{2**128}", 0x0C, b"x"))))) is None


@pytest.mark.parametrize("contents", [b"", b"\x80", b"\x2a\x80\x01", b"\x2a\x83", b"\x2a" * 587])
def test_broken_oids(contents: bytes, expect: Expect) -> None:
    der = build(subject=seq(tlv(0x31, seq(tlv(6, contents), tlv(0x0C, b"x")))))
    assert given(der) is None is expect(der)


def test_empty_names(expect: Expect) -> None:
    assert is_same(build(subject=seq()), expect)["subject"] == ()
    is_same(build(subject=seq(rdn(), rdn((CN, 0x0C, b"x")), rdn())), expect)
    unsorted = rdn((CN, 0x0C, b"b"), (CN, 0x0C, b"a"), ("2.5.4.10", 0x13, b"c"))
    is_same(build(subject=seq(unsorted)), expect)


TIMES = [
    b"180829142315Z",
    b"180801000000Z",
    b"500101000000Z",
    b"491231235959Z",
    b"000229000000Z",
    b"010229000000Z",
    b"1808291423Z",
    b"180829142315",
    b"180829142360Z",
    b"180829146015Z",
    b"180829240000Z",
    b"181301000000Z",
    b"180001000000Z",
    b"180100000000Z",
    b"180431000000Z",
    b"18082914231Z",
    b"180829142315.5Z",
    b"180829142315ZZ",
    b"+80829142315Z",
    b"Z",
    b"",
]
LONG_TIMES = [
    b"20180829142315Z",
    b"20180829142315.25Z",
    b"20180829142315.Z",
    b"201808291423.5Z",
    b"201808291423Z",
    b"00500829142315Z",
    b"00000101000000Z",
    b"19000229000000Z",
    b"20000229000000Z",
    b"99991231235959Z",
    b"180829142315Z",
]


@pytest.mark.parametrize(
    ("tag", "text"), [(0x17, text) for text in TIMES] + [(0x18, text) for text in LONG_TIMES]
)
def test_times(tag: int, text: bytes, expect: Expect) -> None:
    is_same(build(begin=tlv(tag, text)), expect)
    is_same(build(end=tlv(tag, text)), expect)


def test_other_times(expect: Expect) -> None:
    der = build(begin=tlv(0x16, b"180829142315Z"))
    assert given(der) is None is expect(der)
    # RFC 5280 section 4.1.2.5 forbids offsets; OpenSSL adds them up.
    assert certificate_dict(build(begin=tlv(0x17, b"180829142315+0200")))["notBefore"] == "Bad time value"


SERIALS = ["00", "01", "7f", "80", "ff", "0080", "00ff", "ff7f", "ff00", "ff80", "0001", "8000", "800001"]


@pytest.mark.parametrize("serial", ["", *SERIALS, "7f" * 20, "80" + "00" * 19])
def test_serials(serial: str, expect: Expect) -> None:
    der = build(serial=bytes.fromhex(serial))
    assert given(der) == expect(der)


def test_long_serial(expect: Expect) -> None:
    """CPython stops at a line break of OpenSSL's."""
    der = build(serial=b"\x12" * 36)
    assert certificate_dict(der)["serialNumber"] == "12" * 36
    decoded = expect(der)
    assert decoded is not None and decoded["serialNumber"] == "12" * 35 + "\\\n"


@pytest.mark.parametrize("number", [b"\0", b"\1", b"\2", b"\3", b"\x7f", b"\xff"])
def test_versions(number: bytes, expect: Expect) -> None:
    is_same(build(version=tlv(0xA0, tlv(2, number))), expect)


def test_first_version(expect: Expect) -> None:
    is_same(build(version=b""), expect)
    is_same(build(after=tlv(0x81, b"\0one") + tlv(0x82, b"\0two")), expect)


def other(kind: str, tag: int, value: bytes) -> bytes:
    return tlv(0xA0, oid(kind), tlv(0xA0, tlv(tag, value)))


NAMES = [
    tlv(0x82, b"mail.example.test"),
    tlv(0x82, b""),
    tlv(0x82, b"a\0b"),
    tlv(0x82, "zürich.test".encode()),
    tlv(0x82, b"\xff"),
    tlv(0x81, b"\xff"),
    tlv(0x86, b"\xff"),
    tlv(0x87, b""),
    tlv(0x87, b"\x7f\0\0\1"),
    tlv(0x87, bytes(8)),
    tlv(0x87, bytes(16)),
    tlv(0x87, bytes(12) + b"\xc0\0\2\1"),
    tlv(0x88, oid("1.2.3")[2:]),
    tlv(0x88, b""),
    tlv(0xA4, SUBJECT),
    tlv(0xA4, seq()),
    tlv(0xA4, SUBJECT, SUBJECT),
    tlv(0xA4, seq(rdn((CN, 0x0C, b"\xff")))),
    tlv(0xA3, seq(b"")),
    tlv(0xA3),
    tlv(0xA5, tlv(0xA1, tlv(0x0C, b"party"))),
    tlv(0x89, b"unknown"),
    other("1.2.3.4", 0x0C, b"text"),
    other("1.2.3.4", 0x05, b""),
    other("1.3.6.1.5.2.2", 0x30, b""),
    other("1.3.6.1.4.1.311.20.2.3", 0x0C, b"me@example.test"),
    other("1.3.6.1.4.1.311.20.2.3", 0x16, b"me@example.test"),
    other("1.3.6.1.4.1.311.20.2.3", 0x0C, "mé@example.test".encode()),
    other("1.3.6.1.5.5.7.8.5", 0x0C, b"xmpp@example.test"),
    other("1.3.6.1.5.5.7.8.7", 0x16, b"_submission.example.test"),
    other("1.3.6.1.5.5.7.8.7", 0x0C, b"_submission.example.test"),
    other("1.3.6.1.5.5.7.8.8", 0x0C, b"realm"),
    other("1.3.6.1.5.5.7.8.9", 0x0C, "méil@example.test".encode()),
    other("1.3.6.1.5.5.7.8.9", 0x0C, b""),
    tlv(0xA0, oid("1.2.3.4")),
    b"\x82\x7f",
]


@pytest.mark.parametrize("name", NAMES)
def test_alternative_names(name: bytes, expect: Expect) -> None:
    for der in (san(name), san(tlv(0x82, b"first.test"), name), san(name, tlv(0x82, b"last.test"))):
        assert given(der) == expect(der)


def test_other_name_of_no_type() -> None:
    names = certificate_dict(san(other("1.2.3.4", 0, b"text")))["subjectAltName"]
    assert names == (("othername", "<unsupported>"),)


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "a" * 3000])
def test_whole_other_names(text: str) -> None:
    """OpenSSL stops at NUL, and CPython at a line break or after 2 KiB."""
    names = certificate_dict(san(other("1.3.6.1.4.1.311.20.2.3", 0x0C, text.encode())))["subjectAltName"]
    assert names == (("othername", f"UPN:{text}"),)


@pytest.mark.parametrize(
    "extensions",
    [
        [extension(SAN, seq())],
        [extension(SAN, b"")],
        [extension(SAN, b"junk")],
        [extension(SAN, seq(tlv(0x82, b"a.test")), b"junk")],
        [extension(SAN, seq(tlv(0x82, b"a.test")))] * 2,
        [seq(oid(SAN), tlv(1, b"\xff"), tlv(4, seq(tlv(0x82, b"a.test"))))],
        [extension(ACCESS, seq())],
        [extension(ACCESS, seq(seq(oid(OCSP), tlv(0x82, b"a.test"))))],
        [extension(ACCESS, seq(seq(oid(OCSP), tlv(0x86, b"http://a.test"))))],
        [extension(ACCESS, seq(seq(oid(OCSP), tlv(0x86, b"\xff"))))],
        [extension(ACCESS, seq(seq(oid(OCSP))))],
        [extension(POINTS, seq())],
        [extension(POINTS, seq(seq()))],
        [extension(POINTS, seq(seq(tlv(0xA0, tlv(0xA0, tlv(0x82, b"a.test"))))))],
        [extension(POINTS, seq(seq(tlv(0xA0, tlv(0xA0, tlv(0x86, b"http://a.test"))))))],
        [extension(POINTS, seq(seq(tlv(0xA0, tlv(0xA0, tlv(0x86, b"\xff"))))))],
        [extension(POINTS, seq(seq(tlv(0xA0, tlv(0x86, b"http://a.test")))))],
        [extension(POINTS, seq(seq(tlv(0x81, b"\1\2"), tlv(0xA2, tlv(0x86, b"http://a.test")))))],
    ],
)
def test_extensions(extensions: list[bytes], expect: Expect) -> None:
    der = build(*extensions)
    assert given(der) == expect(der)


def test_unreadable() -> None:
    whole = build(extension(SAN, seq(tlv(0x82, b"a.test"))))
    assert given(whole) is not None
    for cut in range(len(whole)):
        assert given(whole[:cut]) is None
    for broken in (whole + b"\0", b"\x30\x80" + whole[3:] + b"\0\0", build(after=seq()), b"\x1f" * 64):
        assert given(broken) is None
    with pytest.raises(ConfigError, match="the certificate cannot be read"):
        certificate_dict(b"")
    with pytest.raises(TypeError):
        certificate_dict("text")  # type: ignore[arg-type]


def test_any_octet(expect: Expect) -> None:
    """With any octet changed, what both read is the same. What each refuses differs: OpenSSL takes more than
    DER, and reads keys and algorithms too.
    """
    whole = build(
        extension(SAN, seq(tlv(0x82, b"a.test"), tlv(0xA4, SUBJECT), tlv(0x87, bytes(4)))),
        extension(ACCESS, seq(seq(oid(OCSP), tlv(0x86, b"http://a.test")))),
        extension(POINTS, seq(seq(tlv(0xA0, tlv(0xA0, tlv(0x86, b"http://a.test")))))),
    )
    optional = {"subjectAltName", "OCSP", "caIssuers", "crlDistributionPoints"}
    same = 0
    for at in range(len(whole)):
        for change in (0x01, 0x20, 0x80, 0xFF):
            der = whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :]
            ours, theirs = given(der), expect(der)
            same += ours == theirs
            if ours is not None and theirs is not None:
                assert ours.keys() ^ theirs.keys() <= optional
                assert all(ours[key] == theirs[key] for key in ours.keys() & theirs.keys())
    assert same / (4 * len(whole)) > 0.9
