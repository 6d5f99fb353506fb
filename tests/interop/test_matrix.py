"""Each cell of docs/interop.md, run again: peers as servers and as clients, under each condition.

tests/interop/matrix/cells.py fills the cells; `python tests/interop/matrix --write` makes the page anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ca.ca import Paths
from matrix import page
from matrix.cells import CONDITIONS, VERSIONS, meet_client, meet_server
from matrix.peer import Condition
from matrix.senders import CLIENTS
from matrix.servers import SERVERS

NAMES = [page.heading(condition, "").strip() for condition in CONDITIONS]


def check(table: str, peer: str, condition: Condition, found: dict[str, str]) -> None:
    told = page.read()
    assert found == {version: told.get((table, peer, condition, version)) for version in VERSIONS}, (
        "docs/interop.md says otherwise: python tests/interop/matrix --write"
    )


@pytest.mark.parametrize("condition", CONDITIONS, ids=NAMES)
@pytest.mark.parametrize("peer", SERVERS)
def test_server(peer: str, condition: Condition, pki: Paths) -> None:
    check(page.ours_as_client, peer, condition, meet_server(peer, condition, pki))


@pytest.mark.parametrize("condition", CONDITIONS, ids=NAMES)
@pytest.mark.parametrize("peer", CLIENTS)
def test_client(peer: str, condition: Condition, pki: Paths, tmp_path: Path) -> None:
    check(page.ours_as_server, peer, condition, meet_client(peer, condition, pki, tmp_path))


def test_page() -> None:
    """Nothing of it stands there that is not run, nor the other way about."""
    assert set(page.read()) == {
        (table, peer, *column)
        for table, peers in page.TABLES.items()
        for peer in peers
        for column in page.columns()
    }
