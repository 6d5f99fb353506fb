"""What repeats: instructions, system calls, segments and allocations of a session.

A run of more sessions less a run of fewer leaves what a session takes, without what a process does once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bench.programs import Job

FEWER, MORE = 10, 20
READS_AND_WRITES = {"read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg"}

Counts = dict[str, float]


def difference(job: Job, count: Callable[[Job], Counts], fewer: int = FEWER, more: int = MORE) -> Counts:
    """What each further session adds."""
    few, many = (count(replace(job, sessions=sessions, warm=0)) for sessions in (fewer, more))
    return {key: (many[key] - few.get(key, 0)) / (more - fewer) for key in many}


@dataclass(frozen=True)
class Counter:
    """Runs the drivers in a folder, one role of them under a program that counts."""

    folder: Path

    def under(self, job: Job, role: str, *words: str) -> str:
        """What the counting program wrote; `LOG` among its words is where."""
        log = self.folder / "counts"
        prefix = tuple(word.replace("LOG", str(log)) for word in words)
        replace(job, **{f"{role}_prefix": prefix}).run(self.folder)  # type: ignore[arg-type]
        return log.read_text()

    def instructions(self, job: Job, role: str) -> float:
        def count(job: Job) -> Counts:
            text = self.under(
                job, role, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-file=LOG"
            )
            return {"all": float(found(r"Collected : (\d+)", text))}

        return difference(job, count)["all"]

    def system_calls(self, job: Job, role: str) -> Counts:
        """How many in all, and of reads and writes alone."""

        def count(job: Job) -> Counts:
            text = self.under(job, role, "strace", "-f", "-qq", "-c", "-U", "name,calls", "-o", "LOG")
            rows = [line.split() for line in text.splitlines()]
            return {row[0]: float(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}

        calls = difference(job, count)
        return {
            "all": calls["total"],
            "reads and writes": sum(calls.get(name, 0) for name in READS_AND_WRITES),
        }

    def heap(self, job: Job, role: str, fewer: int = FEWER, more: int = MORE) -> Counts:
        """Allocations, and octets of them."""

        def count(job: Job) -> Counts:
            text = self.under(
                job, role, "valgrind", "--tool=dhat", "--dhat-out-file=/dev/null", "--log-file=LOG"
            )
            octets, blocks = re.findall(r"[\d,]+", found(r"Total: +([\d,]+ bytes in [\d,]+ blocks)", text))
            return {"octets": plain(octets), "blocks": plain(blocks)}

        return difference(job, count, fewer, more)

    def segments(self, job: Job, role: str) -> Counts:
        """Segments with data that TCP has sent and received; on loopback a write, unless it is long."""
        said = replace(job, both=(*job.both, "-i"), sessions=MORE).run(self.folder)[role]
        return {"out": said["segments_out"], "in": said["segments_in"]}


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"no {pattern} in: {text}")
    return match[1]


def plain(number: str) -> float:
    return float(number.replace(",", ""))
