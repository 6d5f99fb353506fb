"""docs/interop.md: made of a run, and read again by the test, which compares each cell.

render(cells)       the page
read()              the cells of the page as it stands
ours_as_client, ours_as_server      the names of its two tables
"""

from __future__ import annotations

import re
import ssl
import subprocess
import tempfile
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from conftest import ROOT

from matrix import exim, node, rust
from matrix.cells import CONDITIONS, VERSIONS
from matrix.peer import Condition
from matrix.senders import CLIENTS
from matrix.servers import SERVERS

PAGE = ROOT / "docs/interop.md"

# By table, peer, condition and TLS version.
Cells = dict[tuple[str, str, Condition, str], str]

ours_as_client, ours_as_server = "Servers that it sends to", "Clients that send to it"
TABLES = {ours_as_client: tuple(SERVERS), ours_as_server: tuple(CLIENTS)}

TEXT = """\
# Whom smtptls talks to

Every cell is a run on one host, with STARTTLS and the server's certificate checked by the client. The
message that went in came out with its text unchanged. `python tests/interop/matrix --write` makes this page,
and `make test` runs each cell again and compares.

* **ok**: a full handshake, and a resumed one.
* **full**: a full handshake. Nothing is resumed there; the notes below the table say why.
* ECDSA (P-256) and RSA (2048 bits) are the server's key.
* **+**: the server requires a certificate of the client, and gets a good one.

## {client}

The client is the Python module, at level `verify`.

{client_table}

Dovecot with a required client certificate: it gives OpenSSL no session id context, which makes OpenSSL fail
each session that it could resume. So there it runs with a new process for each client, its default, and such
a process knows no ticket of another one.

## {server}

The server is `serve` in C, with TLS required. `openssl s_client` and `gnutls-cli` send no message: they say
EHLO, NOOP and QUIT inside TLS. lettre hands to rustls as DER what it calls the PEM of a client's certificate,
and so is given DER.

{server_table}

What resumes nothing:

{notes}

## Not in the tables

* OpenSMTPD: version 6.8 in Debian 12 does not run.
* GnuTLS has no server that speaks SMTP. Exim of Debian is built with it, on both sides.
* smtplib, Django, Flask-Mail and other Python programs with `smtptls.SSLContext` have tests of their own, in
  `tests/users`; and so have old servers, scanners and each level, in `tests/judging` and `tests/interop`.
"""

NOTES = {
    "Dovecot relay": "keeps no sessions of its relay.",
    "gnutls-cli": "at TLS 1.3 it takes the session before it says EHLO, and a ticket comes with the answer.",
    "curl": "has no file of sessions, and within a run it keeps to one connection.",
    "swaks": "has no option for it.",
    "msmtp": "keeps no sessions.",
    "aiosmtplib": "asyncio's `start_tls` takes no session.",
    "lettre (native-tls)": "the crate native-tls keeps no sessions.",
}


def columns() -> list[tuple[Condition, str]]:
    return [(condition, tls) for condition in CONDITIONS for tls in VERSIONS]


def heading(condition: Condition, tls: str) -> str:
    return f"{tls} {'ECDSA' if condition.key == 'leaf' else 'RSA'}{' +' if condition.own else ''}"


def table(name: str, cells: Cells) -> str:
    heads = ["peer", "version", *(heading(*column) for column in columns())]
    rows = [heads, ["---"] * len(heads)]
    for peer in TABLES[name]:
        rows.append([peer, VERSION[peer](), *(cells[name, peer, *column] for column in columns())])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def render(cells: Cells) -> str:
    return TEXT.format(
        client=ours_as_client,
        server=ours_as_server,
        client_table=table(ours_as_client, cells),
        server_table=table(ours_as_server, cells),
        notes="\n".join(f"* {peer}: {why}" for peer, why in NOTES.items()),
    )


def read() -> Cells:
    """What the page says. Versions are for people: the test runs with whatever there is."""
    cells: Cells = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        name = section.partition("\n")[0]
        for line in section.splitlines():
            parts = [part.strip() for part in line.strip("|").split("|")]
            if line.startswith("|") and parts[0] in TABLES.get(name, ()):
                cells |= {
                    (name, parts[0], *column): text for column, text in zip(columns(), parts[2:], strict=True)
                }
    return cells


def said(*argv: str) -> Callable[[], str]:
    """The version that a program tells of itself."""

    def ask() -> str:
        try:
            text = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False).stdout
        except OSError:
            return "none"
        found = re.search(r"\d+(?:\.\d+)+\w*", text)
        return found[0] if found else "?"

    return ask


def exim_version() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return said(*exim.inside(Path(folder)), str(exim.binary()), "-bV")()


def in_json(path: Path, name: str) -> Callable[[], str]:
    """The version behind a name in a file of npm."""

    def ask() -> str:
        found = (
            re.search(rf'"{name}"[^}}]*?"version": "([^"]+)"', path.read_text()) if path.exists() else None
        )
        return found[1] if found else "?"

    return ask


def of_crate(lock: Path, name: str) -> Callable[[], str]:
    """The version of a crate in a Cargo.lock."""
    return lambda: next(
        crate["version"] for crate in tomllib.loads(lock.read_text())["package"] if crate["name"] == name
    )


LETTRE = of_crate(rust.PROJECT / "Cargo.lock", "lettre")

VERSION: dict[str, Callable[[], str]] = {
    "Postfix smtpd": said("postconf", "-dh", "mail_version"),
    "Postfix smtp": said("postconf", "-dh", "mail_version"),
    "Exim (GnuTLS)": exim_version,
    "Dovecot submission": said("dovecot", "--version"),
    "Dovecot relay": said("dovecot", "--version"),
    "OpenSSL (Python's ssl)": lambda: ssl.OPENSSL_VERSION.split()[1],
    "aiosmtpd": lambda: version("aiosmtpd"),
    "aiosmtplib": lambda: version("aiosmtplib"),
    "smtp-server (node)": in_json(node.HERE / "package-lock.json", "node_modules/smtp-server"),
    "nodemailer": in_json(Path("/usr/share/nodejs/nodemailer/package.json"), "nodemailer"),
    "openssl s_client": said("openssl", "version"),
    "gnutls-cli": said("gnutls-cli", "--version"),
    "curl": said("curl", "--version"),
    "swaks": said("swaks", "--version"),
    "msmtp": said("msmtp", "--version"),
    "lettre (native-tls)": LETTRE,
    "lettre (rustls)": LETTRE,
}
