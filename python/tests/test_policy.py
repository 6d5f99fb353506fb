"""Policy: its arguments, what it comes to, and sessions at every level."""

from __future__ import annotations

from typing import Any

import pytest
import smtptls
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from smtptls import (
    Action,
    Auth,
    Code,
    Config,
    ConfigError,
    Dnssec,
    FingerprintOf,
    Level,
    Policy,
    PolicyError,
    Session,
    StsPolicy,
    Tlsa,
    Tlsrpt,
)
from support import NAME, greet, meet

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

ZEROS = "3 1 1 " + 64 * "0"
UNUSABLE = "1 1 1 " + 64 * "0"


def sts(mode: str, mx: str) -> StsPolicy:
    return StsPolicy.parse(f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n")


def der(path: Any) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


def test_levels_by_name_and_by_number() -> None:
    assert Policy().level is Level.VERIFY
    for level in Level:
        assert Policy(level).level is Policy(level.label).level is level
        assert Policy(level.value).level is level  # type: ignore[arg-type]
    for wrong in ("VERIFY", "", "dane?", "half-dane", 4, 99, -1):
        with pytest.raises(ConfigError) as caught:
            Policy(wrong)  # type: ignore[arg-type]
        assert caught.value.code is Code.ARGUMENT
    for strange in (None, True, 1.5, b"may"):
        with pytest.raises(TypeError):
            Policy(strange)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["mx_dnssec", "address_dnssec", "tlsa_dnssec"])
def test_statuses_by_name_and_by_number(name: str) -> None:
    make: Any = Policy
    for status in Dnssec:
        for form in (status, status.label, status.value):
            make("dane", next_hop="example.test", **{name: form})
    for wrong in ("SECURE", "", "indeterminate", 5, -1):
        with pytest.raises(ConfigError) as caught:
            make("dane", next_hop="example.test", **{name: wrong})
        assert caught.value.code is Code.ARGUMENT
    for strange in (None, True, 1.5, b"secure"):
        with pytest.raises(TypeError):
            make("dane", next_hop="example.test", **{name: strange})


def test_names_and_sni() -> None:
    Policy(names=["a.test", ".b.test", "192.0.2.1", "2001:db8::1", "m\u00fcller.test"], sni="c.test")
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


