"""Makes docs/cli.svg: smtptls check in a terminal of 80 columns, among the hosts of stage.py.

`screenshot.py [file]` writes it there instead. A real terminal is tmux, and rich draws what it shows.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from conftest import ROOT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text
from stage import stage

PICTURE = ROOT / "docs/cli.svg"
# Each with what it prints last.
COMMANDS = (
    ("smtptls check example.com", "example.com: OK"),
    ("smtptls check --level verify mx.example.net:25", "mx.example.net:25: FAIL"),
)
COLUMNS, LINES = 80, 60
PATIENCE = 60.0


def terminal(folder: Path, environment: dict[str, str]) -> str:
    """What stands on the screen in the end, with its colours."""
    tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]

    def run(*words: str) -> str:
        done = subprocess.run(
            [*tmux, *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout

    def wait(end: str) -> None:
        by = time.monotonic() + PATIENCE
        while not re.search(rf"{end}\$ *$", run("capture-pane", "-p").rstrip("\n"), re.MULTILINE):
            if time.monotonic() > by:
                raise SystemExit(f"{end!r} did not come:\n{run('capture-pane', '-p')}")
            time.sleep(0.1)

    shell = ["env", "PS1=$ ", "sh"]
    run("new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), *shell, ";", "set", "status", "off")
    try:
        wait("^")
        for command, end in COMMANDS:
            run("send-keys", command, "Enter")
            wait(rf"^{re.escape(end)}.*\n")
        return run("capture-pane", "-p", "-e")
    finally:
        run("kill-server")


def draw(screen: str) -> str:
    """The screen as SVG, without a font from elsewhere."""
    lines = screen.rstrip().splitlines()
    while lines and lines[-1].strip() in ("", "$"):
        lines.pop()
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="standard",
        legacy_windows=False,
    )
    console.print(Text.from_ansi("\n".join(lines)), no_wrap=True, crop=False)
    picture = console.export_svg(title="smtptls check", theme=MONOKAI, unique_id="smtptls")
    picture = re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    # Some viewers take the blanks away else, though they are no-break ones.
    picture = picture.replace("<svg ", '<svg xml:space="preserve" ', 1)
    return picture.replace(
        "Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    )


def make() -> str:
    with tempfile.TemporaryDirectory() as name, stage(Path(name)) as environment:
        screen = terminal(Path(name), environment | {"TERM": "xterm-256color"})
    return draw(re.sub(r"127\.0\.0\.1 port \d+", "127.0.0.1 port 53", screen))


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    path.write_text(make())
