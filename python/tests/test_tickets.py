"""smtptls.tickets: files of ticket keys, as functions, as a program, and as the engine reads them."""

from __future__ import annotations

import datetime
import fcntl
import itertools
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import smtptls
from smtptls import Code, Config, ConfigError, Info, Policy, Session, tickets
from support import NAME, greet

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

LINE = r"^(current|next|previous) +([0-9a-f]{64})$"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "smtptls.tickets", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def keys(path: Path) -> dict[str, str]:
    return dict(re.findall(LINE, path.read_text(), re.MULTILINE))


def go(client: Config, serving: Config) -> Info:
    session = Session.client(client, Policy(), NAME)
    assert greet(session, Session.server(serving)) == [None, None]
    assert session.info is not None
    return session.info


def test_a_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    old = os.umask(0)
    try:
        tickets.make(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = keys(path)
    assert list(made) == ["current", "next"] and len(set(made.values())) == 2
    assert re.match(r"# made 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", path.read_text())
    assert os.listdir(tmp_path) == ["keys"]


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    tickets.make(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError) as caught:
        tickets.make(path)
    assert caught.value.code is Code.FILE and caught.value.errno == 17 and str(path) in caught.value.message
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["keys"]
    tickets.make(path, force=True)
    assert not set(keys(path).values()) & set(re.findall(LINE, before.decode(), re.MULTILINE))
    assert path.read_bytes() != before and os.listdir(tmp_path) == ["keys"]


def test_rotation(tmp_path: Path) -> None:
    """The next key is current, the current one previous, and there is a new next one."""
    path = tmp_path / "keys"
    tickets.make(path)
    path.chmod(0o640)
    files = [keys(path)]
    for _ in range(3):
        tickets.rotate(path)
        files.append(keys(path))
    for before, after in itertools.pairwise(files):
        assert list(after) == ["current", "next", "previous"]
        assert (after["current"], after["previous"]) == (before["next"], before["current"])
        assert after["next"] not in before.values()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 and os.listdir(tmp_path) == ["keys"]
    assert path.read_text().startswith("# rotated 20")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_rotation_keeps_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    tickets.make(path)
    os.chown(path, 1234, 4321)
    tickets.rotate(path)
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 4321, 0o600)


def test_rotation_by_a_link(tmp_path: Path) -> None:
    """The link stays one, and its file is rotated."""
    path, link = tmp_path / "keys", tmp_path / "link"
    tickets.make(path)
    link.symlink_to("keys")
    before = keys(path)
    tickets.rotate(link)
    assert link.is_symlink() and keys(path)["previous"] == before["current"]


def test_a_file_made_by_hand(tmp_path: Path) -> None:
    """Without a next key the rotation makes a current one."""
    path = tmp_path / "keys"
    path.write_text(f"current\t{'AB' * 32} # mine\r\n\n# a comment\n")
    assert tickets.show(path).splitlines()[0] == "age      unknown"
    tickets.rotate(path)
    assert keys(path)["previous"] == "ab" * 32 and len(set(keys(path).values())) == 3


def test_two_rotations_at_once(tmp_path: Path) -> None:
    """One of them fails, and says so."""
    path = tmp_path / "keys"
    tickets.make(path)
    before = path.read_bytes()
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="is being rotated by another process") as caught:
            tickets.rotate(path)
        assert str(path) in caught.value.message and path.read_bytes() == before
    tickets.rotate(path)


def test_rotations_in_a_race(tmp_path: Path) -> None:
    """Each that succeeds is one whole step, and a reader meets a whole file always."""
    path = tmp_path / "keys"
    tickets.make(path)
    first, done, wrong = keys(path)["current"], [], []
    stop = threading.Event()

    def rotate() -> None:
        for _ in range(20):
            try:
                tickets.rotate(path)
                done.append(1)
            except ConfigError as error:
                if "by another process" not in error.message:
                    wrong.append(error)

    def read() -> None:
        while not stop.is_set():
            try:
                Config(ticket_key_file=path)
            except ConfigError as error:
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    rotating = [threading.Thread(target=rotate) for _ in range(4)]
    for thread in rotating:
        thread.start()
    for thread in rotating:
        thread.join()
    stop.set()
    reader.join()
    assert not wrong and done and os.listdir(tmp_path) == ["keys"]
    assert (keys(path)["previous"] == first) == (len(done) == 1)


FAULTS = (
    ("", "it has no current key"),
    (f"next {'0' * 64}\n", "it has no current key"),
    ("current 00\n", "line 1 has no key of 64 hex digits"),
    (f"current {'0' * 64} {'5' * 64}\n", "line 1 has no key of 64 hex digits"),
    (f"current {'0' * 64}\ncurrent {'5' * 64}\n", "line 2 is a second current key"),
    (f"current {'0' * 64}\nnext {'5' * 64}\nnext {'6' * 64}\n", "line 3 is a second next key"),
    (f"# a comment\nold {'5' * 64}\n", "line 2 begins with none of current, next and previous"),
    ("current " + "\u0660" * 64, "line 1 has no key of 64 hex digits"),
    ("#" * 70_000, "it is larger than 65536 bytes"),
)