@pytest.mark.parametrize(
    "arguments",
    [
        {"fingerprints": ["sha256:00"]},
        {"fingerprints": ["md5:" + 32 * "0"]},
        {"key_fingerprints": [""]},
        {"next_hop": "two words"},
        {"next_hop": "a.test", "next_hop_expanded": ""},
        {"next_hop_expanded": "b.test"},
        {"mx_dnssec": "secure"},
        {"tlsa": ["3 1 1 xyz"]},
        {"tlsa": [b"\3\1"]},
        {"tlsa_base": "two words"},
        {"tls_optional": "never"},
        {"tls_optional": "\x1b[31m"},
    ],
    ids=str,
)
def test_faults(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        Policy("may", **arguments)
    assert caught.value.code is Code.ARGUMENT and caught.value.action is Action.FAIL
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        {"fingerprints": "sha256:00"},
        {"fingerprints": [5]},
        {"key_fingerprints": [b"00"]},
        {"next_hop": b"a.test"},
        {"tlsa": ZEROS},
        {"tlsa": [5]},
        {"tlsa": [None]},
        {"tlsa_base": 5},
        {"allow_common_names": "yes"},
        {"sts": "version: STSv1"},
        {"tls_optional": 1},
        {"tls_optional": None},
    ],
    ids=str,
)
def test_wrong_types(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Policy("may", **arguments)


def test_arguments_are_keywords() -> None:
    with pytest.raises(TypeError):
        Policy("verify", ["x.test"])  # type: ignore[misc]


@pytest.mark.parametrize(
    ("level", "arguments", "effective"),
    [
        *[(level.label, {}, level) for level in (Level.NONE, Level.MAY, Level.ENCRYPT, Level.VERIFY)],
        ("secure", {"next_hop": "example.test"}, Level.SECURE),
        ("secure", {"names": ["a.test"]}, Level.SECURE),
        ("fingerprint", {"fingerprints": [40 * "0"]}, Level.FINGERPRINT),
        ("dane", {"tlsa_dnssec": "secure", "tlsa": [ZEROS]}, Level.DANE),
        ("dane", {"tlsa_dnssec": "secure"}, Level.MAY),
        ("dane", {"tlsa_dnssec": "secure", "tlsa": [UNUSABLE]}, Level.ENCRYPT),
        ("dane", {"tlsa_dnssec": "insecure", "tlsa": [ZEROS]}, Level.MAY),
        ("dane", {"address_dnssec": "insecure"}, Level.MAY),
        ("dane", {"tlsa_dnssec": "insecure", "sts": sts("enforce", "*.example.test")}, Level.VERIFY),
        ("dane-only", {"tlsa_dnssec": "secure", "tlsa": [ZEROS]}, Level.DANE_ONLY),
        ("may", {"sts": sts("enforce", NAME)}, Level.VERIFY),
        ("encrypt", {"sts": sts("enforce", NAME)}, Level.VERIFY),
        ("may", {"sts": sts("testing", NAME)}, Level.MAY),
        ("may", {"sts": None}, Level.MAY),
        ("may", {"sts": sts("enforce", NAME), "tls_optional": True}, Level.MAY),
        ("dane", {"tlsa_dnssec": "secure", "tlsa": [ZEROS], "tls_optional": True}, Level.MAY),
        ("dane", {"tlsa_dnssec": "secure", "tlsa": [ZEROS], "tls_optional": False}, Level.DANE),
        ("verify", {"tls_optional": True}, Level.VERIFY),
        ("verify", {"tls_optional": "always"}, Level.MAY),
    ],
    ids=str,
)
def test_what_a_policy_comes_to(level: str, arguments: dict[str, Any], effective: Level) -> None:
    policy = Policy(level, **arguments)
    assert policy.effective_level(NAME) is effective
    assert policy.level.label == level


@pytest.mark.parametrize(
    ("level", "arguments", "code"),
    [
        ("verify", {}, Code.ARGUMENT),
        ("secure", {}, Code.ARGUMENT),
        ("fingerprint", {}, Code.ARGUMENT),
        ("dane", {}, Code.ARGUMENT),
        ("dane", {"tlsa_dnssec": "secure", "tlsa": [ZEROS], "names": ["a.test"]}, Code.ARGUMENT),
        ("dane", {"tlsa_dnssec": "bogus"}, Code.DNSSEC),
        ("dane", {"tlsa_dnssec": "secure", "address_dnssec": "error"}, Code.DNSSEC),
        ("dane", {"tlsa_dnssec": "secure", "next_hop": "a.test", "mx_dnssec": "bogus"}, Code.DNSSEC),
        ("dane-only", {"tlsa_dnssec": "secure"}, Code.DANE_REQUIRED),
        ("dane-only", {"tlsa_dnssec": "insecure", "tlsa": [ZEROS]}, Code.DANE_REQUIRED),
        ("dane-only", {"tlsa_dnssec": "secure", "tlsa": [UNUSABLE]}, Code.DANE_REQUIRED),
        ("may", {"sts": sts("enforce", "other.test")}, Code.STS_MX),
    ],
    ids=str,
)
def test_where_there_is_to_be_no_session(
    trusting: Config, level: str, arguments: dict[str, Any], code: Code
) -> None:
    """The policy says so, and start says the same, before a byte was sent."""
    policy, host = Policy(level, **arguments), "" if level == "verify" else NAME
    kind = ConfigError if code is Code.ARGUMENT else PolicyError
    with pytest.raises(kind) as caught:
        policy.effective_level(host)
    assert caught.value.code is code
    client = Session.client(trusting, policy, host)
    with pytest.raises(kind) as again:
        client.start()
    assert str(again.value) == str(caught.value) and client.output() == b""
    expected = [(reported(caught.value), caught.value.tlsrpt_reason)] if caught.value.tlsrpt else []
    assert client.reports == expected


def reported(error: smtptls.Error) -> Tlsrpt:
    return next(kind for kind in Tlsrpt if kind.label == error.tlsrpt)


def test_a_host_is_a_str() -> None:
    for strange in (None, 5, b"mx.test"):
        with pytest.raises(TypeError):
            Policy().effective_level(strange)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["tlsa", "text", "rdata", "bytearray"])
