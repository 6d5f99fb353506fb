"""A private Dovecot: its submission service takes mail inside TLS with a password and gives it to a relay."""

from __future__ import annotations

import os
import smtplib
from pathlib import Path

from ca.ca import Paths
from conftest import DEADLINE, MESSAGE, RECIPIENT, SENDER, missing, require_peer
from hops import crlf

from matrix.peer import Condition, Private, openssl_defaults

USER, PASSWORD = "alice", "secret"

CONF = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = submission
listen = 127.0.0.1
hostname = dovecot.example.test
import_environment = OPENSSL_CONF
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/home
}}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
service submission-login {{
  chroot =
  service_count = {clients}
  process_min_avail = 1
  process_limit = 1
  inet_listener submission {{
    port = {port}
  }}
}}
service stats {{
  client_limit = 100
}}
ssl_min_protocol = TLSv1.2
ssl_cert = <{cert}
ssl_key = <{key}
ssl_require_crl = no
submission_relay_host = localhost
submission_relay_port = {relay}
submission_relay_max_idle_time = 1s
"""

SERVER = """\
ssl = required
submission_relay_ssl = no
"""
VERIFYING = """\
ssl_ca = <{ca}
ssl_verify_client_cert = yes
auth_ssl_require_client_cert = yes
"""
RELAYING = """\
ssl = yes
disable_plaintext_auth = no
submission_relay_ssl = starttls
submission_relay_ssl_verify = yes
ssl_client_ca_file = {ca}
"""
PAIR = """\
ssl_client_cert = <{cert}
ssl_client_key = <{key}
"""


class Dovecot(Private):
    """The instance: a server whose relay is in clear, or with `version` a client that relays inside TLS."""

    name = "dovecot"

    def __init__(self, pki: Paths, condition: Condition, relay: int, version: str | None = None) -> None:
        super().__init__(pki, condition)
        self._relay, self._version = relay, version
        self._environment: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        return self._environment

    def configure(self) -> list[str]:
        program = require_peer("dovecot", "dovecot-submissiond")
        if os.getuid() != 0:
            missing("a private Dovecot can only be started by root")
        if not Path("/usr/lib/dovecot/submission").exists():
            missing("dovecot has no submission: apt-get install dovecot-submissiond")
        self.directory("home")
        cert, key = (self.give(path) for path in self.condition.pair(self.pki))
        ca = self.give(self.pki.ca)
        text = CONF.format(
            folder=self.folder,
            password=PASSWORD,
            port=self.port,
            cert=cert,
            key=key,
            relay=self._relay,
            # 0 is one process for all clients: each makes ticket keys of its own. Where it verifies the
            # clients' certificates, OpenSSL ends each session that it could resume, for Dovecot does not give
            # it a session id context; so there each client has a new process, which knows no ticket.
            clients=1 if self.condition.own else 0,
        )
        if self._version:
            text += RELAYING.format(ca=ca)
            if self.condition.own:
                own = [self.give(path) for path in (self.pki.client, self.pki.client_key)]
                text += PAIR.format(cert=own[0], key=own[1])
            # Dovecot itself can set the oldest version and not the newest.
            limits = [f"{limit}Protocol = TLSv{self._version}" for limit in ("Min", "Max")]
            self._environment = openssl_defaults(self.folder, *limits)
        else:
            text += SERVER + (VERIFYING.format(ca=ca) if self.condition.own else "")
        (self.folder / "dovecot.conf").write_text(text)
        return [program, "-F", "-c", str(self.folder / "dovecot.conf")]

    def relay(self) -> None:
        """Gives it a message for its relay, in clear."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=DEADLINE) as client:
            client.login(USER, PASSWORD)
            client.sendmail(SENDER, RECIPIENT, crlf(MESSAGE), ["BODY=8BITMIME"])
