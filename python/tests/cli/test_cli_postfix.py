"""smtptls check and Postfix's posttls-finger, of the same server at the same level: would a message go?

posttls-finger says it by its text alone (it ends with 0 in any case), so the text is read as smtp(8) goes on
from there. Where the two answer differently it stands in a table, with why, and is tested to be still so.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import CLEAN, NAME, command, peer, says, server, smtptls
from smtptls import Tlsa, fingerprint
from test_cli_check import BARE, HELLO, OFFER, der
from test_cli_compare import found
from zone import Zone

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(240)]

DOMAIN = "example.test"
PATIENCE = 90.0  # seconds
ESTABLISHED = re.compile(
    r"^posttls-finger: (\w+) TLS connection established to .*: (TLSv[\d.]+) with cipher", re.MULTILINE
)
GO = b"220 2.0.0 Go ahead\r\n"
LEVELS = ("may", "encrypt", "fingerprint", "wrong-fingerprint", "verify", "secure", "secure-other")

Serve = Callable[[socket.socket], None]


def garbage(connection: socket.socket) -> None:
    """No TLS behind 220."""
    says(HELLO, OFFER, GO)(connection)
    connection.recv(4096)
    connection.sendall(b"this is no TLS record at all\r\n" * 10)


def alert(connection: socket.socket) -> None:
    """A server that has no TLS for anybody."""
    says(HELLO, OFFER, GO)(connection)
    connection.recv(4096)
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")


def shown(name: str, key: str | None = None, **how: Any) -> Callable[[Any], Serve]:
    """A server with a certificate of the test PKI."""
    return lambda pki: server(getattr(pki, name), getattr(pki, key or f"{name}_key"), **how)


CERTIFICATES = (
    "leaf", "rsa", "chain", "expired", "notyet", "other", "wildcard", "cnonly", "client", "weak",
    "selfsigned", "caleaf",
)  # fmt: skip
SERVERS: dict[str, Callable[[Any], Serve]] = {
    **{name: shown(name) for name in CERTIFICATES},
    "nochain": shown("nochain", "chain_key"),
    "tls1.2": shown("leaf", newest=ssl.TLSVersion.TLSv1_2),
    "injection": shown("leaf", answer=GO + b"250 injected\r\n"),
    "offers again": shown("leaf", inside=OFFER),
    "no STARTTLS": lambda _: says(HELLO, BARE, b"221 Bye\r\n"),
    "454": lambda _: says(HELLO, OFFER, b"454 4.7.0 Not now\r\n", b"221 Bye\r\n"),
    "554": lambda _: says(HELLO, OFFER, b"554 5.7.0 No\r\n", b"221 Bye\r\n"),
    "421": lambda _: says(b"421 4.3.2 Too many connections\r\n", None),
    "garbage": lambda _: garbage,
    "alert": lambda _: alert,
}

# What Postfix would do, what we would, and why.
Different = Mapping[tuple[str, str], tuple[str, str, str]]
CN = "Postfix goes by the common name where there is no subjectAltName; RFC 9525 section 2 ended that"
INJECTED = "Postfix drops plaintext behind the 220 and goes on; SEC-3: somebody is on the path, so we stop"
SHORT = "Postfix leaves it to OpenSSL what key proves something; to us RSA below 2048 bits proves nothing"
DIFFERENT: Different = {
    **{("cnonly", level): ("verified", "defer", CN) for level in ("verify", "secure")},
    **{("injection", level): ("send", "defer", INJECTED) for level in ("may", "encrypt")},
    **{
        ("injection", level): ("verified", "defer", INJECTED) for level in ("fingerprint", "verify", "secure")
    },
    ("garbage", "may"): ("clear", "defer", INJECTED),
    **{("weak", level): ("verified", "defer", SHORT) for level in ("fingerprint", "verify", "secure")},
}
# Whose chain Postfix calls trusted, and we do not.
DOUBTED = {"weak": SHORT}


@dataclass
class Answer:
    """What would become of a message: clear, send, verified or defer; and whether the chain is trusted."""

    word: str
    trusted: bool | None = None
    version: str | None = None


def run_postfix(level: str, *arguments: Any, prefix: tuple[str, ...] = ()) -> str:
    finger = [*prefix, found("posttls-finger", "postfix"), "-a", "ipv4", "-c", "-d", "sha256", "-l", level]
    done = subprocess.run(
        [*finger, "-T", "20", "-t", "20", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    text = done.stdout.decode("utf-8", "replace")
    print(text)
    assert done.returncode == 0 and "fatal" not in text, done
    return text


def read_postfix(level: str, text: str) -> Answer:
    """As smtp(8) goes on at this level: it has plaintext at may alone, where TLS cannot be had."""
    if said := ESTABLISHED.search(text):
        if level in ("may", "encrypt"):
            return Answer("send", said[1] != "Untrusted", said[2])
        return Answer("verified" if said[1] == "Verified" else "defer", None, said[2])
    if "SMTP service not available" in text:
        return Answer("defer")
    return Answer("clear" if level == "may" else "defer")


def read_ours(document: str, level: str) -> Answer:
    host = json.loads(document)["hosts"][0]
    verdict = host["verdicts"][level]
    word = verdict["action"]
    if word == "deliver":
        word = "send" if verdict["effective"] in ("may", "encrypt") else "verified"
    if not host["tls"]:
        return Answer(word)
    return Answer(word, host["pkix"]["trusted"], host["tls"]["version"])


def compare(key: tuple[str, str], postfix: Answer, ours: Answer, different: Different) -> None:
    if key in different:
        theirs, own, why = different[key]
        assert (postfix.word, ours.word) == (theirs, own), f"it was otherwise, for this reason: {why}"
    else:
        assert postfix.word == ours.word, f"{postfix} {ours}"
    if postfix.trusted is not None and ours.trusted is not None:
        assert (postfix.trusted != ours.trusted) == (key[0] in DOUBTED), f"{postfix} {ours}"
    if postfix.version and ours.version:
        assert postfix.version == ours.version


@pytest.fixture(scope="module", params=SERVERS)
def standing(request: pytest.FixtureRequest, pki: Any) -> Iterator[tuple[str, int]]:
    with peer(SERVERS[request.param](pki)) as port:
        yield request.param, port


@pytest.mark.parametrize("asked", LEVELS)
def test_levels(standing: tuple[str, int], asked: str, pki: Any) -> None:
    """R3207-4.1-1: each level lets through what Postfix's of that name does."""
    name, port = standing
    level = {"wrong-fingerprint": "fingerprint", "secure-other": "secure"}.get(asked, asked)
    digest = "00" * 32
    if asked == "fingerprint":
        digest = fingerprint(der(getattr(pki, name, pki.leaf))).removeprefix("sha256:")
    colons = re.sub(r"(..)(?=.)", r"\1:", digest).upper()
    theirs = {
        "fingerprint": [colons],
        "wrong-fingerprint": [colons],
        "verify": [NAME],
        "secure": [DOMAIN, f".{DOMAIN}"],
        "secure-other": ["other.test", ".other.test"],
    }
    ours = {
        "fingerprint": ["--fingerprint", f"sha256:{digest}"],
        "wrong-fingerprint": ["--fingerprint", digest],
        "secure": ["--next-hop", DOMAIN],
        "secure-other": ["--next-hop", "other.test"],
    }
    text = run_postfix(level, "-F", pki.ca, f"[127.0.0.1]:{port}", *theirs.get(asked, []))
    ran = smtptls(
        "check", f"{NAME}:{port}", "--resolve", f"{NAME}:{port}:127.0.0.1", "--ca", pki.ca, "--json",
        "--level", level, *ours.get(asked, []),
    )  # fmt: skip
    answer = read_ours(ran.out, level)
    compare((name, asked), read_postfix(level, text), answer, DIFFERENT)
    assert (ran.code == 0) == (answer.word in ("clear", "send", "verified"))


