"""The result types of reports in the C header have the numbers that libtlsrpt gives them."""

from __future__ import annotations

import re

from conftest import ROOT

# All of the registry (RFC 8460 section 6.6).
NUMBERS = {
    "STARTTLS_NOT_SUPPORTED": 201, "CERTIFICATE_HOST_MISMATCH": 202, "CERTIFICATE_NOT_TRUSTED": 203,
    "CERTIFICATE_EXPIRED": 204, "VALIDATION_FAILURE": 205, "STS_POLICY_FETCH_ERROR": 301,
    "STS_POLICY_INVALID": 302, "STS_WEBPKI_INVALID": 303, "TLSA_INVALID": 304, "DNSSEC_INVALID": 305,
    "DANE_REQUIRED": 306,
}  # fmt: skip


def test_numbers_of_reports() -> None:
    """R8460-ours-1, R8460-4.3-1: a C program hands them to libtlsrpt as they are."""
    header = (ROOT / "include/smtptls.h").read_text()
    found = re.findall(r"\bSMTPTLS_TLSRPT_([A-Z_]+)\s*=\s*(\d+)", header)
    assert {name: int(number) for name, number in found if name != "NONE"} == NUMBERS
