"""CPU of a server for a full and for a resumed handshake, beside OpenSSL: part of `make bench`.

TLS 1.3 with X25519, AES-128-GCM and one ticket a session on both, and the same client. A session is a
handshake, a greeting, QUIT and the close. Runs alternate, and only the ratio of their medians means anything.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from ca.ca import make  # noqa: E402  (the path above comes first)

ROUNDS = int(os.environ.get("ROUNDS", "11"))
WARM = 50  # sessions before the count: what a process does once is not a session's
SESSIONS = int(os.environ.get("SESSIONS", "500"))
KINDS = ("full", "resumed")
STRICT = ["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def build(program: Path, source: str, *flags: str) -> Path:
    command: list[str | Path] = ["cc", "-O2", *STRICT, Path(__file__).parent / source, "-o", program, *flags]
    subprocess.run(command, check=True)
    return program


def cost(server: Path, client: Path, pair: tuple[Path, Path], ca: Path, kind: str) -> float:
    """Microseconds of the server's CPU for one session."""
    serve: list[str | Path] = [server, *pair, str(WARM), str(SESSIONS)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            call: list[str | Path] = [client, port, ca, str(WARM + SESSIONS), kind]
            subprocess.run(call, check=True, timeout=300)
            time, resumed = process.stdout.readline().split()
        finally:
            process.kill()
    if int(resumed) != (SESSIONS if kind == "resumed" else 0):
        raise SystemExit(f"{server.name}: {resumed} of {SESSIONS} sessions were resumed")
    return float(time)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pki = make(folder / "pki")
        openssl = ("-lssl", "-lcrypto")
        ours = (f"-I{ROOT}/include", f"-L{ROOT}/build/lib", "-lsmtptls", f"-Wl,-rpath,{ROOT}/build/lib")
        client = build(folder / "client", "client.c", *openssl)
        servers = {
            "OpenSSL": build(folder / "openssl", "server.c", "-DOPENSSL", *openssl),
            "smtptls": build(folder / "smtptls", "server.c", *ours),
        }
        pairs = {"ECDSA P-256": (pki.leaf, pki.leaf_key), "RSA-2048": (pki.rsa, pki.rsa_key)}
        print(f"{'CPU of the server, us a session':32} {'OpenSSL':>8} {'smtptls':>8} {'ratio':>6}")
        for title, pair in pairs.items():
            for kind in KINDS:
                times: dict[str, list[float]] = {side: [] for side in servers}
                for _ in range(ROUNDS):
                    for side, server in servers.items():
                        times[side].append(cost(server, client, pair, pki.ca, kind))
                theirs, mine = (statistics.median(times[side]) for side in servers)
                row = f"{title}, {kind}"
                print(f"{row:32} {theirs:8.0f} {mine:8.0f} {mine / theirs:6.2f}", flush=True)


if __name__ == "__main__":
    main()
