"""`host.py` from `with` to the end of its block, on loopback or as a host of its own: a network namespace."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ca.ca import Paths
from conftest import DEADLINE, Listening, missing, require_peer, wait_until

PROGRAM = Path(__file__).with_name("host.py")


class Host(Listening):
    """Afterwards `.counts` says how many sessions were new, resumed and failed."""

    def __init__(
        self,
        pki: Paths,
        ticket_keys: Path,
        *,
        address: str = "127.0.0.1",
        cert: Path | None = None,
        key: Path | None = None,
        most: int = 64,
        prefix: Sequence[str] = (),
    ) -> None:
        words = [address, 0, cert or pki.leaf, key or pki.leaf_key, ticket_keys, most]
        self._argv = [*prefix, sys.executable, str(PROGRAM), *map(str, words)]
        self.counts: dict[str, int] = {}
        self._reloads = 0

    def files(self) -> int:
        """How many descriptors the parent has."""
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def reload(self) -> None:
        """Let it read its key pairs and ticket keys again, and wait until it has."""
        super().reload()
        self._reloads += 1
        self.out.wait("reloaded", self._reloads)

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        try:
            self._process.send_signal(signal.SIGTERM)
            status = self._process.wait(DEADLINE)
            counts = self.out.wait("ended: ")
            self.counts = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", counts)}
            self.stderr = self.err.all()
            assert status == 0, f"the host ended with {status}: {self.stderr}"
        except BaseException:
            if kind is None:
                raise
        finally:
            self._kill()


def ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True, timeout=DEADLINE)


@contextlib.contextmanager
def namespace(number: int) -> Iterator[tuple[str, list[str]]]:
    """A network namespace with an interface to us: its address, and the prefix of a program to run there."""
    require_peer("ip", "iproute2")
    if os.geteuid() != 0:
        missing("a network namespace needs root")
    mark = os.getpid() % 16_384
    name, ours, theirs = f"smtptls-{mark}-{number}", f"st{mark}a{number}", f"st{mark}b{number}"
    # 198.18.0.0/15 is for tests of network devices (RFC 2544), so nobody has routes to it.
    network = ipaddress.ip_address("198.18.0.0") + (mark * 2 + number) * 4
    near, far = str(network + 1), str(network + 2)
    try:
        try:
            ip("netns", "add", name)
            ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        except subprocess.CalledProcessError as error:
            missing(f"there are no network namespaces here: {error.stderr.decode().strip()}")
        ip("address", "add", f"{near}/30", "dev", ours)
        ip("link", "set", ours, "up")
        ip("-n", name, "address", "add", f"{far}/30", "dev", theirs)
        for link in ("lo", theirs):
            ip("-n", name, "link", "set", link, "up")
        yield far, ["ip", "netns", "exec", name]
    finally:
        # The interface goes with the namespace, at once or a moment later.
        ip("link", "delete", ours, check=False)
        ip("netns", "delete", name, check=False)
        wait_until(lambda: not Path(f"/sys/class/net/{ours}").exists(), f"{ours} to go")
