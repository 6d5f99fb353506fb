"""smtptls check beside what others answer to the same server: exit codes, as docs/cli-comparison.md has them.

SMTPTLS_UPDATE=1 writes the page (with -n 0). Else each row is compared with it: ours in any case, another's
where it is the version that the page names, since it may answer differently in another one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import NAME, peer, says, server, smtptls
from smtptls import Tlsa

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(240)]

PAGE = Path(__file__).resolve().parents[3] / "docs/cli-comparison.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
OURS = "smtptls check"
PATIENCE = 60.0  # seconds; gnutls-cli waits 10 for a server that does not offer STARTTLS
SBIN = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


@dataclass
class Case:
    """A server, and what is known of it."""

    port: int
    ca: Path
    tlsa: str | None = None


def openssl(case: Case) -> list[str]:
    words = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{case.port}", "-brief"]
    if case.tlsa:
        return [*words, "-dane_tlsa_domain", NAME, "-dane_tlsa_rrdata", case.tlsa]
    return [*words, "-CAfile", str(case.ca), "-verify_hostname", NAME]


def openssl_strict(case: Case) -> list[str]:
    return [*openssl(case), "-verify_return_error"]


def gnutls(case: Case) -> list[str]:
    if case.tlsa:
        return []  # --dane asks the DNS, and takes no records
    words = ["gnutls-cli", "--starttls-proto=smtp", f"--port={case.port}", f"--x509cafile={case.ca}"]
    return [*words, f"--verify-hostname={NAME}", f"--sni-hostname={NAME}", "127.0.0.1"]


def posttls(case: Case) -> list[str]:
    if case.tlsa:
        return []  # -l dane asks the DNS, and takes no records
    words = ["posttls-finger", "-c", "-l", "verify", "-F", str(case.ca)]
    return [*words, f"[127.0.0.1]:{case.port}", NAME]


def swaks(case: Case) -> list[str]:
    if case.tlsa:
        return []  # it knows no DANE
    return ["swaks", "--tls", "--server", "127.0.0.1", "--port", str(case.port), "--quit-after", "TLS"]


def swaks_strict(case: Case) -> list[str]:
    strict = ["--tls-verify", "--tls-ca-path", str(case.ca)]
    return [*swaks(case), *strict] if swaks(case) else []


@dataclass(frozen=True)
class Other:
    """A column: its title, package, how it tells its version, its command: none where it cannot be asked."""

    title: str
    package: str
    version: tuple[str, ...]
    words: Callable[[Case], list[str]]


POSTFIX = ("postconf", "-d", "-h", "mail_version")
OTHERS = (
    Other("openssl s_client", "openssl", ("openssl", "version"), openssl),
    Other("the same, -verify_return_error", "openssl", ("openssl", "version"), openssl_strict),
    Other("gnutls-cli", "gnutls-bin", ("gnutls-cli", "--version"), gnutls),
    Other("posttls-finger -l verify", "postfix", POSTFIX, posttls),
    Other("swaks --tls", "swaks", ("swaks", "--version"), swaks),
    Other("the same, --tls-verify", "swaks", ("swaks", "--version"), swaks_strict),
)


@dataclass(frozen=True)
class Situation:
    """A row: what the server is like, what ours says by its code, and why."""

    title: str
    level: str
    code: int
    why: str | None
    tlsrpt: str | None = None


SITUATIONS = {
    "trusted": Situation("trusted, right name", "verify", 0, None),
    "untrusted": Situation("unknown authority", "verify", 1, "untrusted", "certificate-not-trusted"),
    "name": Situation("wrong name", "verify", 1, "name-mismatch", "certificate-host-mismatch"),
    "bare": Situation("no STARTTLS", "verify", 1, "starttls-not-offered", "starttls-not-supported"),
    "refused": Situation("nobody listens", "verify", 3, "connect"),
    "match": Situation("TLSA record matches", "dane", 0, None),
    "mismatch": Situation(
        "TLSA record does not match", "dane", 1, "dane-no-match", "certificate-not-trusted"
    ),
}


@contextlib.contextmanager
def situation(name: str, pki: Any) -> Iterator[Case]:
    """The server of a row."""
    if name == "refused":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        yield Case(port, pki.ca)
        return
    replies = (
        b"220 mail.example.test ESMTP\r\n",
        b"250-mail.example.test\r\n250 PIPELINING\r\n",
        b"221 Bye\r\n",
    )
    chain, key = (pki.other, pki.other_key) if name == "name" else (pki.leaf, pki.leaf_key)
    record = Tlsa.of(ssl.PEM_cert_to_DER_cert(pki.leaf.read_text()))
    records = {"match": str(record), "mismatch": "3 1 1 " + "00" * 32}
    with peer(says(*replies) if name == "bare" else server(chain, key)) as port:
        yield Case(port, pki.wrongca if name == "untrusted" else pki.ca, records.get(name))


def ours(case: Case, row: Situation) -> int:
    """The exit code of check, once its document has been looked at."""
    facts = ("--dnssec", "secure", "--tlsa", case.tlsa) if case.tlsa else ()
    place = f"{NAME}:{case.port}"
    words = (place, "--resolve", f"{place}:127.0.0.1", "--level", row.level, "--ca", case.ca, *facts)
    ran = smtptls("check", "--json", *words)
    verdict = json.loads(ran.out)["hosts"][0]["verdicts"][row.level]
    assert (verdict.get("why"), verdict.get("tlsrpt")) == (row.why, row.tlsrpt)
    assert (verdict["action"] == "deliver") == (row.code == 0)
    return ran.code


def asked(other: Other, case: Case) -> str:
    words = other.words(case)
    if not words:
        return "-"
    done = subprocess.run(
        [found(words[0], other.package), *words[1:]],
        input=b"QUIT\r\n",
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return str(done.returncode)


def found(program: str, package: str) -> str:
    path = shutil.which(program, path=SBIN)
    if path is None and os.environ.get("SMTPTLS_REQUIRE_PEERS") == "1":
        pytest.fail(f"{program} is not installed: apt-get install {package}")
    if path is None:
        pytest.skip(f"{program} is not installed: apt-get install {package}")
    return str(path)


def version(other: Other) -> str:
    program = found(other.version[0], other.package)
    said = subprocess.run(
        [program, *other.version[1:]], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    number = re.search(r"\d[\w.]*\d", said.stdout)
    assert number, said
    return number[0]


def rows() -> dict[str, list[str]]:
    """The table of the page: what stands beside a title."""
    table = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {first: rest for first, *rest in cells if not first.startswith("---")}


def write(title: str, cells: list[str]) -> None:
    table = rows() | {title: cells}
    columns = ["", OURS, *(other.title for other in OTHERS)]
    order = ["version", *(row.title for row in SITUATIONS.values())]
    lines = [columns, ["---"] * len(columns), *([name, *table[name]] for name in order if name in table)]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    head, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}{text}{END}{rest.partition(END)[2]}")


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_row(name: str, pki: Any, record_property: Callable[[str, object], None]) -> None:
    row = SITUATIONS[name]
    with situation(name, pki) as case:
        code = ours(case, row)
        assert code == row.code
        answers = [asked(other, case) for other in OTHERS]
    versions = [version(other) for other in OTHERS]
    if os.environ.get("SMTPTLS_UPDATE") == "1":
        write("version", ["", *versions])
        write(row.title, [str(code), *answers])
    page = rows()
    assert page[""][1:] == [other.title for other in OTHERS]
    shown, *theirs = page[row.title]
    assert shown == str(code)
    for other, answer, then, there, here in zip(
        OTHERS, answers, theirs, page["version"][1:], versions, strict=True
    ):
        record_property(f"{other.title} {here}", answer)
        assert answer == then or there != here, f"{other.title} {here}: {answer}, and {then} on the page"
