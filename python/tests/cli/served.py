"""smtptls serve as a process, from `with` to the end of its block."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commands import CLEAN, DEADLINE, command


@dataclass
class Served:
    """A running server: its ready line, and afterwards what it wrote on stderr."""

    process: subprocess.Popen[bytes]
    ready: dict[str, Any]
    ca: Path
    err: str = ""
    lines: list[str] = field(default_factory=list)  # of stderr

    @property
    def port(self) -> int:
        return int(self.ready["port"])


@contextlib.contextmanager
def serving(
    folder: Path,
    *arguments: Any,
    ends: bool = False,
    stop: int = signal.SIGTERM,
    env: dict[str, str] | None = None,
) -> Iterator[Served]:
    """Starts it and waits for its ready line; afterwards it must end with 0 and without a complaint.

    ends: it ends by itself.
    """
    ca = folder / "serve-ca.pem"
    own = () if "--cert" in arguments else ("--write-ca", ca)
    started = command("serve", *own, *arguments)
    process = subprocess.Popen(
        started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN | (env or {})
    )
    assert process.stdout and process.stderr
    served = Served(process, {}, ca)
    first: queue.Queue[bytes] = queue.Queue()
    readers = [
        threading.Thread(target=lambda stream: first.put(stream.readline()), args=(process.stdout,)),
        threading.Thread(target=_read, args=(process.stderr, served)),
    ]
    for reader in readers:
        reader.start()
    try:
        line = first.get(timeout=DEADLINE)
        assert line, served.err
        served.ready = json.loads(line)
        yield served
        if not ends:
            assert process.poll() is None, served.err
            process.send_signal(stop)
        assert process.wait(DEADLINE) == 0, served.err
    finally:
        process.kill()
        process.wait()
        for reader in readers:
            reader.join(DEADLINE)
        process.stdout.close()
        process.stderr.close()
    assert "Traceback" not in served.err and "bug" not in served.err and "Warning" not in served.err, (
        served.err
    )


def _read(stream: Any, served: Served) -> None:
    for line in stream:
        served.err += line.decode()
        served.lines.append(line.decode().rstrip("\n"))
