"""A private Postfix on loopback: own configuration, queue, log and mailboxes, in a throw-away folder.

It takes mail for bob@mail.example.test into a maildir, offering STARTTLS, and relays all other mail to
`relay`, a port of loopback, with smtp_tls_security_level=secure.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

from ca.ca import NAME, Paths
from conftest import DEADLINE, Found, missing, require_peer, wait_until
from hops import crlf

MAIN_CF = """\
compatibility_level = 3.6
config_directory = {folder}/etc
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
meta_directory = /etc/postfix
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = relay.example.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
biff = no

# Messages stay as they came: no added headers, no conversion of eight-bit text.
local_header_rewrite_clients =
disable_mime_output_conversion = yes

# As the server.
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key}, {cert}
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
virtual_mailbox_domains = {name}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:bob/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}

# As the client.
relayhost = [127.0.0.1]:{relay}
smtp_tls_security_level = secure
smtp_tls_CAfile = {ca}
smtp_tls_secure_cert_match = {name}
smtp_tls_loglevel = 1
smtp_tls_note_starttls_offer = yes
smtp_connection_cache_on_demand = no
minimal_backoff_time = 600s
maximal_backoff_time = 600s
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

HANDSHAKE = re.compile(
    r"(?P<trust>\w+) TLS connection established to 127\.0\.0\.1\[127\.0\.0\.1\]:\d+: "
    r"(?P<version>\S+) with cipher (?P<cipher>\S+)"
)


def free_port() -> int:
    """A port that nothing listens on now; for a program that cannot choose one itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Postfix:
    """The instance, running from `with` to the end of its block."""

    def __init__(
        self, pki: Paths, relay: int = 0, *, cert: Path | None = None, key: Path | None = None
    ) -> None:
        self._command = require_peer("postfix", package="postfix")
        if os.getuid() != 0:
            missing("a private Postfix can only be started by root")
        self._pki = pki
        self._cert, self._key = cert or pki.leaf, key or pki.leaf_key
        self.port = free_port()
        self._relay = relay

    def __enter__(self) -> Self:
        # Not in pytest's folder, which only its owner can enter: Postfix works as several users.
        self.folder = Path(tempfile.mkdtemp(prefix="smtptls-postfix-"))
        try:
            self._configure()
            start = [self._command, "-c", str(self.folder / "etc"), "start"]
            subprocess.run(start, timeout=DEADLINE, check=True)
            self._wait(self._answers, "Postfix to listen")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop()

    def _configure(self) -> None:
        self.folder.chmod(0o755)
        for name in ("etc", "queue", "data", "mail"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        nobody = pwd.getpwnam("nobody")
        os.chown(self.folder / "mail", nobody.pw_uid, nobody.pw_gid)
        daemons = subprocess.check_output(["postconf", "-dh", "daemon_directory"], text=True).strip()
        # Postfix reads the CA file after it has given up root, so it gets a copy that all can read.
        shutil.copy(self._pki.ca, self.folder / "etc/ca.pem")
        main = MAIN_CF.format(
            folder=self.folder,
            daemons=daemons,
            key=self._key,
            cert=self._cert,
            ca=self.folder / "etc/ca.pem",
            name=NAME,
            relay=self._relay,
            uid=nobody.pw_uid,
            gid=nobody.pw_gid,
        )
        (self.folder / "etc/main.cf").write_text(main)
        (self.folder / "etc/master.cf").write_text(MASTER_CF.format(port=self.port))

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE) as link:
                link.sendall(b"QUIT\r\n")
                return link.recv(1000).startswith(b"220 ")
        except ConnectionRefusedError:
            return False

    def _stop(self) -> None:
        """End the master, which ends the rest; `postfix stop` does the same, but sleeps in between."""
        try:
            master = int((self.folder / "queue/pid/master.pid").read_text())
            os.kill(master, signal.SIGTERM)
            wait_until(lambda: not self._alive(master), "Postfix's master to end")
        except (OSError, ValueError):
            pass  # it never started, or has ended
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _alive(process: int) -> bool:
        try:
            return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    def log(self) -> str:
        try:
            return (self.folder / "log").read_text()
        except OSError:
            return ""

    def _wait(self, probe: Callable[[], Found | None], what: str) -> Found:
        try:
            return wait_until(probe, what)
        except BaseException:
            print("Postfix's log:", self.log(), sep="\n")
            raise

    def wait_mail(self) -> bytes:
        """The one message in bob's maildir, which is taken out."""
        new = self.folder / "mail/bob/new"
        found = self._wait(lambda: list(new.glob("*")) if new.is_dir() else None, "mail in Postfix's maildir")
        assert len(found) == 1, f"{found}"
        content = found[0].read_bytes()
        found[0].unlink()
        return content

    def relay(self, message: bytes) -> None:
        """Give it a message for the relay, in clear as a local program would."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=DEADLINE) as client:
            client.sendmail(
                "alice@client.example.test", ["bob@away.example.test"], crlf(message), ["BODY=8BITMIME"]
            )

    def wait_handshake(self) -> re.Match[str]:
        """What the client side of Postfix logged of its handshake with the relay: trust, version, cipher."""
        return self._wait(lambda: HANDSHAKE.search(self.log()), "Postfix to log its handshake with the relay")
