"""The peers of the matrix that are servers: each a context manager for one condition."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from aiosmtpd.smtp import SMTP
from ca.ca import Paths
from opensslserver import OpensslServer, context
from postfix import Postfix
from test_aiosmtpd import aiosmtpd

from matrix.dovecot import PASSWORD, USER, Dovecot
from matrix.exim import Exim
from matrix.node import SmtpServer
from matrix.peer import Condition


@dataclass
class Open:
    """A server that runs: its port, its messages once there are so many, and a login if it wants one."""

    port: int
    mail: Callable[[int], list[bytes]]
    login: tuple[str, str] | None = None


class Mailbox(Postfix):
    """Postfix with the certificate and the demands of a condition."""

    def __init__(self, pki: Paths, condition: Condition) -> None:
        cert, key = condition.pair(pki)
        super().__init__(pki, cert=cert, key=key)
        self._condition = condition

    def _configure(self) -> None:
        super()._configure()
        if self._condition.own:
            main = self.folder / "etc/main.cf"
            # Without TLS it can require no certificate.
            more = f"encrypt\nsmtpd_tls_req_ccert = yes\nsmtpd_tls_CAfile = {self.folder}/etc/ca.pem"
            level = "smtpd_tls_security_level = "
            main.write_text(main.read_text().replace(f"{level}may", f"{level}{more}"))

    def mail(self, count: int) -> list[bytes]:
        new = self.folder / "mail/bob/new"
        self._wait(lambda: len(list(new.glob("*"))) >= count, "mail in Postfix's maildir")
        return [path.read_bytes() for path in new.glob("*")]


@contextmanager
def postfix(pki: Paths, condition: Condition) -> Iterator[Open]:
    with Mailbox(pki, condition) as instance:
        yield Open(instance.port, instance.mail)


@contextmanager
def exim(pki: Paths, condition: Condition) -> Iterator[Open]:
    with Exim(pki, condition) as instance:
        yield Open(instance.port, instance.mail)


@contextmanager
def dovecot(pki: Paths, condition: Condition) -> Iterator[Open]:
    with aiosmtpd(SMTP) as (recorder, port), Dovecot(pki, condition, port) as instance:
        yield Open(instance.port, lambda _count: recorder.messages, (USER, PASSWORD))


@contextmanager
def smtp_server(pki: Paths, condition: Condition) -> Iterator[Open]:
    with SmtpServer(pki, condition) as instance:
        yield Open(instance.port, instance.mail)


def verifying(pki: Paths, condition: Condition) -> ssl.SSLContext:
    """OpenSSL's context for a server of this condition."""
    made = context(*condition.pair(pki))
    if condition.own:
        made.load_verify_locations(pki.ca)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


@contextmanager
def openssl(pki: Paths, condition: Condition) -> Iterator[Open]:
    with OpensslServer(verifying(pki, condition)) as server:
        yield Open(server.port, lambda count: [server.seen(n).message for n in range(count)])


@contextmanager
def by_aiosmtpd(pki: Paths, condition: Condition) -> Iterator[Open]:
    with aiosmtpd(SMTP, tls_context=verifying(pki, condition), require_starttls=True) as (recorder, port):
        yield Open(port, lambda _count: recorder.messages)


SERVERS: dict[str, Callable[[Paths, Condition], AbstractContextManager[Open]]] = {
    "Postfix smtpd": postfix,
    "Exim (GnuTLS)": exim,
    "Dovecot submission": dovecot,
    "OpenSSL (Python's ssl)": openssl,
    "aiosmtpd": by_aiosmtpd,
    "smtp-server (node)": smtp_server,
}
