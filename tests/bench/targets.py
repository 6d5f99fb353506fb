"""What the library has set itself, and whether a run has met it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.programs import OURS, THEIRS
from bench.rows import Row

Values = Mapping[tuple[str, str], Mapping[str, float]]
Python = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Met:
    """A target, and what was measured."""

    title: str
    wanted: str
    value: float
    is_met: bool

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Target:
    title: str
    bound: float
    measure: Callable[[Values, Python], float]
    at_least: bool = False

    def judge(self, values: Values, python: Python) -> Met:
        value = self.measure(values, python)
        is_met = value >= self.bound if self.at_least else value <= self.bound
        return Met(self.title, f"{'at least' if self.at_least else 'at most'} {self.bound:g}", value, is_met)


def of_openssl(key: str, role: str, base: str = "") -> Callable[[Values, Python], float]:
    """Ours over what OpenSSL takes for the same, or for another row."""
    return lambda values, python: values[key, role][OURS] / values[base or key, role][THEIRS]


def ours(key: str, role: str) -> Callable[[Values, Python], float]:
    return lambda values, python: values[key, role][OURS]


def boundary(role: str) -> Callable[[Values, Python], float]:
    """Instructions of the C library over those of the engine from Rust."""
    return lambda values, python: (
        values["instructions-session", role][OURS] / values["instructions-session", role]["engine"]
    )


def of_ssl(title: str) -> Callable[[Values, Python], float]:
    return lambda values, python: float(python[title]["ratio"])


TARGETS = (
    Target("whole session, client's CPU beside OpenSSL's", 0.43, of_openssl("session", "client")),
    Target("whole session, server's", 0.50, of_openssl("session", "server")),
    Target(
        "resumed with PIPELINING, client's, beside OpenSSL's whole session",
        0.24,
        of_openssl("pipelined-resumed", "client", "session"),
    ),
    Target("the same, server's", 0.35, of_openssl("pipelined-resumed", "server", "session")),
    Target("fork for each connection, client", 0.45, of_openssl("fork-parent", "client")),
    Target("fork for each connection, server", 0.45, of_openssl("fork-parent", "server")),
    Target("instructions of the C library over the engine's, client", 1.02, boundary("client")),
    Target("the same, server", 1.02, boundary("server")),
    Target("bulk, MB for a second of CPU beside OpenSSL's, sending", 1.4, of_openssl("bulk", "client"), True),
    Target("bulk, receiving", 1.4, of_openssl("bulk", "server"), True),
    Target("lines, beside OpenSSL's write for each", 50, of_openssl("lines", "client"), True),
    Target("the same octets in writes of 16 KB", 1.5, of_openssl("lines-16k", "client"), True),
    Target("system calls of a session with PIPELINING, client", 23, ours("system-calls-pipelined", "client")),
    Target("reads and writes of the same, client", 14, ours("reads-and-writes-pipelined", "client")),
    Target("reads and writes of the same, server", 13, ours("reads-and-writes-pipelined", "server")),
    Target("memory of an idle connection, server, KB", 6.1, ours("idle-resident", "server")),
    Target("start of a process to the end of its session, client, us", 2000, ours("start", "client")),
    Target("smtplib's session, CPU beside ssl's", 0.65, of_ssl("smtplib, STARTTLS and a mail")),
    Target(
        "a default context for each session, beside ssl's", 0.06, of_ssl("default context, ready to connect")
    ),
)


def judge(rows: Sequence[Row], python: Python) -> list[Met]:
    values = {(row.key, row.role): row.values for row in rows}
    return [target.judge(values, python) for target in TARGETS]
