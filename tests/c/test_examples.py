"""The C examples that a user starts from, one for each way of doing I/O: poll, fork, alarm and submit."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from c.submission import PASSWORD, USER, submission
from ca.ca import NAME, Paths
from conftest import (
    DEADLINE,
    MESSAGE,
    RECIPIENT,
    SENDER,
    Serve,
    missing,
    processes,
    program,
    require_peer,
    wait_until,
)

# Our server prefers the first, and OpenSSL's the second.
TLS13 = "TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 "
TLS13_OPENSSL = "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
Result = subprocess.CompletedProcess[str]


def run(name: str, *arguments: object, text: bytes = b"", extra: dict[str, str] | None = None) -> Result:
    """One of the examples, run to its end."""
    argv = [*program("c", name), *map(str, arguments)]
    done = subprocess.run(
        argv, check=False, input=text, capture_output=True, timeout=60, env=os.environ | (extra or {})
    )
    return Result(argv, done.returncode, done.stdout.decode(), done.stderr.decode())


class Script:
    """A listener that says its replies, the first unasked and each other one after a line, and no more."""

    def __init__(self, *replies: bytes, together: int = 1) -> None:
        self._replies, self._together = replies, together
        self._end = threading.Event()
        self.silent = threading.Event()

    def __enter__(self) -> Script:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end.set()
        self._thread.join(DEADLINE)
        self._listener.close()

    def _play(self) -> None:
        """Says nothing to anybody before `together` clients are there."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self._listener.accept()[0]) for _ in range(self._together)]
            for client in clients:
                lines = stack.enter_context(client.makefile("rb"))
                for number, reply in enumerate(self._replies):
                    if number > 0:
                        lines.readline()
                    client.sendall(reply)
            self.silent.set()
            self._end.wait(DEADLINE)


@pytest.mark.parametrize("name", ["poll", "fork", "alarm", "submit"])
@pytest.mark.parametrize("arguments", [[], ["--help"], ["127.0.0.1", "25", "0", "--no-such", "x", "y"]])
def test_wrong_usage(name: str, arguments: list[str]) -> None:
    result = run(name, *arguments)
    assert (result.returncode, result.stdout) == (2, ""), f"{result}"
    assert result.stderr.startswith(f"usage: {name} "), f"{result}"


# -- poll ----------------------------------------------------------------------------------------------------


def test_poll_many_sessions_in_one_loop(pki: Paths, tmp_path: Path) -> None:
    with Serve("c", pki, tmp_path / "mail") as server:
        before = server.idle()
        result = run("poll", server.host, server.port, 200, "--ca", pki.ca, "--name", NAME)
        server.wait_idle(before)
    assert (result.returncode, result.stderr) == (0, ""), f"{result}"
    *lines, summary = result.stdout.splitlines()
    assert all(re.match(rf"session \d+: {TLS13}", line) for line in lines)
    assert {line.split(":")[0] for line in lines} == {f"session {n}" for n in range(1, 201)}
    assert summary == "200 sessions: 200 good, 0 failed"
    assert sum(line.startswith(f"tls: {TLS13}") for line in server.stdout) == 200 and server.stderr == []


def test_poll_has_all_sessions_open_at_once(pki: Paths) -> None:
    """Nobody is answered before all are there, so a program that waits for one of them waits for ever."""
    with Script(b"554 5.3.2 closed\r\n", together=100) as server:
        result = run("poll", "127.0.0.1", server.port, 100, "--ca", pki.ca)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.count(": SMTPTLS_ERR_REFUSED: ") == 100, f"{result}"
    assert result.stdout.endswith("\n100 sessions: 0 good, 100 failed\n")


def test_poll_says_why_each_failed(pki: Paths, tmp_path: Path) -> None:
    with Serve("c", pki, tmp_path / "mail") as server:
        result = run("poll", server.host, server.port, 3, "--ca", pki.ca, "--name", "other.example.test")
    assert (result.returncode, result.stderr) == (1, "")
    *lines, summary = result.stdout.splitlines()
    assert len(lines) == 3 and summary == "3 sessions: 0 good, 3 failed"
    for line in lines:
        assert re.fullmatch(
            r"session \d: SMTPTLS_ERR_CERT_NAME: .*other\.example\.test.* \(action next-host\)", line
        )
    # RFC 3207 section 4.1: each of them said QUIT, so that the server saw a whole session.
    assert server.stderr == []


