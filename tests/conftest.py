"""Shared by all tests that drive the example programs: the test PKI, `serve`, `send`, and other peers.

    pki, language      fixtures: the paths of tests/ca/ca.py; "c", "python" and "rust" in turn
    program(...)       the argument vector that starts an example program
    Serve(...)         `serve` as a context manager
    run_send(...)      `send` or `upgrade`, run to its end, with its output taken apart
    require_peer(...)  skips, with a line that says so, when another program is not installed

Import the functions with `from conftest import ...`; this is the only conftest.py.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Self, TypeVar

import pytest
from ca.ca import NAME, Paths, make

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("c", "python", "rust")
DEADLINE = 20.0  # seconds that any single step may take; a bound on hanging, not on speed

SENDER = "alice@client.example.test"
RECIPIENT = f"bob@{NAME}"
MESSAGE = (
    f"From: <{SENDER}>\nTo: <{RECIPIENT}>\nSubject: smtptls\n\n"
    "Dots:\n.\n..two\n. one and a blank\n\nEight bits: \u00e9\u00df\u20ac\n" + "x" * 900 + "\nend\n"
).encode()

Found = TypeVar("Found")


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """The throw-away PKI, made once a run."""
    return make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    """Each language that has example programs, in turn."""
    return str(request.param)


def program(language: str, name: str) -> list[str]:
    """The argument vector that starts example program `name` (send, serve, upgrade) in `language`."""
    if language == "python":
        # -u is left out on purpose: the programs themselves must flush what others wait for.
        argv = [ROOT / ".venv/bin/python", ROOT / "examples/python" / f"{name}.py"]
    else:
        argv = [ROOT / "build" / language / name]
    missing = [str(part.relative_to(ROOT)) for part in argv if not part.exists()]
    if missing:
        pytest.fail(f"{', '.join(missing)} is missing: run `make examples` first", pytrace=False)
    return [str(part) for part in argv]


def require_peer(command: str, package: str) -> str:
    """The path of another program; without it the test is skipped, or fails where peers are required."""
    path = shutil.which(command, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        missing(f"{command} is not installed: apt-get install {package}")
    assert path is not None
    return path


def missing(reason: str) -> None:
    """Skip for `reason`; a failure under SMTPTLS_REQUIRE_PEERS=1, where nothing may be skipped."""
    if os.environ.get("SMTPTLS_REQUIRE_PEERS") == "1":
        pytest.fail(f"{reason} (SMTPTLS_REQUIRE_PEERS=1)", pytrace=False)
    pytest.skip(reason)


def processes(file: str) -> Iterator[tuple[int, str]]:
    """Every process, with this file of its folder in /proc (proc(5)), but for those that end meanwhile."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                text = Path("/proc", entry, file).read_text()
            except OSError:
                continue
            yield int(entry), text


def wait_until(probe: Callable[[], Found | None], what: str, seconds: float = DEADLINE) -> Found:
    """Ask `probe` until it gives something true; fail, saying `what` was awaited, when the time is up."""
    end = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds:g} s for {what}")
        time.sleep(0.01)


class Sent(subprocess.CompletedProcess[str]):
    """How a run of `send` or `upgrade` ended. The parsed fields are None where the line is missing."""

    ERROR = re.compile(
        r"^error: (?P<code>SMTPTLS_ERR_[A-Z_]+): (?P<message>.*)"
        r" \(action (?P<action>fail|continue|reconnect|next-host), tlsrpt (?P<tlsrpt>[a-z-]+)\)$"
    )

    def __init__(self, argv: Sequence[str], returncode: int, stdout: str, stderr: str) -> None:
        super().__init__(argv, returncode, stdout, stderr)
        lines = stdout.splitlines()
        self.tls = next((line[5:] for line in lines if line.startswith("tls: ")), None)
        self.peer = next((line[6:] for line in lines if line.startswith("peer: ")), None)
        self.sent = next((line[6:] for line in lines if line.startswith("sent: ")), None)
        errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
        found = self.ERROR.match(errors[0]) if len(errors) == 1 else None
        part = found.groupdict() if found else {}
        self.error_code: str | None = part.get("code")
        self.message: str | None = part.get("message")
        self.action: str | None = part.get("action")
        self.tlsrpt: str | None = part.get("tlsrpt")

    def check(self) -> Sent:
        """Fail unless the server took the message and nothing stands on stderr."""
        assert self.returncode == 0 and self.sent, f"{self}"
        assert self.stderr == "", f"{self}"
        return self


