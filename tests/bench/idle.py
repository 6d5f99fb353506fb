"""Memory of idle connections, of each role, and what it costs to open one while many are open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ca.ca import Paths

from bench.programs import CORE, OURS, THEIRS, Words, figures, line, pinned, running
from bench.rows import Row

ROLES = ("client", "server")
# Flags beside the library: OpenSSL can give back the buffers of an idle session.
KINDS: dict[str, tuple[str, Words]] = {
    "openssl": (THEIRS, ()),
    "lean": (THEIRS, ("-l",)),
    "gnutls": ("gnutls", ()),
}
KINDS |= {OURS: (OURS, ()), "direct": ("direct", ())}


def open_many(
    pki: Paths, folder: Path, library: str, role: str, count: int, already: int = 100, flags: Words = ()
) -> dict[str, float]:
    """What each of `count` idle connections takes, in octets and microseconds, while `already` are open."""
    libraries = {"client": THEIRS, "server": THEIRS} | {role: library}
    files: dict[str, Words] = {"client": ("-a", pki.ca), "server": ("-c", pki.leaf, "-k", pki.leaf_key)}
    files[role] = (*files[role], *flags)

    def words(role: str, *more: str) -> list[str | Path]:
        counts = ("-n", str(count), "-w", str(already))
        return [folder / f"idle-{libraries[role]}", role, *counts, *files[role], *more]

    with (
        pinned(CORE),
        running(words("server")) as server,
        running(words("client", "-p", line(server))) as client,
    ):
        said = {"client": figures(line(client)), "server": figures(line(server))}
    return said[role]


def rows(
    pki: Paths, folder: Path, count: int, show: Callable[[Row], None] = lambda row: None
) -> Iterator[Row]:
    for role in ROLES:
        found = {
            name: open_many(pki, folder, library, role, count, flags=flags)
            for name, (library, flags) in KINDS.items()
        }
        for key, title in (
            ("heap", "heap of an idle connection"),
            ("resident", "memory of an idle connection (RSS)"),
        ):
            yield Row(
                f"idle-{key}", title, role, "KB", {name: said[key] / 1000 for name, said in found.items()}
            )
