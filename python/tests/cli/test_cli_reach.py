"""smtptls connect and smtptls send to a domain: the DNS says which host, and what is demanded of it."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from commands import NAME, one_line, peer, server, smtptls
from smtptls import Tlsa
from test_cli_talk import aiosmtpd
from zone import Zone

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.timeout(120)]

DOMAIN = "example.test"
SIGNED = (f"{DOMAIN}.",)
# Nobody is at the first address, nor at the last.
ADDRESSES = ("127.0.0.9", "127.0.0.1", "127.0.0.8")
HOST = f"{DOMAIN}. MX 10 {NAME}.\n" + "".join(f"{NAME}. A {address}\n" for address in ADDRESSES)
QUIT = b"QUIT\r\n"


def tlsa(port: int, record: object) -> str:
    return f"{HOST}_{port}._tcp.{NAME}. TLSA {record}\n"


def test_a_pipe_to_the_mx_host(good: int, pki: Any) -> None:
    record = Tlsa.of(ssl.PEM_cert_to_DER_cert(pki.leaf.read_text()))
    for records, level, code in (
        (tlsa(good, record), "dane-only", 0),
        (tlsa(good, "3 1 1 " + "00" * 32), "dane", 1),
        (HOST, "dane-only", 1),
        (HOST, "dane", 0),  # comes to may
    ):
        with Zone(records, signed=SIGNED) as zone:
            asked = ("connect", DOMAIN, "--port", good, "--dns", zone.where, "--ca", "none", "--level", level)
            ran = smtptls(*asked, "--sts", "off", stdin=QUIT)
            assert (ran.code, ran.out) == (code, "" if code else "221 2.0.0 Bye\r\n"), ran
    with Zone(HOST, signed=SIGNED, validates=False) as zone:
        asked = ("connect", DOMAIN, "--port", good, "--dns", zone.where, "--ca", pki.ca, "--sts", "off")
        ran = smtptls(*asked, "--level", "verify", stdin=QUIT)
        assert (ran.code, ran.out) == (0, "221 2.0.0 Bye\r\n")
        ran = smtptls(*asked, "--dnssec-trust", "none", "--level", "dane", stdin=QUIT)
        assert ran.code == 3 and "DNSSEC" in ran.err.splitlines()[-1]


def test_a_domain_without_a_host() -> None:
    with Zone(f"{DOMAIN}. MX 0 .\n", signed=SIGNED) as zone:
        for command in (("connect", DOMAIN), ("send", DOMAIN, "--from", "", "--to", f"bob@{DOMAIN}")):
            ran = smtptls(*command, "--dns", zone.where, "--ca", "none", "--level", "encrypt")
            assert ran.code == 1 and one_line(ran).endswith("null MX record (RFC 7505) (5.1.10)")
    with Zone(HOST, faults={f"{DOMAIN}. MX": "bogus"}) as zone:
        ran = smtptls("connect", DOMAIN, "--dns", zone.where, "--ca", "none", "--level", "encrypt")
        assert ran.code == 3 and "do not validate" in one_line(ran)


def test_a_message_to_the_mx_host(pki: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    record = Tlsa.of(ssl.PEM_cert_to_DER_cert(pki.leaf.read_text()))
    with aiosmtpd(context) as (port, kept), Zone(tlsa(port, record), signed=SIGNED) as zone:
        asked = (
            "send", DOMAIN, "--from", "alice@client.example.test", "--to", f"bob@{DOMAIN}", "--port", port,
            "--dns", zone.where, "--ca", "none", "--level", "auto", "--sts", "off",
        )  # fmt: skip
        ran = smtptls(*asked)
        assert ran.code == 0 and "level dane, proved by dane-ee; secured: yes" in ran.out, ran
        assert len(kept.messages) == 1
        # Whom an answer of the DNS names gets no password.
        ran = smtptls(*asked, "--user", "alice", env={"SMTPTLS_PASSWORD": "secret"})
        assert ran.code == 2 and "password" in one_line(ran)
        assert len(kept.messages) == 1


def test_a_host_is_where_it_was_without_the_dns(pki: Any) -> None:
    with peer(server(pki.leaf, pki.leaf_key)) as port:
        ran = smtptls("connect", "localhost", "--dns", "off", "--port", port, "--ca", pki.ca, stdin=QUIT)
        assert (ran.code, ran.out) == (0, "221 2.0.0 Bye\r\n")
        ran = smtptls("connect", "[localhost]", "--port", port, "--ca", pki.ca, stdin=QUIT)
        assert (ran.code, ran.out) == (0, "221 2.0.0 Bye\r\n")
