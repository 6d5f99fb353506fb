"""A row of the bench: one figure of one role, for each library that was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.programs import OURS, THEIRS

TITLES = {
    THEIRS: "OpenSSL",
    "lean": "OpenSSL, lean",
    "gnutls": "GnuTLS",
    OURS: "smtptls",
    "engine": "from Rust",
    "direct": "rustls",
    "none": "no TLS",
}


@dataclass(frozen=True)
class Row:
    """`key` and `role` name it in bench.json and in the list of targets."""

    key: str
    title: str
    role: str
    unit: str
    values: Mapping[str, float]

    def ratio(self, library: str = OURS) -> float | None:
        """Ours over OpenSSL's."""
        mine, theirs = self.values.get(library), self.values.get(THEIRS)
        return mine / theirs if mine is not None and theirs else None

    def document(self) -> dict[str, Any]:
        return asdict(self)


def medians(rounds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {library: statistics.median(values) for library, values in rounds.items()}


def number(value: float | None) -> str:
    """Three digits that count; none of a figure that is not there."""
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 10 or value == 0 else f"{value:.2f}"


def lines(rows: Sequence[Row]) -> list[list[str]]:
    """A table of them, as it stands in the page: a heading, then a line for each."""
    libraries = [name for name in TITLES if any(name in row.values for row in rows)]
    table = [["figure", "role", "unit", *(TITLES[name] for name in libraries), "smtptls / OpenSSL"]]
    for row in rows:
        values = [number(row.values.get(name)) for name in libraries]
        table.append([row.title, row.role, row.unit, *values, number(row.ratio())])
    return table
