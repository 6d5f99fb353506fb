"""The drivers in C, built once for each TLS library, and one run of a client beside a server."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).parent / "c"
LIBRARY = ROOT / "build" / "lib"
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]
SHARED = ("driver.c", "smtp.c", "plain.c")
DRIVERS = ("client", "server", "idle")
DEADLINE = 300.0  # seconds that any one run may take
# What each is linked with; the header of ours is that of this checkout.
LINK: dict[str, list[str]] = {
    "smtptls": [f"-I{ROOT / 'include'}", f"-L{LIBRARY}", "-lsmtptls", f"-Wl,-rpath,{LIBRARY}"],
    "openssl": ["-lssl", "-lcrypto"],
    "gnutls": ["-lgnutls"],
    "none": [],
}
# Both ends on one core: else waking the other core costs more than the TLS, and differs from run to run.
CORE = max(os.sched_getaffinity(0))

Words = Sequence[str | Path]


def build(folder: Path, libraries: Sequence[str] = tuple(LINK)) -> None:
    """`client-openssl` and so on, in the folder."""
    for library in libraries:
        for driver in DRIVERS:
            files = [SOURCES / name for name in (f"{driver}.c", *SHARED, f"tls_{library}.c")]
            subprocess.run(
                ["cc", *FLAGS, *files, "-o", folder / f"{driver}-{library}", *LINK[library]], check=True
            )


@dataclass(frozen=True)
class Run:
    """What both ends have said of themselves: microseconds of CPU a session and so on."""

    client: dict[str, float]
    server: dict[str, float]

    def __getitem__(self, role: str) -> dict[str, float]:
        return self.client if role == "client" else self.server


@dataclass(frozen=True)
class Job:
    """A client, a server, and the flags of each."""

    client: str = "openssl"
    server: str = "openssl"
    both: Words = ()
    client_flags: Words = ()
    server_flags: Words = ()
    sessions: int = 100
    warm: int = 20
    pinned: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    # A program to run a role under, such as valgrind, with its words.
    client_prefix: Words = ()
    server_prefix: Words = ()

    def words(self, role: str, folder: Path, more: Words) -> list[str]:
        library, flags = getattr(self, role), getattr(self, f"{role}_flags")
        prefix = getattr(self, f"{role}_prefix")
        pin = ["taskset", "-c", str(CORE)] if self.pinned else []
        counts = ["-n", self.sessions, "-w", self.warm]
        words = [*pin, *prefix, folder / f"{role}-{library}", *counts, *self.both, *flags, *more]
        return [str(word) for word in words]

    def run(self, folder: Path, between: int | None = None) -> Run:
        """Both ends, to their ends. `between` is the port of a proxy that leads to the server."""
        environment = os.environ | self.environment
        with (
            tempfile.TemporaryFile("w+") as said,
            subprocess.Popen(
                self.words("server", folder, ()), stdout=subprocess.PIPE, stderr=said, text=True, env=environment
            ) as server,
        ):
            assert server.stdout is not None
            try:
                port = server.stdout.readline().strip()
                client = subprocess.run(
                    self.words("client", folder, ("-p", port)),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    timeout=DEADLINE,
                    env=environment,
                    check=False,
                )
                if client.returncode != 0:
                    said.seek(0)
                    raise RuntimeError(f"{self}: {client.stderr}{said.read()}")
                answer, _ = server.communicate(timeout=DEADLINE)
            finally:
                server.kill()
            if server.returncode != 0:
                said.seek(0)
                raise RuntimeError(f"{self}: the server ended with {server.returncode}: {said.read()}")
        return Run(figures(client.stdout), figures(answer))


def figures(line: str) -> dict[str, float]:
    """What a driver prints: key=value words."""
    return {key: float(value) for key, _, value in (word.partition("=") for word in line.split())}
