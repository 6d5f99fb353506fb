"""lettre, a client in Rust, with each of its TLS backends: matrix/lettre is its program, built by cargo."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from ca.ca import NAME, Paths
from conftest import RECIPIENT, ROOT, SENDER, missing, require_peer

from matrix.peer import fetched

PROJECT = Path(__file__).resolve().parent / "lettre"

BACKENDS = ("native-tls", "rustls")

# native-tls cannot say which TLS version is the newest; OpenSSL, which it stands on here, reads this for it.
OPENSSL = """\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = settings
[settings]
Protocol = ALL,-TLSv{other}
"""


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
    configuration = folder / "openssl.cnf"
    configuration.write_text(OPENSSL.format(other={"1.2": "1.3", "1.3": "1.2"}[version]))
    how = "implicit" if implicit else "starttls"
    argv = [str(program(backend)), how, str(port), name, str(pki.ca), version, str(sessions)]
    pair = [str(pki.client), str(pki.client_key)] if own else []
    return [*argv, SENDER, RECIPIENT, *pair], {"OPENSSL_CONF": str(configuration)}
