"""System calls, CPU and sizes of one session, beside OpenSSL: `make bench`.

Counts repeat. Times are medians of runs that alternate, and only their ratio means anything.
"""

from __future__ import annotations

import os
import re
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


# What goes to the socket, or waits for it. The rest is a process' first use of memory and of locks.
INPUT_OUTPUT = re.compile(r"^\d+ +(?:read|write|sendto|recvfrom|sendmsg|recvmsg|p?poll|p?select6?)\(")


def system_calls(command: list[str | Path], message: bytes) -> tuple[int, int]:
    """From the EHLO to the reply to QUIT: how many in all, and how many of input and output."""
    with tempfile.NamedTemporaryFile("r") as trace:
        words = ["strace", "-f", "-o", trace.name, *map(str, command)]
        subprocess.run(words, input=message, stdout=subprocess.DEVNULL, check=True)
        lines = [line for line in trace.read().splitlines() if "---" not in line]
    first = next(n for n, line in enumerate(lines) if "EHLO" in line)
    last = max(n for n, line in enumerate(lines) if re.search(r"(recvfrom|read)\(", line))
    span = lines[first : last + 1]
    return len(span), sum(bool(INPUT_OUTPUT.match(line)) for line in span)


def main() -> None:
    message = b"Subject: hello\n\nhello\n"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pki = make(folder / "pki")
        smtptls = build(
            folder,
            "smtptls",
            f"-I{ROOT}/include",
            f"-L{ROOT}/build/lib",
            "-lsmtptls",
            f"-Wl,-rpath,{ROOT}/build/lib",
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
            print(f"{'':28} {'system calls':>12} {'of I/O':>8} {'CPU ms':>8} {'ratio':>6}")
            for title, command in commands.items():
                median = statistics.median(times[title])
                calls, io = system_calls(command, message)
                print(f"{title:28} {calls:12} {io:8} {median * 1000:8.2f} {median / base:6.2f}")
        finally:
            server.terminate()
            server.wait(timeout=10)
    size = (ROOT / "build/lib/libsmtptls.so").resolve().stat().st_size
    print(f"stripped libsmtptls.so: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
