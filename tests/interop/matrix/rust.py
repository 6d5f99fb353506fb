"""lettre, a client in Rust, with each of its TLS backends: matrix/lettre is its program, built by cargo."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from ca.ca import NAME, Paths
from conftest import RECIPIENT, ROOT, SENDER, missing, require_peer

from matrix.peer import fetched, openssl_defaults

PROJECT = Path(__file__).resolve().parent / "lettre"

BACKENDS = ("native-tls", "rustls")


def program(backend: str) -> Path:
    """The program, built once for each state of its sources. It shares the repository's target folder, and so
    aws-lc."""
    sources = (PROJECT / "Cargo.toml", PROJECT / "Cargo.lock", PROJECT / "src/main.rs")
    state = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:8]

    def build(folder: Path) -> None:
        argv = [require_peer("cargo", "cargo"), "build", "--quiet", "--locked", "--features", backend]
        argv += ["--target-dir", str(ROOT / "target")]
        done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            missing(f"cargo cannot build a client with lettre: {done.stderr.strip()}")
        shutil.copy(ROOT / "target/debug/smtptls-peer-lettre", folder)

    return fetched(f"lettre-{backend}-{state}", build) / "smtptls-peer-lettre"


def command(
    backend: str,
    pki: Paths,
    port: int,
    folder: Path,
    version: str,
    *,
    implicit: bool = False,
    name: str = NAME,
    sessions: int = 1,
    own: bool = False,
) -> tuple[list[str], dict[str, str]]:
    """The argument vector that sends what is on its stdin, and its environment."""
    # native-tls, which stands on OpenSSL here, cannot say which TLS version is the newest.
    other = {"1.2": "1.3", "1.3": "1.2"}[version]
    environment = openssl_defaults(folder, f"Protocol = ALL,-TLSv{other}")
    how = "implicit" if implicit else "starttls"
    argv = [str(program(backend)), how, str(port), name, str(pki.ca), version, str(sessions)]
    pair = [str(pki.client), str(pki.client_key)] if own else []
    return [*argv, SENDER, RECIPIENT, *pair], environment
