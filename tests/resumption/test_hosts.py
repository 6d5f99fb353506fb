"""Two hosts, each a network namespace with its own copy of the file of ticket keys."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from ca.ca import Paths
from resumption.fleet import VERSIONS, keeping, keys, openssl, visit
from resumption.hosts import Host, namespace
from smtptls import TlsVersion, tickets


def distribute(path: Path, copies: list[Path]) -> None:
    """As an operator would: a whole file under its final name, or none."""
    for copy in copies:
        draft = copy.with_suffix(".tmp")
        shutil.copy(path, draft)
        os.rename(draft, copy)


@pytest.mark.parametrize("version", VERSIONS)
def test_hosts_resume_each_other_s_sessions(version: TlsVersion, pki: Paths, tmp_path: Path) -> None:
    path, saved = keys(tmp_path / "keys"), tmp_path / "session"
    copies = [tmp_path / "keys.0", tmp_path / "keys.1"]
    distribute(path, copies)
    with contextlib.ExitStack() as stack:
        hosts = []
        for number, copy in enumerate(copies):
            address, prefix = stack.enter_context(namespace(number))
            host = Host(pki, copy, address=address, prefix=prefix)
            hosts.append(stack.enter_context(host))
        one, two = hosts
        assert one.host != two.host
        client = keeping(pki, version)
        visited = [visit(client, host.port, host.host).resumed for host in (one, two, one)]
        assert visited == [False, True, True]
        assert not openssl(pki, one.port, version, host=one.host, save=saved)
        assert openssl(pki, two.port, version, host=two.host, resume=saved)
        # While the new file is on its way, each knows the other's key.
        tickets.rotate(path)
        distribute(path, copies[1:])
        two.reload()
        assert visit(client, one.port, one.host).resumed
        assert visit(client, two.port, two.host).resumed
        assert visit(client, one.port, one.host).resumed
        distribute(path, copies[:1])
        one.reload()
        assert openssl(pki, one.port, version, host=one.host, resume=saved)
        tickets.rotate(path)
        distribute(path, copies)
        for host in hosts:
            host.reload()
            assert not openssl(pki, host.port, version, host=host.host, resume=saved)
    assert one.stderr == two.stderr == [] and one.counts["failed"] == two.counts["failed"] == 0