# DANE: posttls-finger asks the name server of a resolv.conf that only it sees.

SIGNED = (f"{DOMAIN}.",)
OWN = f"_PORT._tcp.{NAME}. TLSA"
WRONG = f"3 1 1 {'00' * 32}"
UNUSABLE = f"0 0 1 {'00' * 32}"
RIGHT = f"{OWN} LEAF\n"


@dataclass(frozen=True)
class Domain:
    """What the DNS says of an MX host, and the certificate that it shows."""

    tlsa: str = ""
    certificate: str = "selfsigned"
    signed: tuple[str, ...] = SIGNED
    faults: tuple[tuple[str, str], ...] = ()
    is_alias: bool = False


def fault(what: str, how: str) -> tuple[tuple[str, str], ...]:
    return ((what, how),)


DOMAINS = {
    "DANE-EE": Domain(RIGHT),
    "DANE-EE, expired": Domain(RIGHT, "expired"),
    "DANE-EE, another name": Domain(RIGHT, "other"),
    "no match": Domain(f"{OWN} {WRONG}\n"),
    "no match, trusted": Domain(f"{OWN} {WRONG}\n", "leaf"),
    "one matches": Domain(f"{RIGHT}{OWN} {WRONG}\n"),
    "DANE-TA": Domain(f"{OWN} AUTHORITY\n", "chain"),
    "DANE-TA, without the authority": Domain(f"{OWN} AUTHORITY\n", "leaf"),
    "unusable": Domain(f"{OWN} {UNUSABLE}\n"),
    "unusable and usable": Domain(f"{RIGHT}{OWN} {UNUSABLE}\n"),
    "no records": Domain(),
    "no records, trusted": Domain(certificate="leaf"),
    "records of another port": Domain(f"_1._tcp.{NAME}. TLSA {WRONG}\n"),
    "an unsigned zone": Domain(f"{OWN} {WRONG}\n", signed=()),
    "bogus TLSA": Domain(RIGHT, faults=fault(OWN, "bogus")),
    "TLSA fails": Domain(RIGHT, faults=fault(OWN, "servfail")),
    "bogus addresses": Domain(RIGHT, faults=fault(f"{NAME}. A", "bogus")),
    "bogus MX": Domain(RIGHT, faults=fault(f"{DOMAIN}. MX", "bogus")),
    "insecure MX": Domain(RIGHT, faults=fault(f"{DOMAIN}. MX", "insecure")),
    "insecure MX, no match": Domain(f"{OWN} {WRONG}\n", faults=fault(f"{DOMAIN}. MX", "insecure")),
    "insecure addresses": Domain(f"{OWN} {WRONG}\n", faults=fault(f"{NAME}. A", "insecure")),
    "an alias, records where it leads": Domain(RIGHT, is_alias=True),
    "an alias, records of its own": Domain(f"_PORT._tcp.mx.{DOMAIN}. TLSA LEAF\n", is_alias=True),
}
SECURE = (
    "posttls-finger takes level secure where no record is usable, to show more; smtp(8) has may or encrypt, "
    "and so have we (RFC 7672 section 2.2)"
)
TRUSTED = "by insecure MX records DANE proves the host alone: Postfix says Trusted, and delivers (2.2.1)"
DANE_DIFFERENT: Different = {
    **{
        (name, "dane"): ("defer", "send", SECURE)
        for name in (
            "unusable", "no records", "records of another port", "an unsigned zone", "insecure addresses"
        )
    },
    ("no records, trusted", "dane"): ("verified", "send", SECURE),
    ("no records, trusted", "dane-only"): ("verified", "defer", SECURE),
    ("insecure MX", "dane"): ("defer", "verified", TRUSTED),
}  # fmt: skip


