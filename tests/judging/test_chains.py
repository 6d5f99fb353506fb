"""The table of chains: chain x policy -> facts, code, action, status, report; and OpenSSL's verdict."""

from __future__ import annotations

import ssl
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openssl
import pytest
import smtptls
from ca.ca import NAME
from ca.chains import Chain, der, make
from ours import Verdict, judge
from smtptls import Action, Auth, Code, Config, Digest, Level, Policy, StsPolicy, Tlsa

TABLE: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "chains.toml").read_text())
KEYS = {"is", "verify", "dane-ta", "pinned", "openssl-verify", "openssl-dane-ta", "because"}
STS = f"version: STSv1\nmode: {{}}\nmx: {NAME}\nmax_age: 86400\n"


@dataclass(frozen=True)
class Case:
    """A chain with all that is needed to judge it."""

    chain: Chain
    row: dict[str, str]
    config: Config
    server: ssl.SSLContext | Config

    @property
    def anchor(self) -> Tlsa:
        return Tlsa(2, 0, 0, der(self.chain.anchor))

    @property
    def own(self) -> Tlsa:
        return Tlsa.of(self.chain.leaf)

    def judge(self, policy: Policy) -> Verdict:
        return judge(self.config, policy, NAME, self.server)


@pytest.fixture(scope="module")
def chains() -> dict[str, Chain]:
    return make()


@pytest.fixture(params=TABLE)
def case(request: pytest.FixtureRequest, chains: dict[str, Chain]) -> Case:
    chain = chains[request.param]
    server: ssl.SSLContext | Config
    if request.param == "unreadable-names":  # OpenSSL will not load it
        server = Config(keypairs_pem=[(chain.text, chain.key)])
    else:
        server = openssl.server_context(chain)
    return Case(chain, TABLE[request.param], Config(roots_pem=[chain.anchor]), server)


def test_the_table_is_whole(chains: dict[str, Chain]) -> None:
    assert list(TABLE) == list(chains)
    assert len(TABLE) >= 40
    for name, row in TABLE.items():
        assert set(row) <= KEYS and {"is", "verify", "dane-ta"} <= set(row), name
        assert ("because" in row) == any(key.startswith("openssl") for key in row), name


def dane(level: str, *records: Tlsa | str, status: str = "secure") -> Policy:
    return Policy(level, tlsa=list(records), tlsa_dnssec=status)


def fingerprint(case: Case, digest: Digest = Digest.SHA256) -> str:
    text = smtptls.fingerprint(case.chain.leaf, digest=digest)
    assert text
    return text


# Each with the column of the table that says what becomes of it, and how a good one is authenticated.
DEMANDING: dict[str, tuple[Callable[[Case], Policy], str, Auth, Level]] = {
    "verify": (lambda case: Policy("verify"), "verify", Auth.PKIX, Level.VERIFY),
    "verify-name": (lambda case: Policy("verify", names=["a.test", NAME]), "verify", Auth.PKIX, Level.VERIFY),
    "secure": (lambda case: Policy("secure", next_hop=NAME), "verify", Auth.PKIX, Level.SECURE),
    "sts": (
        lambda case: Policy("may", sts=StsPolicy.parse(STS.format("enforce"))),
        "verify",
        Auth.PKIX,
        Level.VERIFY,
    ),
    "dane-ta": (lambda case: dane("dane", case.anchor), "dane-ta", Auth.DANE_TA, Level.DANE),
    "dane-only-ta": (lambda case: dane("dane-only", case.anchor), "dane-ta", Auth.DANE_TA, Level.DANE_ONLY),
    "dane-ee": (lambda case: dane("dane", case.own), "pinned", Auth.DANE_EE, Level.DANE),
    "dane-only-ee": (lambda case: dane("dane-only", case.own), "pinned", Auth.DANE_EE, Level.DANE_ONLY),
    "dane-both": (
        lambda case: dane("dane", Tlsa(2, 1, 1, bytes(32)), case.own),
        "pinned",
        Auth.DANE_EE,
        Level.DANE,
    ),
    "fingerprint": (
        lambda case: Policy("fingerprint", fingerprints=[fingerprint(case)]),
        "pinned",
        Auth.FINGERPRINT,
        Level.FINGERPRINT,
    ),
    "fingerprint-sha1": (
        lambda case: Policy("fingerprint", fingerprints=[fingerprint(case, Digest.SHA1).upper()[5:]]),
        "pinned",
        Auth.FINGERPRINT,
        Level.FINGERPRINT,
    ),
}


@pytest.mark.parametrize("demand", DEMANDING)
def test_where_the_certificate_counts(case: Case, demand: str) -> None:
    """R3207-4.1-3, R3207-6-5, R7817-3-1, R7672-3.1.1-1, R7672-3.1.2-1, R7672-3.1.2-2, R8461-4.2-1,
    R9325-4.5-1."""
    make_policy, column, auth, level = DEMANDING[demand]
    verdict = case.judge(make_policy(case))
    want = case.row.get(column, "ok")
    told = str(verdict)
    if verdict.error is None and column == "pinned":
        told = "ok"  # at depth 0, or without a record
    assert told == want
    info = verdict.info
    assert (info.level, info.certificate_present) == (level, True)
    if verdict.error is None:
        assert (info.auth, info.trusted, info.secured, info.doubt) == (auth, True, True, None)
        assert info.name_matched or column == "pinned"
        assert not verdict.session.reports
    else:
        error = verdict.error
        assert (info.auth, info.secured) == (Auth.NONE, False)
        assert (error.action, error.enhanced_status, error.is_temporary) == (Action.NEXT_HOST, "4.7.5", True)
        assert isinstance(error, smtptls.CertificateError)
        assert info.doubt and info.doubt in str(error)
        assert error.tlsrpt_reason and (error.tlsrpt, error.tlsrpt_reason) in labels(verdict)


