"""The frame of the command: help, exit codes, colour, and a stdout that is closed or full."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from typing import Any

import pytest
from commands import CLEAN, DEADLINE, command, hears, one_line, peer, says, smtptls
from smtptls import __version__
from smtptls.cli.main import SUBCOMMANDS, main, make_parser

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

NAMES = [module.__name__.rpartition(".")[2] for module in SUBCOMMANDS]


def test_version() -> None:
    assert smtptls("--version").out == f"smtptls {__version__}\n"


@pytest.mark.parametrize("name", NAMES)
def test_each_subcommand_has_help_with_examples(name: str) -> None:
    ran = smtptls(name, "--help")
    assert ran.code == 0 and not ran.err
    assert "examples:" in ran.out and f"smtptls {name} " in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_help_lists_all_subcommands_and_exit_codes() -> None:
    ran = smtptls("--help")
    assert ran.code == 0
    for name in NAMES:
        assert f"\n    {name} " in ran.out
    for code in ("0", "1", "2", "3", "4", "70", "130"):
        assert f"\n  {code} " in ran.out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("check",),
        ("check", "--nonsense", "mx.example.test:25"),
        ("check", "--level", "best", "mx.example.test:25"),
        ("check", "mx.example.test:0"),
        ("check", "mx.example.test:70000"),
        ("check", "two words"),
        ("check", "\x1b[31mred"),
        ("check", "lmtp:mx.example.test"),
        ("check", "unix:relative"),
        ("check", "example.test", "--dns", "off"),
        ("check", "mx.example.test:25", "--mx", "a.example.test"),
        ("check", "mx.example.test:25", "--tlsa", "3 1 1 00"),
        ("check", "mx.example.test:25", "--tlsa", "3 1 1 zz", "--dnssec", "secure"),
        ("check", "mx.example.test:25", "--level", "dane"),
        ("check", "mx.example.test:25", "--level", "sts"),
        ("check", "mx.example.test:25", "--level", "fingerprint"),
        ("check", "mx.example.test:25", "--sts", "/nowhere/policy"),
        ("check", "mx.example.test:25", "--ca", "/nowhere/ca.pem"),
        ("check", "mx.example.test:25", "--key", "/nowhere/key.pem"),
        ("check", "mx.example.test:25", "--timeout", "0"),
        ("check", "mx.example.test:25", "--min-days", "-1"),
        ("check", "mx.example.test:25", "--resolve", "mx.example.test"),
        ("check", "--json", "a.example.test:25", "b.example.test:25"),
        ("tlsa",),
        ("tlsa", "gen"),
        ("tlsa", "gen", "/nowhere.pem"),
        ("tlsa", "show", "nonsense"),
        ("sts", "parse", "/nowhere"),
        ("policy", "mx.example.test"),
        ("tickets", "show", "/nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(arguments: tuple[str, ...]) -> None:
    ran = smtptls(*arguments)
    assert ran.code == 2
    assert one_line(ran).isprintable()


def test_colour(good: int, pki: Any) -> None:
    asked = ("check", "--ca", pki.ca, f"localhost:{good}")
    assert "\x1b" not in smtptls(*asked).out  # no terminal
    assert "\x1b[32m" in smtptls(*asked, "--color", "always").out
    assert "\x1b[32m" in smtptls(*asked, env={"CLICOLOR_FORCE": "1"}).out
    assert "\x1b" not in smtptls(*asked, env={"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}).out
    assert "\x1b[32m" in smtptls(*asked, env={"FORCE_COLOR": "1", "NO_COLOR": ""}).out
    assert "\x1b" not in smtptls(*asked, "--color", "never", env={"FORCE_COLOR": "1"}).out
    assert "\x1b[32m" in smtptls(*asked, "--color", "always", env={"NO_COLOR": "1"}).out


@pytest.mark.parametrize("form", [(), ("--json",), ("--help",)])
def test_a_closed_stdout(good: int, pki: Any, form: tuple[str, ...]) -> None:
    arguments = ("check", "--ca", pki.wrongca, "--level", "verify", f"localhost:{good}", *form)
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN
    ) as ran:
        assert ran.stdout and ran.stderr
        ran.stdout.close()
        assert ran.stderr.read() == b""
        # The verdict is told by the exit code all the same.
        assert ran.wait(DEADLINE) == (0 if "--help" in form else 1)


def test_a_full_disk(good: int, pki: Any) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command("check", "--ca", pki.ca, f"localhost:{good}"),
            stdout=full, stderr=subprocess.PIPE, timeout=60, env=CLEAN, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == b"smtptls: cannot write the output: No space left on device\n"


def test_no_stdout_at_all() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", *command("--version")],
        stderr=subprocess.PIPE, timeout=60, env=CLEAN, check=False,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr


def test_interrupted() -> None:
    connected = threading.Event()

    def serve(connection: socket.socket) -> None:
        connected.set()
        says(None)(connection)

    with (
        peer(serve) as port,
        subprocess.Popen(
            command("check", f"localhost:{port}", "--ca", "none"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN, preexec_fn=hears,
        ) as ran,
    ):  # fmt: skip
        assert connected.wait(DEADLINE)
        time.sleep(0.5)  # by now it waits for the greeting
        ran.send_signal(signal.SIGINT)
        out, err = ran.communicate(timeout=DEADLINE)
    assert ran.returncode == 130
    assert out == b"" and err == b"smtptls: interrupted\n"


def test_a_bug_is_one_line_and_code_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise RuntimeError("oh\x1b no")

    monkeypatch.setattr("smtptls.cli.tlsa.explain", fail)
    assert main(["tlsa", "show", "3 1 1 00"]) == 70
    said = capsys.readouterr().err
    assert said.startswith(f"smtptls: a bug in smtptls {__version__}: RuntimeError at test_cli_frame.py:")
    assert said.endswith("oh\\x1b no\n")


def test_every_option_says_what_it_does() -> None:
    def walk(parser: Any) -> None:
        for action in parser._actions:
            for child in (action.choices or {}).values() if hasattr(action, "_parser_class") else ():
                walk(child)
            if action.option_strings:
                assert action.help, (parser.prog, action.option_strings)

    walk(make_parser())
