"""smtptls check with many targets: files of them, order, limits, the state file, interruption."""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import many_hosts
import pytest
from commands import CLEAN, DEADLINE, Ran, command, hears, one_line, running, server, smtptls
from many_hosts import Hosts, Serve, address, hosts
from smtptls.cli import batch, pool, targets
from smtptls.cli.exits import Exit, Stop
from smtptls.cli.forms import Printer
from smtptls.cli.gate import Gate
from smtptls.cli.main import main
from smtptls.cli.state import State
from smtptls.cli.tally import Result

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

CHECK = ("check", "--ca", "none", "--level", "encrypt")
BOM = b"\xef\xbb\xbf"


@pytest.fixture(autouse=True)
def hears_interrupts() -> Iterator[None]:
    """A shell that starts the tests in the background has SIGINT ignored in them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def fine(pki: Any) -> Serve:
    return server(pki.leaf, pki.leaf_key)


def lines(ran: Ran) -> list[tuple[str, int]]:
    """Of --jsonl: the targets, and the exit code of each."""
    found = [json.loads(line) for line in ran.out.splitlines()]
    return [(one["target"], one["exit"]) for one in found]


def listed(there: Hosts, *numbers: int) -> bytes:
    return "".join(f"{there.target(number)}\n" for number in numbers).encode()


# Targets from a file.


def test_a_file(fine: Serve, tmp_path: Path) -> None:
    path = tmp_path / "targets"
    with hosts({0: fine, 1: many_hosts.bare, 2: fine}) as there:
        zero, one, two = (there.target(number).encode() for number in range(3))
        path.write_bytes(
            BOM + b"# all\n\n  " + one + b"  # bare\r\n\t\n" + two + b" #\n#" + zero + b"\n" + one
        )
        ran = smtptls(*CHECK, "--jsonl", there.target(0), "-f", path)
        assert lines(ran) == [(there.target(number), number % 2) for number in (0, 1, 2, 1)]
        assert (ran.code, ran.err) == (1, "")
        piped = smtptls(*CHECK, "--jsonl", "-f", "-", stdin=two)
        assert lines(piped) == [(there.target(2), 0)] and piped.code == 0


@pytest.mark.parametrize(
    ("content", "number", "said"),
    [
        (b"two words\n", 2, "two words: not a target"),
        (b"a.example.test:25 --level may\n", 2, "not a target"),
        (b"\n# comment\na.example.test:0\n", 4, "a port is from 1 to 65535"),
        (b"a..b:25\n", 2, '"a..b" is neither a host name nor an IP address'),
        (b"a\x07b:25\n", 2, '"a\\x07b" is neither'),
        (b"\x1b[31mred\n", 2, "\\x1b[31mred: not a target"),
        (b"example.test\n", 2, "the MX hosts of example.test are not known"),
        (b"\xff.example.test:25\n", 2, "the line is not UTF-8"),
        (b"x" * 1025 + b"\n", 2, "the line has more than 1024 octets"),
        (b"x" * 1_000_000, 2, "the line has more than 1024 octets"),
    ],
)
def test_a_line_that_is_no_target(
    content: bytes, number: int, said: str, fine: Serve, tmp_path: Path
) -> None:
    path = tmp_path / "targets"
    with hosts({0: fine}) as there:
        path.write_bytes(listed(there, 0) + content)
        ran = smtptls(*CHECK, "--dns", "off", "-f", path)
        assert ran.code == 2
        assert one_line(ran).startswith(f"{path}:{number}: ") and said in ran.err and len(ran.err) < 500
        assert one_line(smtptls(*CHECK, "--dns", "off", "-f", "-", stdin=path.read_bytes())).startswith(
            f"standard input:{number}: "
        )
        assert not there.sessions  # before anything is asked


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nowhere/targets", "cannot read /nowhere/targets: No such file or directory"),
        ("/", "cannot read /: Is a directory"),
        ("/dev/null", "/dev/null: no targets in it"),
        ("/dev/zero", "/dev/zero:1: the line has more than 1024 octets"),
    ],
)
def test_what_is_no_list(path: str, said: str) -> None:
    ran = smtptls(*CHECK, "-f", path)
    assert ran.code == 2 and one_line(ran).startswith(said)


def test_standard_input_is_closed() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" <&-', "sh", *command(*CHECK, "-f", "-")],
        capture_output=True, timeout=60, env=CLEAN, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, b"smtptls: standard input is closed\n")


def test_more_targets_than_are_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(targets, "MOST", 2)
    path = tmp_path / "targets"
    path.write_text("a.example.test:25\n" * 3)
    assert main([*CHECK, "-f", str(path)]) == 2
    assert capsys.readouterr().err == f"smtptls: {path}:3: more than 2 targets: split the file\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("-j", "0"), ("-j", "1025"), ("-j", "x"), ("-j", "9" * 5000), ("--per-host", "0"), ("--rate", "0"),
        ("--rate", "nan"), ("--rate", "-1"), ("--rate", "inf"), ("--progress", "yes"), ("--csv", "--json"),
    ],
)  # fmt: skip
def test_numbers_that_are_none(arguments: tuple[str, ...]) -> None:
    ran = smtptls(*CHECK, "localhost:1", *arguments)
    assert ran.code == 2 and len(one_line(ran)) < 6000


# Order, and limits.


@pytest.mark.parametrize("order", [(), ("--unordered",)])
def test_the_order(order: tuple[str, ...], fine: Serve) -> None:
    others_are_done = threading.Event()
    seen = threading.Semaphore(0)

    def first(connection: socket.socket) -> None:
        assert others_are_done.wait(DEADLINE)
        fine(connection)

    def other(connection: socket.socket) -> None:
        fine(connection)
        seen.release()

    with hosts({0: first, 1: other, 2: other}) as there:
        with running(*CHECK, "--jsonl", "-j", "2", "-f", "-", *order, stdin=subprocess.PIPE) as process:
            assert process.stdin and process.stdout
            process.stdin.write(listed(there, 0, 1, 2))
            process.stdin.close()
            for _ in range(2):
                assert seen.acquire(timeout=DEADLINE)
            early = [process.stdout.readline() for _ in range(2 if order else 0)]
            others_are_done.set()
            found = [json.loads(line)["target"] for line in [*early, *process.stdout]]
            assert process.wait(DEADLINE) == 0
        assert sorted(found) == sorted(there.target(number) for number in range(3))
        assert found.index(there.target(0)) == (2 if order else 0)


class Together:
    """Servers that greet once as many clients as may were there, and one too many had time to come."""

    def __init__(self, fine: Serve, limit: int) -> None:
        self.fine = fine
        self.limit = limit
        self.now = self.most = 0
        self.changed = threading.Condition()

    def __call__(self, connection: socket.socket) -> None:
        # Who is not greeted is in a session for certain.
        with self.changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.limit, DEADLINE)
            self.changed.wait_for(lambda: self.most > self.limit, 0.2)
            self.now -= 1
        self.fine(connection)


def test_so_many_at_once(fine: Serve) -> None:
    together = Together(fine, 4)
    with hosts({number: together for number in range(8)}) as there:
        ran = smtptls(*CHECK, "-q", "-j", "4", "-f", "-", stdin=listed(there, *range(8)))
        assert ran.code == 0 and together.most == 4


@pytest.mark.parametrize("limit", [1, 3])
def test_so_many_at_once_with_a_host(limit: int, fine: Serve) -> None:
    together = Together(fine, limit)
    with hosts({0: together}) as there:
        names = [f"mx{number}.example.test" for number in range(6)]
        resolved = [part for name in names for part in ("--resolve", f"{name}:25:{address(0)}:{there.port}")]
        # By name, and as one host under several names.
        for each in ([there.target(0)] * 6, [f"{name}:25" for name in names]):
            together.most = 0
            ran = smtptls(*CHECK, "-q", "--per-host", limit, *resolved, *each)
            assert ran.code == 0 and together.most == limit


def test_who_waits_has_all_the_time_that_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fine: Serve
) -> None:
    """Neither --deadline nor the time that is told goes by what other targets take."""
    session = Gate.session

    @contextlib.contextmanager
    def late(self: Gate, addresses: Any) -> Iterator[float]:
        with session(self, addresses) as waited:
            began = time.monotonic()
            time.sleep(2.0)
            yield waited + time.monotonic() - began

    monkeypatch.setattr(Gate, "session", late)
    names = ("example.test", "--mx", f"{address(0)}:1", "--mx", f"{address(0)}:2")
    with hosts({0: fine}) as there:
        assert main([*CHECK, "--jsonl", "--port", str(there.port), "--deadline", "1.9", *names]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [host["exit"] for host in found["hosts"]] == [0, 0] and found["elapsed_ms"] < 1900


def test_a_host_that_is_busy_is_passed_over(fine: Serve) -> None:
    other_is_done = threading.Event()

    def first(connection: socket.socket) -> None:
        assert other_is_done.wait(DEADLINE)
        fine(connection)

    def other(connection: socket.socket) -> None:
        fine(connection)
        other_is_done.set()

    with hosts({0: first, 1: other}) as there:
        ran = smtptls(*CHECK, "-q", "-j", "2", *[there.target(0)] * 4, there.target(1))
        assert ran.code == 0


def test_a_target_that_takes_long_holds_up_the_others_in_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fine: Serve
) -> None:
    """What waits for it, to be printed behind it, does not fill the memory."""
    monkeypatch.setattr(batch, "HELD", 4)
    until = threading.Event()

    def first(connection: socket.socket) -> None:
        assert until.wait(DEADLINE)
        fine(connection)

    with hosts({number: fine if number else first for number in range(10)}) as there:
        arguments = [*CHECK, "--jsonl", "-j", "3", *map(there.target, range(10))]
        codes: list[int] = []
        worker = threading.Thread(target=lambda: codes.append(main(arguments)))
        worker.start()
        by = time.monotonic() + DEADLINE
        while len(there.sessions) < 4 and time.monotonic() < by:
            time.sleep(0.01)
        time.sleep(0.5)
        assert set(there.sessions) == set(map(address, range(4)))
        until.set()
        worker.join(DEADLINE)
    found = [json.loads(line)["target"] for line in capsys.readouterr().out.splitlines()]
    assert codes == [0] and found == [there.target(number) for number in range(10)]


def test_who_does_not_read_holds_up_the_targets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fine: Serve
) -> None:
    monkeypatch.setattr(batch, "HELD", 4)
    until = threading.Event()
    put = Printer.print

    def late(self: Printer, text: str) -> None:
        assert until.wait(DEADLINE)
        put(self, text)

    monkeypatch.setattr(Printer, "print", late)
    with hosts({number: fine for number in range(10)}) as there:
        arguments = [*CHECK, "--jsonl", "--unordered", "-j", "3", *map(there.target, range(10))]
        codes: list[int] = []
        worker = threading.Thread(target=lambda: codes.append(main(arguments)))
        worker.start()
        by = time.monotonic() + DEADLINE
        while len(there.sessions) < 4 and time.monotonic() < by:
            time.sleep(0.01)
        time.sleep(0.5)
        assert len(there.sessions) == 4
        until.set()
        worker.join(DEADLINE)
    assert codes == [0] and len(capsys.readouterr().out.splitlines()) == 10


def test_a_rate(fine: Serve) -> None:
    with hosts({number: fine for number in range(6)}) as there:
        assert smtptls(*CHECK, "-q", "--rate", "5/s", "-f", "-", stdin=listed(there, *range(6))).code == 0
        # Five times a fifth of a second, less what the first may have waited for this process.
        assert there.starts[-1] - there.starts[0] > 0.5


def test_the_first_failure_is_the_end(fine: Serve) -> None:
    until = threading.Event()
    with hosts({0: fine, 1: many_hosts.silent(until), 2: many_hosts.bare, 3: fine}) as there:
        ran = smtptls(*CHECK, "--jsonl", "-j", "1", "--fail-fast", "-f", "-", stdin=listed(there, 0, 2, 3))
        assert lines(ran) == [(there.target(0), 0), (there.target(2), 1)] and ran.code == 1
        # What goes on does not hold it up.
        began = time.monotonic()
        ran = smtptls(*CHECK, "--jsonl", "--timeout", "60", "--fail-fast", there.target(1), there.target(2))
        assert lines(ran) == [(there.target(2), 1)] and ran.code == 1
        assert time.monotonic() - began < 20
        until.set()


# The state file.


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@contextlib.contextmanager
def begun(fine: Serve, state: Path) -> Iterator[Hosts]:
    """A run of which the first two targets are finished: one failed, one is fine."""
    with hosts({0: many_hosts.bare, 1: fine, 2: fine, 3: fine}) as there:
        ran = smtptls(*CHECK, "--jsonl", "--resume", state, "-f", "-", stdin=listed(there, 0, 1))
        assert ran.code == 1
        yield there


def resumed(there: Hosts, state: Path, *numbers: int, more: tuple[str, ...] = ()) -> Ran:
    return smtptls(*CHECK, "--jsonl", "--resume", state, *more, "-f", "-", stdin=listed(there, *numbers))


def test_the_rest_is_done_and_all_is_told(fine: Serve, state: Path) -> None:
    with begun(fine, state) as there:
        before = state.read_bytes()
        ran = resumed(there, state, 3, 1, 0, 2)
        assert lines(ran) == [(there.target(number), int(number == 0)) for number in (3, 1, 0, 2)]
        assert ran.code == 1  # by what was found before
        assert dict(there.sessions) == {address(number): 1 for number in range(4)}
        assert state.read_bytes().startswith(before)
        # Nothing is left to do, and a target that the list has no more is not told.
        again = resumed(there, state, 1, 2)
        assert again.code == 0 and lines(again) == [(there.target(1), 0), (there.target(2), 0)]
        assert resumed(there, state, 3, 1, 0, 2, more=("--unordered", "-j", "2", "--rate", "9")).code == 1
        assert there.sessions.total() == 4


def test_a_target_that_is_listed_twice_is_done_twice(fine: Serve, state: Path) -> None:
    with begun(fine, state) as there:
        assert len(lines(resumed(there, state, 1, 1, 1))) == 3
        assert there.sessions[address(1)] == 3


def test_a_line_that_was_cut_short(fine: Serve, state: Path) -> None:
    with begun(fine, state) as there:
        whole = state.read_bytes()
        for cut in (1, len(whole.splitlines()[-1])):
            state.write_bytes(whole[:-cut])
            there.sessions.clear()
            assert len(lines(resumed(there, state, 0, 1))) == 2
            assert there.sessions.total() == 1
            assert len(state.read_bytes().splitlines()) == 3 and state.read_bytes().endswith(b"\n")
            assert len(lines(resumed(there, state, 0, 1))) == 2 and there.sessions.total() == 1
        # Of a run that was killed as it began.
        head = whole.splitlines()[0]
        for start in (b"", head[:20], head):
            state.write_bytes(start)
            assert len(lines(resumed(there, state, 0, 1))) == 2
            assert len(state.read_bytes().splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--level", "may"), "--level was encrypt, and is may"),
        (("--timeout", "7"), "--timeout was 30.0, and is 7.0"),
        (("--csv",), "the form of the output was jsonl, and is csv"),
        (("--tlsa", "3 1 1 " + "00" * 32, "--dnssec", "secure"), "--tlsa was not given, and is 3 1 1 0000"),
    ],
)
def test_other_options(options: tuple[str, ...], said: str, fine: Serve, state: Path) -> None:
    with begun(fine, state) as there:
        before = state.read_bytes()
        arguments = [part for part in (*CHECK, "--jsonl") if options != ("--csv",) or part != "--jsonl"]
        ran = smtptls(*arguments, "--resume", state, *options, there.target(0))
        assert ran.code == 2 and said in one_line(ran) and str(state) in ran.err
        assert state.read_bytes() == before


def test_the_same_file_with_another_policy(fine: Serve, state: Path) -> None:
    policy = b"version: STSv1\nmode: enforce\nmx: *.example.test\nmax_age: 604800\n"
    with hosts({0: fine}) as there:
        arguments = (*CHECK, "--jsonl", "--sts", "-", "--resume", state, *[there.target(0)] * 2)
        # It is read once, for all targets.
        assert len(lines(smtptls(*arguments, stdin=policy))) == 2
        assert len(lines(smtptls(*arguments, stdin=policy))) == 2
        ran = smtptls(*arguments, stdin=policy.replace(b"enforce", b"testing"))
        assert ran.code == 2 and "the policy of --sts was version: STSv1\\nmode: enf" in one_line(ran)
        ran = smtptls(*CHECK, "--sts", "-", "-f", "-", stdin=policy)
        assert ran.code == 2 and "standard input is either the targets" in one_line(ran)


@pytest.mark.parametrize(
    "content", [b"mx.example.test:25\n", b"{}\n", b"[1]\n", b"x", b"\0" * 100, b"{" * 999]
)
def test_a_file_that_is_no_state(content: bytes, state: Path) -> None:
    state.write_bytes(content)
    ran = smtptls(*CHECK, "--resume", state, "localhost:1")
    assert ran.code == 2
    assert one_line(ran) == f"{state} is no state file of smtptls check, and is left as it is"
    assert state.read_bytes() == content


def test_a_state_that_is_damaged(fine: Serve, state: Path) -> None:
    with begun(fine, state) as there:
        head, first, second = state.read_bytes().splitlines(keepends=True)
        other = first.rstrip().replace(b'"has_warnings": false', b'"has_warnings": 7')
        for bad in (b"", b"{}", b"[" * 100_000, first[: len(first) // 2], b'{"exit": 9}', other):
            state.write_bytes(head + first + bad + b"\n" + second)
            ran = resumed(there, state, 0, 1)
            assert ran.code == 2 and one_line(ran).startswith(f"{state}:3: not a result: take the line out")


def test_a_state_that_another_run_has(fine: Serve, state: Path) -> None:
    with begun(fine, state) as there, open(state, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ran = resumed(there, state, 0)
        assert ran.code == 2 and one_line(ran) == f"{state} is in use by another run"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nowhere/state", "cannot use /nowhere/state: No such file or directory"),
        ("/", "cannot use /: Is a directory"),
        ("/dev/null", "/dev/null is no regular file, and cannot keep a state"),
    ],
)
def test_what_cannot_keep_a_state(path: str, said: str) -> None:
    ran = smtptls(*CHECK, "--resume", path, "localhost:1")
    assert ran.code == 2 and one_line(ran) == said


def test_the_disk_is_full(fine: Serve, state: Path) -> None:
    """What is in the state file is good up to where the disk was full."""
    with begun(fine, state) as there:
        size = state.stat().st_size
        resume = command(*CHECK, "--jsonl", "--resume", state, "-f", "-")
        done = subprocess.run(
            # In units of 512 octets; Python ignores SIGXFSZ, and hears that the file is too large.
            ["/bin/sh", "-c", f'ulimit -f {size // 512 + 1}; "$@"', "sh", *resume],
            input=listed(there, 0, 1, 2, 3), capture_output=True, timeout=60, env=CLEAN, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr.decode() == f"smtptls: cannot write {state}: File too large\n"
        ran = resumed(there, state, 0, 1, 2, 3)
        assert ran.code == 1 and len(lines(ran)) == 4


def test_nothing_follows_a_line_that_could_not_be_written(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = argparse.Namespace(level="may")
    kept = State(str(state), options)
    before = state.read_bytes()
    result = Result("a.example.test:25", Exit.OK, False, "", None, 0.0, "")

    class Full:
        def write(self, line: bytes) -> int:
            state.write_bytes(before + line[:9])
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(kept, "_writer", Full())
        with pytest.raises(Stop, match="No space left"):
            kept.add(result)
    kept.add(result)
    kept.close()
    assert state.read_bytes() == before + b'{"target"'
    again = State(str(state), options)
    assert again.recorded(["a.example.test:25"]) == {} and state.read_bytes() == before
    again.close()


def test_killed(fine: Serve, state: Path) -> None:
    until = threading.Event()
    with hosts({0: fine, 1: many_hosts.silent(until), 2: many_hosts.bare}) as there:
        arguments = (*CHECK, "--jsonl", "--resume", state, "--timeout", "60", *map(there.target, range(3)))
        with running(*arguments) as process:
            assert process.stdout
            first = process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            process.wait(DEADLINE)
        until.set()
        ran = smtptls(*arguments)
        assert lines(ran) == [(there.target(0), 0), (there.target(1), 3), (there.target(2), 1)]
        assert ran.out.encode().startswith(first) and there.sessions[address(0)] == 1


# The end, early.


def test_interrupted_while_all_wait() -> None:
    until = threading.Event()
    with hosts({number: many_hosts.silent(until) for number in range(8)}) as there:
        with running(*CHECK, "-j", "8", "--timeout", "60", *map(there.target, range(8))) as process:
            by = time.monotonic() + DEADLINE
            while len(there.sessions) < 8 and time.monotonic() < by:
                time.sleep(0.01)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=DEADLINE)
            assert time.monotonic() - sent < 10
        assert process.returncode == 130 and err == b"smtptls: interrupted\n"
        assert out.startswith(b"0 of 8 targets: 0 ok, 0 fail, 0 undecided in ")
        until.set()


def test_an_interrupt_cuts_nothing_in_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fine: Serve, state: Path
) -> None:
    """What is kept is printed, wherever the signal comes."""
    add = State.add

    def interrupted(self: State, result: Result) -> None:
        add(self, result)
        if result.target == there.target(0):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(State, "add", interrupted)
    with hosts({0: fine, 1: fine}) as there:
        arguments = [*CHECK, "-j", "1", "--jsonl", "--resume", str(state), there.target(0), there.target(1)]
        assert main(arguments) == 130
    printed = [json.loads(line)["target"] for line in capsys.readouterr().out.splitlines()]
    kept = [json.loads(line)["target"] for line in state.read_text().splitlines()[1:]]
    assert printed == kept and there.target(0) in kept


def test_interrupted_while_connecting() -> None:
    """A connection that nobody answers is given up at once too."""
    with socket.create_server((address(0), 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        with contextlib.ExitStack() as stack:
            # The queue is full, and what comes now is not answered.
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex((address(0), port))
            with running(*CHECK, "--connect-timeout", "60", f"{address(0)}:{port}") as process:
                time.sleep(1.5)  # by now it connects
                sent = time.monotonic()
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=DEADLINE)
                assert time.monotonic() - sent < 10
            assert (process.returncode, out, err) == (130, b"", b"smtptls: interrupted\n")


STUCK = """
import os, socket, sys, time
def getaddrinfo(*_, **__):
    os.write(2, b"*")
    time.sleep(60)
