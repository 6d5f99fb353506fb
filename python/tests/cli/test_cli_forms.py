"""The forms of what smtptls check prints, of one target and of many; and how far it is, on a terminal."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
from pathlib import Path
from typing import Any

import many_hosts
import pytest
from commands import CLEAN, DEADLINE, NAME, command, one_line, peer, running, server, smtptls
from many_hosts import Serve, hosts
from smtptls.cli.exits import Exit
from smtptls.cli.forms import COLUMNS, cell
from smtptls.cli.progress import Bar, brief_span
from smtptls.cli.tally import Tally, span

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

CHECK = ("check", "--ca", "none", "--level", "encrypt")


@pytest.fixture
def fine(pki: Any) -> Serve:
    return server(pki.leaf, pki.leaf_key)


# CSV.


def rows(text: str) -> list[dict[str, str]]:
    assert text.splitlines()[0] == ",".join(COLUMNS)
    found = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert all(None not in row and None not in row.values() for row in found)  # as many cells as columns
    return found


def test_a_row_for_each_host(good: int, pki: Any) -> None:
    with peer(server(pki.other, pki.other_key)) as other:
        ran = smtptls(
            "check", "example.test", "--csv", "--ca", pki.ca, "--level", "verify",
            "--mx", f"{NAME}:10", "--mx", "b.example.test:20",
            "--resolve", f"{NAME}:25:127.0.0.1:{good}", "--resolve", f"b.example.test:25:127.0.0.1:{other}",
        )  # fmt: skip
    assert ran.code == 1 and not ran.err
    first, second = rows(ran.out)
    expected = {
        "target": "example.test", "host": NAME, "port": "25", "address": "127.0.0.1", "result": "OK",
        "level": "verify", "action": "deliver", "auth": "pkix", "why": "", "starttls": "offered",
        "tls": "TLSv1.3", "trusted": "true", "name_matched": "true", "warnings": "", "errors": "",
    }  # fmt: skip
    assert first | expected == first
    assert first["names"].startswith(f"DNS:{NAME} ") and int(first["days_left"]) > 14
    expected = {"host": "b.example.test", "result": "FAIL", "why": "name-mismatch", "status": "4.7.5"}
    assert second | expected == second and "other.example.test" in second["message"]


def test_a_table_of_many(fine: Serve) -> None:
    with hosts({0: fine, 1: many_hosts.bare}) as there:
        wanted = [there.target(0), "localhost:1", there.target(1), there.target(0)]
        ran = smtptls(*CHECK, "--csv", *wanted)
        assert ran.code == 1
        found = [(row["target"], row["result"]) for row in rows(ran.out)]
        assert found == list(zip(wanted, ("OK", "UNDECIDED", "FAIL", "OK"), strict=True))


@pytest.mark.parametrize("text", ["=1+2", "+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}" and cell([text]) == f"'{text}"
    assert cell(f"x{text}") == f"x{text}"


def test_a_number_is_a_number() -> None:
    assert (cell(-3), cell(None), cell(True), cell("")) == (-3, None, "true", "")


# Nagios.

PERFORMANCE = r"(days=-?\d+;14:;0: )?time=\d+\.\d{3}s"


def nagios(*arguments: Any) -> tuple[int, str]:
    ran = smtptls("check", "--nagios", *arguments)
    assert not ran.err and len(ran.out.splitlines()) == 1 and ran.out.count("|") == 1
    text, numbers = ran.out.rstrip("\n").split(" | ")
    assert re.fullmatch(PERFORMANCE, numbers)
    return ran.code, text + (" days" if "days" in numbers else "")


def test_a_line_for_a_monitoring_system(good: int, pki: Any) -> None:
    at = f"localhost:{good}"
    verify = ("--ca", pki.ca, "--level", "verify", at)
    assert nagios(*verify) == (0, f"SMTPTLS OK - {at}: verified at level verify days")
    ran = smtptls("check", "--nagios", *verify, "--min-days", "400")
    assert ran.code == 1
    assert ran.out.startswith(f"SMTPTLS WARNING - {at}: verified at level verify (expiry) | days=")
    assert ";400:;0: time=" in ran.out
    code, text = nagios("--ca", pki.wrongca, "--level", "verify", at)
    assert code == 2 and text.startswith(f"SMTPTLS CRITICAL - {at}: untrusted: ")
    code, text = nagios("--ca", "none", "localhost:1")
    assert code == 3 and text.startswith(
        "SMTPTLS UNKNOWN - localhost:1: connect: no connection to localhost:1: "
    )
    code, text = nagios("--ca", "none", "unix:/nowhere/a|b")
    assert code == 3 and text.startswith("SMTPTLS UNKNOWN - unix:/nowhere/a/b: ")
    with peer(many_hosts.bare) as port:
        assert nagios("--ca", "none", f"localhost:{port}") == (
            1,
            f"SMTPTLS WARNING - localhost:{port}: clear at level may (plaintext)",
        )


def test_the_worst_of_several(fine: Serve) -> None:
    with hosts({0: fine, 1: many_hosts.refuses, 2: many_hosts.bare}) as there:
        good, busy, bare = (there.target(number) for number in range(3))
        encrypt = ("--ca", "none", "--level", "encrypt")
        code, text = nagios(*encrypt, good, busy, bare)
        assert code == 2 and text.startswith(
            "SMTPTLS CRITICAL - 3 targets, 1 critical, 1 unknown, 0 with warnings; "
            f"{bare}: starttls-not-offered: "
        )
        code, text = nagios(*encrypt, good, busy, good)
        assert code == 3 and text.startswith(
            "SMTPTLS UNKNOWN - 3 targets, 0 critical, 1 unknown, 0 with warnings; "
            f"{busy}: starttls-rejected: "
        )
        assert nagios("--ca", "none", good, bare) == (
            1,
            "SMTPTLS WARNING - 2 targets, 0 critical, 0 unknown, 1 with warnings; "
            f"{bare}: clear at level may (plaintext) days",
        )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("two words",), "two words: not a target"),
        (("localhost:1", "--ca", "/nowhere/ca.pem"), "/nowhere/ca.pem"),
        (("-f", "/nowhere/list"), "cannot read /nowhere/list"),
        (("a|b c",), "a/b c: not a target"),
    ],
)
def test_a_mistake_is_unknown_to_a_monitoring_system(arguments: tuple[str, ...], said: str) -> None:
    ran = smtptls("check", "--nagios", *arguments)
    assert ran.code == 3 and not ran.err and "|" not in ran.out
    assert ran.out.startswith("SMTPTLS UNKNOWN - ") and said in ran.out and ran.out.count("\n") == 1


# Text and JSON.


def test_the_end_line(fine: Serve) -> None:
    with hosts({0: fine, 1: many_hosts.bare, 2: many_hosts.refuses}) as there:
        every = [there.target(number) for number in range(3)]
        ran = smtptls(*CHECK, *every)
        *reports, end = ran.out.split("\n\n")
        assert [report.splitlines()[-1].split(" (")[0] for report in reports] == [
            f"{target}: {word}" for target, word in zip(every, ("OK", "FAIL", "UNDECIDED"), strict=True)
        ]
        assert re.fullmatch(r"3 targets: 1 ok, 1 fail, 1 undecided in \d+\.\d s\n", end)
        ran = smtptls("check", "--ca", "none", "--warnings-as-errors", every[0], every[1])
        assert ran.code == 4 and "2 targets: 1 ok, 1 warn, 0 fail, 0 undecided in " in ran.out
        assert " targets: " not in smtptls(*CHECK, every[0]).out
        assert smtptls(*CHECK, "-q", *every).out == ""


def test_a_line_comes_as_soon_as_it_is_there(fine: Serve) -> None:
    until = threading.Event()
    with (
        hosts({0: fine, 1: many_hosts.silent(until)}) as there,
        running(*CHECK, "--jsonl", there.target(0), there.target(1)) as process,
    ):
        assert process.stdout
        assert json.loads(process.stdout.readline())["target"] == there.target(0)
        until.set()
        assert json.loads(process.stdout.readline())["target"] == there.target(1)
        assert process.wait(DEADLINE) == 3


def test_one_document(fine: Serve, tmp_path: Path) -> None:
    with hosts({0: fine}) as there:
        ran = smtptls(*CHECK, "--json", "-f", "-", stdin=there.target(0).encode())
        assert json.loads(ran.out)["target"] == there.target(0)
        ran = smtptls(*CHECK, "--json", "-f", "-", there.target(0), stdin=there.target(0).encode())
        assert ran.code == 2 and "--jsonl" in one_line(ran)


def test_colour_and_a_state_file(fine: Serve, tmp_path: Path) -> None:
    """What is kept of one run is printed by another one as if it were its own."""
    with hosts({0: fine, 1: many_hosts.bare}) as there:
        each = [*CHECK, there.target(0), there.target(1)]
        plain, coloured = (smtptls(*each, "--color", when).out for when in ("never", "always"))
        assert "\x1b[" in coloured and "\x1b" not in plain
        kept = [
            smtptls(*each, "--color", when, "--resume", tmp_path / "state").out
            for when in ("never", "always", "never")
        ]
        assert there.sessions.total() == 6

        def same(text: str) -> str:
            return re.sub(r" in \d+\.\d s\n", "", text)

        assert [same(text) for text in kept] == [same(plain), same(coloured), same(plain)]


@pytest.mark.parametrize(
    ("seconds", "text", "brief"),
    [
        (0.04, "0.0 s", "1s"), (9.94, "9.9 s", "10s"), (59.4, "59 s", "1m00"), (59.6, "1 m 00 s", "1m00"),
        (192.2, "3 m 12 s", "3m13"), (3599.7, "1 h 00 m", "1h00"), (90_000, "25 h 00 m", "25h00"),
    ],
)  # fmt: skip
def test_a_time(seconds: float, text: str, brief: str) -> None:
    assert (span(seconds), brief_span(seconds)) == (text, brief)


# How far it is.


class Terminal:
    """A pseudoterminal of 80 columns, and what is written to it."""

    def __init__(self, columns: int = 80) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.came = b""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        try:
            while octets := os.read(self.ours, 65536):
                self.came += octets
        except OSError:
            pass  # nobody has it open any more

    def close(self) -> str:
        os.close(self.theirs)
        self.reader.join(DEADLINE)
        os.close(self.ours)
        return self.came.decode()


def screen(text: str, columns: int = 80) -> str:
    """The text that stands there in the end, and a failure where a bar would not have fit."""
    lines, line = [], ""
    for part in re.findall(r"\r\n|\r|\x1b\[K|\x1b\[\d+m|[^\r\x1b]+", text):
        if part == "\r\n":
            lines.append(line)
        if part in ("\r\n", "\r"):
            line = ""
        elif part[0] != "\x1b":
            line += part
            assert len(line) < columns or not line.startswith("["), line
    return "\n".join(lines) + ("\n" if lines else "") + line


def on_a_terminal(*arguments: Any, env: dict[str, str] | None = None, **ends: Any) -> tuple[str, bytes, int]:
    """What a run writes to a terminal, and to stdout where that is none; and its exit code."""
    terminal = Terminal(ends.pop("columns", 80))
    try:
        done = subprocess.run(
            command(*arguments),
            stdin=subprocess.DEVNULL, stderr=terminal.theirs,
            stdout=terminal.theirs if ends.pop("both", False) else subprocess.PIPE,
            env=CLEAN | {"TERM": "xterm"} | (env or {}), timeout=60, check=False,
        )  # fmt: skip
    finally:
        text = terminal.close()
    return text, done.stdout or b"", done.returncode


BAR = re.compile(r"\[(=*>? *)\] (\d+)/(\d+)  ok (\d+) fail (\d+) \?(\d+)(  eta \S+)?")


def test_a_bar(fine: Serve) -> None:
    late = many_hosts.slow(fine, 0.3)
    with hosts(
        {0: late, 1: many_hosts.slow(many_hosts.bare, 0.6), 2: late, 3: many_hosts.slow(fine, 0.9)}
    ) as there:
        each = [there.target(number) for number in range(4)]
        text, out, code = on_a_terminal(*CHECK, "--jsonl", *each)
        assert code == 1 and len(out.splitlines()) == 4
        assert screen(text) == ""  # it is taken away in the end
        drawn = [part.removesuffix("\x1b[K") for part in text.split("\r") if part != "\x1b[K"][1:]
        bars = [BAR.fullmatch(bar) for bar in drawn]
        assert len(bars) >= 3 and all(bars), drawn
        counts = [tuple(map(int, bar.groups()[1:6])) for bar in bars if bar]
        assert counts[0] == (0, 4, 0, 0, 0) and counts[-1][0] >= 2
        assert counts == sorted(counts)
        assert all(done == ok + fail + unknown for done, _, ok, fail, unknown in counts)
        lengths = [len(bar[1]) for bar in bars if bar]
        assert set(lengths) == {40}
        assert drawn[-1].count("=") == 40 * counts[-1][0] // 4
        assert "eta" in drawn[-1] and "eta" not in drawn[0]
        # Elsewhere a narrow terminal: the numbers alone.
        text, _, _ = on_a_terminal(*CHECK, "--jsonl", *each, columns=30)
        assert "[=" not in text and "0/4  ok 0 fail 0 ?0" in text and screen(text, 30) == ""


def test_results_and_a_bar_on_one_terminal(fine: Serve) -> None:
    late = many_hosts.slow(fine, 0.3)
    with hosts({0: late, 1: many_hosts.bare, 2: late}) as there:
        each = [there.target(number) for number in range(3)]
        text, _, code = on_a_terminal(*CHECK, *each, both=True)
        assert code == 1 and "\r[" in text and "\x1b[32m" in text

        def same(said: str) -> str:
            return re.sub(r" in \d+\.\d s\n", "", said)

        assert same(screen(text)) == same(smtptls(*CHECK, *each).out)


def drawn(text: str) -> bool:
    return "\r" in text.replace("\r\n", "") or "\x1b[K" in text


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("-q",), {}),
        (("--progress", "never"), {}),
        ((), {"TERM": "dumb"}),
        (("--progress", "always", "-q"), {}),
    ],
)
def test_no_bar_on_a_terminal(arguments: tuple[str, ...], env: dict[str, str], fine: Serve) -> None:
    with hosts({0: fine, 1: fine}) as there:
        text, _, code = on_a_terminal(*CHECK, *arguments, there.target(0), there.target(1), env=env)
        assert (text, code) == ("", 0)


def test_no_bar_for_one_target_and_none_in_a_pipe(fine: Serve) -> None:
    with hosts({0: fine, 1: fine}) as there:
        assert on_a_terminal(*CHECK, there.target(0))[0] == ""
        ran = smtptls(*CHECK, there.target(0), there.target(1))
        assert ran.err == "" and not drawn(ran.out)
        ran = smtptls(*CHECK, "--progress", "always", there.target(0), there.target(1))
        assert drawn(ran.err) and screen(ran.err) == "" and not drawn(ran.out)


def test_a_line_for_each_that_is_finished(fine: Serve) -> None:
    with hosts({0: fine, 1: many_hosts.bare}) as there:
        ran = smtptls(
            *CHECK,
            "-v",
            "-j",
            "1",
            "--jsonl",
            "-f",
            "-",
            stdin=f"{there.target(0)}\n{there.target(1)}".encode(),
        )
        first, second = ran.err.splitlines()
        assert first == f"1/2  OK        {there.target(0)}: send at level encrypt"
        assert second.startswith(f"2/2  FAIL      {there.target(1)}: starttls-not-offered: ")
        assert smtptls(*CHECK, "-v", "--progress", "never", there.target(0), there.target(1)).err == ""


def test_interrupted_on_a_terminal(fine: Serve) -> None:
    """The bar is gone, and the terminal's own ^C stands for itself."""
    until = threading.Event()
    terminal = Terminal()
    with hosts({0: fine, 1: many_hosts.silent(until)}) as there:
        try:
            arguments = (*CHECK, "--jsonl", "--timeout", "60", there.target(0), there.target(1))
            with running(*arguments, stderr=terminal.theirs, env={"TERM": "xterm"}) as process:
                assert process.stdout
                process.stdout.readline()
                process.send_signal(signal.SIGINT)
                assert process.wait(DEADLINE) == 130
        finally:
            text = terminal.close()
            until.set()
    assert "\r[" in text and screen(text) == "smtptls: interrupted\n"


def test_the_bar_of_a_run_that_goes_on() -> None:
    """The time that is left goes by what this run has done."""
    stream = io.StringIO()
    tally = Tally(1000)
    tally.exits[Exit.OK] = 500
    bar = Bar(stream, tally.done)
    bar.show(tally)
    assert "eta" not in stream.getvalue() and " 500/1000  ok 500 fail 0 ?0" in stream.getvalue()