@pytest.mark.parametrize(("text", "why"), FAULTS)
def test_files_that_are_none(text: str, why: str, tmp_path: Path) -> None:
    """The error names the file and the line, and has nothing of what may be a key."""
    path = tmp_path / "keys"
    path.write_text(text)
    for call in (tickets.rotate, tickets.show):
        with pytest.raises(ConfigError) as caught:
            call(path)
        assert caught.value.code is Code.KEY_PARSE and caught.value.message == f"{path}: {why}"
    assert path.read_text() == text and os.listdir(tmp_path) == ["keys"]


def test_files_that_cannot_be_had(tmp_path: Path) -> None:
    none = tmp_path / "none" / "keys"
    calls: list[Any] = [tickets.make, tickets.rotate, tickets.show]
    for call in calls:
        with pytest.raises(ConfigError) as caught:
            call(none)
        assert (caught.value.code, caught.value.errno) == (Code.FILE, 2)
        assert str(none) in caught.value.message and "No such file or directory" in caught.value.message
        with pytest.raises(ConfigError, match=r"keys\\n:"):
            call(f"{none}\n")
    for call in calls[1:]:
        with pytest.raises(ConfigError, match="Is a directory"):
            call(tmp_path)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys"
    tickets.make(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for call in (tickets.rotate, lambda path: tickets.make(path, force=True)):
        with pytest.raises(ConfigError, match="No space left on device"):
            call(path)
        assert path.read_bytes() == before and os.listdir(tmp_path) == ["keys"]


def test_show(tmp_path: Path) -> None:
    """Names and the age, and never a key."""
    path = tmp_path / "keys"
    tickets.make(path)
    tickets.rotate(path)
    shown = tickets.show(path)
    since = re.search(r"# rotated (\S+)", path.read_text())
    assert since and re.match(rf"age      0:00:0\d, since {since[1]}\n", shown)
    names = {role: tickets.name(bytes.fromhex(key)) for role, key in keys(path).items()}
    assert shown.splitlines()[1:] == [f"{role:<8} {name}" for role, name in names.items()]
    assert not any(key[:16] in shown for key in keys(path).values())
    old = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3, hours=5)
    text = path.read_text().replace(since[1], old.strftime("%Y-%m-%dT%H:%M:%SZ"))
    path.write_text(text)
    assert tickets.show(path).startswith("age      3 days, 5:00:0")


def test_the_program(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    assert (run("make", path).returncode, run("rotate", path).returncode) == (0, 0)
    shown = run("show", path)
    assert (shown.returncode, shown.stderr) == (0, "") and "current  " in shown.stdout
    again = run("make", path)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith(f"error: SMTPTLS_ERR_FILE: {path} is there already")
    before = keys(path)
    assert run("make", "--force", path).returncode == 0 and keys(path) != before
    path.write_text("current\n")
    assert run("show", path).stderr == (
        f"error: SMTPTLS_ERR_KEY_PARSE: {path}: line 1 has no key of 64 hex digits\n"
    )
    for words in ((), ("make",), ("turn", path), ("make", path, path), ("rotate", "--force", path)):
        assert run(*words).returncode == 2


def test_the_engine_reads_what_it_writes(pki: Any, tmp_path: Path) -> None:
    """Two servers with the file: both resume; after one rotation still, after two not."""
    path = tmp_path / "keys"
    tickets.make(path)
    first, second = (Config(keypairs=[(pki.leaf, pki.leaf_key)], ticket_key_file=path) for _ in range(2))
    client = Config(roots=[pki.ca], client_sessions=8)
    assert [go(client, server).resumed for server in (first, second, first)] == [False, True, True]
    tickets.rotate(path)
    second.reload_ticket_keys()  # the other one has not heard of it yet
    assert [go(client, server).resumed for server in (second, first)] == [True, True]
    first.reload_ticket_keys()
    old = Config(roots=[pki.ca], client_sessions=8)
    assert not go(old, first).resumed
    for _ in range(2):
        tickets.rotate(path)
    second.reload_ticket_keys()
    assert not go(old, second).resumed and go(old, second).resumed


def test_reloading_a_file_that_is_bad(pki: Any, tmp_path: Path) -> None:
    """The old keys stay; the error names the file."""
    path = tmp_path / "keys"
    tickets.make(path)
    config = Config(keypairs=[(pki.leaf, pki.leaf_key)], ticket_key_file=path)
    client = Config(roots=[pki.ca], client_sessions=8)
    go(client, config)
    path.write_text("current\n")
    with pytest.raises(ConfigError) as caught:
        config.reload_ticket_keys()
    assert caught.value.code is Code.KEY_PARSE and str(path) in caught.value.message
    path.unlink()
    with pytest.raises(ConfigError) as caught:
        config.reload_ticket_keys()
    assert (caught.value.code, caught.value.errno) == (Code.FILE, 2)
    assert go(client, config).resumed
    with pytest.raises(ConfigError) as caught:
        Config(ticket_key_file=path)
    assert caught.value.code is Code.FILE


def test_keys_come_from_a_file_or_from_the_program(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    tickets.make(path)
    with pytest.raises(ConfigError, match="give one") as caught:
        Config(ticket_keys=[bytes(32)], ticket_key_file=path)
    assert caught.value.code is Code.ARGUMENT
    with pytest.raises(smtptls.Error) as state:
        Config().reload_ticket_keys()
    assert state.value.code is Code.STATE
