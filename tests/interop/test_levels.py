"""Our levels and Postfix's: of the same server `upgrade` and posttls-finger find the same."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ca.ca import NAME, Paths
from clients import run
from conftest import Serve, require_peer, run_send
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from postfix import Postfix

LEVELS = ("may", "encrypt", "fingerprint", "other-fingerprint", "verify", "secure", "secure-parent")
CERTIFICATES = (
    "leaf", "rsa", "chain", "nochain", "expired", "notyet", "other", "wildcard", "cnonly", "client",
    "selfsigned", "caleaf",
)  # fmt: skip
# Postfix goes by the common name of a certificate that has no subjectAltName; RFC 9525 section 2 ended that.
DIFFERENT = {("cnonly", level) for level in ("verify", "secure", "secure-parent")}
PARENT = NAME.partition(".")[2]
SAID = re.compile(
    r"^posttls-finger: (Verified|Trusted|Untrusted|Anonymous) TLS connection established", re.MULTILINE
)


def digest(path: Path) -> str:
    """The SHA-256 of the first certificate of a file."""
    certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    return certificate.fingerprint(hashes.SHA256()).hex()


@pytest.fixture(scope="module", params=CERTIFICATES)
def certificate(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["serve", "postfix"])
def port(
    request: pytest.FixtureRequest, certificate: str, pki: Paths, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """Of a server with this certificate: ours, or Postfix's."""
    key = "chain" if certificate == "nochain" else certificate
    files = (getattr(pki, certificate), getattr(pki, f"{key}_key"))
    with contextlib.ExitStack() as stack:
        if request.param == "postfix":
            yield stack.enter_context(Postfix(pki, cert=files[0], key=files[1])).port
        else:
            store = tmp_path_factory.mktemp("mail")
            yield stack.enter_context(Serve("c", pki, store, cert=files[0], key=files[1])).port


def ask_postfix(port: int, level: str, fingerprint: str, pki: Paths) -> bool:
    """Whether posttls-finger would send mail there."""
    finger = require_peer("posttls-finger", package="postfix")
    match level:
        case "fingerprint":
            expected = [fingerprint]
        case "other-fingerprint":
            level, expected = "fingerprint", ["00" * 32]
        case "secure-parent":
            level, expected = "secure", [f".{PARENT}"]
        case "verify" | "secure":
            expected = [NAME]
        case _:
            expected = []
    colons = [
        re.sub(r"(..)(?=.)", r"\1:", text).upper() if level == "fingerprint" else text for text in expected
    ]
    text = run([finger, "-c", "-d", "sha256", "-l", level, "-F", str(pki.ca), f"[127.0.0.1]:{port}", *colons])
    said = SAID.search(text)
    assert said, text
    return said[1] == "Verified" or level in ("may", "encrypt")


def ask_us(port: int, level: str, fingerprint: str, pki: Paths) -> bool:
    """Whether `upgrade` sends mail there."""
    flags: list[str] = []
    match level:
        case "fingerprint":
            flags = ["--fingerprint", f"sha256:{fingerprint}"]
        case "other-fingerprint":
            level, flags = "fingerprint", ["--fingerprint", "00" * 32]
        case "secure-parent":
            level, flags = "secure", ["--next-hop", PARENT]
        case "secure":
            flags = ["--next-hop", NAME]
    result = run_send("c", which="upgrade", port=port, level=level, ca=pki.ca, flags=flags)
    if result.sent:
        result.check()
        assert result.peer and result.peer.startswith(f"level={level} "), result.peer
        assert result.peer.endswith(f"secured={'no' if level in ('may', 'encrypt') else 'yes'}")
    else:
        assert (result.returncode, result.action) == (1, "next-host"), f"{result}"
    return bool(result.sent)


@pytest.mark.parametrize("level", LEVELS)
def test_levels(port: int, certificate: str, level: str, pki: Paths) -> None:
    """R3207-4.1-1, R3207-4.1-2, R3207-4.1-3: each level lets through what Postfix's of that name does."""
    fingerprint = digest(getattr(pki, certificate))
    ours, theirs = ask_us(port, level, fingerprint, pki), ask_postfix(port, level, fingerprint, pki)
    assert (ours != theirs) == ((certificate, level) in DIFFERENT), f"{ours=} {theirs=}"
