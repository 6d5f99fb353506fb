"""openssl s_client, gnutls-cli and posttls-finger shake hands with `serve` and find its certificate good."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ca.ca import NAME, Paths
from clients import KEYS, run, serve_with
from conftest import require_peer
from hops import same_tls

VERSIONS = ("TLSv1.2", "TLSv1.3")
DIALOGUE = b"EHLO client.example.test\r\nNOOP\r\nQUIT\r\n"


def check_dialogue(text: str) -> None:
    """The commands inside TLS were answered: EHLO without STARTTLS (R3207-4.2-9), NOOP, QUIT."""
    inside = text[text.rindex("250-PIPELINING") :]
    assert "STARTTLS" not in inside, text
    assert re.search(r"^221 2\.0\.0", inside, re.MULTILINE), text


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_openssl(version: str, key: str, protocol: str, language: str, pki: Paths, tmp_path: Path) -> None:
    openssl = require_peer("openssl", package="openssl")
    with serve_with(key, language, pki, tmp_path, lmtp=protocol == "lmtp") as serve:
        argv = [openssl, "s_client", "-brief", "-starttls", protocol, "-name", "client.example.test"]
        argv += [
            "-connect",
            f"{serve.host}:{serve.port}",
            f"-{version.lower().replace('v', '').replace('.', '_')}",
        ]
        argv += [
            "-CAfile",
            str(pki.ca),
            "-verify_return_error",
            "-verify_hostname",
            NAME,
            "-servername",
            NAME,
        ]
        dialogue = DIALOGUE.replace(b"EHLO", b"LHLO") if protocol == "lmtp" else DIALOGUE
        # -nocommands: else a line that begins with Q ends s_client instead of the session.
        text = run([*argv, "-ign_eof", "-nocommands"], dialogue)
        summary = serve.out.wait("tls: ")
    assert f"Protocol version: {version}\n" in text
    assert "Verification: OK\n" in text
    assert f"Verified peername: {NAME}\n" in text
    cipher = re.search(r"^Ciphersuite: (\S+)$", text, re.MULTILINE)
    assert cipher, text
    same_tls(summary, version, cipher[1])
    check_dialogue(text)
    assert serve.stderr == []


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_gnutls(version: str, key: str, language: str, pki: Paths, tmp_path: Path) -> None:
    gnutls = require_peer("gnutls-cli", package="gnutls-bin")
    with serve_with(key, language, pki, tmp_path) as serve:
        argv = [gnutls, "--starttls-proto=smtp", f"--x509cafile={pki.ca}", f"--port={serve.port}"]
        argv += [f"--verify-hostname={NAME}", f"--sni-hostname={NAME}"]
        argv += [f"--priority=NORMAL:-VERS-ALL:+VERS-{version.replace('v', '')}", serve.host]
        text = run(argv, DIALOGUE)
        summary = serve.out.wait("tls: ")
    assert "- Status: The certificate is trusted." in text, text
    assert f"- Description: ({version.replace('v', '')}" in text, text
    assert summary.split()[0] == version
    check_dialogue(text)
    assert serve.stderr == []


# At TLS 1.2 the curves are those of certificates too.
@pytest.mark.parametrize(
    ("version", "curves"),
    [
        ("TLSv1.2", "X25519 prime256v1"),
        *(("TLSv1.3", curve) for curve in ("X25519", "prime256v1", "secp384r1")),
    ],
)
@pytest.mark.parametrize("key", KEYS)
def test_posttls_finger(
    version: str, key: str, curves: str, language: str, pki: Paths, tmp_path: Path
) -> None:
    """Postfix's own probe, which ends with 0 whatever it finds, so its text tells."""
    finger = require_peer("posttls-finger", package="postfix")
    with serve_with(key, language, pki, tmp_path) as serve:
        argv = [finger, "-c", "-L", "summary", "-l", "secure", "-F", str(pki.ca)]
        argv += ["-o", f"tls_eecdh_auto_curves={curves}"]
        argv += ["-p", version, "-s", NAME, f"[{serve.host}]:{serve.port}", NAME]
        text = run(argv)
        summary = serve.out.wait("tls: ")
    found = re.search(r"Verified TLS connection established to \S+: (.*)", text)
    assert found, text
    # Word for word, what Postfix logs and writes into Received.
    assert found[1] == summary
    assert summary.startswith(f"{version} with cipher ")
    assert serve.stderr == []
