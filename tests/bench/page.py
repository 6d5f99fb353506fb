"""What a run found, into docs/performance.md and its charts. The words around it are written by hand."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.growth import Series
from bench.programs import OURS, ROOT, THEIRS
from bench.rows import TITLES, Row, lines, number
from bench.targets import Met

PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"
GROWTH = ROOT / "docs" / "growth.svg"
# Of the chart: a bar is the cost beside OpenSSL's, so less is better.
BARS = (
    "session",
    "pipelined",
    "resumed",
    "pipelined-resumed",
    "rsa",
    "fork-parent",
    "start",
    "bulk",
    "lines-16k",
    "idle-resident",
)


def machine() -> dict[str, str]:
    """What the figures are of."""

    def said(*words: str) -> str:
        return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[0]

    cpu = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    system = re.search(r'^PRETTY_NAME="(.+)"$', Path("/etc/os-release").read_text(), re.MULTILINE)
    locked = re.search(r'name = "rustls"\nversion = "(.+)"', (ROOT / "Cargo.lock").read_text())
    gnutls = re.search(r"[\d.]+", said("pkg-config", "--modversion", "gnutls"))
    return {
        "date": datetime.date.today().isoformat(),
        "processor": f"{cpu[1] if cpu else 'unknown'}, {os.cpu_count()} cores",
        "system": system[1] if system else "unknown",
        "OpenSSL": said("openssl", "version").split()[1],
        "GnuTLS": gnutls[0] if gnutls else "unknown",
        "rustls": locked[1] if locked else "unknown",
    }


def write(
    document: dict[str, Any], rows: Sequence[Row], charts: Sequence[Series], met: Sequence[Met]
) -> None:
    about = ", ".join(f"{name} {value}" for name, value in document["machine"].items())
    kind = "`make bench QUICK=1`" if document["quick"] else "`make bench`"
    columns = max((len(series.at) for series in charts), default=0)
    parts = {
        "machine": f"{kind}: {about}.",
        "targets": table(
            [["target", "wanted", "measured", ""]]
            + [
                [one.title, one.wanted, number(one.value), "met" if one.is_met else "**not met**"]
                for one in met
            ]
        ),
        "figures": table(lines(rows)),
        "python": table(
            [["figure", "unit", "ssl", "pyrtls", "smtptls", "smtptls / ssl"]]
            + [
                [
                    title,
                    row["unit"],
                    *(number(row.get(name)) for name in ("ssl", "pyrtls", "smtptls", "ratio")),
                ]
                for title, row in document["python"].items()
            ]
        ),
        "growth": table(
            [["figure", "of", *("" for _ in range(columns)), "steepest power"]]
            + [line for series in charts for line in growing(series, columns)]
        ),
    }
    text = PAGE.read_text()
    for name, part in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise RuntimeError(f"{PAGE.name} has no place for {name}")
        text = f"{before}{begin}{part}\n{end}{after}"
    PAGE.write_text(text)
    draw(rows, charts)


def growing(series: Series, columns: int) -> list[list[str]]:
    """A line for what it grows with, and one for each of its lines."""
    room = ["" for _ in range(columns - len(series.at))]
    found = [[f"**{series.title}**", series.across, *(f"{at:,}" for at in series.at), *room, ""]]
    for name, values in series.lines.items():
        found.append([name, series.up, *map(number, values), *room, f"{series.steepest(name):.2f}"])
    return found


def table(cells: Sequence[Sequence[str]]) -> str:
    """As markdown."""
    head, *rest = cells
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rest))


def draw(rows: Sequence[Row], charts: Sequence[Series]) -> None:
    # Needed for the charts alone, so that what only counts does without.
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "smtptls", "svg.fonttype": "none", "font.size": 8}
    from matplotlib import pyplot

    shown = [row for key in BARS for row in rows if row.key == key and row.ratio() is not None]
    figure, axes = pyplot.subplots(figsize=(8, 0.45 * len(shown) + 1))
    names = [name for name in (THEIRS, "gnutls", OURS, "direct") if any(name in row.values for row in shown)]
    for n, name in enumerate(names):
        bars = []
        for row in shown:
            ratio = row.ratio(name) or 0.0
            # MB a second: the cost is the other way round.
            bars.append(1 / ratio if row.unit == "MB/s" and ratio else ratio)
        places = [y + 0.2 * n for y in range(len(shown))]
        axes.barh(places, bars, 0.2, label=TITLES[name])
    axes.set_yticks(
        [y + 0.3 for y in range(len(shown))], [f"{row.title}, {row.role}" for row in shown], fontsize=7
    )
    axes.invert_yaxis()
    axes.set_xlabel("cost beside OpenSSL's: CPU, or memory of an idle connection; less is better")
    axes.legend()
    save(figure, CHART)

    figure, places = pyplot.subplots(1, len(charts), figsize=(3 * len(charts), 3))
    for axes, series in zip(places, charts, strict=True):
        for name, values in series.lines.items():
            axes.plot(series.at, values, marker=".", label=name)
        axes.set(xscale="log", yscale="log", title=series.title, xlabel=series.across, ylabel=series.up)
        axes.legend(fontsize=6, framealpha=0.5)
    save(figure, GROWTH)


def save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    # Without a date, the same figures make the same file.
    figure.savefig(path, metadata={"Date": None})