def labels(verdict: Verdict) -> list[tuple[str, str]]:
    return [(kind.label, reason) for kind, reason in verdict.session.reports]


OPPORTUNISTIC: dict[str, tuple[Callable[[], Policy], Level]] = {
    "may": (lambda: Policy("may"), Level.MAY),
    "encrypt": (lambda: Policy("encrypt"), Level.ENCRYPT),
    "dane-insecure": (lambda: dane("dane", "3 1 1 " + "00" * 32, status="insecure"), Level.MAY),
    "dane-none": (lambda: dane("dane"), Level.MAY),
    "dane-unusable": (lambda: dane("dane", "1 1 1 " + "00" * 32), Level.ENCRYPT),
    "sts-testing": (lambda: Policy("may", sts=StsPolicy.parse(STS.format("testing"))), Level.MAY),
    "tls-optional": (lambda: Policy("verify", tls_optional="always"), Level.MAY),
}


@pytest.mark.parametrize("demand", OPPORTUNISTIC)
def test_where_it_does_not(case: Case, demand: str) -> None:
    """R3207-4.1-2, R7672-2.2-2, R7672-2.2-3, R8461-5-2: TLS comes up, and Info has the doubt of verify."""
    make_policy, level = OPPORTUNISTIC[demand]
    verdict = case.judge(make_policy())
    assert verdict.error is None, verdict.error
    info, want = verdict.info, case.row["verify"]
    assert (info.level, info.certificate_present, info.secured) == (level, True, False)
    assert info.auth == (Auth.PKIX if want == "ok" else Auth.NONE)
    reports = labels(verdict)
    if want == "ok":
        assert (info.doubt, info.trusted, info.name_matched) == (None, True, True)
    else:
        assert info.doubt and str(info.doubt_depth) == want.split()[1]
    match demand:
        case "sts-testing" if want != "ok":
            assert want.split()[2] in dict(reports)
        case "dane-unusable":
            assert reports == [("tlsa-invalid", "all-TLSA-records-unusable")]
        case _:
            assert not reports


WRONG: dict[str, tuple[Callable[[], Policy], str]] = {
    "fingerprint": (lambda: Policy("fingerprint", fingerprints=["sha256:" + "00" * 32]), "FINGERPRINT"),
    "key": (lambda: Policy("fingerprint", key_fingerprints=["00" * 20]), "FINGERPRINT"),
    "dane-ee": (lambda: dane("dane", "3 1 1 " + "00" * 32), "DANE_MISMATCH"),
    "dane-ta": (lambda: dane("dane-only", "2 0 1 " + "00" * 32), "DANE_MISMATCH"),
}


@pytest.mark.parametrize("demand", WRONG)
def test_what_fits_nobody(case: Case, demand: str) -> None:
    """R7672-3.2-1: however good the chain."""
    make_policy, code = WRONG[demand]
    verdict = case.judge(make_policy())
    assert verdict.error and verdict.error.code is Code[code]
    assert verdict.error.tlsrpt == "certificate-not-trusted"
    assert (verdict.info.auth, verdict.info.matched_tlsa, verdict.info.matched_fingerprint) == (
        Auth.NONE,
        None,
        None,
    )


def agrees(ours: str, theirs: str) -> bool:
    """Whether the two verdicts say the same, as far as their words go."""
    if ours.startswith("DANE_MISMATCH"):
        return not theirs.startswith("ok")
    if ours.startswith("ok") or theirs.startswith("ok"):
        return ours == theirs
    return ours.split()[1] == theirs.split()[1]


@pytest.mark.parametrize("column", ["verify", "dane-ta"])
def test_openssl_agrees_or_the_table_says_why(case: Case, column: str, tmp_path: Path) -> None:
    if not isinstance(case.server, ssl.SSLContext):
        return  # a chain that OpenSSL refuses to show; it is in the table for us alone
    arguments: dict[str, list[str]] = {
        "verify": ["-verify_hostname", NAME],
        "dane-ta": [
            "-dane_tlsa_domain",
            NAME,
            "-dane_tlsa_rrdata",
            str(case.anchor),
            "-dane_ee_no_namechecks",
        ],
    }
    with openssl.Server(case.chain) as server:
        text = openssl.client(server.port, *arguments[column], folder=tmp_path, anchor=case.chain.anchor)
    theirs = openssl.verdict(text)
    assert agrees(case.row[column], theirs) != (f"openssl-{column}" in case.row), theirs
    assert case.row.get(f"openssl-{column}", theirs) == theirs


def test_openssl_on_the_server_s_own_record(case: Case, tmp_path: Path) -> None:
    """R7672-3.1.1-1: DANE-EE, where OpenSSL has nothing to say but about the key."""
    if not isinstance(case.server, ssl.SSLContext):
        return
    record: Any = str(Tlsa.of(case.chain.leaf, selector=0))
    dane_ee = ["-dane_tlsa_domain", NAME, "-dane_tlsa_rrdata", record, "-dane_ee_no_namechecks"]
    with openssl.Server(case.chain) as server:
        text = openssl.client(server.port, *dane_ee, folder=tmp_path, anchor=case.chain.anchor)
    assert openssl.verdict(text).startswith("ok") == (case.row.get("pinned", "ok") == "ok")
