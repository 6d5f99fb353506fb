"""smtptls check asks the DNS: what a sender makes of MX, addresses and TLSA, secure or not, or not there.

A zone on loopback stands for the resolver (zone.py); what it says is what a validating one would.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import CLEAN, NAME, Ran, command, line, one_line, peer, says, server, smtptls
from smtptls import Tlsa
from smtptls.cli import gather, lookup
from test_cli_check import BARE, HELLO, OFFER, validate
from zone import Zone

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(180)]

DOMAIN = "example.test"
WRONG = "3 1 1 " + "00" * 32
UNUSABLE = "0 0 1 " + "00" * 32
# One MX host at 127.0.0.1, where TLSA holds for PORT.
PLAIN = f"{DOMAIN}. MX 10 {NAME}.\n{NAME}. A 127.0.0.1\n"
DANE = PLAIN + f"_PORT._tcp.{NAME}. TLSA RECORD\n"
ALL = (f"{DOMAIN}.",)


def record_of(path: Path) -> str:
    return str(Tlsa.of(ssl.PEM_cert_to_DER_cert(path.read_text())))


@dataclass
class Place:
    """A domain, by its zone and the server of its MX host."""

    zone: Zone
    port: int
    ca: Path

    def run(self, *arguments: Any, target: str = DOMAIN) -> Ran:
        return smtptls(
            "check", target, "--dns", self.zone.where, "--port", self.port, "--ca", self.ca, "--sts", "off",
            *arguments,
        )  # fmt: skip

    def document(self, *arguments: Any, target: str = DOMAIN) -> dict[str, Any]:
        """Its document; the exit code and the text agree with it."""
        ran = self.run("--json", *arguments, target=target)
        assert not ran.err
        found: dict[str, Any] = json.loads(ran.out)
        validate(found)
        text = self.run(*arguments, target=target)
        assert found["exit"] == ran.code == text.code
        assert max(map(len, text.out.splitlines())) <= 80 and text.out.isascii()
        return found


@contextlib.contextmanager
def placed(pki: Any, records: str, serve: Any = None, **how: Any) -> Iterator[Place]:
    """The records with PORT and RECORD filled in."""
    with peer(serve or server(pki.leaf, pki.leaf_key)) as port:
        lines = records.replace("PORT", str(port)).replace("RECORD", record_of(pki.leaf))
        faults = {key.replace("PORT", str(port)): value for key, value in how.pop("faults", {}).items()}
        with Zone(lines, faults=faults, **how) as zone:
            yield Place(zone, port, pki.ca)


@dataclass(frozen=True)
class Case:
    """What the DNS has, and what becomes of it."""

    name: str
    records: str
    level: str  # what auto comes to
    exit: int
    dane: str  # the action of level dane
    why: str | None = None  # of level dane
    status: str | None = None
    signed: tuple[str, ...] = ALL
    faults: tuple[tuple[str, str], ...] = ()
    effective: str | None = None  # of level dane
    only: str | None = None  # the action of level dane-only
    warnings: tuple[str, ...] = ()


TLSA = f"_PORT._tcp.{NAME}. TLSA"
ALIAS = f"{DOMAIN}. MX 10 mx.{DOMAIN}.\nmx.{DOMAIN}. CNAME {NAME}.\n{NAME}. A 127.0.0.1\n"
OUTSIDE = f"{DOMAIN}. MX 10 mx.{DOMAIN}.\nmx.{DOMAIN}. CNAME host.plain.test.\nhost.plain.test. A 127.0.0.1\n"
CASES = [
    # R7672-2.2-1; R7672-2.2.3-2: asked for at the port that is used
    Case("secure and usable", DANE, "dane", 0, "deliver", effective="dane", only="deliver"),
    Case("secure and wrong", PLAIN + f"{TLSA} {WRONG}\n", "dane", 1, "defer", "dane-no-match", "4.7.5"),
    # R7672-2.2-2
    Case("secure and unusable", PLAIN + f"{TLSA} {UNUSABLE}\n", "dane", 0, "deliver", effective="encrypt",
         only="defer"),
    # R7672-2.2-3
    Case("secure, and no records", PLAIN, "may", 0, "deliver", effective="may", only="defer"),
    Case("an unsigned zone", DANE, "may", 0, "deliver", effective="may", only="defer", signed=()),
    # R7672-2.2-4, R7672-2.1-1, R7672-2.1-2
    Case("bogus TLSA", DANE, "dane", 3, "defer", "dnssec", "4.7.5",
         faults=((f"_PORT._tcp.{NAME}. TLSA", "bogus"),), only="defer", warnings=("tlsa-lookup",)),
    Case("TLSA fails", DANE, "dane", 3, "defer", "dnssec", "4.7.5",
         faults=((f"_PORT._tcp.{NAME}. TLSA", "servfail"),), only="defer", warnings=("tlsa-lookup",)),
    Case("TLSA is refused", PLAIN, "dane", 3, "defer", "dnssec", "4.7.5",
         faults=((f"_PORT._tcp.{NAME}. TLSA", "refused"),), only="defer", warnings=("tlsa-lookup",)),
    Case("bogus addresses", DANE, "dane", 3, "defer", "dnssec", "4.7.5",
         faults=((f"{NAME}. A", "bogus"), (f"{NAME}. AAAA", "bogus"))),
    Case("bogus MX", DANE, "dane", 3, "defer", "dnssec", "4.7.5", faults=((f"{DOMAIN}. MX", "bogus"),)),
    Case("MX fails", DANE, "dane", 3, "defer", "dnssec", "4.7.5", faults=((f"{DOMAIN}. MX", "servfail"),)),
    # R7672-2.2.2-2
    Case("one family is enough", DANE, "dane", 0, "deliver", effective="dane",
         faults=((f"{NAME}. AAAA", "servfail"),)),
    Case("one family is secure", DANE + f"{NAME}. AAAA ::1\n", "dane", 0, "deliver", effective="dane",
         faults=((f"{NAME}. AAAA", "insecure"),)),
    # R7672-2.2.1-2, R7672-2.2.1-3
    Case("MX insecure, TLSA secure", DANE, "dane", 0, "deliver", effective="dane", only="defer",
         faults=((f"{DOMAIN}. MX", "insecure"),)),
    # R7672-2.2.2-1
    Case("addresses insecure", DANE, "may", 0, "deliver", effective="may", only="defer",
         faults=((f"{NAME}. A", "insecure"), (f"{NAME}. AAAA", "insecure"))),
    # R7672-2.2.3-1
    Case("an alias, records where it leads", ALIAS + f"_PORT._tcp.{NAME}. TLSA RECORD\n", "dane", 0,
         "deliver", effective="dane", warnings=("mx-alias",)),
    Case("an alias, records of its own", ALIAS + f"_PORT._tcp.mx.{DOMAIN}. TLSA RECORD\n", "dane", 0,
         "deliver", effective="dane", warnings=("mx-alias",)),
    Case("an alias, records at both", ALIAS + f"_PORT._tcp.{NAME}. TLSA RECORD\n"
         + f"_PORT._tcp.mx.{DOMAIN}. TLSA {WRONG}\n", "dane", 0, "deliver", effective="dane",
         warnings=("mx-alias",)),
    Case("an alias, and no answer where it leads", ALIAS + f"_PORT._tcp.mx.{DOMAIN}. TLSA RECORD\n", "dane",
         3, "defer", "dnssec", "4.7.5", faults=((f"_PORT._tcp.{NAME}. TLSA", "servfail"),),
         warnings=("mx-alias", "tlsa-lookup")),
    # R7672-2.1-3: one link that is insecure makes what it leads to insecure; the name itself is not.
    Case("a secure alias of an insecure host", OUTSIDE + f"_PORT._tcp.mx.{DOMAIN}. TLSA RECORD\n", "dane", 0,
         "deliver", effective="dane", warnings=("mx-alias",)),
    Case("the same, where the host's zone has records too",
         OUTSIDE + f"_PORT._tcp.host.plain.test. TLSA {WRONG}\n", "may", 0, "deliver", effective="may",
         warnings=("mx-alias",)),
    # R7672-2.2.3-3
    Case("TLSA is an alias", PLAIN + f"{TLSA[:-5]} CNAME tlsa.{DOMAIN}.\ntlsa.{DOMAIN}. TLSA RECORD\n",
         "dane", 0, "deliver", effective="dane"),
    Case("TLSA is an alias to an insecure zone", PLAIN
         + f"{TLSA[:-5]} CNAME tlsa.plain.test.\ntlsa.plain.test. TLSA {WRONG}\n", "may", 0, "deliver",
         effective="may", only="defer"),
    Case("TLSA leads in circles", PLAIN + f"{TLSA[:-5]} CNAME _PORT._tcp.{NAME}.\n", "dane", 3, "defer",
         "dnssec", "4.7.5", warnings=("tlsa-lookup",)),
    # RFC 5321 section 5.1: no MX records, so the domain itself; the name in the certificate is the host's.
    Case("the domain is its own host", f"{DOMAIN}. A 127.0.0.1\n_PORT._tcp.{DOMAIN}. TLSA RECORD\n", "dane",
         0, "deliver", effective="dane", only="deliver"),
    Case("a null MX", f"{DOMAIN}. MX 0 .\n", "may", 1, "bounce", "null-mx", "5.1.10", only="bounce"),
    Case("a null MX among others", f"{DOMAIN}. MX 0 .\n" + DANE, "dane", 0, "deliver", effective="dane",
         warnings=("null-mx-among-others",)),
    Case("an insecure null MX", f"{DOMAIN}. MX 0 .\n", "may", 1, "bounce", "null-mx", "5.1.10",
         only="bounce", signed=()),
    Case("no such domain", "other.test. A 127.0.0.1\n", "may", 1, "bounce", "no-domain", "5.1.2",
         only="bounce"),
    Case("the host has no address", f"{DOMAIN}. MX 10 {NAME}.\n", "may", 1, "bounce", "no-address", "5.4.4",
         only="bounce"),
    # R7672-2.2-6
    Case("the host is an address", f"{DOMAIN}. MX 10 127.0.0.1.\n", "may", 0, "deliver", effective="may",
         only="defer", warnings=("mx-address",)),
    Case("MX over TCP", DANE, "dane", 0, "deliver", effective="dane",
         faults=((f"{DOMAIN}. MX", "truncated"), (f"_PORT._tcp.{NAME}. TLSA", "truncated"))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_the_dns_says(pki: Any, case: Case) -> None:
    with placed(pki, case.records, signed=case.signed, faults=dict(case.faults)) as place:
        found = place.document()
    host = found["hosts"][0]
    verdicts = host["verdicts"]
    dane = verdicts["dane"]
    assert (host["level"], found["exit"], dane["action"]) == (case.level, case.exit, case.dane)
    assert (dane.get("why"), dane.get("status")) == (case.why, case.status)
    if case.effective:
        assert dane["effective"] == case.effective
    if case.only:
        assert verdicts["dane-only"]["action"] == case.only
    assert tuple(found["warnings"]) == case.warnings
    assert (dane.get("tlsrpt") == "dnssec-invalid") == (case.why == "dnssec")
    assert (
        ("tlsa", "dnssec-invalid") in [(one["policy_type"], one["result"]) for one in host["tlsrpt"]]
    ) == (case.why == "dnssec")


@pytest.mark.parametrize("is_secure", [True, False])
def test_the_name_that_a_domain_is_an_alias_of(pki: Any, is_secure: bool) -> None:
    """R7672-3.2.2-2: a certificate for where the CNAMEs of the domain lead is good under DANE-TA."""
    authority = Tlsa.of(ssl.PEM_cert_to_DER_cert(pki.ca.read_text()), 2, 0, 0)
    records = (
        f"{DOMAIN}. CNAME other.{DOMAIN}.\nother.{DOMAIN}. MX 10 {NAME}.\n{NAME}. A 127.0.0.1\n"
        f"_PORT._tcp.{NAME}. TLSA {authority}\n"
    )
    faults = {} if is_secure else {f"{DOMAIN}. MX": "insecure"}
    with placed(pki, records, server(pki.other, pki.other_key), signed=ALL, faults=faults) as place:
        found = place.document("--level", "dane")
        verdict = found["hosts"][0]["verdicts"]["dane"]
        assert found["exit"] == (0 if is_secure else 1)
        assert verdict.get("auth") == ("dane-ta" if is_secure else None)
        assert verdict.get("why") == (None if is_secure else "name-mismatch")


def test_where_facts_come_from(pki: Any) -> None:
    with placed(pki, DANE, signed=ALL) as place:
        found = place.document()
        asked = f"127.0.0.1 port {place.zone.port}"
        assert found["mx"] == {
            "dnssec": "secure", "hosts": [{"host": NAME, "pref": 10}], "source": asked
        }  # fmt: skip
        host = found["hosts"][0]
        assert host["addresses"] == {"dnssec": "secure", "found": ["127.0.0.1"], "source": asked}
        assert (host["dane"]["dnssec"], host["dane"]["base"], host["dane"]["source"]) == (
            "secure", NAME, asked
        )  # fmt: skip
        assert host["dane"]["records"][0]["matched"]
        text = place.run().out
        assert f"DNS          MX secure, addresses secure; asked {asked}" in text
        assert f"DANE         {NAME}: secure, 1 record" in text


@pytest.mark.parametrize(("trust", "name"), [("ad-loopback", NAME), ("none", f"mx.{DOMAIN}")])
def test_the_name_in_the_handshake(pki: Any, trust: str, name: str) -> None:
    """R7672-8.1-1: the TLSA base domain, where DANE applies; else the MX host."""
    seen: list[Any] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    context.sni_callback = lambda _, name, __: seen.append(name)

    def serve(connection: socket.socket) -> None:
        says(HELLO, OFFER, b"220 2.0.0 Go ahead\r\n")(connection)
        with context.wrap_socket(connection, server_side=True) as tls:
            while not line(tls).upper().startswith("QUIT"):
                tls.sendall(b"250 2.0.0 Ok\r\n")
            tls.sendall(b"221 2.0.0 Bye\r\n")

    with placed(pki, ALIAS + f"_PORT._tcp.{NAME}. TLSA RECORD\n", serve, signed=ALL) as place:
        assert place.run("--dnssec-trust", trust).code == 0
    assert seen == [name]


def test_what_is_given_is_not_asked(pki: Any) -> None:
    with placed(pki, DANE, signed=ALL) as place:
        record = record_of(pki.leaf)
        arguments = ("--mx", NAME, "--dnssec", "secure", "--tlsa", record, "--resolve")
        found = place.document(*arguments, f"{NAME}:{place.port}:127.0.0.1")
        assert not place.zone.asked
        assert found["mx"]["source"] == "given" and found["hosts"][0]["dane"]["source"] == "given"
        assert found["hosts"][0]["level"] == "dane" and found["exit"] == 0
        # The MX host is given, and the rest is asked for.
        found = place.document("--mx", NAME, "--mx-dnssec", "secure")
        assert f"{DOMAIN}. MX" not in place.zone.asked and place.zone.asked
        assert found["mx"] == {
            "dnssec": "secure", "hosts": [{"host": NAME, "pref": 0}], "source": "given"
        }  # fmt: skip
        assert found["hosts"][0]["level"] == "dane"


def test_a_host_is_looked_up_when_told(pki: Any) -> None:
    with placed(pki, DANE, signed=ALL) as place:
        host = f"{NAME}:{place.port}"
        found = place.document(target=host)
        assert found["hosts"][0]["level"] == "dane" and "mx" not in found
        assert found["hosts"][0]["requiretls"]["message"].endswith("does not offer REQUIRETLS inside TLS")
        place.zone.asked.clear()
        ran = smtptls("check", host, "--ca", pki.ca, "--resolve", f"{host}:127.0.0.1", "--json")
        assert not place.zone.asked and json.loads(ran.out)["hosts"][0]["level"] == "may"


def test_the_order_of_hosts(pki: Any) -> None:
    """R7672-2.2.1-1: the preference counts, and not which host has TLSA records."""
    records = (
        f"{DOMAIN}. MX 20 {NAME}.\n{NAME}. A 127.0.0.1\n_PORT._tcp.{NAME}. TLSA RECORD\n"
        f"{DOMAIN}. MX 10 first.{DOMAIN}.\nfirst.{DOMAIN}. A 127.0.0.2\n"
    )
    with (
        placed(pki, records, signed=ALL) as place,
        peer(says(HELLO, BARE, b"221 Bye\r\n"), "127.0.0.2", place.port),
    ):
        found = place.document()
        assert [(host["host"], host["level"], host["exit"]) for host in found["hosts"]] == [
            (f"first.{DOMAIN}", "may", 0),
            (NAME, "dane", 0),
        ]
        assert found["hosts"][0]["warnings"] == ["plaintext"]
        found = place.document("--first", "--level", "encrypt")
        assert len(found["hosts"]) == 1 and found["exit"] == 1


def test_every_address(pki: Any) -> None:
    records = PLAIN + f"{NAME}. A 127.0.0.2\n"
    with placed(pki, records, signed=ALL) as place:
        # Nobody is at the second address.
        assert place.document()["exit"] == 0
        found = place.document("--all-addresses")
        assert [(host["address"], host["exit"]) for host in found["hosts"]] == [("127.0.0.1", 0), (None, 3)]
        assert found["exit"] == 3
        with peer(server(pki.other, pki.other_key), "127.0.0.2", place.port):
            found = place.document("--all-addresses", "--level", "verify")
            assert [(host["address"], host["exit"]) for host in found["hosts"]] == [
                ("127.0.0.1", 0),
                ("127.0.0.2", 1),
            ]


@pytest.mark.parametrize("trust", ["none", "ad", "ad-loopback"])
@pytest.mark.parametrize("validates", [True, False])
def test_whose_word_is_believed(pki: Any, trust: str, validates: bool) -> None:
    """R7672-2.1-1: without DNSSEC nothing is decided at the DANE levels, and mail goes as without DANE."""
    signed = ALL if validates else ()
    with placed(pki, DANE, signed=signed, validates=validates) as place:
        found = place.document("--dnssec-trust", trust)
        host = found["hosts"][0]
        if trust != "none" and validates:
            assert host["level"] == "dane" and not found["warnings"]
            return
        assert host["level"] == "may" and found["exit"] == 0 and found["warnings"] == ["dnssec-unknown"]
        assert host["verdicts"]["dane"]["why"] == "dnssec-unknown" and found["mx"]["dnssec"] == "none"
        assert place.document("--dnssec-trust", trust, "--level", "dane")["exit"] == 3
        assert place.document("--dnssec-trust", trust, "--warnings-as-errors")["exit"] == 4
        # What is given by hand is believed.
        given = ("--dnssec", "secure", "--tlsa", record_of(pki.leaf))
        assert place.document("--dnssec-trust", trust, *given)["hosts"][0]["level"] == "dane"


@pytest.mark.parametrize("trust", ["none", "ad-loopback"])
def test_requiretls_wants_mx_records_that_are_believed(pki: Any, trust: str) -> None:
    """R8689-2-3: the MX records have to be validated, or MTA-STS names the host."""
    serve = server(pki.leaf, pki.leaf_key, inside=b"250-mail.example.test\r\n250 REQUIRETLS\r\n")
    with placed(pki, DANE, serve, signed=ALL) as place:
        host = place.document("--dnssec-trust", trust)["hosts"][0]
        assert host["requiretls"]["usable"] == (trust == "ad-loopback"), host["requiretls"]


def test_a_name_server_elsewhere_is_not_believed() -> None:
    near, far = lookup.Dns(("127.0.0.1", 53)), lookup.Dns(("192.0.2.1", 53))
    assert near.doubt() is None
    assert "192.0.2.1 port 53 is not on this host" in (far.doubt() or "")
    assert lookup.Dns(("192.0.2.1", 53), "ad").doubt() is None
    assert lookup.Dns(("::1", 53)).doubt() is None


def test_hosts_and_records_are_bounded(pki: Any) -> None:
    hosts = "".join(f"{DOMAIN}. MX {n} h{n}.{DOMAIN}.\n" for n in range(1, 101))
    with Zone(hosts, signed=ALL) as zone:
        ran = smtptls("check", DOMAIN, "--dns", zone.where, "--ca", "none", "--sts", "off", "--json")
        found = json.loads(ran.out)
        assert [host["host"] for host in found["hosts"]] == [f"h{n}.{DOMAIN}" for n in range(1, 65)]
        assert found["warnings"] == ["mx-left-out"] and ran.code == 1
        assert len(zone.asked) < 200
    many = "".join(f"_PORT._tcp.{NAME}. TLSA 3 1 1 {n:064x}\n" for n in range(100))
    with placed(pki, PLAIN + many, signed=ALL) as place:
        found = place.document()
        assert found["exit"] == 3 and found["hosts"][0]["verdicts"]["dane"]["why"] == "dnssec"


@pytest.mark.parametrize("what", [f"{DOMAIN}. MX", f"{NAME}. A", f"_PORT._tcp.{NAME}. TLSA"])
def test_a_silent_name_server_and_the_deadline(pki: Any, what: str) -> None:
    faults = {what: "silent", f"{NAME}. AAAA": "silent"} if what.endswith(" A") else {what: "silent"}
    with placed(pki, DANE, signed=ALL, faults=faults) as place:
        began = time.monotonic()
        ran = place.run("--json", "--deadline", "1.5")
        assert time.monotonic() - began < 60 and ran.code == 3
        found = json.loads(ran.out)
        validate(found)
        assert found["hosts"][0]["errors"] in (["dns"], ["dnssec"], ["timeout"])


def test_the_deadline_holds_for_all_hosts(pki: Any) -> None:
    """The first host is silent for as long as there is time; the second is not reached."""
    records = PLAIN + f"{DOMAIN}. MX 20 b.{DOMAIN}.\nb.{DOMAIN}. A 127.0.0.1\n"
    with placed(pki, records, says(None), signed=ALL) as place:
        ran = place.run("--json", "--deadline", "2")
        found = json.loads(ran.out)
        assert ran.code == 3 and [host["errors"] for host in found["hosts"]] == [["timeout"], ["timeout"]]
        assert "--deadline has passed" in found["hosts"][1]["verdicts"]["may"]["message"]


def test_text_of_the_dns_is_escaped(pki: Any) -> None:
    with placed(pki, DANE, signed=ALL, faults={f"_PORT._tcp.{NAME}. TLSA": "bogus"}) as place:
        ran = place.run()
        assert ran.out.replace("\n", "").isprintable() and "EDE 6" in ran.out
    with placed(pki, f"{DOMAIN}. MX 10 a\\027[31mb.{DOMAIN}.\na\\027[31mb.{DOMAIN}. A 127.0.0.1\n") as place:
        ran = place.run()
        assert ran.out.replace("\n", "").isprintable() and ran.code in (0, 1, 3)


def test_names_in_other_alphabets(pki: Any) -> None:
    records = f"xn--bcher-kva.{DOMAIN}. MX 10 {NAME}.\n{NAME}. A 127.0.0.1\n"
    with placed(pki, records, signed=ALL) as place:
        found = json.loads(place.run("--json", target=f"bücher.{DOMAIN}").out)
        assert found["hosts"][0]["host"] == NAME and found["exit"] == 0


@pytest.mark.parametrize(
    "text", ["nonsense", "127.0.0.1:0", "127.0.0.1:70000", "[::1", "127.0.0.256", "localhost", ""]
)
def test_no_name_server(text: str) -> None:
    assert "--dns" in one_line(ran := smtptls("check", DOMAIN, "--dns", text)) and ran.code == 2


def test_addresses_of_name_servers() -> None:
    assert gather.server("system") == "system" and gather.server("127.0.0.1") == ("127.0.0.1", 53)
    assert gather.server("127.0.0.1:5353") == ("127.0.0.1", 5353)
    assert gather.server("::1") == ("::1", 53) and gather.server("[::1]:5353") == ("::1", 5353)


def test_without_the_packages(tmp_path: Path) -> None:
    """One line says what to install, or what to give by hand; what needs no network works as ever."""
    for name in ("dns", "httpx", "certifi"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('no', name={name!r})\n")
    env = CLEAN | {"PYTHONPATH": f"{tmp_path}:{CLEAN.get('PYTHONPATH', '')}"}
    for arguments in ((DOMAIN,), (f"{NAME}:25", "--dns", "127.0.0.1"), (f"{NAME}:25", "--ca", "mozilla")):
        done = subprocess.run(
            command("check", *arguments), capture_output=True, timeout=60, env=env, check=False
        )
        said = done.stderr.decode()
        assert done.returncode == 2 and said.count("\n") == 1 and "pip install 'smtptls[cli]'" in said, said
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = subprocess.run(
        command("check", f"localhost:{port}", "--ca", "none"),
        capture_output=True,
        timeout=60,
        env=env,
        check=False,
    )
    assert done.returncode == 3 and b"no connection" in done.stdout
