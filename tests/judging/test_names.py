"""The table of names: certificate x reference -> fits or not. And OpenSSL's verdict beside ours."""

from __future__ import annotations

import ipaddress
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ca.ca import Issuer, issue, key_pem, new_key, pem
from cryptography import x509
from ours import judge
from smtptls import Code, Config, Policy

TABLE: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "names.toml").read_text())["name"]


@pytest.fixture(scope="module")
def root() -> Issuer:
    key = new_key()
    return Issuer(issue(key, "Names Root", names=(), is_ca=True), key)


def certificate(root: Issuer, names: list[str]) -> tuple[bytes, bytes]:
    common = "leaf"
    general: list[x509.GeneralName] = []
    for name in names:
        match name.split(":", 1):
            case ["CN", text]:
                common = text
            case ["IP", text]:
                general.append(x509.IPAddress(ipaddress.ip_address(text)))
            case _:
                general.append(x509.DNSName(name))
    key = new_key()
    return pem(issue(key, common, issuer=root, names=tuple(general))), key_pem(key)


def openssl_says(root: Issuer, leaf: bytes, reference: str, folder: Path) -> bool:
    (folder / "root.pem").write_bytes(pem(root.certificate))
    (folder / "leaf.pem").write_bytes(leaf)
    try:
        check = ["-verify_ip", str(ipaddress.ip_address(reference))]
    except ValueError:
        check = ["-verify_hostname", reference]
    command = ["openssl", "verify", "-CAfile", "root.pem", *check, "leaf.pem"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0 or "mismatch" in result.stderr, result.stderr
    return result.returncode == 0


@pytest.mark.parametrize("row", TABLE, ids=[row["id"] for row in TABLE])
def test_names(row: dict[str, Any], root: Issuer, tmp_path: Path) -> None:
    leaf, key = certificate(root, row["certificate"])
    config, server = Config(roots_pem=[pem(root.certificate)]), Config(keypairs_pem=[(leaf, key)])
    reference = row["reference"]
    if "*" in reference:
        with pytest.raises(ValueError, match="neither a host name nor an IP address"):
            Policy("verify", names=[reference])
        fits = False
    else:
        verdict = judge(config, Policy("verify", names=[reference]), "unknown.test", server)
        fits = verdict.error is None
        assert verdict.info.name_matched is fits
        if verdict.error:
            assert (verdict.error.code, verdict.info.trusted) == (Code.CERT_NAME, True)
        else:
            assert verdict.info.matched_name
    assert fits is row["fits"]
    theirs = openssl_says(root, leaf, reference, tmp_path)
    assert ("openssl" in row) == ("because" in row) == (theirs is not fits)
    assert row.get("openssl", theirs) is theirs
