"""What client cases expect, beside docs/errors.md: every verdict has a case, and no case says otherwise."""

from __future__ import annotations

import re

import pytest
from cases import ClientCase, client_cases
from conftest import ROOT

# By the verdict on the server, or before a byte is sent to it; the programs do not ask for REQUIRETLS.
VERDICTS = (
    "ARGUMENT", "FILE", "CERTIFICATE_PARSE", "CRL_PARSE", "CERT_INVALID", "CERT_TIME", "CERT_UNTRUSTED",
    "CERT_NAME", "FINGERPRINT", "CERT_REVOKED", "CRL_EXPIRED", "DANE_MISMATCH", "DANE_REQUIRED", "DNSSEC",
    "STS_MX", "STS_INVALID",
)  # fmt: skip
# Where a message knows more than its code, as the page says above the table.
MORE = {("CERT_TIME", "validation-failure"), ("DANE_REQUIRED", "tlsa-invalid")}
Row = dict[str, str]


def page() -> dict[str, list[Row]]:
    """The rows of the table by code, without SMTPTLS_ERR_."""
    lines = [line for line in (ROOT / "docs/errors.md").read_text().splitlines() if line.startswith("|")]
    heads, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    found: dict[str, list[Row]] = {}
    for row in rows:
        code = row[1].strip("`").removeprefix("SMTPTLS_ERR_")
        found.setdefault(code, []).append(dict(zip(heads, row, strict=True)))
    return found


PAGE = page()
CASES = [case for case in client_cases() if re.fullmatch(r"ERR_[A-Z_]+", case.code or "")]


def code_of(case: ClientCase) -> str:
    return str(case.code).removeprefix("ERR_")


@pytest.mark.parametrize("code", VERDICTS)
def test_verdicts(code: str) -> None:
    """Code, action and report: as the page has them, and each verdict has a case."""
    cases = [case for case in CASES if code_of(case) == code]
    assert any(case.action and case.tlsrpt for case in cases), "no case says its action and its report"
    [row] = PAGE[code]
    kind = row["TLSRPT"].partition(":")[0] or "none"
    assert row["at may"] == row["else"], "it depends on the level, and here that is not looked at"
    for case in cases:
        assert case.action in (None, row["else"]), case.name
        assert case.tlsrpt in (None, kind) or (code, case.tlsrpt) in MORE, case.name


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: ClientCase) -> None:
    """No case expects what the page does not have at any stage."""
    rows = PAGE[code_of(case)]
    kinds = {row["TLSRPT"].partition(":")[0] or "none" for row in rows}
    actions = {row[column] for row in rows for column in ("at may", "else")}
    actions |= {"reconnect"} if "continue" in actions else set()
    assert case.tlsrpt is None or case.tlsrpt in kinds or (code_of(case), case.tlsrpt) in MORE
    assert case.action is None or case.action in actions
