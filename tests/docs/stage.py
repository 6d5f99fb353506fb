"""The hosts that docs/cli.md talks to, on loopback: mail servers, a DNS server, a web server with a policy.

    with stage(folder) as env:    the folder has the page's files; programs run there with this environment

example.com has all that there is: MX, TLSA and MTA-STS in a signed zone, and its host mx.example.com with a
good certificate. mx.example.net has a certificate for another name, mx.example.org offers no STARTTLS, and
nobody listens at gone.example.com.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

from ca.ca import DAY, Issuer, issue, key_pem, new_key, pem, write_key
from conftest import ROOT
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from smtptls import Tlsa

sys.path.insert(0, str(ROOT / "python/tests/cli"))
from commands import CLEAN  # type: ignore[import-not-found]
from policy_host import Page, policy_host  # type: ignore[import-not-found]
from served import serving  # type: ignore[import-not-found]
from zone import Zone  # type: ignore[import-not-found]

POLICY = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 604800\n"
HOSTS = "mx.example.com:25\nmx.example.net:25  # the old one\nmx.example.org:25\n"
ADDRESSES = {
    "mx.example.com": "192.0.2.25",
    "smtp.example.com": "192.0.2.25",
    "mx.example.net": "198.51.100.25",
    "mx.example.org": "203.0.113.25",
    "gone.example.com": "192.0.2.99",
    "mta-sts.example.com": "192.0.2.80",
}
RECORDS = """
example.com. MX 10 mx.example.com.
mx.example.com. A 192.0.2.25
_25._tcp.mx.example.com. TLSA {tlsa}
_mta-sts.example.com. TXT "v=STSv1; id=20260101;"
mta-sts.example.com. A 192.0.2.80
"""


def fixed(number: int) -> ec.EllipticCurvePrivateKey:
    """The same key in every run, so that its digests can stand on the page."""
    return ec.derive_private_key(number, ec.SECP256R1())


def files(folder: Path) -> None:
    """What the page's commands read."""
    key = new_key()
    authority = Issuer(issue(key, "Example CA", names=(), is_ca=True), key)
    for stem, number, names in (
        ("mx", 25, ("mx.example.com", "smtp.example.com")),
        ("new", 26, ("mx.example.com", "smtp.example.com")),
        ("other", 27, ("mail.example.net",)),
        ("web", 28, ("mta-sts.example.com",)),
    ):
        own = fixed(number)
        described = tuple(x509.DNSName(name) for name in names)
        certificate = issue(own, names[0], issuer=authority, names=described, ends=42 * DAY)
        (folder / f"{stem}.pem").write_bytes(pem(certificate))
        write_key(folder / f"{stem}.key", key_pem(own))
    (folder / "ca.pem").write_bytes(pem(authority.certificate))
    (folder / "policy.txt").write_text(POLICY)
    (folder / "hosts.txt").write_text(HOSTS)
    (folder / "message.eml").write_text("Subject: hello\n\nHi.\n")
    # `smtptls` in the page's commands.
    (folder / "bin").mkdir()
    program = folder / "bin/smtptls"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/docs/onstage.py" "$@"\n')
    program.chmod(0o755)


@contextlib.contextmanager
def stage(folder: Path) -> Iterator[dict[str, str]]:
    files(folder)
    mx = ("--name", "mx.example.com", "--cert", folder / "mx.pem", "--key", folder / "mx.key")
    other = ("--name", "mx.example.net", "--cert", folder / "other.pem", "--key", folder / "other.key")
    with contextlib.ExitStack() as running:

        def start(*arguments: object) -> int:
            return int(running.enter_context(serving(folder, *arguments)).port)

        plain = start(*mx)
        places = {
            "192.0.2.25:25": plain,
            "192.0.2.25:587": plain,
            "192.0.2.25:465": start(*mx, "--implicit"),
            "198.51.100.25:25": start(*other),
            "203.0.113.25:25": start("--name", "mx.example.org", "--no-starttls"),
        }
        places["192.0.2.80:443"], _ = running.enter_context(
            policy_host(folder / "web.pem", folder / "web.key", Page(POLICY.encode()))
        )
        tlsa = Tlsa.of(ssl.PEM_cert_to_DER_cert((folder / "mx.pem").read_text()))
        zone = running.enter_context(Zone(RECORDS.format(tlsa=tlsa), signed=["example.com."]))
        known = {"names": ADDRESSES, "places": places, "dns": zone.port}
        (folder / "stage.json").write_text(json.dumps(known))
        yield CLEAN | {
            "PATH": f"{folder}/bin:{CLEAN['PATH']}",
            "SSL_CERT_FILE": str(folder / "ca.pem"),
            "SMTPTLS_STAGE": str(folder / "stage.json"),
            "LC_ALL": "C.UTF-8",
        }
