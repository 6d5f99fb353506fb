"""Fixtures for the tests of the command; no conftest.py, since tests/ of the repository has one already."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import peer, server

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# Its fixtures as they are there: another `pki` of the same name would be another CA.
pytest_plugins = ["configurations"]


@pytest.fixture
def good(pki: Any) -> Iterator[int]:
    """The port of a server with a good certificate."""
    with peer(server(pki.leaf, pki.leaf_key)) as port:
        yield port
