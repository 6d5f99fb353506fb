"""Files of our own that are bad: each fault has its code, the action is `fail`, and nothing is reported.

The files are those of tests/ca/ca.py, and some made here. A directory stands for a file that cannot be read,
since permissions do not keep root from reading; but --ca takes a directory for what it holds.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ca.ca import Paths
from conftest import DEADLINE, Sent, Serve, program, run_send
from peer import ServerPeer
from script import parse

ANCHORS = {
    "missing": "ERR_FILE",
    "directory": "ERR_CERTIFICATE_PARSE",  # an empty one
    "directory-with-garbage": "ERR_CERTIFICATE_PARSE",
    "directory-with-dead-link": "ERR_FILE",
    "below-a-file": "ERR_FILE",
    "empty": "ERR_CERTIFICATE_PARSE|ERR_NO_ROOTS",
    "leaf.key": "ERR_CERTIFICATE_PARSE",
    "garbage": "ERR_CERTIFICATE_PARSE",
    "binary": "ERR_CERTIFICATE_PARSE",
}
PAIRS = {  # certificate, key: code
    ("missing", "leaf.key"): "ERR_FILE",
    ("directory", "leaf.key"): "ERR_FILE",
    ("leaf", "missing"): "ERR_FILE",
    ("leaf", "directory"): "ERR_FILE",
    ("empty", "leaf.key"): "ERR_CERTIFICATE_PARSE",
    ("leaf.key", "leaf.key"): "ERR_CERTIFICATE_PARSE",
    ("garbage", "leaf.key"): "ERR_CERTIFICATE_PARSE",
    ("binary", "leaf.key"): "ERR_CERTIFICATE_PARSE",
    ("leaf", "empty"): "ERR_KEY_PARSE",
    ("leaf", "leaf"): "ERR_KEY_PARSE",
    ("leaf", "garbage"): "ERR_KEY_PARSE",
    ("leaf", "broken.key"): "ERR_KEY_PARSE",
    ("leaf", "binary"): "ERR_KEY_PARSE",
    ("leaf", "stray.key"): "ERR_KEY_MISMATCH",
    ("rsa", "leaf.key"): "ERR_KEY_MISMATCH",
    ("leaf", "encrypted.key"): "ERR_KEY_ENCRYPTED",
}


def path_of(kind: str, pki: Paths, scratch: Path) -> Path:
    """A path of this kind; those that are not in the PKI are made."""
    if kind == "missing":
        return scratch / "nothing-here.pem"
    if kind == "directory":
        return scratch
    if kind == "directory-with-garbage":
        return pki.folder
    if kind == "directory-with-dead-link":
        (scratch / "link.pem").symlink_to(scratch / "nothing-here.pem")
        (scratch / "ca.pem").symlink_to(pki.ca)
        return scratch
    if kind == "below-a-file":
        return pki.ca / "file.pem"
    if kind == "binary":
        (scratch / "binary.pem").write_bytes(bytes(range(256)) * 16)
        return scratch / "binary.pem"
    if kind == "broken.key":
        text = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        (scratch / "broken.key").write_bytes(text)
        return scratch / "broken.key"
    return pki.folder / (kind if "." in kind else f"{kind}.pem")


def check(came: Sent, code: str, *paths: Path) -> None:
    assert came.returncode == 1, f"{came}"
    assert came.error_code in [f"SMTPTLS_{one}" for one in code.split("|")], f"{came}"
    assert (came.action, came.tlsrpt) == ("fail", "none"), f"{came}"
    assert came.stderr.count("\n") == 1 and came.message, f"{came}"
    if code == "ERR_FILE":  # a person must see which file it is
        assert any(str(path) in came.message for path in paths), f"{came}"


@pytest.mark.parametrize("which", ["send", "upgrade"])
@pytest.mark.parametrize("kind", ANCHORS)
def test_anchors(language: str, which: str, kind: str, pki: Paths, tmp_path: Path) -> None:
    """R3207-6-2: trust that cannot be loaded is never silently weaker: no TLS, no mail."""
    path = path_of(kind, pki, tmp_path)
    steps = parse("S: 220 peer.example.test ESMTP\nend", {}, {})
    with ServerPeer(steps, pki) as peer:
        came = run_send(language, which=which, port=peer.port, ca=path)
    check(came, ANCHORS[kind], path)
    assert not peer.wire or not peer.wire.clear.strip(b"QUIT\r\n"), f"it said {peer.wire.clear!r}"


@pytest.mark.parametrize("which", ["send", "upgrade"])
@pytest.mark.parametrize("level", ["may", "verify"])
def test_no_system_store(language: str, which: str, level: str, pki: Paths, tmp_path: Path) -> None:
    """A system that trusts nobody: no obstacle to a level that asks for nothing, and else it is said so."""
    folder = tmp_path / "certs"
    folder.mkdir()
    prefix = ["env", f"SSL_CERT_FILE={pki.empty}", f"SSL_CERT_DIR={folder}"]
    with Serve(language, pki, tmp_path / "mail") as serve:
        came = run_send(language, which=which, port=serve.port, level=level, ca="system", prefix=prefix)
    if level == "may":
        came.check()
        assert came.peer == "level=may auth=none secured=no", f"{came}"
    else:
        check(came, "ERR_NO_ROOTS")


@pytest.mark.parametrize(("certificate", "key"), PAIRS, ids=[" ".join(pair) for pair in PAIRS])
def test_key_pair(language: str, certificate: str, key: str, pki: Paths, tmp_path: Path) -> None:
    """R3207-3-1, R8314-4-4: a server without a usable key pair does not start, so it never offers what it
    cannot do."""
    paths = path_of(certificate, pki, tmp_path), path_of(key, pki, tmp_path)
    argv = [*program(language, "serve"), "--cert", str(paths[0]), "--key", str(paths[1])]
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE)
    came = Sent(argv, done.returncode, done.stdout.decode(), done.stderr.decode())
    check(came, PAIRS[certificate, key], *paths)
    assert "listening" not in came.stdout, f"{came}"


@pytest.mark.parametrize(("cert", "key"), [("combined", "combined"), ("combined", "leaf_key")])
def test_key_and_chain_in_one_file(language: str, cert: str, key: str, pki: Paths, tmp_path: Path) -> None:
    """A good file for comparison: what is behind the certificate, or before it, does no harm."""
    pair = {"cert": getattr(pki, cert), "key": getattr(pki, key)}
    with Serve(language, pki, tmp_path, **pair) as serve:
        run_send(language, port=serve.port, ca=pki.ca).check()