socket.getaddrinfo = getaddrinfo
from smtptls.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_interrupted_while_the_name_service_is_silent() -> None:
    """Nothing can end such a call, and nobody waits for it."""
    arguments = (*CHECK, "a.example.test:25", "b.example.test:25")
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-X", "dev", "-c", STUCK, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN, preexec_fn=hears,
    ) as process:  # fmt: skip
        assert process.stderr
        assert process.stderr.read(2) == b"**"
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 130
        assert time.monotonic() - sent < 15
        assert process.stderr.read() == b"smtptls: interrupted\n"


def test_a_closed_stdout_is_the_end(fine: Serve) -> None:
    closed = threading.Event()

    def later(connection: socket.socket) -> None:
        assert closed.wait(DEADLINE)
        fine(connection)

    with hosts({number: later if number else fine for number in range(20)}) as there:
        with running(*CHECK, "--jsonl", "-j", "1", *map(there.target, range(20))) as process:
            assert process.stdout and process.stderr
            process.stdout.readline()
            process.stdout.close()
            closed.set()
            assert process.stderr.read() == b""
            # All that was asked is fine, and what was not is not decided.
            assert process.wait(DEADLINE) == 3
        assert len(there.sessions) < 10


def test_a_bug_ends_the_batch_and_not_what_was_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fine: Serve
) -> None:
    from smtptls.cli import check

    probe = check.probe

    def fail(config: Any, policy: Any, about: str, *rest: Any) -> Any:
        if about == address(1):
            raise RuntimeError("oh no")
        return probe(config, policy, about, *rest)

    monkeypatch.setattr(check, "probe", fail)
    until = threading.Event()
    with hosts({0: fine, 3: many_hosts.silent(until)}) as there:
        code = main([*CHECK, "-j", "2", "--jsonl", *(there.target(number) for number in (3, 0, 1, 2))])
        said = capsys.readouterr()
        assert code == 70 and "RuntimeError" in said.err and len(said.err.splitlines()) == 1
        assert [json.loads(line)["target"] for line in said.out.splitlines()] == [there.target(0)]
        # Nobody is left behind who would go on.
        assert not [thread for thread in threading.enumerate() if thread.name == pool.NAME]
        until.set()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