@contextlib.contextmanager
def resolver(text: str, tmp_path: Path, **how: Any) -> Iterator[tuple[Zone, tuple[str, ...]]]:
    """A zone at port 53 of an address of loopback, and what goes before a command that is to ask it."""
    unshare = found("unshare", "util-linux")
    if os.getuid() != 0:
        reason = "only root can listen at port 53, and give a program another resolv.conf"
        (pytest.fail if os.environ.get("SMTPTLS_REQUIRE_PEERS") == "1" else pytest.skip)(reason)
    address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"nameserver {address}\noptions trust-ad edns0 timeout:5 attempts:1\n")
    mount = f'mount --bind {conf} /etc/resolv.conf; exec "$@"'
    with Zone(text, address=address, port=53, **how) as zone:
        yield zone, (unshare, "--mount", "sh", "-ec", mount, "sh")


@pytest.mark.parametrize("level", ["dane", "dane-only"])
@pytest.mark.parametrize("name", DOMAINS)
def test_dane(name: str, level: str, pki: Any, tmp_path: Path) -> None:
    """Section 2.2 of RFC 7672 as Postfix reads it."""
    domain = DOMAINS[name]
    chain, key = getattr(pki, domain.certificate), getattr(pki, f"{domain.certificate}_key")
    host = f"mx.{DOMAIN}" if domain.is_alias else NAME
    alias = f"{host}. CNAME {NAME}.\n" if domain.is_alias else ""
    authority = ssl.PEM_cert_to_DER_cert("-----BEGIN" + pki.chain.read_text().split("-----BEGIN")[2])
    with peer(server(chain, key)) as port:
        records = f"{DOMAIN}. MX 10 {host}.\n{alias}{NAME}. A 127.0.0.1\n{domain.tlsa}"
        records = records.replace("PORT", str(port)).replace("LEAF", str(Tlsa.of(der(chain))))
        records = records.replace("AUTHORITY", str(Tlsa.of(authority, 2, 1, 1)))
        faults = {what.replace("PORT", str(port)): how for what, how in domain.faults}
        with resolver(records, tmp_path, signed=domain.signed, faults=faults) as (zone, prefix):
            text = run_postfix(level, "-F", pki.ca, f"{DOMAIN}:{port}", prefix=prefix)
            ran = smtptls(
                "check", DOMAIN, "--port", port, "--dns", zone.address, "--ca", pki.ca, "--json",
                "--level", level, "--sts", "off", "-4",
            )  # fmt: skip
    compare((name, level), read_postfix(level, text), read_ours(ran.out, level), DANE_DIFFERENT)