def run_send(
    language: str,
    *,
    port: int,
    host: str = "127.0.0.1",
    sender: str = SENDER,
    to: str = RECIPIENT,
    name: str | None = NAME,
    level: str | None = "verify",
    ca: Path | str | None = None,
    sni: str | None = None,
    timeout: float | None = 10,
    user: str | None = None,
    password: str | None = None,
    lmtp: bool = False,
    message: bytes = MESSAGE,
    which: str = "send",
    prefix: Sequence[str] = (),
    flags: Sequence[str] = (),
) -> Sent:
    """Run `send` (or, with which="upgrade", `upgrade`) to its end; None leaves a flag out.

    `prefix` goes before the program, as for strace; `flags` are further ones, as they stand. A run that
    outlasts its own --timeout fails.
    """
    argv = [*prefix, *program(language, which), "--host", host, "--port", str(port)]
    argv += ["--from", sender, "--to", to]
    options = {"--name": name, "--level": level, "--ca": ca, "--sni": sni, "--timeout": timeout}
    options |= {"--user": user, "--password": password}
    for flag, value in options.items():
        if value is not None:
            argv += [flag, str(value)]
    if lmtp:
        argv.append("--lmtp")
    argv += flags
    limit = (30 if timeout is None else timeout) + DEADLINE
    try:
        done = subprocess.run(argv, check=False, input=message, capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"{which} ({language}) outlived its --timeout {timeout}: {late.stdout!r} {late.stderr!r}")
    return Sent(argv, done.returncode, done.stdout.decode(), done.stderr.decode())


