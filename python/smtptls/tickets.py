"""Files of session ticket keys: `python -m smtptls.tickets make FILE`, `rotate FILE`, `show FILE`.

Such a file is for `Config(ticket_key_file=...)` of all processes and hosts of a service. It holds the current
key, which seals, the next one, which another host may have made current already, and the previous one, whose
tickets are still out. Copy it to all hosts after each rotation, and let each program read it again.

No reader ever sees half a file, and no key is ever printed. What goes wrong raises ConfigError, whose message
names the file.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from typing import NamedTuple

from ._enums import Code
from ._errors import ConfigError
from ._native import escape

Path = str | os.PathLike[str]

ROLES = ("current", "next", "previous")
KEY = 32  # octets
LARGEST = 64 * 1024  # octets; no honest file has more
TIME = "%Y-%m-%dT%H:%M:%SZ"


class Keys(NamedTuple):
    """What is in a file: a key for each role that has one, and when it was last made or rotated."""

    keys: dict[str, bytes]
    changed: datetime.datetime | None

    def text(self, what: str, now: datetime.datetime) -> str:
        """As it stands in the file. The time is in a comment, which the engine passes over."""
        lines = [f"{role:<8} {self.keys[role].hex()}" for role in ROLES if role in self.keys]
        return "\n".join([f"# {what} {now.strftime(TIME)}", *lines, ""])


def make(path: Path, *, force: bool = False) -> None:
    """Write a new file with two random keys, for its owner alone; with force in place of an old one."""
    keys = Keys({"current": secrets.token_bytes(KEY), "next": secrets.token_bytes(KEY)}, None)
    target = os.path.realpath(path)
    with _explained("cannot write", path), _draft(target, keys.text("made", _now())) as draft:
        if force:
            os.rename(draft, target)
        else:
            # Unlike a rename it never replaces what somebody else has just made.
            os.link(draft, target)
            os.unlink(draft)
        _sync(os.path.dirname(target))


def rotate(path: Path) -> None:
    """Make the next key current, the current one previous, and a new next one. Owner and mode stay.

    A ticket is good until the second rotation after it was sealed. So the time between two rotations
    should be the lifetime of a ticket at least, and what the file needs to reach all hosts.
    """
    target = os.path.realpath(path)
    with _explained("cannot rotate", path), open(target, "rb") as file:
        _lock(file.fileno(), target, path)
        old = _parse(file.read(LARGEST + 1), path).keys
        fresh = secrets.token_bytes
        new = {"current": old.get("next") or fresh(KEY), "next": fresh(KEY), "previous": old["current"]}
        with _draft(target, Keys(new, None).text("rotated", _now()), like=os.fstat(file.fileno())) as draft:
            os.rename(draft, target)
        _sync(os.path.dirname(target))


def show(path: Path) -> str:
    """What is in a file, in lines for a person: its age, and the name of each key, never the key itself."""
    with _explained("cannot read", path), open(path, "rb") as file:
        found = _parse(file.read(LARGEST + 1), path)
    if found.changed is None:
        age = "unknown"
    else:
        seconds = max(round((_now() - found.changed).total_seconds()), 0)
        age = f"{datetime.timedelta(seconds=seconds)}, since {found.changed.strftime(TIME)}"
    lines = [f"{role:<8} {name(found.keys[role])}" for role in ROLES if role in found.keys]
    return "\n".join([f"age      {age}", *lines])


def name(key: bytes) -> str:
    """The name of a key, in hex: the first 16 octets of each ticket that the engine seals with it."""
    # HKDF (RFC 5869) with SHA-256, one block of it.
    secret = hmac.digest(bytes(hashlib.sha256().digest_size), key, "sha256")
    return hmac.digest(secret, b"smtptls ticket key name\x01", "sha256")[:16].hex()


def _parse(text: bytes, path: Path) -> Keys:
    """The keys of a file. No message has a part of a line, which may be a key."""

    def failed(why: str) -> ConfigError:
        return ConfigError(Code.KEY_PARSE, f"{_shown(path)}: {why}")

    if len(text) > LARGEST:
        raise failed(f"it is larger than {LARGEST} bytes")
    keys: dict[str, bytes] = {}
    changed = None
    for number, line in enumerate(text.decode("ascii", "replace").splitlines(), 1):
        if dated := re.fullmatch(r"# (?:made|rotated) (\S+)", line):
            with contextlib.suppress(ValueError):
                changed = datetime.datetime.strptime(dated[1], TIME).replace(tzinfo=datetime.UTC)
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0] not in ROLES:
            raise failed(f"line {number} begins with none of current, next and previous")
        if len(words) != 2 or not re.fullmatch(r"[0-9A-Fa-f]{64}", words[1]):
            raise failed(f"line {number} has no key of 64 hex digits")
        if words[0] in keys:
            raise failed(f"line {number} is a second {words[0]} key")
        keys[words[0]] = bytes.fromhex(words[1])
    if "current" not in keys:
        raise failed("it has no current key")
    return Keys(keys, changed)


def _lock(descriptor: int, target: str, path: Path) -> None:
    """Keep others from rotating the file too: two rotations in a row would end all tickets that are out."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigError(Code.FILE, f"{_shown(path)} is being rotated by another process") from error
    # The lock may be on a file that another process has replaced since it was opened here.
    ours, there = os.fstat(descriptor), os.stat(target)
    if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino):
        raise ConfigError(Code.FILE, f"{_shown(path)} has just been rotated by another process")


@contextlib.contextmanager
def _draft(target: str, text: str, like: os.stat_result | None = None) -> Iterator[str]:
    """A file with this text beside the target, safely on disk: gone afterwards, unless it was renamed.

    It is for its owner alone, or has owner and mode of another file.
    """
    folder, base = os.path.split(target)
    draft = os.path.join(folder, f".{base}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            # Owner first, so that nobody else can read it meanwhile. The umask may have taken bits away.
            if like is not None and (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, like.st_uid, like.st_gid)
            os.fchmod(descriptor, 0o600 if like is None else stat.S_IMODE(like.st_mode))
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        yield draft
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)


def _sync(folder: str) -> None:
    """The new name is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(what: str, path: Path) -> Iterator[None]:
    """A failure of the system as an error that names the file."""
    try:
        yield
    except ConfigError:
        raise
    except FileExistsError as error:
        message = f"{_shown(path)} is there already; rotate changes it, and make --force ends all its tickets"
        raise ConfigError(Code.FILE, message, errno=error.errno) from error
    except OSError as error:
        message = f"{what} {_shown(path)}: {error.strerror or error}"
        raise ConfigError(Code.FILE, message, errno=error.errno) from error


def _shown(path: Path) -> str:
    return escape(os.fsencode(path))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("smtptls.tickets", description="Files of session ticket keys.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, help_text in (
        ("make", "write a new file"),
        ("rotate", "make the next key current, and a new next one"),
        ("show", "print the age and the names of the keys"),
    ):
        sub = commands.add_parser(command, help=help_text, description=f"{help_text.capitalize()}.")
        sub.add_argument("file", metavar="FILE")
        if command == "make":
            sub.add_argument("--force", action="store_true", help="replace a file, and end all its tickets")
    options = parser.parse_args(arguments)
    try:
        if options.command == "make":
            make(options.file, force=options.force)
        elif options.command == "rotate":
            rotate(options.file)
        else:
            print(show(options.file))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
