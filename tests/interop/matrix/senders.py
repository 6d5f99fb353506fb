"""The peers of the matrix that are clients: each a function that has one make a few sessions with `serve`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import partial

import test_clients_certificates as certificates
from conftest import DEADLINE, MESSAGE, wait_until
from hops import crlf
from test_clients_certificates import Run

from matrix import rust
from matrix.dovecot import Dovecot
from matrix.exim import Exim
from matrix.peer import Condition


class Sender(Run):
    """A run that must end well, with a certificate and without."""

    def run(self, argv: list[str], stdin: bytes = MESSAGE, env: dict[str, str] | None = None) -> None:
        done = subprocess.run(
            argv,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
            check=False,
            env=os.environ | (env or {}),
        )
        assert done.returncode == 0, (
            f"{argv} ended with {done.returncode}: {done.stdout.decode(errors='replace')}"
        )

    @property
    def condition(self) -> Condition:
        return Condition("leaf", self.own)


def postfix(run: Sender) -> None:
    with certificates.Client(run) as instance:
        for sent in range(1, run.sessions + 1):
            instance.relay(MESSAGE)
            wait_until(partial(certificates.wrote, instance, "status=sent", sent), "Postfix to send")


def exim(run: Sender) -> None:
    with Exim(run.pki, run.condition, run.serve.port, run.version) as instance:
        for _ in range(run.sessions):
            instance.relay()


def dovecot(run: Sender) -> None:
    with Dovecot(run.pki, run.condition, run.serve.port, run.version) as instance:
        for _ in range(run.sessions):
            instance.relay()


def lettre(backend: str, run: Sender) -> None:
    argv, environment = rust.command(
        backend, run.pki, run.serve.port, run.folder, run.version, sessions=run.sessions, own=run.own
    )
    run.run(argv, crlf(MESSAGE), environment)


def by(name: str) -> Callable[[Sender], None]:
    """As the test of client certificates has it run."""
    return certificates.PEERS[name][0]


BOTH: tuple[str, ...] = ("1.2", "1.3")

# How each is run, and the versions at which it can come back with a session of before; page.py says why not.
CLIENTS: dict[str, tuple[Callable[[Sender], None], tuple[str, ...]]] = {
    "Postfix smtp": (postfix, BOTH),
    "Exim (GnuTLS)": (exim, BOTH),
    "Dovecot relay": (dovecot, ()),
    "openssl s_client": (by("s_client"), BOTH),
    "gnutls-cli": (by("gnutls-cli"), ("1.2",)),
    "nodemailer": (by("nodemailer"), BOTH),
    "curl": (by("curl"), ()),
    "swaks": (by("swaks"), ()),
    "msmtp": (by("msmtp"), ()),
    "aiosmtplib": (by("aiosmtplib"), ()),
    "lettre (native-tls)": (partial(lettre, "native-tls"), ()),
    "lettre (rustls)": (partial(lettre, "rustls"), BOTH),
}

# They shake hands and send no message.
SILENT = ("openssl s_client", "gnutls-cli")
