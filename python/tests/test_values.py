"""Tlsa, StsPolicy, StsRecord and fingerprint: read, shown, compared, copied."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import smtptls
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from smtptls import Code, ConfigError, Digest, FingerprintOf, StsMode, StsPolicy, StsRecord, Tlsa

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

ONE = bytes(range(32))
TEXT = "version: STSv1\r\nmode: enforce\r\nmx: mx.Example.test\r\nmx: *.example.net\r\nmax_age: 604800\r\n"
DAY = 86_400


@pytest.fixture(scope="module")
def certificate(pki: Any) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pki.leaf.read_bytes())


def octets(certificate: x509.Certificate, of: int) -> bytes:
    """The DER of a certificate, or of its public key."""
    if of == FingerprintOf.CERTIFICATE:
        return certificate.public_bytes(Encoding.DER)
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def is_argument(call: Callable[[], Any], code: Code = Code.ARGUMENT) -> None:
    with pytest.raises(ConfigError) as caught:
        call()
    assert caught.value.code is code and caught.value.message.isprintable()


def test_tlsa_in_every_form() -> None:
    record = Tlsa(3, 1, 1, ONE)
    assert (record.usage, record.selector, record.matching, record.data) == (3, 1, 1, ONE)
    assert record.rdata == b"\3\1\1" + ONE and record.unusable is None
    assert str(record) == f"3 1 1 {ONE.hex()}"
    assert repr(record) == f"Tlsa.parse('3 1 1 {ONE.hex()}')" and eval(repr(record)) == record
    for same in (
        Tlsa.parse(str(record)),
        Tlsa.parse(f"  3\t1 1 {ONE.hex()[:9].upper()} {ONE.hex()[9:]}\n"),
        Tlsa.from_rdata(record.rdata),
        Tlsa.from_rdata(memoryview(record.rdata)),
        Tlsa(usage=3, selector=1, matching=1, data=bytearray(ONE)),
    ):
        assert same == record and hash(same) == hash(record) and same is not record


def test_tlsa_is_a_value() -> None:
    record = Tlsa(3, 1, 1, ONE)
    others = [Tlsa(2, 1, 1, ONE), Tlsa(3, 0, 1, ONE), Tlsa(3, 1, 2, ONE), Tlsa(3, 1, 1, ONE[1:])]
    assert all(record != other for other in others) and len({record, *others, Tlsa(3, 1, 1, ONE)}) == 5
    assert record != str(record) and record != record.rdata
    for twin in (pickle.loads(pickle.dumps(record)), copy.copy(record), copy.deepcopy(record)):
        assert twin == record and type(twin) is Tlsa
    with pytest.raises(AttributeError):
        record.usage = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        assert record < others[0]  # type: ignore[operator]
    assert Tlsa.__module__ == "smtptls"


@pytest.mark.parametrize("usage", [2, 3])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_tlsa_of_a_certificate(
    certificate: x509.Certificate, usage: int, selector: int, matching: int
) -> None:
    data = octets(certificate, selector)
    digests = [data, hashlib.sha256(data).digest(), hashlib.sha512(data).digest()]
    der = octets(certificate, FingerprintOf.CERTIFICATE)
    record = Tlsa.of(der, usage, selector, matching)
    assert record == Tlsa(usage, selector, matching, digests[matching]) and record.unusable is None
    if (usage, selector, matching) == (3, 1, 1):
        assert record == Tlsa.of(der)


def test_what_no_tlsa_record_can_be_made_of(certificate: x509.Certificate) -> None:
    der = octets(certificate, FingerprintOf.CERTIFICATE)
    for fields in ((1, 1, 1), (4, 1, 1), (3, 2, 1), (3, 1, 3)):
        is_argument(lambda fields=fields: Tlsa.of(der, *fields))  # type: ignore[misc]
    is_argument(lambda: Tlsa.of(b"no certificate"))
    is_argument(lambda: Tlsa.of(der, 256))


@pytest.mark.parametrize(
    "record",
    [
        Tlsa(0, 1, 1, ONE),
        Tlsa(1, 1, 1, ONE),
        Tlsa(255, 1, 1, ONE),
        Tlsa(3, 2, 1, ONE),
        Tlsa(3, 1, 3, ONE),
        Tlsa(3, 1, 1, b""),
        Tlsa(3, 1, 2, ONE),
        Tlsa(3, 0, 0, b"no certificate"),
    ],
    ids=str,
)
def test_tlsa_unusable(record: Tlsa) -> None:
    assert record.unusable and Tlsa.parse(str(record)) == record


def test_tlsa_faults() -> None:
    for text in ("", "3 1 1 0", "3 1 1 0g", "3 1", "256 1 1 00", "-1 1 1 00", "x" * 300_000, "\x1b[31m"):
        is_argument(lambda text=text: Tlsa.parse(text))  # type: ignore[misc]
    for rdata in (b"", b"\3\1"):
        is_argument(lambda rdata=rdata: Tlsa.from_rdata(rdata))  # type: ignore[misc]
    for number in (-1, 256, 2**70):
        is_argument(lambda number=number: Tlsa(number, 1, 1, ONE))  # type: ignore[misc]
    make: Any = Tlsa
    wrong: list[Callable[[], Any]] = [
        lambda: make(),
        lambda: make(3, 1, 1),
        lambda: make("3", 1, 1, ONE),
        lambda: make(3, 1.0, 1, ONE),
        lambda: make(3, True, 1, ONE),
        lambda: make(3, 1, 1, ONE.hex()),
        lambda: make.parse(b"3 1 1 00"),
        lambda: make.from_rdata("3 1 1 00"),
        lambda: make.of("certificate"),
    ]
    for call in wrong:
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("digest", list(Digest))
@pytest.mark.parametrize("of", list(FingerprintOf))
def test_fingerprint(certificate: x509.Certificate, of: FingerprintOf, digest: Digest) -> None:
    der = octets(certificate, FingerprintOf.CERTIFICATE)
    wanted = f"{digest.label}:{hashlib.new(digest.label, octets(certificate, of)).hexdigest()}"
    assert smtptls.fingerprint(der, of, digest) == wanted
    assert smtptls.fingerprint(bytearray(der), of=of.value, digest=digest.label) == wanted  # type: ignore[arg-type]
    if (of, digest) == (FingerprintOf.CERTIFICATE, Digest.SHA256):
        assert smtptls.fingerprint(der) == wanted


def test_fingerprint_faults() -> None:
    take: Any = smtptls.fingerprint
    is_argument(lambda: take(b"no certificate", FingerprintOf.PUBLIC_KEY))
    is_argument(lambda: take(b"", FingerprintOf.CERTIFICATE, "md5"))
    is_argument(lambda: take(b"", 2))
    for call in (lambda: take("text"), lambda: take(b"", "certificate"), lambda: take(b"", digest=None)):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("text", [TEXT, TEXT.encode(), bytearray(TEXT.encode()), TEXT.replace("\r", "")])
def test_sts_policy(text: Any) -> None:
    policy = StsPolicy.parse(text)
    assert (policy.mode, policy.max_age) == (StsMode.ENFORCE, 7 * DAY)
    assert policy.mx == ("mx.example.test", "*.example.net")
    assert policy.matches("MX.example.test") and policy.matches("a.example.net")
    for other in ("example.net", "a.b.example.net", "example.test", "192.0.2.1", ""):
        assert not policy.matches(other)
    assert repr(policy) == "<smtptls.StsPolicy enforce mx.example.test, *.example.net>"


def test_sts_policy_is_a_value() -> None:
    policy = StsPolicy.parse(TEXT)
    other = StsPolicy.parse(TEXT.replace("enforce", "testing"))
    nothing = StsPolicy.parse("version: STSv1\nmode: none\nmax_age: 0\n")
    assert nothing.mx == () and nothing.mode is StsMode.NONE
    assert policy != other and policy != TEXT and len({policy, other, StsPolicy.parse(TEXT)}) == 2
    for one in (policy, other, nothing):
        assert StsPolicy.parse(str(one)) == one
        for twin in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):
            assert twin == one and hash(twin) == hash(one) and type(twin) is StsPolicy
    with pytest.raises(AttributeError):
        policy.max_age = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        StsPolicy()
    assert StsPolicy.__module__ == "smtptls"


def test_sts_policy_in_time() -> None:
    policy = StsPolicy.parse(TEXT)
    assert policy.is_current(1000, 1000 + 7 * DAY - 1) and not policy.is_current(1000, 1000 + 7 * DAY)
    assert policy.is_current(2000, 1000)  # from the future
    assert policy.is_current(fetched=1000.9, now=1001.1)
    assert not policy.needs_refresh(1000, 999 + DAY) and policy.needs_refresh(1000, 1000 + DAY)
    assert policy.needs_refresh(1000 + DAY, 1000)  # by a clock that was wrong
    strange: Any
    for strange in (-1, float("nan"), float("inf"), 1e300):
        is_argument(lambda time=strange: policy.is_current(time, 1))  # type: ignore[misc]
        is_argument(lambda time=strange: policy.needs_refresh(1, time))  # type: ignore[misc]
    for strange in (None, "1"):
        with pytest.raises(TypeError):
            policy.is_current(strange, 1)


def test_sts_policy_in_force() -> None:
    """RFC 8461 sections 3.3 and 5.1."""
    new, kept = StsPolicy.parse(TEXT), StsPolicy.parse(TEXT.replace("enforce", "testing"))
    assert StsPolicy.in_force(new, (kept, 0), 5) == new
    assert StsPolicy.in_force(None, (kept, 0), 5.5) == kept
    assert StsPolicy.in_force(None, (kept, 0), 8 * DAY) is None
    assert StsPolicy.in_force(new, None, 5) == new and StsPolicy.in_force(None, None, 5) is None
    force: Any = StsPolicy.in_force
    for arguments in ((None, kept, 5), (TEXT, None, 5), (None, (TEXT, 0), 5), (None, None, None)):
        with pytest.raises(TypeError):
            force(*arguments)


def test_sts_policy_faults() -> None:
    faults: list[Any] = [
        "",
        "version: STSv2\nmode: none\nmax_age: 1",
        TEXT.replace("enforce", "report"),
        TEXT.replace("604800", "-1"),
        TEXT.replace("mx:", "my:"),
        TEXT.replace("mx.Example.test", "a b"),
        TEXT + "no colon\r\n",
        TEXT + "x: \x1b[31m\r\n",
        b"\xff",
        TEXT + 65_536 * " ",
    ]
    for text in faults:
        is_argument(lambda text=text: StsPolicy.parse(text), Code.STS_INVALID)  # type: ignore[misc]
    with pytest.raises(ConfigError) as caught:
        StsPolicy.parse("")
    assert (caught.value.tlsrpt, caught.value.tlsrpt_reason) == ("sts-policy-invalid", "sts-policy-invalid")
    assert caught.value.enhanced_status is None
    for strange in (None, 5, ["version: STSv1"]):
        with pytest.raises(TypeError):
            StsPolicy.parse(strange)  # type: ignore[arg-type]


def test_sts_record() -> None:
    found = StsRecord.find(["v=spf1 -all", "v=STSv1; id=20160831085700Z;"])
    assert found is not None and found.id == "20160831085700Z"
    assert str(found) == "v=STSv1; id=20160831085700Z;" and str(found) in repr(found)
    assert StsRecord.find([]) is StsRecord.find(("v=spf1 -all",)) is None
    for twin in (StsRecord.find([str(found)]), pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert twin == found and hash(twin) == hash(found) and type(twin) is StsRecord
    assert found != StsRecord.find(["v=STSv1; id=other"]) and found != str(found)
    for records in (["v=STSv1; id=1", "v=STSv1; id=2"], ["v=STSv1;"], ["v=STSv1; id=\x1b"]):
        is_argument(lambda records=records: StsRecord.find(records), Code.STS_INVALID)  # type: ignore[misc]
    for strange in (None, "v=STSv1; id=1", [b"v=STSv1; id=1"]):
        with pytest.raises(TypeError):
            StsRecord.find(strange)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        StsRecord()
