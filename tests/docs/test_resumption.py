"""Every command and every snippet of docs/resumption.md, run; and every name in it is there."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import smtptls
import smtptls.tickets
from ca.ca import Paths
from conftest import DEADLINE, ROOT, Lines, program, require_peer

PAGE = (ROOT / "docs/resumption.md").read_text()


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


TICKETS, SERVE, OPENSSL = snippets("sh")
[CLIENT] = snippets("python")
SESSION = "openssl sess_id -in session -text"


@pytest.fixture
def folder(tmp_path: Path, pki: Paths) -> Path:
    """Where the page's commands find what they name."""
    for name in (".venv", "build"):
        (tmp_path / name).symlink_to(ROOT / name)
    for source, name in ((pki.leaf, "chain.pem"), (pki.leaf_key, "key.pem"), (pki.ca, "ca.pem")):
        shutil.copy(source, tmp_path / name)
    return tmp_path


def run(script: str, folder: Path) -> str:
    words = ["sh", "-e", "-c", script]
    done = subprocess.run(words, cwd=folder, capture_output=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_the_commands(folder: Path) -> None:
    """The file is made and rotated; the server resumes for OpenSSL and for the client of the page."""
    require_peer("openssl", "openssl")
    program("rust", "serve")
    shown = run(TICKETS, folder)
    assert re.search(r"^age .*\ncurrent +[0-9a-f]{32}\nnext ", shown)
    assert (folder / "ticket.keys").stat().st_mode & 0o777 == 0o600
    port = str(free_port())
    words = shlex.split(SERVE.replace("2525", port))
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            Lines(process.stdout).wait("listening: ")
            first, second = OPENSSL.replace("localhost:2525", f"127.0.0.1:{port}").splitlines()
            for command, how in ((first, "New"), (second, "Reused")):
                assert f"`{how}, TLSv1.3`" in PAGE and f"\n{how}, TLSv1.3" in run(command, folder)
            dump = re.search(r"^ *0000 - ((?:[0-9a-f]{2}[ -]){16})", run(SESSION, folder), re.MULTILINE)
            assert dump
            name = re.sub("[ -]", "", dump[1])
            names = run(".venv/bin/python -m smtptls.tickets show ticket.keys", folder)
            assert f"current  {name}\n" in names
            (folder / "client.py").write_text(CLIENT.replace("2525", port))
            assert run(".venv/bin/python client.py", folder).split() == ["new", "resumed"]
        finally:
            process.terminate()


def test_the_command_for_a_session_is_the_page_s() -> None:
    assert f"`{SESSION}`" in PAGE


def test_every_name_is_there() -> None:
    header = (ROOT / "include/smtptls.h").read_text()
    rust = "".join(path.read_text() for path in sorted((ROOT / "core/src").glob("config*/**/*.rs")))
    rust += (ROOT / "core/src/config.rs").read_text()
    rows = [line.split(" | ") for line in PAGE.splitlines() if "| `smtptls_config" in line]
    assert len(rows) == 7
    for _, c, in_rust, in_python in rows:
        assert re.search(rf"\b{c.strip('`')}\(", header), c
        for name in re.findall(r"`(\w+)`", in_rust):
            assert f"pub fn {name}(" in rust, name
        for name in re.findall(r"`(\w+)`", in_python):
            keywords = str(smtptls.Config.__text_signature__) + str(smtptls.Config.__doc__)
            assert hasattr(smtptls.Config, name) or re.search(rf"^{name}: ", keywords, re.MULTILINE), name
    for name in ("make", "rotate", "show"):
        assert f"`{name}`" in PAGE and callable(getattr(smtptls.tickets, name))
