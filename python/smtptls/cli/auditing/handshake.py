"""Rows of an audit: handshakes that must succeed, and what must not become one."""

from __future__ import annotations

import os
import re

from ..._native import escape
from .talk import MOST_OCTETS, Audited, Ended, Failed

UNKNOWN_NAME = "unknown.invalid"
GARBAGE = b"EHLO smtptls.invalid\r\nNOOP\r\nNOOP\r\n"
# TLS records (RFC 8446 section 5.1) and handshake messages (section 4).
ALERT, HANDSHAKE = 0x15, 0x16
SERVER_HELLO = 2
TLS_1_1 = b"\x03\x02"
# Of TLS 1.1 and older: ECDHE and RSA with AES-CBC and SHA-1.
OLD_SUITES = bytes.fromhex("c009c00ac013c014002f0035")


def without_name(audited: Audited) -> str:
    with audited.secured(sni=None):
        return "TLS"


def unknown_name(audited: Audited) -> str:
    with audited.secured(sni=UNKNOWN_NAME):
        return "TLS"


def old_version(audited: Audited) -> str:
    """A client that has nothing newer than TLS 1.1."""
    with audited.begin() as talk:
        talk.is_spoiled = True
        talk.send(client_hello_1_1())
        came = b""
        try:
            while len(came) < 11:
                came += talk.receive()
                if came[0] != HANDSHAKE:
                    return _refusal(came)
        except Ended:
            return _refusal(came)
    if came[5] == SERVER_HELLO:
        raise Failed(f"it agrees to TLS 1.{came[10] - 1}")
    return _refusal(came)


def garbage(audited: Audited) -> str:
    """Commands in place of a ClientHello must not be carried out."""
    with audited.begin() as talk:
        talk.is_spoiled = True
        talk.send(GARBAGE)
        came = b""
        try:
            while len(came) < MOST_OCTETS and not came.endswith(b"\n"):
                came += talk.receive()
                if came[0] == ALERT:
                    break
        except Ended:
            pass
    if re.match(rb"[23][0-9][0-9][ -]", came):
        raise Failed(f'it answers in plaintext: "{escape(came)}"')
    return _refusal(came)


def _refusal(came: bytes) -> str:
    if not came:
        return "it closes the connection"
    if came[0] == ALERT:
        return f"alert {came[6]}" if len(came) > 6 else "an alert"
    return f'it refuses: "{escape(came)}"'


def client_hello_1_1() -> bytes:
    """A ClientHello of RFC 4346 section 7.4.1.2, with the extensions that servers look for."""
    extensions = _extension(0x000A, _vector(2, bytes.fromhex("001700180019")))  # groups: P-256, P-384, P-521
    extensions += _extension(0x000B, _vector(1, b"\0"))  # points uncompressed
    extensions += _extension(0xFF01, _vector(1, b""))  # RFC 5746
    body = TLS_1_1 + os.urandom(32) + _vector(1, b"") + _vector(2, OLD_SUITES) + _vector(1, b"\0")
    message = b"\x01" + _vector(3, body + _vector(2, extensions))
    return bytes([HANDSHAKE]) + b"\x03\x01" + _vector(2, message)


def _vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


def _extension(number: int, content: bytes) -> bytes:
    return number.to_bytes(2, "big") + _vector(2, content)
