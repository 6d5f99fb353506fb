"""Every command of docs/cli.md and docs/cli-recipes.md, run among the hosts of stage.py.

What is printed is what the page shows. SMTPTLS_UPDATE=1 writes it into the pages (with -n 0).
"""

from __future__ import annotations

import contextlib
import html
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, require_peer
from smtptls.cli.exits import MEANINGS
from smtptls.cli.main import SUBCOMMANDS
from stage import stage

PATH = ROOT / "docs/cli.md"
PAGE = PATH.read_text()
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = (PATH, ROOT / "docs/cli-recipes.md")
BLOCKS = [(page, number) for page in PAGES for number, _ in enumerate(BLOCK.finditer(page.read_text()))]
PORT = "2525"  # of the page's own server
MARK = "\x1e"
# What is another one in each run.
VOLATILE = (
    (r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME"),
    (r"time=[\d.]+s", "time=SECONDS"),
    (r"\b[0-9a-f]{32}\b", "NAME"),  # of a ticket key
    (r"age +[\d:]+", "age"),
    # What audit saw may depend on which packet is read first; the rows and their words do not.
    (r"(?m)^(  (?:OK|FAIL|SKIP) +[a-z-]+ +\S+-\d+) .*(?:\n {40,}.*)*", r"\1"),
)


def commands(block: str) -> list[str]:
    """What is typed: $ begins a command, and > goes on with it."""
    found: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
        elif line.startswith("> "):
            found[-1] += f"\n{line[2:]}"
    return found


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("page")
    with stage(folder) as environment:
        yield folder, environment


def run(block: str, folder: Path, environment: dict[str, str]) -> str:
    """The block as a shell would show it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    script = "set -o pipefail\n"
    for command in commands(block):
        script += f"{command.replace(PORT, port)}\n"
        if command.endswith("&"):
            script += f"until (: < /dev/tcp/127.0.0.1/{port}) 2> /dev/null; do sleep 0.1; done\n"
        script += f"rc=$?; printf '{MARK}'; (exit $rc)\n"
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as shell:  # fmt: skip
        try:
            came, _ = shell.communicate(timeout=120)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # what it left in the background
    printed = came.decode().replace("\r\n", "\n").replace(port, PORT)
    printed = re.sub(r"127\.0\.0\.1 port \d+", "127.0.0.1 port 53", printed)
    parts = printed.split(MARK)[:-1]
    assert len(parts) == len(commands(block)), printed
    typed = [command.replace("\n", "\n> ") for command in commands(block)]
    return "".join(f"$ {command}\n{said}" for command, said in zip(typed, parts, strict=True))


def masked(text: str) -> str:
    for pattern, word in VOLATILE:
        text = re.sub(pattern, word, text)
    return text


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("page", "number"), BLOCKS, ids=[f"{page.stem}-{number}" for page, number in BLOCKS])
def test_a_block(page: Path, number: int, hosts: tuple[Path, dict[str, str]]) -> None:
    block = list(BLOCK.finditer(page.read_text()))[number][1]
    if "curl" in block:
        require_peer("curl", "curl")
    shown = run(block, *hosts)
    assert "Traceback" not in shown and "bug in smtptls" not in shown, shown
    assert max(map(len, shown.splitlines())) < 200
    if os.environ.get("SMTPTLS_UPDATE") == "1" and masked(shown) != masked(block):
        found = list(BLOCK.finditer(text := page.read_text()))[number]
        page.write_text(f"{text[: found.start(1)]}{shown}{text[found.end(1) :]}")
        block = shown
    assert masked(shown) == masked(block)


def test_every_subcommand_has_a_section() -> None:
    sections = re.findall(r"^## (\w+): ", PAGE, re.MULTILINE)
    assert sections == [module.__name__.rpartition(".")[2] for module in SUBCOMMANDS]


def test_the_exit_codes_are_the_command_s() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [(str(code.value), meaning) for code, meaning in MEANINGS.items()]


def test_it_leads_somewhere() -> None:
    for page in PAGES:
        for name in re.findall(r"\]\(([^):]+)\)", page.read_text()):
            assert (page.parent / name).exists(), name


def test_the_picture_is_what_a_terminal_shows(tmp_path: Path) -> None:
    require_peer("tmux", "tmux")
    fresh = tmp_path / "fresh.svg"
    words = [sys.executable, str(ROOT / "tests/docs/screenshot.py"), str(fresh)]
    subprocess.run(words, check=True, timeout=120)
    picture = ROOT / "docs/cli.svg"
    if os.environ.get("SMTPTLS_UPDATE") == "1":
        picture.write_text(fresh.read_text())
    assert picture.read_text() == fresh.read_text()
    assert picture.stat().st_size < 60_000
    assert max(map(len, letters(picture).splitlines())) <= 80
    for line in letters(picture).splitlines():
        assert line in PAGE


def letters(picture: Path) -> str:
    """What stands in it, line by line."""
    rows: dict[str, str] = {}
    for y, text in re.findall(
        r'<text class="smtptls-r\d+"[^>]* y="([\d.]+)"[^>]*>(.*?)</text>', picture.read_text()
    ):
        rows[y] = rows.get(y, "") + html.unescape(text).replace("\xa0", " ")
    return "\n".join(rows.values())
