"""smtptls serve with clients that people use, and smtptls audit of their servers."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ca.ca import NAME, Paths
from conftest import DEADLINE, Lines, require_peer
from postfix import Postfix

COMMAND = [sys.executable, "-m", "smtptls"]
SENDER, RECIPIENT = "alice@client.example.test", f"bob@{NAME}"


@contextlib.contextmanager
def served(*flags: str) -> Iterator[int]:
    """smtptls serve; gives its port."""
    process = subprocess.Popen([*COMMAND, "serve", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    out, err = Lines(process.stdout), Lines(process.stderr)
    try:
        yield int(json.loads("{" + out.wait("{"))["port"])
        process.terminate()
        assert process.wait(DEADLINE) == 0 and err.all() == []
    finally:
        process.kill()
        process.wait()


def swaks(port: int, *flags: str) -> subprocess.CompletedProcess[bytes]:
    argv = [
        require_peer("swaks", "swaks"),
        "--server",
        f"127.0.0.1:{port}",
        "--from",
        SENDER,
        "--to",
        RECIPIENT,
    ]
    return subprocess.run([*argv, *flags], capture_output=True, timeout=60, check=False)


def s_client(port: int, ca: Path, *flags: str) -> subprocess.CompletedProcess[bytes]:
    argv = [
        require_peer("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-starttls", "smtp",
        "-CAfile", str(ca), "-verify_return_error", "-verify_hostname", "localhost", "-brief", *flags,
    ]  # fmt: skip
    return subprocess.run(argv, input=b"QUIT\r\n", capture_output=True, timeout=60, check=False)


def test_swaks(tmp_path: Path) -> None:
    ca, store = tmp_path / "ca.pem", tmp_path / "mail"
    with served("--write-ca", str(ca), "--store", str(store), "--require-tls") as port:
        ran = swaks(port, "--tls", "--tls-verify", "--tls-ca-path", str(ca))
        assert ran.returncode == 0, ran
        assert swaks(port).returncode == 23  # MAIL is refused with 530
    (kept,) = store.iterdir()
    assert f"Delivered-To: {RECIPIENT}\r\n".encode() in kept.read_bytes()
    with served("--lmtp", "--store", str(store)) as port:
        assert swaks(port, "--protocol", "LMTP", "--tls").returncode == 0
    assert len(list(store.iterdir())) == 2


# Flags, and how swaks --tls ends.
FAULTS = {
    "no-starttls": (["--no-starttls"], 29),
    "refused": (["--starttls-reply", "454 4.7.0 TLS not available"], 29),
    "alert": (["--handshake", "alert"], 29),
    "close": (["--handshake", "close"], 29),
    "weak": (["--weak"], 32),
    "busy": (["--greeting", "421 4.3.2 Not now"], 21),
    "slow": (["--slow", "2"], 0),
    "line-by-line": (["--line-by-line"], 0),
    "rsa1024": (["--cert-kind", "rsa1024"], 0),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_to_swaks(name: str) -> None:
    flags, status = FAULTS[name]
    with served(*flags) as port:
        ran = swaks(port, "--tls")
        assert ran.returncode == status, ran


# What openssl says of a certificate.
KINDS = {
    "valid": None,
    "expired": "certificate has expired",
    "not-yet-valid": "certificate is not yet valid",
    "wrong-name": "hostname mismatch",
    "self-signed": "self-signed certificate",
    "rsa1024": "EE certificate key too weak",
}


@pytest.mark.parametrize("kind", KINDS)
def test_openssl_says_the_same_of_a_certificate(kind: str, tmp_path: Path) -> None:
    ca, reason = tmp_path / "ca.pem", KINDS[kind]
    flags = ("--tls-max", "1.2", "--sni-map", "second.example.test=auto") if kind == "valid" else ()
    with served("--write-ca", str(ca), "--cert-kind", kind, *flags) as port:
        ran = s_client(port, ca)
        said = ran.stderr.decode()
        if reason is not None:
            assert ran.returncode == 1 and reason in said, ran
            return
        assert ran.returncode == 0 and "Protocol version: TLSv1.2" in said, ran
        other = s_client(port, ca, "-servername", "second.example.test")
        assert other.returncode == 1 and "hostname mismatch" in other.stderr.decode(), other


def test_a_certificate_of_version_1(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    openssl = require_peer("openssl", "openssl")
    with served("--write-ca", str(ca), "--cert-kind", "v1") as port:
        connect = [
            openssl,
            "s_client",
            "-connect",
            f"127.0.0.1:{port}",
            "-starttls",
            "smtp",
            "-CAfile",
            str(ca),
        ]
        shown = subprocess.run(
            connect, input=b"QUIT\r\n", capture_output=True, timeout=60, check=False
        ).stdout
        text = subprocess.run(
            [openssl, "x509", "-noout", "-text"], input=shown, capture_output=True, timeout=60, check=True
        ).stdout.decode()
    assert "Version: 1 (0x0)" in text and "X509v3" not in text
    assert b"Verify return code: 0 (ok)" in shown  # its signature is a good one


def audit(port: int, *flags: str) -> tuple[int, dict[str, dict[str, Any]]]:
    argv = [*COMMAND, "audit", "--json", f"127.0.0.1:{port}", "--to", RECIPIENT, *flags]
    ran = subprocess.run(argv, capture_output=True, timeout=120, check=False)
    assert not ran.stderr, ran
    return ran.returncode, {row["row"]: row for row in json.loads(ran.stdout)["rows"]}


def by_result(rows: dict[str, dict[str, Any]], result: str) -> set[str]:
    return {name for name, row in rows.items() if row["result"] == result}


def set_up(postfix: Postfix, settings: Sequence[str]) -> None:
    """Gives it settings, and waits until it has read them."""
    etc = str(postfix.folder / "etc")
    count = len(re.findall("reload -- version", postfix.log()))
    subprocess.run([require_peer("postconf", "postfix"), "-c", etc, *settings], check=True, timeout=DEADLINE)
    subprocess.run([require_peer("postfix", "postfix"), "-c", etc, "reload"], check=True, timeout=DEADLINE)
    postfix._wait(lambda: len(re.findall("reload -- version", postfix.log())) > count, "Postfix to reload")


def test_audit_of_postfix(pki: Paths) -> None:
    """Postfix drops what comes behind STARTTLS, asks for no EHLO, and has TLS 1.1 unless it is told."""
    with Postfix(pki) as postfix:
        set_up(postfix, ["smtpd_tls_protocols=>=TLSv1"])
        status, rows = audit(postfix.port)
        assert (status, by_result(rows, "fail")) == (1, {"old-version"}), rows
        assert rows["old-version"]["came"] == "it agrees to TLS 1.1"
        assert rows["injection"]["came"] == "what came behind STARTTLS was dropped"
        assert rows["starttls-inside"]["came"].startswith("554 5.5.1 ")

        set_up(postfix, ["smtpd_tls_protocols=>=TLSv1.2"])
        status, rows = audit(postfix.port)
        assert status == 0 and by_result(rows, "skip") == {"tls-required", "hello-forgotten"}, rows

        required = ["smtpd_tls_security_level=encrypt", "smtpd_tls_mandatory_protocols=>=TLSv1.2"]
        set_up(postfix, [*required, "smtpd_helo_required=yes"])
        status, rows = audit(postfix.port)
        assert status == 0 and by_result(rows, "skip") == {"reset"}, rows
        assert rows["tls-required"]["came"].startswith("530; exempt besides: HELO 250"), rows
