"""smtptls audit: servers that are silent, busy or flood, its text, and what it is told wrong."""

from __future__ import annotations

import socket
import subprocess
from typing import Any

import defective
import pytest
from audits import NAMES, audited, came, rows
from commands import CLEAN, DEADLINE, command, one_line, peer, says, smtptls
from smtptls.cli.server.dialogue import Dialogue
from smtptls.cli.server.faults import Faults

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]


@pytest.mark.parametrize("script", [(None,), (b"220 x ESMTP\r\n", None), (b"220 x ESMTP\r\n",)])
def test_a_server_that_falls_silent_or_goes(script: tuple[bytes | None, ...]) -> None:
    with peer(says(*script)) as port:
        found = audited(f"localhost:{port}", "--timeout", "0.5")
    assert found["exit"] == 3 and rows(found, "undecided") == {"starttls-offered"}


def test_a_server_that_is_busy_says_nothing_of_the_row(pki: Any) -> None:
    class Busy(Dialogue):
        def starttls(self, line: bytes, rest: str) -> bool:
            return self.say("421 4.3.2 Not now") if rest else super().starttls(line, rest)

    with defective.defective(pki, Busy) as port:
        found = audited(f"localhost:{port}")
    assert found["exit"] == 3 and rows(found, "undecided") == {"parameter"} and not rows(found, "fail")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = audited(f"localhost:{port}")
    assert found["exit"] == 3 and "Connection refused" in came(found, "starttls-offered")


def test_a_flood_has_an_end() -> None:
    """SEC-8"""

    def serve(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x" * 65536)

    with peer(serve) as port:
        found = audited(f"localhost:{port}")
    assert found["exit"] == 1 and "65536" in came(found, "starttls-offered")

    def lines(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"220-x\r\n" * 1000)

    with peer(lines) as port:
        assert audited(f"localhost:{port}")["exit"] == 1


def test_the_text(pki: Any) -> None:
    with defective.defective(pki, defective.TakesStarttlsTwice) as port:
        ran = smtptls("audit", f"localhost:{port}")
        more = smtptls("audit", "-v", f"localhost:{port}")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert lines[0] == f"localhost:{port}"
    assert lines[-1] == f"localhost:{port}: FAIL (18 pass, 1 fail, 1 skip)"
    assert max(map(len, [*lines, *more.out.splitlines()])) <= 80
    start = lines.index("  OK        parameter            R3207-4-3     501 5.5.4 STARTTLS takes no")
    assert lines[start + 1] == " " * 47 + "parameter"
    start = lines.index("  FAIL      starttls-inside      R3207-4.2-10  it answers 220 2.0.0 Once more")
    assert lines[start + 1 : start + 4] == [
        "            sent   STARTTLS inside TLS",
        "            wanted a refusal",
        "            by     RFC 3207 section 4.2 (R3207-4.2-10)",
    ]
    assert sum("wanted" in line for line in lines) == 1
    assert sum("wanted" in line for line in more.out.splitlines()) == len(NAMES)


def test_text_of_the_peer_is_escaped(pki: Any) -> None:
    """SEC-20"""
    faults = Faults(starttls_reply=b"554 \x1b[2J\xff No\r\n")
    with defective.defective(pki, faults=faults) as port:
        ran = smtptls("audit", f"localhost:{port}")
        assert ran.out.isascii() and ran.out.replace("\n", "").isprintable() and "\\x1b[2J" in ran.out
        assert came(audited(f"localhost:{port}"), "starttls").isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("example.test",),
        ("localhost:25", "other.example.test:25"),
        ("-f", "list"),
        ("two words",),
        ("localhost:0",),
        ("localhost:25", "--timeout", "0"),
        ("localhost:25", "--to", "a>\r\nb"),
        ("localhost:25", "--to", ""),
        ("localhost:25", "--key", "/nowhere.key"),
        ("localhost:25", "--cert", "/nowhere.pem"),
        ("localhost:25", "--helo", "two words"),
        ("localhost:25", "--resolve", "x"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(arguments: tuple[str, ...]) -> None:
    ran = smtptls("audit", *arguments)
    assert ran.code == 2
    assert "bug" not in one_line(ran)


def test_a_closed_stdout(pki: Any) -> None:
    """The verdict is told by the exit code all the same."""
    with (
        defective.defective(pki, defective.TakesStarttlsTwice) as port,
        subprocess.Popen(
            command("audit", f"localhost:{port}"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN
        ) as ran,
    ):
        assert ran.stdout and ran.stderr
        ran.stdout.close()
        assert ran.stderr.read() == b"" and ran.wait(DEADLINE) == 1
