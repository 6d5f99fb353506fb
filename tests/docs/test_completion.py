"""The completions of the command smtptls: as the generator writes them, and as bash, zsh and fish do it."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, require_peer

SHARE = ROOT / "python/smtptls.data/data/share"
BASH = SHARE / "bash-completion/completions/smtptls"
ZSH = SHARE / "zsh/site-functions"
FISH = SHARE / "fish/vendor_completions.d/smtptls.fish"

pytestmark = pytest.mark.timeout(60)

# What stands on the line, and what may come in place of its last word: all of it, or these among others.
CASES: list[tuple[str, set[str], bool]] = [
    ("smtptls ch", {"check"}, True),
    ("smtptls ti", {"tickets"}, True),
    ("smtptls tlsa ", {"gen", "show", "match"}, False),
    ("smtptls check --lev", {"--level"}, True),
    ("smtptls check --warn", {"--warnings-as-errors"}, True),
    ("smtptls check --level dane", {"dane", "dane-only"}, True),
    ("smtptls check mx.example.com:25 --color al", {"always"}, True),
    ("smtptls connect mx.example.com:25 --ins", {"--insecure"}, True),
    ("smtptls check --ca ./au", {"./authorities.pem"}, True),
    ("smtptls tlsa gen ./au", {"./authorities.pem"}, True),
    ("smtptls tlsa gen --us", {"--usage"}, True),
    ("smtptls tickets make --f", {"--force"}, True),
    ("smtptls connect --min-d", set(), True),  # that is of check
]
# Those where a shell writes the rest of the word.
SINGLE = [(line, next(iter(found))) for line, found, _ in CASES if len(found) == 1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a file to be named."""
    (tmp_path / "authorities.pem").touch()
    return tmp_path


def run(words: list[str], folder: Path) -> set[str]:
    """The lines that a shell prints, each without what is behind a tab."""
    environment = os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return {line.split("\t")[0] for line in done.stdout.splitlines() if line}


def compare(found: set[str], wanted: set[str], is_all: bool) -> None:
    assert found == wanted if is_all else found >= wanted, found


def test_they_are_what_the_generator_writes(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "python/completion/generate.py"), str(tmp_path)]
    subprocess.run(words, check=True, timeout=60)
    fresh = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(fresh) == 3
    for name, text in fresh.items():
        assert (SHARE / name).read_text() == text, "run `make man`"


@pytest.mark.parametrize(("line", "wanted", "is_all"), CASES, ids=[case[0] for case in CASES])
def test_bash(line: str, wanted: set[str], is_all: bool, folder: Path) -> None:
    words = line.split(" ")
    script = f"""
        . {shlex.quote(str(BASH))}
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
        COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}
        read -ra registered <<< "$(complete -p smtptls)"
        for number in "${{!registered[@]}}"; do
            [ "${{registered[number]}}" != -F ] || function=${{registered[number + 1]}}
        done
        "$function" smtptls {shlex.quote(words[-1])} {shlex.quote(words[-2])}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    shell = require_peer("bash", "bash")
    compare(run([shell, "--norc", "--noprofile", "-c", script], folder), wanted, is_all)


@pytest.mark.parametrize(("line", "wanted", "is_all"), CASES, ids=[case[0] for case in CASES])
def test_fish(line: str, wanted: set[str], is_all: bool, folder: Path) -> None:
    script = f"source {shlex.quote(str(FISH))}; complete --do-complete {shlex.quote(line)}"
    compare(run([require_peer("fish", "fish"), "--no-config", "-c", script], folder), wanted, is_all)


# What each shell reads first; `smtptls` then shows what it was given.
SETUP = {
    "bash": """
        PS1=
        . {bash}
        smtptls() {{ printf '<<%s>>\\n' "smtptls $*"; exit; }}
        printf 'READY\\n'
    """,
    "zsh": """
        PROMPT= RPROMPT=
        fpath=({zsh} $fpath)
        autoload -Uz compinit && compinit -D -u
        bindkey -e
        smtptls() {{ print -r -- "<<smtptls $*>>"; exit }}
        print READY
    """,
}


@pytest.mark.parametrize("shell", SETUP)
@pytest.mark.parametrize(("line", "wanted"), SINGLE, ids=[line for line, _ in SINGLE])
def test_on_a_terminal(shell: str, line: str, wanted: str, folder: Path) -> None:
    """With the keys Tab and Enter."""
    setup = SETUP[shell].format(bash=shlex.quote(str(BASH)), zsh=shlex.quote(str(ZSH)))
    (folder / ".zshrc").write_text(setup)
    starts = {"bash": ["--noprofile", "--rcfile", str(folder / ".zshrc"), "-i"], "zsh": ["-d", "-i"]}
    environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "LC_ALL": "C.UTF-8", "ZDOTDIR": str(folder)}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [require_peer(shell, shell), *starts[shell]],
        cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        try:
            read_until(ours, b"READY\r\n")
            os.write(ours, f"{line}\t\r".encode())
            came = read_until(ours, b">>")
        finally:
            process.kill()
            os.close(ours)
    words = came.decode().rpartition("<<")[2].partition(">>")[0].split()
    assert words == [*line.split()[:-1], wanted], came


def read_until(terminal: int, end: bytes) -> bytes:
    """What comes up to this; pytest's own limit ends a shell that says nothing."""
    came = b""
    while end not in came:
        came += os.read(terminal, 4096)
    return came
