"""Other people's programs as clients of `serve`: how to run one, and `serve` with a choice of key pairs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ca.ca import Paths
from conftest import DEADLINE, Serve

# Key pairs of the test PKI that any client must find good: ECDSA, RSA, and behind an intermediate CA.
KEYS = ("leaf", "rsa", "chain")


def run(argv: list[str], stdin: bytes = b"") -> str:
    """What a client says, both streams together; fails when it fails."""
    done = subprocess.run(
        argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE, check=False
    )
    text = done.stdout.decode(errors="backslashreplace")
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{text}"
    return text


def serve_with(key: str, language: str, pki: Paths, store: Path, lmtp: bool = False) -> Serve:
    """`serve` with the key pair of this name."""
    return Serve(language, pki, store, cert=getattr(pki, key), key=getattr(pki, f"{key}_key"), lmtp=lmtp)