def test_dane_ee(pki: Any, serving: Config, form: str) -> None:
    """RFC 7672 section 3.1.1: the record is enough; no trust anchor is needed."""
    record = Tlsa.of(der(pki.leaf))
    forms: dict[str, Any] = {
        "tlsa": record,
        "text": str(record),
        "rdata": record.rdata,
        "bytearray": bytearray(record.rdata),
    }
    policy = Policy("dane", tlsa=[ZEROS, forms[form]], tlsa_dnssec=Dnssec.SECURE, address_dnssec="secure")
    client = Session.client(Config(), policy, NAME)
    assert greet(client, Session.server(serving)) == [None, None]
    info = client.info
    assert info is not None
    assert (info.level, info.auth, info.secured) == (Level.DANE, Auth.DANE_EE, True)
    assert info.matched_tlsa == record and info.tlsa_depth == 0 and info.trusted
    assert info.doubt is None and info.matched_fingerprint is None and client.reports == []


def test_dane_ta(pki: Any, serving: Config) -> None:
    record = Tlsa.of(der(pki.ca), usage=2, selector=0, matching=0)
    base = Policy("dane-only", tlsa=[record], tlsa_dnssec="secure", tlsa_base=NAME)
    client, failed = meet(Config(), base, serving, host="alias.example.test")
    assert failed is None and client.info is not None
    assert (client.info.level, client.info.auth) == (Level.DANE_ONLY, Auth.DANE_TA)
    assert client.info.matched_tlsa == record and client.info.tlsa_depth == 1
    assert client.info.matched_name == NAME


def test_common_names_are_for_dane_ta_alone(pki: Any) -> None:
    record = Tlsa.of(der(pki.ca), 2, 0, 0)
    nameless = Config(keypairs=[(pki.cnonly, pki.cnonly_key)])
    for allow, code in ((False, Code.CERT_NAME), (True, None)):
        policy = Policy("dane", tlsa=[record], tlsa_dnssec="secure", allow_common_names=allow)
        _, failed = meet(Config(), policy, nameless)
        assert (failed.code if failed else None) is code


def test_dane_without_a_match(serving: Config) -> None:
    client, failed = meet(Config(), Policy("dane", tlsa=[ZEROS], tlsa_dnssec="secure"), serving)
    assert isinstance(failed, smtptls.CertificateError)
    assert (failed.code, failed.action) == (Code.DANE_MISMATCH, Action.NEXT_HOST)
    assert (failed.tlsrpt, failed.tlsrpt_reason) == ("certificate-not-trusted", "dane-no-match")
    assert failed.enhanced_status == "4.7.5" and failed.is_temporary
    assert client.reports == [(Tlsrpt.CERTIFICATE_NOT_TRUSTED, "dane-no-match")]
    assert client.info is not None and client.info.matched_tlsa is None and client.info.doubt_depth == 0


def test_below_insecure_mx_records_dane_secures_nothing(pki: Any, serving: Config) -> None:
    """RFC 7672 section 2.2.1."""
    record = Tlsa.of(der(pki.leaf))
    policy = Policy(
        "dane", next_hop="example.test", mx_dnssec="insecure", tlsa=[record], tlsa_dnssec="secure"
    )
    client, failed = meet(Config(), policy, serving)
    assert failed is None and client.info is not None
    assert client.info.auth is Auth.DANE_EE and not client.info.secured


def test_unusable_records_are_reported(serving: Config) -> None:
    client, failed = meet(Config(), Policy("dane", tlsa=[UNUSABLE], tlsa_dnssec="secure"), serving)
    assert failed is None and client.info is not None and client.info.level is Level.ENCRYPT
    assert client.reports == [(Tlsrpt.TLSA_INVALID, "all-TLSA-records-unusable")]


