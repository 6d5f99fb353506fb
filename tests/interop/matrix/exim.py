"""A private Exim, as a server and as a client. Its Debian package cannot be installed beside Postfix's, so
where there is none the package is fetched and unpacked below build/peers/. Debian's is built with GnuTLS."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from ca.ca import NAME, Paths
from conftest import DEADLINE, MESSAGE, RECIPIENT, SENDER, missing, require_peer

from matrix.peer import Condition, Private, fetched

PACKAGE = "exim4-daemon-light"
USER = "Debian-exim"  # the name is compiled in

MAIN = """\
exim_path = {exim}
spool_directory = {folder}/spool
log_file_path = {folder}/spool/log-%s
primary_hostname = exim.example.test
local_interfaces = 127.0.0.1
rfc1413_query_timeout = 0s
smtp_accept_max_per_connection = 10
tls_advertise_hosts = *
tls_certificate = {cert}
tls_privatekey = {key}
tls_verify_certificates = {ca}
{verify}
tls_resumption_hosts = *
acl_smtp_rcpt = take
acl_smtp_data = take

begin acl
take:
  accept

begin routers
here:
  driver = accept
  domains = {name}
  transport = keep
away:
  driver = manualroute
  route_list = * localhost::{relay}
  self = send
  transport = send

begin transports
keep:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  user = {user}
send:
  driver = smtp
  hosts_require_tls = *
  tls_verify_certificates = {ca}
  tls_verify_hosts = *
  tls_verify_cert_hostnames = *
  tls_resumption_hosts = *
  tls_require_ciphers = {priority}
{pair}

begin retry
* * F,1h,10m
"""


def binary() -> Path:
    """The program, wherever it is."""
    found = shutil.which("exim4", path="/usr/sbin") or shutil.which("exim", path="/usr/sbin:/usr/local/sbin")
    return Path(found) if found else fetched(PACKAGE, _fetch) / "usr/sbin/exim4"


def _fetch(folder: Path) -> None:
    apt, dpkg = (require_peer(name, "apt and dpkg") for name in ("apt-get", "dpkg"))
    packages = folder / "packages"
    packages.mkdir()
    download, update = [apt, "download", "-q", PACKAGE], [apt, "update", "-q"]
    # The lists of packages of a person's own machine stay as they are.
    for command in [download, *([update, download] if os.environ.get("CI") else [])]:
        done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=120, check=False)
        if files := list(packages.glob("*.deb")):
            break
    if not files:
        missing(f"no Exim, and its package {PACKAGE} cannot be fetched: {done.stderr.strip()}")
    subprocess.run([dpkg, "-x", str(files[0]), str(folder)], check=True, timeout=60)


def inside(folder: Path) -> list[str]:
    """What goes before Exim: files of users that have its user, which only it and its children see."""
    unshare = require_peer("unshare", "util-linux")
    if os.getuid() != 0:
        missing("a private Exim can only be started by root")
    mounts = []
    for name, line in (
        ("passwd", f"{USER}:x:65534:65534::/nonexistent:/bin/false"),
        ("group", f"{USER}:x:65534:"),
    ):
        text = Path("/etc", name).read_text()
        (folder / name).write_text(text if f"\n{USER}:" in text else f"{text}{line}\n")
        mounts.append(f"mount --bind {folder / name} /etc/{name}")
    return [unshare, "--mount", "sh", "-ec", f'{"; ".join(mounts)}; exec "$@"', "sh"]


class Exim(Private):
    """The instance. `relay` is where it takes mail that is not for bob, with this TLS version."""

    name = "exim"

    def __init__(self, pki: Paths, condition: Condition, relay: int = 0, version: str = "1.3") -> None:
        super().__init__(pki, condition)
        self._relay, self._version = relay, version

    def configure(self) -> list[str]:
        prefix = inside(self.folder)
        program = binary()
        owner = "nobody"  # by number the same user
        for name in ("spool", "mail"):
            self.directory(name, owner)
        cert, key = (self.give(path, owner) for path in self.condition.pair(self.pki))
        ca = self.give(self.pki.ca, owner)
        pair = ""
        if self.condition.own:
            own = [self.give(path, owner) for path in (self.pki.client, self.pki.client_key)]
            pair = f"  tls_certificate = {own[0]}\n  tls_privatekey = {own[1]}\n"
        text = MAIN.format(
            exim=program,
            folder=self.folder,
            cert=cert,
            key=key,
            ca=ca,
            verify="tls_verify_hosts = *" if self.condition.own else "",
            name=NAME,
            user=USER,
            relay=self._relay,
            priority=f"NORMAL:-VERS-ALL:+VERS-TLS{self._version}",
            pair=pair,
        )
        configuration = self.folder / "exim.conf"
        configuration.write_text(text)
        self._argv = [*prefix, str(program), "-C", str(configuration)]
        return [*self._argv, "-bdf", "-oX", f"127.0.0.1.{self.port}"]

    def log(self) -> str:
        logs = (self.folder / "spool").glob("log-*")
        return "\n".join([super().log(), *(path.read_text(errors="replace") for path in logs)])

    def mail(self, count: int) -> list[bytes]:
        return self.stored(self.folder / "mail/new", count)

    def relay(self) -> None:
        """Takes a message as a local program gives it, and delivers it before it is done."""
        argv = [*self._argv, "-odf", "-oi", "-f", SENDER, RECIPIENT.replace(NAME, "away.example.test")]
        subprocess.run(argv, input=MESSAGE, check=True, capture_output=True, timeout=DEADLINE)
