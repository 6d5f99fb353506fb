"""Two server processes with one file of ticket keys: what each resumes of the other's sessions, and what not.

With the client of the library and with OpenSSL.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from ca.ca import NAME, Paths
from conftest import DEADLINE
from resumption.fleet import VERSIONS, Server, altered, keeping, keys, openssl, ticket_of, visit
from smtptls import TlsVersion, tickets

# Each serves with the other.
PAIRS = (("rust", "rust"), ("rust", "python"), ("c", "rust"))
TLS1_2, TLS1_3 = VERSIONS
PIECE = 64  # octets of garbage: less than the shortest ticket has behind the name of its key


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("languages", PAIRS, ids="-".join)
def test_each_resumes_the_sessions_of_the_other(
    languages: tuple[str, str], version: TlsVersion, pki: Paths, tmp_path: Path
) -> None:
    path, saved = keys(tmp_path / "keys"), tmp_path / "session"
    with (
        Server(languages[0], pki, tmp_path / "one", "--ticket-keys", path) as one,
        Server(languages[1], pki, tmp_path / "two", "--ticket-keys", path) as two,
    ):
        client = keeping(pki, version)
        assert [visit(client, server.port).resumed for server in (one, two, one)] == [False, True, True]
        assert not openssl(pki, one.port, version, save=saved)
        assert ticket_of(saved, path)[1] == "current"
        assert openssl(pki, two.port, version, resume=saved)
        assert not visit(keeping(pki, version), two.port).resumed, "a client that keeps nothing of it"
    lines = [line for line in one.stdout + two.stdout if line.startswith("tls: ")]
    assert sum(line.endswith(" resumed") for line in lines) == 3 and len(lines) == 6
    assert one.stderr == two.stderr == []


@pytest.mark.parametrize("version", VERSIONS)
def test_two_rotations_end_a_ticket(language: str, version: TlsVersion, pki: Paths, tmp_path: Path) -> None:
    """After one rotation tickets of before resume, after two they do not; new ones always do."""
    path, old, new = keys(tmp_path / "keys"), tmp_path / "old", tmp_path / "new"
    with (
        Server(language, pki, tmp_path / "one", "--ticket-keys", path) as one,
        Server("rust", pki, tmp_path / "two", "--ticket-keys", path) as two,
    ):
        openssl(pki, one.port, version, save=old)
        for rotation, role in ((1, "previous"), (2, "none")):
            tickets.rotate(path)
            one.reload()
            assert ticket_of(old, path)[1] == role
            # A host that has not heard of the rotation knows its key all the same: it is its next one.
            openssl(pki, one.port, version, save=new)
            assert openssl(pki, two.port, version, resume=new)
            two.reload()
            for server in (one, two):
                assert openssl(pki, server.port, version, resume=old) == (rotation == 1)
            client = keeping(pki, version)
            assert [visit(client, server.port).resumed for server in (one, two)] == [False, True]
    assert one.stderr == two.stderr == []


@pytest.mark.parametrize("version", VERSIONS)
def test_another_service_does_not(version: TlsVersion, pki: Paths, tmp_path: Path) -> None:
    path, saved = keys(tmp_path / "keys"), tmp_path / "session"
    flags = ("--ticket-keys", path)
    with (
        Server("rust", pki, tmp_path / "mx", *flags) as mx,
        Server("rust", pki, tmp_path / "submission", *flags, "--service", "submission") as submission,
        Server("python", pki, tmp_path / "named", *flags, "--service", "smtp") as named,
    ):
        openssl(pki, mx.port, version, save=saved)
        assert not openssl(pki, submission.port, version, resume=saved)
        assert openssl(pki, named.port, version, resume=saved), "smtp is the default"
        client = keeping(pki, version)
        ports = [mx.port, submission.port, submission.port, mx.port]
        assert [visit(client, port).resumed for port in ports] == [False, False, True, False]
    assert mx.stderr == submission.stderr == named.stderr == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ticket_that_cannot_be_opened_disturbs_nobody(
    language: str, version: TlsVersion, pki: Paths, tmp_path: Path
) -> None:
    """Garbage, and a ticket of a key that is gone: a full handshake each, beside sessions that go on."""
    path, saved = keys(tmp_path / "keys"), tmp_path / "session"
    with Server(language, pki, tmp_path / "store", "--ticket-keys", path) as serve:
        client = keeping(pki, version)
        visit(client, serve.port)
        openssl(pki, serve.port, version, save=saved)
        at, _ = ticket_of(saved, path)
        assert at > 0
        for place in (at, at + 16, at + 48):  # the name of the key, the salt, what is sealed
            assert not openssl(pki, serve.port, version, resume=altered(saved, place, os.urandom(16)))
        assert not openssl(pki, serve.port, version, resume=altered(saved, at, os.urandom(PIECE)))
        assert openssl(pki, serve.port, version, resume=saved)
        assert visit(client, serve.port).resumed, "the others are not disturbed"
        tickets.make(path, force=True)
        serve.reload()
        assert not openssl(pki, serve.port, version, resume=saved)
        assert [visit(client, serve.port).resumed for _ in range(2)] == [False, True]
    assert serve.stderr == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_number_of_tickets(language: str, count: int, pki: Paths, tmp_path: Path) -> None:
    """As OpenSSL counts them. TLS 1.2 has one, in its handshake, whatever was asked for."""
    path = keys(tmp_path / "keys")
    flags = ("--ticket-keys", path, "--tickets", str(count))
    with Server(language, pki, tmp_path / "store", *flags) as serve:
        words = [
            "openssl",
            "s_client",
            "-connect",
            f"127.0.0.1:{serve.port}",
            "-starttls",
            "smtp",
            "-ign_eof",
        ]
        done = subprocess.run(words, input=b"QUIT\r\n", capture_output=True, timeout=DEADLINE, check=True)
        assert done.stdout.count(b"New Session Ticket arrived") == count
        for version, resumed in ((TLS1_3, count > 0), (TLS1_2, True)):
            client = keeping(pki, version)
            assert [visit(client, serve.port).resumed for _ in range(2)] == [False, resumed]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ticket_ends_with_its_lifetime(version: TlsVersion, pki: Paths, tmp_path: Path) -> None:
    path, saved = keys(tmp_path / "keys"), tmp_path / "session"
    flags = ("--ticket-keys", path, "--ticket-lifetime")
    with (
        Server("rust", pki, tmp_path / "long", *flags, "60") as long,
        Server("python", pki, tmp_path / "none", *flags, "0") as none,
    ):
        openssl(pki, long.port, version, save=saved)
        text = subprocess.run(
            ["openssl", "sess_id", "-in", str(saved), "-noout", "-text"], capture_output=True, check=True
        ).stdout
        assert re.findall(rb"lifetime hint: (\d+)", text) == [b"60"]
        # Who opens a ticket goes by its own lifetime.
        assert not openssl(pki, none.port, version, resume=saved)
        assert openssl(pki, long.port, version, resume=saved)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_certificate_is_judged_anew(
    language: str, version: TlsVersion, pki: Paths, tmp_path: Path
) -> None:
    """It travels in the ticket. A server that does not trust its authority does not when resuming either."""
    flags = ("--ticket-keys", keys(tmp_path / "keys"), "--client-auth", "ask", "--client-ca")
    with (
        Server(language, pki, tmp_path / "one", *flags, pki.ca) as one,
        Server("rust", pki, tmp_path / "two", *flags, pki.wrongca) as two,
    ):
        client = keeping(pki, version, keypairs=[(pki.client, pki.client_key)])
        visited = [visit(client, server.port).resumed for server in (one, one, two)]
        assert visited == [False, True, True]
        told = [server.out.wait("client: ", count) for server, count in ((one, 1), (one, 2), (two, 1))]
    assert [line.split(" ")[0] for line in told] == ["auth=pkix", "auth=pkix", "auth=none"]
    assert len({line.split(" ", 1)[1] for line in told}) == 1, "its subject is the same"


def test_without_keys_nothing_is_resumed(language: str, pki: Paths, tmp_path: Path) -> None:
    with Server(language, pki, tmp_path / "store") as serve:
        for version in VERSIONS:
            client = keeping(pki, version)
            assert [visit(client, serve.port).resumed for _ in range(2)] == [False, False]


def test_sessions_are_kept_by_name(pki: Paths, tmp_path: Path) -> None:
    """Of a host by its name and its SNI, and of no other; a resumed session is judged anew."""
    path = keys(tmp_path / "keys")
    with Server("rust", pki, tmp_path / "store", "--ticket-keys", path) as serve:
        client = keeping(pki)
        visited = [visit(client, serve.port, name=name) for name in (NAME, "localhost", NAME, "localhost")]
        assert [info.resumed for info in visited] == [False, False, True, True]
        assert all(info.secured for info in visited)