class Lines:
    """Lines of a stream, read by a thread of its own, so that waiting for one has a deadline."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.seen: list[str] = []
        self._arrived: queue.Queue[str | None] = queue.Queue()
        self._stream = stream
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            for line in self._stream:
                self._arrived.put(line.decode(errors="backslashreplace").rstrip("\r\n"))
        self._arrived.put(None)

    def wait(self, prefix: str, count: int = 1, seconds: float = DEADLINE) -> str:
        """The `count`th line that starts with `prefix`, which is cut off; what has passed counts too."""
        end = time.monotonic() + seconds
        while True:
            fitting = [line for line in self.seen if line.startswith(prefix)]
            if len(fitting) >= count:
                return fitting[count - 1][len(prefix) :]
            try:
                line = self._arrived.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"no line {count} with {prefix!r} in {seconds:g} s; seen: {self.seen}")
            if line is None:
                pytest.fail(f"ended before line {count} with {prefix!r}; seen: {self.seen}")
            self.seen.append(line)

    def all(self) -> list[str]:
        """All lines; only once the program that writes them has ended."""
        self._thread.join(DEADLINE)
        while not self._arrived.empty():
            line = self._arrived.get()
            if line is not None:
                self.seen.append(line)
        return self.seen


class Listening:
    """A program that says where it listens, from `with` on. Which one, and how it ends, is a subclass's."""

    _argv: list[str]

    def __enter__(self) -> Self:
        # A session of its own makes every process of it findable by its process group.
        self._process = subprocess.Popen(
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout and self._process.stderr
        self.out, self.err = Lines(self._process.stdout), Lines(self._process.stderr)
        try:
            self.host, _, port = self.out.wait("listening: ").rpartition(":")
        except BaseException:
            self._kill()
            print("\n".join(self.err.all()))
            raise
        self.port = int(port)
        return self

    def reload(self) -> None:
        """Tell it to read its key pairs and ticket keys again."""
        self._process.send_signal(signal.SIGHUP)

    def _running(self) -> bool:
        """Whether there is anything to end."""
        return self._process.poll() is None

    def _kill(self) -> None:
        """End what is left, which is nothing when all is well."""
        if self._running():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Serve(Listening):
    """`serve` of one language on a free port of loopback, from `with` to the end of its block.

    Leaving the block ends it with SIGTERM (or `stop`) and checks that its status is 0, that no session left a
    zombie, and that no process of it lives on. Afterwards `.stdout` and `.stderr` hold all lines. `flags` are
    further ones, as they stand; without `pair` the key pairs are theirs to give.
    """

    def __init__(
        self,
        language: str,
        pki: Paths,
        store: Path,
        *,
        cert: Path | None = None,
        key: Path | None = None,
        require_tls: bool = False,
        lmtp: bool = False,
        timeout: float | None = None,
        prefix: Sequence[str] = (),
        stop: signal.Signals = signal.SIGTERM,
        pair: bool = True,
        flags: Sequence[str] = (),
    ) -> None:
        self.store, self._stop = store, stop
        store.mkdir(parents=True, exist_ok=True)
        self._argv = [*prefix, *program(language, "serve")]
        if pair:
            self._argv += ["--cert", str(cert or pki.leaf), "--key", str(key or pki.leaf_key)]
        self._argv += ["--store", str(store)]
        self._argv += ["--require-tls"] if require_tls else []
        self._argv += ["--lmtp"] if lmtp else []
        self._argv += ["--timeout", str(timeout)] if timeout is not None else []
        self._argv += flags

    def __enter__(self) -> Self:
        super().__enter__()
        if self.host != "127.0.0.1":
            self._kill()
        assert self.host == "127.0.0.1", f"serve listens on {self.host}"
        return self

    def idle(self) -> tuple[int, int, int]:
        """Its processes, and the threads and open files of the first one, once nothing moves any more."""
        found, since = self._load(), time.monotonic()

        def settled() -> bool:
            nonlocal found, since
            if (now := self._load()) != found:
                found, since = now, time.monotonic()
            return time.monotonic() - since > 0.3

        wait_until(settled, "serve to settle")
        return found

    def wait_idle(self, before: tuple[int, int, int]) -> None:
        """Until no session has left anything: no more of anything than `idle()` told before."""
        wait_until(
            lambda: all(now <= then for now, then in zip(self._load(), before, strict=True)),
            f"serve to let go of its sessions; it had {before}",
        )

    def _load(self) -> tuple[int, int, int]:
        own = Path(f"/proc/{self._process.pid}")
        return len(self._group("RSDTtZ")), len(list(own.glob("task/*"))), len(list(own.glob("fd/*")))

    def wait_mail(self, count: int = 1, seconds: float = DEADLINE) -> list[bytes]:
        """At least `count` stored messages, in the order of their arrival."""

        def stored() -> list[Path] | None:
            found = sorted(self.store.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
            return found if len(found) >= count else None

        return [path.read_bytes() for path in wait_until(stored, f"{count} .eml in {self.store}", seconds)]

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        try:
            assert self._process.poll() is None, f"serve ended by itself with {self._process.returncode}"
            wait_until(lambda: not self._group("Z"), "serve to collect its ended children", 5)
            self._process.send_signal(self._stop)
            status = self._process.wait(DEADLINE)
            wait_until(lambda: not self._group("RSDTt"), "the processes of serve to end", 5)
            self.stdout, self.stderr = self.out.all(), self.err.all()
            assert status == 0, f"serve ended with {status} on {self._stop.name}: {self.stderr}"
        except BaseException:
            if kind is None:
                raise
        finally:
            self._kill()
            if kind is not None:
                print("serve said:", *self.out.all(), *self.err.all(), sep="\n  ")

    def _group(self, states: str) -> list[int]:
        """Processes of our group in one of these states (proc(5): Z is a zombie)."""
        found = []
        for process, stat in processes("stat"):
            state, _parent, group = stat.rpartition(")")[2].split()[:3]
            if int(group) == self._process.pid and state in states:
                found.append(process)
        return found

    def _running(self) -> bool:
        return self._process.returncode is None or bool(self._group("RSDTt"))