def test_the_system_s_name_server(pki: Any, tmp_path: Path) -> None:
    """What /etc/resolv.conf says is asked where the DNS is needed and nothing else is said."""
    with peer(server(pki.leaf, pki.leaf_key)) as port:
        record = Tlsa.of(der(pki.leaf))
        records = f"{DOMAIN}. MX 10 {NAME}.\n{NAME}. A 127.0.0.1\n_{port}._tcp.{NAME}. TLSA {record}\n"
        with resolver(records, tmp_path, signed=SIGNED) as (zone, prefix):
            asked = command("check", DOMAIN, "--port", port, "--ca", "none", "--json", "--sts", "off")
            done = subprocess.run(
                [*prefix, *asked], capture_output=True, timeout=PATIENCE, env=CLEAN, check=False
            )
    assert done.returncode == 0, done
    host = json.loads(done.stdout)["hosts"][0]
    assert host["level"] == "dane" and host["dane"]["source"] == f"{zone.address} port 53"


def test_the_tables_name_what_is_there() -> None:
    assert {name for name, _ in DIFFERENT} <= set(SERVERS) and {level for _, level in DIFFERENT} <= set(
        LEVELS
    )
    assert {name for name, _ in DANE_DIFFERENT} <= set(DOMAINS) and set(DOUBTED) <= set(SERVERS)
