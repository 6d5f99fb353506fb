"""Every server case, against `serve` in each language: one expected outcome for all of them.

The cases are in server_cases/; cases.py says what their keys mean, script.py what their steps do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ca.ca import Paths
from cases import ServerCase, server_cases
from conftest import LANGUAGES, Serve
from flags import flags
from harness import Pool, selected
from peer import Player, play_client
from script import show, unescape

CASES = {case.name: case for case in server_cases()}
Key = tuple[str, str]


@dataclass
class ServerRun:
    """What came of one script."""

    player: Player
    stored: list[bytes]
    lines: list[str]

    def __str__(self) -> str:
        said = "\n         ".join(self.lines)
        replies = "\n         ".join(show(b"\n".join(reply)) for reply in self.player.replies)
        return (
            f"\n  peer   {self.player.failure or 'reached its last step'}\n  serve  {said}"
            f"\n  said   {replies}\n  stored {self.stored}"
        )


def run_server(case: ServerCase, language: str, pki: Paths, store: Path, scratch: Path) -> ServerRun:
    """One `serve` of its own for each case, so that all it says and stores belongs to the case."""
    further = flags(case.flags, pki, scratch)
    with Serve(language, pki, store, timeout=case.timeout, pair=case.pair, flags=further) as serve:
        player = play_client(case.steps, pki, serve.port)
        if player.done:
            for text in case.output:
                serve.out.wait(text)
            if case.error:
                serve.err.wait("error: ")
            if isinstance(case.messages, int) and case.messages:
                serve.wait_mail(case.messages)
    files = sorted(store.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return ServerRun(player, [file.read_bytes() for file in files], serve.stdout + serve.stderr)


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, pki: Paths, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pool[Key, ServerRun]]:
    stores, scratch = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("files")

    def work(key: Key) -> ServerRun:
        name, language = key
        store = stores / f"{list(CASES).index(name)}-{language}"
        return run_server(CASES[name], language, pki, store, scratch)

    pool: Pool[Key, ServerRun] = Pool(work)
    pool.start(selected(request, "name", "language"))
    yield pool
    pool.close()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CASES)
def test_case(runs: Pool[Key, ServerRun], name: str, language: str) -> None:
    case, run = CASES[name], runs.result((name, language))
    assert run.player.done, f"{run.player.failure} {run}"
    for text in case.output:
        assert any(line.startswith(text) for line in run.lines), f"no line {text!r} {run}"
    for text in case.output_lacks:
        assert not any(line.startswith(text) for line in run.lines), f"a line {text!r} {run}"
    if case.greeting is not None:
        assert run.player.replies[0][0].split(b" ", 2)[2] == case.greeting.encode(), f"{run}"
    check_errors(case, run)
    check_stored(case, run)
    check_enhanced_codes(run)
    for line in run.lines:  # SEC-20
        assert re.fullmatch("[ -~]*", line), f"control characters {run}"


def check_errors(case: ServerCase, run: ServerRun) -> None:
    errors = [line for line in run.lines if line.startswith("error: ")]
    codes = [f"error: SMTPTLS_{code}: " for code in (case.error or "").split("|")]
    if case.error:
        assert len(errors) == 1 and errors[0].startswith(tuple(codes)), f"{run}"


def check_stored(case: ServerCase, run: ServerRun) -> None:
    if case.messages != "any":
        assert len(run.stored) == case.messages, f"{run}"
    for text in case.stored_has:
        assert unescape(text) in run.stored[-1], f"no {text!r} in what is stored {run}"
    for text in case.stored_lacks:
        assert unescape(text) not in run.stored[-1], f"{text!r} in what is stored {run}"


def check_enhanced_codes(run: ServerRun) -> None:
    """R2034-4-1: each line of each reply has a code of its class, but for the greeting and the reply to EHLO.

    Those two begin with the name of the server, by which they are known here.
    """
    if not run.player.replies:
        return
    name = run.player.replies[0][0].split(b" ")[1]
    for reply in run.player.replies[1:]:
        if reply[0][:1] in b"245" and reply[0][4:].split(b" ")[0] != name:
            for line in reply:
                assert re.match(rb"([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3} ", line), f"{show(line)} {run}"
