"""Runs the whole matrix and prints it; with --write it becomes docs/interop.md."""

from __future__ import annotations

import logging
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ca.ca import make

from matrix import page
from matrix.cells import CONDITIONS, VERSIONS, meet_client, meet_server
from matrix.peer import Condition


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--write"]):
        print("usage: python tests/interop/matrix [--write]", file=sys.stderr)
        return 2
    logging.disable()  # aiosmtpd warns of contexts that require certificates, which is what they are for
    cells: page.Cells = {}
    with tempfile.TemporaryDirectory(prefix="smtptls-matrix-") as name:
        pki = make(Path(name) / "pki")

        def fill(meeting: tuple[str, str, Condition]) -> None:
            table, peer, condition = meeting
            try:
                if table == page.ours_as_client:
                    found = meet_server(peer, condition, pki)
                else:
                    with tempfile.TemporaryDirectory(dir=name) as folder:
                        found = meet_client(peer, condition, pki, Path(folder))
            except BaseException as error:  # pytest's own for a peer that is absent is no Exception
                reason = " ".join(str(error).split())[:80]
                skipped = type(error).__name__ == "Skipped"
                found = dict.fromkeys(VERSIONS, f"n.a.: {reason}" if skipped else f"failed: {error!r:.80}")
            cells.update({(table, peer, condition, version): text for version, text in found.items()})

        meetings = [
            (table, peer, c) for table, peers in page.TABLES.items() for peer in peers for c in CONDITIONS
        ]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fill, meetings))
    text = page.render(cells)
    if "--write" in arguments:
        page.PAGE.write_text(text)
    else:
        print(text)
    return 0 if all(cell in ("ok", "full") for cell in cells.values()) else 1
