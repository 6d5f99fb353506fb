"""What smtptls serve is told wrong, and what it has not: one clear line and code 2, before it listens."""

from __future__ import annotations

import socket
import subprocess
from typing import Any

import pytest
from commands import CLEAN, command, one_line, smtptls
from smtptls.cli.server.text import octets

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "70000"),
        ("--port", "-1"),
        ("--host", "nowhere.invalid"),
        ("--host", "192.0.2.1"),
        ("--name", "two words"),
        ("--name", "x\x1b[31m"),
        ("--cert", "/nowhere.pem"),
        ("--key", "/nowhere.key"),
        ("--cert", "/nowhere.pem", "--cert-kind", "expired"),
        ("--cert", "/nowhere.pem", "--write-ca", "/nowhere/ca.pem"),
        ("--write-ca", "/nowhere/ca.pem"),
        ("--store", "/nowhere/mail"),
        ("--store", "/dev/null"),
        ("--store", "/nowhere/\udcff"),
        ("--write-ca", "/nowhere/\udcff"),
        ("--name", "\udcff"),
        ("--max-size", "0"),
        ("--max-size", "lots"),
        ("--timeout", "0"),
        ("--slow", "0"),
        ("--slow", "20000"),
        ("--slow", "5", "--line-by-line"),
        ("--one-packet", "--line-by-line"),
        ("--tls-max", "1.1"),
        ("--cert-kind", "best"),
        ("--cert-kind", "rsa1024", "--tls-max", "1.2"),
        ("--sni-map", "name"),
        ("--sni-map", "name="),
        ("--sni-map", "a b=auto"),
        ("--sni-map", "name.example.test=/nowhere.pem"),
        ("--handshake", "backwards"),
        ("--handshake", "close", "--weak"),
        ("--implicit", "--lmtp"),
        ("--implicit", "--no-starttls"),
        ("--implicit", "--require-tls"),
        ("--no-starttls", "--weak"),
        ("--no-starttls", "--starttls-reply", "220 x"),
        ("--starttls-reply", "454 x", "--inject-after-220", "250 x"),
        ("--starttls-reply", "454 x", "--handshake", "close"),
        ("--greeting", ""),
        ("--greeting", r"220 \q"),
        ("--greeting", r"220 \x4"),
        ("--greeting", r"220 x\c"),
        ("--nonsense",),
        ("extra",),
    ],
)
def test_a_mistake_is_one_line_and_code_2(arguments: tuple[str, ...]) -> None:
    ran = smtptls("serve", *arguments)
    assert ran.code == 2
    assert "bug" not in one_line(ran)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("220 a", b"220 a\r\n"),
        (r"220 a\r\n", b"220 a\r\n"),
        (r"220-a\r\n220 b", b"220-a\r\n220 b\r\n"),
        (r"250 AU\c", b"250 AU"),
        (r"250 AU\\c", b"250 AU\\c\r\n"),
        (r"\x00\xff\t\n\c", b"\x00\xff\t\n"),
        ("\u00e9", "\u00e9\r\n".encode()),
    ],
)
def test_text_stands_for_octets(text: str, wanted: bytes) -> None:
    assert octets(text) == wanted


@pytest.mark.parametrize("name", ["empty", "garbage", "leaf_key", "weak"])
def test_a_certificate_that_cannot_be_used(name: str, pki: Any) -> None:
    path = getattr(pki, name)
    key = ("--key", pki.weak_key) if name == "weak" else ()
    ran = smtptls("serve", "--cert", path, *key)
    assert ran.code == 2 and str(path.parent) in one_line(ran)
    ran = smtptls("serve", "--cert", pki.leaf, "--key", pki.stray_key)
    assert ran.code == 2 and "key" in one_line(ran)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ran = smtptls("serve", "--port", port)
    assert ran.code == 2
    assert one_line(ran) == f"cannot listen on 127.0.0.1 port {port}: Address already in use"


@pytest.mark.parametrize("redirected", [">&-", "| true"])
def test_a_closed_stdout(redirected: str) -> None:
    """Nobody would learn the port."""
    script = f'set -o pipefail; "$@" {redirected}; echo $? >&2'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *command("serve")],
        stderr=subprocess.PIPE, timeout=60, env=CLEAN, check=False,
    )  # fmt: skip
    assert done.stderr == b"smtptls: stdout is closed, and so nobody would learn the port\n2\n"
