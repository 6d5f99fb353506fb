"""`send` against OpenSSL as the server: versions, key types, certificates that strict libraries dislike."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ca.ca import NAME, Paths
from conftest import MESSAGE, Sent, require_peer, run_send
from hops import crlf, same_tls
from opensslserver import OpensslServer, Seen, context


def verbs(commands: list[str]) -> list[str]:
    return [command.split(" ")[0].upper() for command in commands]


def check_delivered(result: Sent, seen: Seen) -> None:
    """The dialogue of RFC 3207 section 5 took place, and the message came whole."""
    result.check()
    assert verbs(seen.clear) == ["EHLO", "STARTTLS"]
    assert seen.clear[1].upper() == "STARTTLS"  # R3207-4-1: nothing behind the verb
    # R3207-4.2-4: EHLO comes first inside TLS, although one went before in clear.
    assert verbs(seen.secured) == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert seen.message == crlf(MESSAGE)
    same_tls(result.tls, seen.version, seen.cipher)
    # SEC-12: our end says that it is the end.
    assert (seen.ended, seen.trouble) == ("close_notify", "")


@pytest.mark.parametrize("which", ["send", "upgrade"])
@pytest.mark.parametrize("key", ["leaf", "rsa", "chain"])
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_versions_and_keys(version: str, key: str, which: str, language: str, pki: Paths) -> None:
    """R8461-7.2-1: TLS 1.2 and 1.3 both work, with ECDSA, RSA and an intermediate CA."""
    tls = context(getattr(pki, key), getattr(pki, f"{key}_key"), version)
    with OpensslServer(tls) as server:
        result = run_send(language, which=which, port=server.port, ca=pki.ca)
        seen = server.seen()
    assert seen.version == version
    check_delivered(result, seen)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_no_older_version(language: str, pki: Paths) -> None:
    """R8461-7.2-1: a server with nothing newer than TLS 1.1 gets no mail at level encrypt."""
    with OpensslServer(context(pki.leaf, pki.leaf_key, "TLSv1.1")) as server:
        result = run_send(language, port=server.port, level="encrypt")
        seen = server.seen()
    assert result.returncode == 1
    # OpenSSL says so with an alert; a client may also find out by itself.
    assert result.error_code in ("SMTPTLS_ERR_ALERT", "SMTPTLS_ERR_HANDSHAKE"), f"{result}"
    assert (result.action, result.tlsrpt) == ("next-host", "validation-failure")
    assert (seen.secured, seen.message) == ([], b"")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, NAME),
        ({"sni": "none"}, None),
        ({"sni": "other.example.test"}, "other.example.test"),
        ({"name": None, "host": "localhost"}, "localhost"),
        ({"name": None}, None),  # RFC 6066 section 3: an address is no server name
    ],
    ids=["name", "off", "other", "host", "address"],
)
def test_server_name_indication(
    flags: dict[str, Any], expected: str | None, language: str, pki: Paths
) -> None:
    """R8461-7.1-1: the name goes into SNI unless told otherwise; the certificate is judged by the name."""
    with OpensslServer(context(pki.leaf, pki.leaf_key)) as server:
        result = run_send(language, port=server.port, ca=pki.ca, **flags)
        seen = server.seen()
    check_delivered(result, seen)
    assert seen.sni == expected


@pytest.mark.parametrize(
    ("cert", "code", "tlsrpt"),
    [
        ("expired", "CERT_TIME", "certificate-expired"),
        ("notyet", "CERT_TIME", "validation-failure"),
        ("other", "CERT_NAME", "certificate-host-mismatch"),
        ("cnonly", "CERT_NAME", "certificate-host-mismatch"),
        ("selfsigned", "CERT_UNTRUSTED", "certificate-not-trusted"),
        ("nochain", "CERT_UNTRUSTED", "certificate-not-trusted"),
        ("client", "CERT_INVALID", "validation-failure"),
    ],
)
def test_certificate_refused_at_verify(cert: str, code: str, tlsrpt: str, language: str, pki: Paths) -> None:
    """R3207-4.1-3: a certificate that is not good enough brings QUIT as the only command inside TLS."""
    key = pki.chain_key if cert == "nochain" else getattr(pki, f"{cert}_key")
    with OpensslServer(context(getattr(pki, cert), key)) as server:
        result = run_send(language, port=server.port, ca=pki.ca)
        seen = server.seen()
    assert (result.returncode, result.error_code) == (1, f"SMTPTLS_ERR_{code}"), f"{result}"
    assert (result.action, result.tlsrpt) == ("next-host", tlsrpt)
    assert (verbs(seen.secured), seen.message) == (["QUIT"], b"")
    assert (seen.ended, seen.trouble) == ("close_notify", "")


@pytest.mark.parametrize(("level", "version"), [("may", "TLSv1.3"), ("encrypt", "TLSv1.2")])
@pytest.mark.parametrize(
    "cert", ["expired", "notyet", "other", "cnonly", "client", "weak", "selfsigned", "caleaf", "version1"]
)
def test_certificate_ignored_below_verify(
    cert: str, level: str, version: str, language: str, pki: Paths, tmp_path: Path
) -> None:
    """R3207-4.1-2: opportunistic TLS never fails because of a certificate; the other way is plaintext."""
    if cert == "version1":
        chain, key = version1(tmp_path)
    else:
        chain, key = getattr(pki, cert), getattr(pki, f"{cert}_key")
    with OpensslServer(context(chain, key, version)) as server:
        result = run_send(language, port=server.port, level=level, ca=pki.ca)
        seen = server.seen()
    check_delivered(result, seen)


def version1(folder: Path) -> tuple[Path, Path]:
    """An X.509 version 1 certificate and its key, which `openssl req` can still make."""
    openssl = require_peer("openssl", package="openssl")
    cert, key, request = (str(folder / name) for name in ("v1.pem", "v1.key", "v1.csr"))
    make = [openssl, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={NAME}"]
    sign = [openssl, "x509", "-req", "-in", request, "-signkey", key, "-days", "30", "-out", cert]
    for command in ([*make, "-keyout", key, "-out", request], sign):
        subprocess.run(command, check=True, capture_output=True)
    text = subprocess.check_output([openssl, "x509", "-in", cert, "-noout", "-text"], text=True)
    assert "Version: 1 " in text
    return Path(cert), Path(key)