@pytest.mark.parametrize("digest", list(smtptls.Digest))
@pytest.mark.parametrize("of", list(FingerprintOf))
def test_fingerprints(pki: Any, serving: Config, of: FingerprintOf, digest: smtptls.Digest) -> None:
    own = smtptls.fingerprint(der(pki.leaf), of, digest)
    keywords = ["fingerprints", "key_fingerprints"]
    if of is FingerprintOf.PUBLIC_KEY:
        keywords.reverse()
    keyword, other = keywords
    for text in (own, own.upper().replace(own[:6].upper(), own[:6], 1), own.partition(":")[2]):
        right: dict[str, Any] = {keyword: [40 * "0", text]}
        client, failed = meet(Config(), Policy("fingerprint", **right), serving)
        assert failed is None and client.info is not None
        assert (client.info.auth, client.info.secured) == (Auth.FINGERPRINT, True)
        assert client.info.matched_fingerprint == own
        assert client.info.peer_fingerprint(of, digest) == own
    wrong: dict[str, Any] = {other: [own]}
    _, failed = meet(Config(), Policy("fingerprint", **wrong), serving)
    assert isinstance(failed, smtptls.CertificateError) and failed.code is Code.FINGERPRINT


@pytest.mark.parametrize(
    ("next_hop", "code"),
    [(NAME, None), ("example.test", None), ("other.test", Code.CERT_NAME)],
)
def test_secure_goes_by_the_next_hop(
    trusting: Config, serving: Config, next_hop: str, code: Code | None
) -> None:
    client, failed = meet(trusting, Policy("secure", next_hop=next_hop), serving)
    assert (failed.code if failed else None) is code
    assert client.info is not None and client.info.level is Level.SECURE


def test_mta_sts(trusting: Config, serving: Config, pki: Any) -> None:
    """RFC 8461 section 5: enforce demands a good certificate, testing reports a bad one."""
    stranger = Config(keypairs=[(pki.selfsigned, pki.selfsigned_key)])
    enforce, testing = (Policy("may", sts=sts(mode, "*.example.test")) for mode in ("enforce", "testing"))
    client, failed = meet(trusting, enforce, serving)
    assert failed is None and client.info is not None
    assert (client.info.level, client.info.auth, client.info.secured) == (Level.VERIFY, Auth.PKIX, True)
    client, failed = meet(trusting, enforce, stranger)
    assert failed.code is Code.CERT_UNTRUSTED
    client, failed = meet(trusting, testing, stranger)
    assert failed is None and client.info is not None and client.info.auth is Auth.NONE
    assert client.info.level is Level.MAY and not client.info.secured
    assert [kind for kind, _ in client.reports] == [Tlsrpt.CERTIFICATE_NOT_TRUSTED]


def test_level_none_wants_no_tls(serving: Config) -> None:
    client, failed = meet(Config(), Policy("none"), serving)
    assert isinstance(failed, smtptls.StarttlsUnavailable)
    assert (failed.code, failed.action, failed.tlsrpt) == (Code.NOT_WANTED, Action.CONTINUE, None)
    assert client.reply is not None and "STARTTLS" in client.reply and not client.is_tls


@pytest.mark.parametrize("level", [level for level in Level if level > Level.ENCRYPT])
def test_a_server_has_none_may_and_encrypt(serving: Config, level: Level) -> None:
    with pytest.raises(ConfigError) as caught:
        Session.server(serving, Policy(level)).start()
    assert caught.value.code is Code.ARGUMENT


def test_requiretls(trusting: Config, serving: Config) -> None:
    """RFC 8689 section 4.2.1."""
    told = Policy("verify", next_hop="example.test", mx_dnssec="secure")
    client, failed = meet(trusting, told, serving)
    assert failed is None
    client.check_requiretls(True)
    with pytest.raises(PolicyError) as caught:
        client.check_requiretls(offered=False)
    error = caught.value
    assert (error.code, error.enhanced_status, error.is_temporary) == (Code.REQUIRETLS, "5.7.30", False)
    assert error.action is Action.NEXT_HOST and error.tlsrpt is None
    assert client.error is None and client.reports == []  # the session is as good as it was

    guessed = Policy("verify", next_hop="example.test", mx_dnssec="insecure")
    for policy in (guessed, Policy("encrypt", next_hop="example.test", mx_dnssec="secure")):
        config = trusting if policy is guessed else Config()
        client, failed = meet(config, policy, serving)
        assert failed is None
        with pytest.raises(PolicyError) as caught:
            client.check_requiretls(True)
        assert caught.value.enhanced_status == "5.7.10"
    for strange in (None, "yes", 1):
        with pytest.raises(TypeError):
            client.check_requiretls(strange)  # type: ignore[arg-type]
