"""System calls, CPU and sizes of one session, beside OpenSSL: `make bench`. Counts repeat; times are medians of runs
that alternate, and only their ratio means anything."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from ca.ca import make  # noqa: E402  (the path above comes first)

RUNS = int(os.environ.get("RUNS", "41"))


def build(folder: Path, name: str, *flags: str) -> Path:
    program = folder / name
    source = Path(__file__).parent / "session.c"
    subprocess.run(["cc", "-O2", "-Wall", source, "-o", program, *flags], check=True)
    return program


def cpu(command: list[str | Path], message: bytes) -> float:
    """CPU seconds of a process from exec to exit, the kernel's share included."""
    with tempfile.TemporaryFile() as stdin:
        stdin.write(message)
        stdin.seek(0)
        child = subprocess.Popen([str(word) for word in command], stdin=stdin, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command} ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def system_calls(command: list[str | Path], message: bytes) -> int:
    """From the EHLO to the reply to QUIT: from the first call that shows EHLO to the last that reads the socket."""
    with tempfile.NamedTemporaryFile("r") as trace:
        words = ["strace", "-f", "-o", trace.name, *map(str, command)]
        subprocess.run(words, input=message, stdout=subprocess.DEVNULL, check=True)
        lines = [line for line in trace.read().splitlines() if "---" not in line]
    first = next(n for n, line in enumerate(lines) if "EHLO" in line)
    reads = [n for n, line in enumerate(lines) if ("recvfrom(" in line or " read(" in line) and n > first]
    # What close reads after the reply to QUIT is not counted: both write close_notify and read nothing.
    return reads[-1] - first + 1


def main() -> None:
    message = b"Subject: hello\n\nhello\n"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pki = make(folder / "pki")
        smtptls = build(
            folder, "smtptls", f"-I{ROOT}/include", f"-L{ROOT}/build/lib", "-lsmtptls", f"-Wl,-rpath,{ROOT}/build/lib"
        )
        openssl = build(folder, "openssl", "-DOPENSSL", "-lssl", "-lcrypto")
        serve = [ROOT / "build/c/serve", "--cert", pki.leaf, "--key", pki.leaf_key]
        server = subprocess.Popen([str(word) for word in serve], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = server.stdout.readline().rsplit(":", 1)[1].strip()
            send: list[str | Path] = [ROOT / "build/c/send", "--host", "127.0.0.1", "--port", port]
            send += ["--name", "localhost", "--from", "a@client.test", "--to", "b@localhost", "--ca", pki.ca]
            commands: dict[str, list[str | Path]] = {
                "OpenSSL, a write a command": [openssl, port, pki.ca],
                "smtptls, a write a command": [smtptls, port, pki.ca],
                "smtptls, examples/c/send": send,
            }
            times: dict[str, list[float]] = {title: [] for title in commands}
            for _ in range(RUNS):
                for title, command in commands.items():
                    times[title].append(cpu(command, message))
            base = statistics.median(times["OpenSSL, a write a command"])
            print(f"{'':28} {'system calls':>12} {'CPU ms':>8} {'ratio':>6}")
            for title, command in commands.items():
                median = statistics.median(times[title])
                calls = system_calls(command, message) if shutil.which("strace") else 0
                print(f"{title:28} {calls:12} {median * 1000:8.2f} {median / base:6.2f}")
        finally:
            server.terminate()
            server.wait(timeout=10)
    size = (ROOT / "build/lib/libsmtptls.so").resolve().stat().st_size
    print(f"stripped libsmtptls.so: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
