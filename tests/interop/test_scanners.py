"""What testssl finds of `serve` with an ECDSA and an RSA pair and ticket keys; docs/scanners.md explains it.

One language is enough: nothing that a scanner looks at is the program's own.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ca.ca import NAME, Paths
from clients import run
from conftest import Serve, require_peer

# Sections: protocols, ciphers, forward secrecy, preferences, defaults, vulnerabilities.
SECTIONS = ("-p", "-s", "-f", "-P", "-S", "-U")
SCAN = 400.0  # seconds; it takes 40 where nothing else runs
TLS12 = {
    f"ECDHE-{key}-{suite}"
    for key in ("ECDSA", "RSA")
    for suite in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
}
TLS13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


@pytest.fixture(scope="module")
def serve(pki: Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("scanned")
    keys, rsa = folder / "ticket.keys", folder / "rsa.pem"
    keys.write_text(f"current {'01' * 32}\n")
    rsa.write_bytes(pki.rsa_key.read_bytes() + pki.rsa.read_bytes())
    with Serve("c", pki, folder / "mail", flags=["--chain", str(rsa), "--ticket-keys", str(keys)]) as serving:
        yield serving


@pytest.mark.timeout(SCAN + 20)
def test_testssl(serve: Serve, pki: Paths, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    argv = [require_peer("testssl", "testssl.sh"), "--starttls", "smtp", *SECTIONS, "--nodns", "none"]
    argv += [
        "--warnings",
        "off",
        "--color",
        "0",
        "--quiet",
        "--add-ca",
        str(pki.ca),
        "--jsonfile",
        str(found),
    ]
    argv += ["--ip", serve.host, f"{NAME}:{serve.port}"]
    # Its status counts what it found, so it says nothing.
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=SCAN, check=False)
    assert found.exists(), f"{argv}: {done}"
    entries = json.loads(found.read_text())
    findings: dict[str, str] = {entry["id"]: entry["finding"] for entry in entries}
    severities = {entry["id"]: entry["severity"] for entry in entries}

    for version in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        assert findings[version] == "not offered"
    assert findings["TLS1_2"].startswith("offered") and findings["TLS1_3"].startswith("offered")
    for kind in ("NULL", "aNULL", "EXPORT", "LOW", "3DES_IDEA", "AVERAGE"):
        assert findings[f"cipherlist_{kind}"] == "not offered"
    assert set(findings["PFS_ciphers"].split()) == TLS12 | TLS13
    assert set(findings["PFS_ECDHE_curves"].split()) == {"X25519", "prime256v1", "secp384r1"}
    assert findings["cert_numbers"] == "2"
    for number in (1, 2):
        assert findings[f"cert_chain_of_trust <cert#{number}>"] == "passed."
        assert findings[f"cert_trust <cert#{number}>"].startswith("Ok via SAN")
    assert findings["sessionresumption_ticket"] == "supported"
    assert findings["sessionresumption_ID"] == "not supported"
    assert findings["fallback_SCSV"] == "no protocol below TLS 1.2 offered"
    assert findings["secure_renego"] == "supported"
    weaknesses = "heartbleed CCS ROBOT secure_client_renego CRIME_TLS POODLE_SSL SWEET32 FREAK DROWN LOGJAM"
    for weakness in f"{weaknesses} BEAST LUCKY13 RC4".split():
        assert severities[weakness] == "OK", f"{weakness}: {findings[weakness]}"
    # The rest that it does not like: certificates of a month and no more.
    disliked = {
        name.partition(" ")[0] for name, severity in severities.items() if severity not in ("OK", "INFO")
    }
    assert disliked == {"cert_expirationStatus", "cert_notAfter", "cert_revocation"}
    assert severities["cipher_order"] == "OK"


def test_no_early_data(serve: Serve, tmp_path: Path) -> None:
    """No ticket allows it, so that OpenSSL's client does not even send it."""
    session, early = tmp_path / "session", tmp_path / "early"
    early.write_bytes(b"NOOP\r\n")
    argv = [require_peer("openssl", "openssl"), "s_client", "-starttls", "smtp", "-ign_eof", "-nocommands"]
    argv += ["-connect", f"{serve.host}:{serve.port}", "-servername", NAME, "-tls1_3"]
    assert "Max Early Data: 0\n" in run([*argv, "-sess_out", str(session)], b"QUIT\r\n")
    text = run([*argv, "-sess_in", str(session), "-early_data", str(early)], b"QUIT\r\n")
    assert "Reused, TLSv1.3" in text and "Early data was not sent" in text, text