def test_poll_without_a_server(pki: Paths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = run("poll", "127.0.0.1", port, 1, "--ca", pki.ca)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.startswith("session 1: SMTPTLS_ERR_IO: ") and "refused" in result.stdout


def test_poll_without_trust(pki: Paths) -> None:
    result = run("poll", "127.0.0.1", 25, 1, "--ca", pki.garbage)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("poll: ") and str(pki.garbage) in result.stderr


# -- fork ----------------------------------------------------------------------------------------------------


def members(group: int) -> dict[int, str]:
    """The processes of a process group, each with its state (proc(5): Z is a zombie)."""
    found = {}
    for process, stat in processes("stat"):
        state, _parent, of = stat.rpartition(")")[2].split()[:3]
        if int(of) == group:
            found[process] = state
    return found


@contextlib.contextmanager
def forking(pki: Paths, *flags: object, prefix: Sequence[str] = ()) -> Iterator[tuple[int, int]]:
    """`fork` on a free port: its process and the port. Afterwards no process of it is there."""
    argv = [*prefix, *program("c", "fork"), str(pki.leaf), str(pki.leaf_key), "0", *map(str, flags)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line.startswith("listening: 127.0.0.1:"), line
            yield server.pid, int(line.rpartition(":")[2])
            wait_until(
                lambda: list(members(server.pid)) == [server.pid], "the children to end, without zombies"
            )
        finally:
            server.terminate()
        assert server.wait(DEADLINE) == -signal.SIGTERM
        wait_until(lambda: not members(server.pid), "the processes of fork to end")


@contextlib.contextmanager
def conversation(port: int, pki: Paths) -> Iterator[smtplib.SMTP]:
    """A client that has done STARTTLS."""
    with smtplib.SMTP("127.0.0.1", port, timeout=DEADLINE) as client:
        client.ehlo()
        assert client.has_extn("starttls")
        client.starttls(context=ssl.create_default_context(cafile=pki.ca))
        client.ehlo()
        assert not client.has_extn("starttls")  # RFC 3207 section 4.2
        yield client


def test_fork_serves_many(pki: Paths) -> None:
    with forking(pki) as (process, port), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(conversation(port, pki)) for _ in range(20)]
        assert len(members(process)) == 21
        for client in clients:
            assert client.noop()[0] == 250
            assert client.docmd("STARTTLS")[0] == 502  # there is TLS already
            assert client.docmd("VRFY", "x")[0] == 502


def test_fork_refuses_what_came_before_tls(pki: Paths) -> None:
    """R3207-4.2-2: it is neither run nor kept."""
    with forking(pki) as (_process, port), socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        client.sendall(b"EHLO client.example.test\r\nSTARTTLS\r\nNOOP\r\n")
        with client.makefile("rb") as lines:
            codes = [line[:3] for line in lines.read().splitlines()]
    assert codes == [b"220", b"250", b"250", b"554"]


def test_fork_ends_and_its_connections_go_on(pki: Paths) -> None:
    with forking(pki) as (process, port), conversation(port, pki) as client:
        os.kill(process, signal.SIGTERM)
        wait_until(lambda: members(process)[process] == "Z", "fork to end")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        assert client.noop()[0] == 250


def require_root() -> None:
    if os.geteuid() != 0:
        missing("only root can chroot and change its user")


def test_fork_gives_root_up(pki: Paths, tmp_path: Path) -> None:
    """Its key is readable by root alone, its root directory is empty, and in there it is nobody."""
    require_root()
    (jail := tmp_path / "jail").mkdir()
    assert pki.leaf_key.stat().st_mode & 0o077 == 0
    with forking(pki, "--chroot", jail) as (process, port), conversation(port, pki) as client:
        assert client.noop()[0] == 250
        for one in members(process):
            status = Path(f"/proc/{one}/status").read_text()
            [ids] = re.findall(r"^Uid:\s+(.*)$", status, re.MULTILINE)
            assert "0" not in ids.split()
            assert re.search(r"^Groups:\s*$", status, re.MULTILINE)
            assert os.readlink(f"/proc/{one}/root") == str(jail)


def test_fork_opens_no_file_after_chroot(pki: Paths, tmp_path: Path) -> None:
    require_root()
    log = tmp_path / "strace"
    strace = require_peer("strace", "strace")
    # -DD: the program stays our own child, and strace is no member of its group.
    prefix = [strace, "-DD", "-f", "-qq", "-o", str(log), "-e", "trace=%file", "-e", "signal=none"]
    probe = subprocess.run([*prefix, "true"], capture_output=True, text=True, timeout=DEADLINE, check=False)
    if probe.returncode != 0:
        missing(f"strace cannot trace here: {probe.stderr.strip()}")
    (jail := tmp_path / "jail").mkdir()
    with forking(pki, "--chroot", jail, prefix=prefix) as (_process, port), conversation(port, pki) as client:
        assert client.noop()[0] == 250
    calls = [line.split(maxsplit=1)[1] for line in log.read_text().splitlines()]
    [at] = [n for n, call in enumerate(calls) if call.startswith("chroot(")]
    assert not [call for call in calls[at:] if call.startswith("open")]


@pytest.mark.parametrize("flags", [["--user", "no-such-user"], ["--chroot", "/no/such/directory"]])
def test_fork_does_not_stay_root(flags: list[str], pki: Paths) -> None:
    require_root()
    result = run("fork", pki.leaf, pki.leaf_key, 0, *flags)
    assert result.returncode == 1 and result.stderr.startswith("fork: "), f"{result}"


# -- alarm ---------------------------------------------------------------------------------------------------


def test_alarm(pki: Paths, tmp_path: Path) -> None:
    with Serve("c", pki, tmp_path / "mail") as server:
        result = run("alarm", server.host, server.port, 10, pki.ca, NAME)
    assert (result.returncode, result.stderr) == (0, ""), f"{result}"
    assert result.stdout.startswith(f"tls: {TLS13}")
    assert server.stderr == []


def catches(process: int, number: signal.Signals) -> bool:
    """Whether it has a handler for this signal (proc(5))."""
    [mask] = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize(
    ("replies", "where"),
    [
        ([b""], "waiting for the greeting"),
        ([b"220 hello\r\n"], "waiting for the reply to EHLO"),
        ([b"220 hello\r\n", b"250-hello\r\n250 STARTTLS\r\n"], "starting TLS"),
        ([b"220 hello\r\n", b"250-hello\r\n250 STARTTLS\r\n", b"220 go\r\n"], "starting TLS"),
    ],
    ids=["greeting", "hello", "starttls", "handshake"],
)
def test_alarm_gives_up_on_a_silent_server(replies: list[bytes], where: str, pki: Paths) -> None:
    """SIGUSR1 only ends a wait, and the next one begins; the alarm ends them all."""
    with Script(*replies) as server:
        argv = [*program("c", "alarm"), "127.0.0.1", str(server.port), "3", str(pki.ca)]
        begun = time.monotonic()
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as client:
            assert client.stderr is not None
            assert server.silent.wait(DEADLINE)
            wait_until(lambda: catches(client.pid, signal.SIGUSR1), "alarm to catch its signals")
            time.sleep(0.3)  # the last step to the wait that counts
            client.send_signal(signal.SIGUSR1)
            assert client.stderr.readline() == f"alarm: a signal came; still {where}\n"
            assert client.stderr.readline() == f"alarm: gave up after 3 seconds {where}\n"
            assert client.wait(DEADLINE) == 1
        assert 2.5 < time.monotonic() - begun < DEADLINE


def test_alarm_without_starttls(pki: Paths) -> None:
    with Script(b"220 hello\r\n", b"250 hello\r\n", b"221 bye\r\n") as server:
        result = run("alarm", "127.0.0.1", server.port, 10, pki.ca)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("alarm: SMTPTLS_ERR_NOT_OFFERED "), f"{result}"


def test_alarm_and_a_stranger(pki: Paths, tmp_path: Path) -> None:
    with Serve("c", pki, tmp_path / "mail") as server:
        result = run("alarm", server.host, server.port, 10, pki.wrongca, NAME)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("alarm: SMTPTLS_ERR_CERT_UNTRUSTED starting TLS: "), f"{result}"
    assert server.stderr == []  # RFC 3207 section 4.1: it heard QUIT


# -- submit --------------------------------------------------------------------------------------------------


def fingerprint(cert: Path) -> str:
    return "sha256:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert(cert.read_text())).hexdigest()


def submit(port: int, *flags: object, text: bytes = MESSAGE, password: str | None = PASSWORD) -> Result:
    login = {"SUBMIT_USER": USER, "SUBMIT_PASSWORD": password} if password is not None else {}
    return run("submit", "127.0.0.1", port, SENDER, RECIPIENT, *flags, text=text, extra=login)


@pytest.fixture
def tls(pki: Paths) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    return context


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize("trust", ["ca", "fingerprint"])
def test_submit(implicit: bool, trust: str, pki: Paths, tls: ssl.SSLContext) -> None:
    flags: list[object] = ["--tls"] if implicit else []
    flags += ["--ca", pki.ca] if trust == "ca" else ["--fingerprint", fingerprint(pki.leaf)]
    with submission(tls, implicit=implicit) as server:
        result = submit(server.port, *flags)
    assert (result.returncode, result.stderr) == (0, ""), f"{result}"
    assert result.stdout.startswith(f"tls: {TLS13_OPENSSL}")
    assert server.messages == [MESSAGE.replace(b"\n", b"\r\n")]
    assert server.logins == [("PLAIN", True)]


def test_submit_to_serve(pki: Paths, tmp_path: Path) -> None:
    with Serve("c", pki, tmp_path / "mail") as server:
        result = submit(server.port, "--ca", pki.ca, password=None)
        assert (result.returncode, result.stderr) == (0, ""), f"{result}"
        [mail] = server.wait_mail()
    assert mail.replace(b"\r\n", b"\n").endswith(MESSAGE)
    assert server.stderr == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize("trust", ["ca", "fingerprint"])
def test_submit_gives_no_password_to_a_stranger(
    implicit: bool, trust: str, pki: Paths, tls: ssl.SSLContext
) -> None:
    flags: list[object] = ["--tls"] if implicit else []
    flags += ["--ca", pki.wrongca] if trust == "ca" else ["--fingerprint", fingerprint(pki.rsa)]
    with submission(tls, implicit=implicit) as server:
        result = submit(server.port, *flags)
    assert (result.returncode, result.stdout) == (1, ""), f"{result}"
    assert result.stderr.startswith("submit: TLS: "), f"{result}"
    assert (server.messages, server.logins) == ([], [])


def test_submit_with_a_wrong_password(pki: Paths, tls: ssl.SSLContext) -> None:
    with submission(tls) as server:
        result = submit(server.port, "--ca", pki.ca, password="wrong")
    assert result.returncode == 1 and result.stderr.startswith("submit: AUTH: 535 "), f"{result}"
    assert (server.messages, server.logins) == ([], [("PLAIN", False)])


def test_submit_shows_what_a_server_says_without_what_a_terminal_would_obey(pki: Paths) -> None:
    with Script(b"554 \x1b[2Jno\x07\xff\r\n") as server:
        result = submit(server.port, "--ca", pki.ca)
    assert (result.returncode, result.stderr) == (1, "submit: greeting: 554 ?[2Jno????\n"), f"{result}"


@pytest.mark.parametrize("at", [3, 4])
def test_submit_lets_no_address_end_its_command(at: int, pki: Paths, tls: ssl.SSLContext) -> None:
    argv: list[object] = ["submit", "127.0.0.1", 0, SENDER, RECIPIENT, "--ca", pki.ca]
    argv[at] = "x@example.test>\r\nRSET\r\nMAIL FROM:<x@example.test"
    with submission(tls) as server:
        argv[2] = server.port
        login = {"SUBMIT_USER": USER, "SUBMIT_PASSWORD": PASSWORD}
        result = run(*argv, text=MESSAGE, extra=login)  # type: ignore[arg-type]
    assert result.returncode == 1 and "end of a line" in result.stderr, f"{result}"
    assert server.messages == []
