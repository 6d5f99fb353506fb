"""The drivers in C, built once for each TLS library, and one run of a client beside a server."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).parent / "c"
LIBRARY = ROOT / "build" / "lib"
RUST = ROOT / "target" / "release" / "examples"
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]
SHARED = ("driver.c", "smtp.c", "plain.c")
DRIVERS = ("client", "server", "idle")
DEADLINE = 300.0  # seconds that any one run may take
OURS, THEIRS = "smtptls", "openssl"
# What each is linked with; the header of ours is that of this checkout.
LINK: dict[str, list[str | Path]] = {
    OURS: [f"-I{ROOT / 'include'}", f"-L{LIBRARY}", "-lsmtptls", f"-Wl,-rpath,{LIBRARY}"],
    THEIRS: ["-lssl", "-lcrypto"],
    "gnutls": ["-lgnutls"],
    "none": [],
    # rustls itself, and the engine without the C library.
    "direct": [RUST / "libdirect.a", "-lm", "-ldl"],
    "engine": [RUST / "libengine.a", "-lm", "-ldl"],
}
# Both ends on one core: else waking the other core costs more than the TLS, and differs from run to run.
CORE = max(os.sched_getaffinity(0))

Words = Sequence[str | Path]


def build(folder: Path, libraries: Sequence[str] = tuple(LINK)) -> None:
    """`client-openssl` and so on, in the folder. The C library must be there already: `make library`."""
    if {"direct", "engine"} & {*libraries}:
        cargo = ["cargo", "build", "--quiet", "--locked", "--release", "-p", "smtptls-bench", "--examples"]
        subprocess.run(cargo, cwd=ROOT, check=True)
    for library in libraries:
        own = SOURCES / f"tls_{library}.c"
        for driver in DRIVERS:
            files = [SOURCES / f"{driver}.c", *(SOURCES / name for name in SHARED), *([own] * own.exists())]
            subprocess.run(
                ["cc", *FLAGS, *files, "-o", folder / f"{driver}-{library}", *LINK[library]], check=True
            )


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """What is started in the block stays on one core; None is any."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def running(words: Words, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A program with pipes, which is ended with the block; its stderr goes into an error of the block."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            **options,
        )
        try:
            yield process
        except Exception as error:
            said.seek(0)
            raise RuntimeError(f"{Path(words[0]).name}: {said.read() or 'said nothing'}") from error
        finally:
            process.kill()
            process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    """What it prints next; a program that ends instead has failed."""
    output: IO[str] | None = process.stdout
    assert output is not None
    if not (text := output.readline().strip()):
        raise RuntimeError(f"it ended with {process.wait(DEADLINE)}")
    return text


def figures(text: str) -> dict[str, float]:
    """What a driver prints: key=value words."""
    return {key: float(value) for key, _, value in (word.partition("=") for word in text.split())}


@dataclass(frozen=True)
class Job:
    """A client and a server that meet, and the flags of each."""

    client: str = THEIRS
    server: str = THEIRS
    both: Words = ()
    client_flags: Words = ()
    server_flags: Words = ()
    sessions: int = 100
    warm: int = 20
    core: int | None = CORE
    environment: dict[str, str] = field(default_factory=dict)
    # A program to run a role under, such as valgrind, with its words.
    client_prefix: Words = ()
    server_prefix: Words = ()

    def words(self, folder: Path, role: str, *more: str | Path) -> list[str | Path]:
        program = folder / f"{role}-{getattr(self, role)}"
        counts = ["-n", str(self.sessions), "-w", str(self.warm)]
        flags = [*self.both, *getattr(self, f"{role}_flags")]
        return [*getattr(self, f"{role}_prefix"), program, *counts, *flags, *more]

    def run(
        self, folder: Path, between: contextlib.AbstractContextManager[Any] | None = None
    ) -> dict[str, dict[str, float]]:
        """What each role says of itself at its end. `between` leads to another port than the server's."""
        environment = os.environ | self.environment
        with pinned(self.core), running(self.words(folder, "server"), env=environment) as server:
            port = line(server)
            with contextlib.ExitStack() as stack:
                if between is not None:
                    port = stack.enter_context(between).lead(port)
                client = stack.enter_context(
                    running(self.words(folder, "client", "-p", port), env=environment)
                )
                mine = figures(line(client))
                if client.wait(DEADLINE) != 0:
                    raise RuntimeError(f"the client ended with {client.returncode}")
            theirs = figures(line(server))
            if server.wait(DEADLINE) != 0:
                raise RuntimeError(f"the server ended with {server.returncode}")
        return {"client": mine, "server": theirs}
