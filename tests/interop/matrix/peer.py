"""What the peers of the matrix have in common: a folder of their own, programs that are fetched, an end.

Condition           TLS version, the server's kind of key, and whether the client shows a certificate
Private             a daemon with a throw-away folder that other users can enter
fetched(...)        a file below build/peers/, made once by whoever comes first
openssl_defaults(...) what OpenSSL is to take for granted, for a program whose options cannot say it
body(...)           what stays of a message on its way
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ca.ca import Paths
from conftest import DEADLINE, ROOT, wait_until
from postfix import free_port

FETCHED = ROOT / "build/peers"


@dataclass(frozen=True)
class Condition:
    """Under which two programs meet."""

    key: str  # of the server: "leaf" for ECDSA, "rsa"
    own: bool  # the client has a certificate, and the server requires it

    def pair(self, pki: Paths) -> tuple[Path, Path]:
        """The server's."""
        return getattr(pki, self.key), getattr(pki, f"{self.key}_key")


def openssl_defaults(folder: Path, *settings: str) -> dict[str, str]:
    """The environment in which OpenSSL has these settings, each as `Name = value`."""
    sections = (
        "openssl_conf = all",
        "[all]",
        "ssl_conf = ssl",
        "[ssl]",
        "system_default = settings",
        "[settings]",
    )
    path = folder / "openssl.cnf"
    path.write_text("\n".join([*sections, *settings, ""]))
    return {"OPENSSL_CONF": str(path)}


class Private:
    """A daemon on a free port of loopback, from `with` to the end of its block.

    A subclass writes its configuration and gives the argument vector that runs it in the foreground.
    """

    name = "peer"
    port: int

    def __init__(self, pki: Paths, condition: Condition) -> None:
        self.pki, self.condition = pki, condition

    def configure(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def __enter__(self) -> Self:
        # Not in pytest's folder, which only its owner can enter: such daemons work as several users.
        self.folder = Path(tempfile.mkdtemp(prefix=f"smtptls-{self.name}-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            argv = self.configure()
            with (self.folder / "output").open("wb") as output:
                self._process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env=os.environ | self.environment(),
                )
            wait_until(self._answers, f"{self.name} to listen")
        except BaseException:
            print(self.log())
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, f"{self.name} ended with {self._process.returncode}"
        # It is asked of the kernel: a connection would be a session that nobody ordered.
        wanted = f"0100007F:{self.port:04X} 00000000:0000 0A"
        return any(wanted in line for line in Path("/proc/net/tcp").read_text().splitlines())

    def log(self) -> str:
        """What it wrote, for a person who looks for the reason of a failure."""
        texts = [
            path.read_text(errors="replace") for path in sorted(self.folder.glob("*log*")) if path.is_file()
        ]
        return "\n".join([(self.folder / "output").read_text(errors="replace"), *texts])

    def give(self, source: Path, owner: str = "root") -> Path:
        """A copy in the folder for this user: keys of the test PKI are root's alone."""
        copy = self.folder / source.name
        shutil.copy(source, copy)
        copy.chmod(0o600 if source.suffix == ".key" else 0o644)
        shutil.chown(copy, owner)
        return copy

    def directory(self, name: str, owner: str = "nobody") -> Path:
        made = self.folder / name
        made.mkdir()
        entry = pwd.getpwnam(owner)
        os.chown(made, entry.pw_uid, entry.pw_gid)
        return made

    def stored(self, folder: Path, count: int = 1) -> list[bytes]:
        """At least so many messages in this folder, in the order in which they came."""

        def found() -> list[Path] | None:
            paths = (
                sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime_ns) if folder.is_dir() else []
            )
            return paths if len(paths) >= count else None

        try:
            return [path.read_bytes() for path in wait_until(found, f"{count} messages at {self.name}")]
        except BaseException:
            print(self.log())
            raise


def fetched(name: str, make: Callable[[Path], None]) -> Path:
    """build/peers/NAME, which `make` makes in a folder that it is given. Tests run beside each other."""
    FETCHED.mkdir(parents=True, exist_ok=True)
    path = FETCHED / name
    with (FETCHED / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=FETCHED) as folder:
                make(Path(folder))
                (Path(folder)).rename(path)
                Path(folder).mkdir()  # which TemporaryDirectory takes away
            path.chmod(0o755)
    return path


def body(message: bytes) -> bytes:
    """What stands behind the headers, to which each hop adds; and swaks adds a line end."""
    return message.replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip(b"\n")
