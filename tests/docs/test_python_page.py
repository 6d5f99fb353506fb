"""Every snippet of docs/python.md, run against a mail server; and each name on the page exists."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import smtptls
from ca.ca import NAME, Paths
from conftest import ROOT
from users.peers import mail_server

PAGE = (ROOT / "docs/python.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SETTINGS = [snippet for snippet in SNIPPETS if "EMAIL_BACKEND" in snippet]

# Leads to the server of the test, whatever the port.
BEFORE = """
import socket
own = socket.getaddrinfo
def getaddrinfo(host, port, *arguments, **options):
    if host == {name!r}:
        host, port = "127.0.0.1", {port}
    return own(host, port, *arguments, **options)
socket.getaddrinfo = getaddrinfo
"""

DJANGO = """
import django.conf, django.core.mail
django.conf.settings.configure(**{name: value for name, value in globals().items() if name.isupper()})
sent = django.core.mail.send_mail("hello", "Hi.", "me@example.org", ["you@example.com"])
connection = django.core.mail.get_connection()
connection.open()
print(sent, connection.connection.sock.info.summary)
connection.close()
"""


@pytest.fixture
def server(pki: Paths) -> Iterator[int]:
    """The port of an SMTP server with STARTTLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    with mail_server(context) as recorder:
        yield recorder.port


def run(snippet: str, port: int, pki: Paths, folder: Path) -> str:
    shutil.copy(pki.leaf, folder / "chain.pem")
    shutil.copy(pki.leaf_key, folder / "key.pem")
    program = BEFORE.format(name=NAME, port=port) + snippet.replace("mail.example.com", NAME)
    environment = {**os.environ, "SSL_CERT_FILE": str(pki.ca)}
    argv = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("snippet", [snippet for snippet in SNIPPETS if snippet not in SETTINGS])
def test_a_snippet(snippet: str, server: int, pki: Paths, tmp_path: Path) -> None:
    output = run(snippet, server, pki, tmp_path)
    if "summary" in snippet:
        assert "TLSv1.3 with cipher" in output
    if "auth.label" in snippet:
        assert output == "pkix\n"


def test_the_settings_of_django(server: int, pki: Paths, tmp_path: Path) -> None:
    (settings,) = SETTINGS
    assert "1 TLSv1.3 with cipher" in run(settings + DJANGO, server, pki, tmp_path)


def test_each_name_exists() -> None:
    """What the page calls smtptls.something is there."""
    names = set(re.findall(r"smtptls\.(\w+)", PAGE)) - {"django", "aio"}
    assert len(names) > 10
    for name in names:
        assert hasattr(smtptls, name), name
