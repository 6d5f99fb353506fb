#!/usr/bin/env python3
"""Writes inputs that are made by hand, where the fuzzer would take long to come to.

They go to found/, as if it had found them, and `run.py --minimize` takes them into the corpus.
"""

import base64
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIXTURES = HERE / "fixtures"
GREETING, COMMAND, HANDSHAKE = range(3)
NONE, MAY, ENCRYPT, FINGERPRINT, DANE, DANE_ONLY, VERIFY, SECURE = range(8)
EAGER, BYTEWISE = 16, 32


def call(text: str) -> bytes:
    return b"\xff" + text.encode("latin-1")


def der(name: str) -> bytes:
    text = re.sub("-----.*?-----", "", (FIXTURES / name).read_text())
    return base64.b64decode(text)


def client() -> dict[str, bytes]:
    dialogue = b"220 mx ESMTP\r\n250-mx\r\n250-SIZE\r\n250 STARTTLS\r\n220 go\r\n"
    rest = call("g\0") + call("r\x80") + call("w\x20") + call("G")
    found = {}
    for level in (MAY, ENCRYPT, DANE, VERIFY, SECURE):
        for config in range(6):
            found[f"greeting-{level}-{config}"] = bytes([level, GREETING, config, EAGER]) + dialogue + rest
    found["bytewise"] = bytes([VERIFY, GREETING, 0, EAGER | BYTEWISE]) + dialogue + rest
    found["command"] = bytes([VERIFY, COMMAND, 0, EAGER]) + b"220 go\r\n" + rest
    found["handshake"] = bytes([VERIFY, HANDSHAKE, 0, EAGER]) + rest
    found["injected"] = bytes([MAY, GREETING, 0, EAGER]) + dialogue[:-8] + b"220 go\r\n250-mx\r\n" + rest
    found["refused"] = (
        bytes([MAY, GREETING, 0, EAGER]) + dialogue[:-8] + b"454 later\r\n" + call("x\0") + call("o")
    )
    found["helo"] = bytes([MAY, GREETING, 0, EAGER]) + b"220 mx\r\n502 what\r\n250 mx\r\n" + call("x\0")
    found["lmtp"] = bytes([MAY, GREETING, 0, EAGER | 1]) + dialogue + rest
    found["dane"] = (
        bytes([DANE, GREETING, 0, EAGER | 4]) + dialogue + call("g\0") + call("x\x01") + call("r\x80")
    )
    found["other"] = bytes([VERIFY, GREETING, 0, EAGER | 8]) + dialogue + call("g\0") + call("x\0")
    found["steps"] = (
        bytes([MAY, GREETING, 0, 0]) + dialogue + call("s\0") + call("o") + call("x\x07") + call("s\0")
    )
    found["alert"] = bytes([MAY, HANDSHAKE, 0, EAGER]) + b"\x15\x03\x03\x00\x02\x02\x28"
    found["close"] = bytes([MAY, HANDSHAKE, 0, EAGER]) + b"\x15\x03\x03\x00\x02\x01\x00250 x\r\n"
    return found


def server() -> dict[str, bytes]:
    talk = b"EHLO c\r\nNOOP\r\nRSET\r\nMAIL FROM:<>\r\n"
    rest = call("g\0") + call("r\x80") + call("w\x20") + call("G")
    found = {}
    for level in (NONE, MAY, ENCRYPT):
        for config in range(7):
            head = bytes([level, GREETING, config, EAGER, 0])
            found[f"greeting-{level}-{config}"] = head + b"EHLO c\r\n" + call("o") + b"STARTTLS\r\n" + rest
        found[f"talk-{level}"] = bytes([level, GREETING, 0, EAGER, 0]) + talk
        found[f"exempt-{level}"] = (
            bytes([level, GREETING, 0, EAGER | 8, 6]) + b"HELO c\r\nHELP\r\nXCLIENT A=B\r\n"
        )
        found[f"not-now-{level}"] = (
            bytes([level, GREETING, 0, EAGER | 4, 6]) + talk[:22] + b"STARTTLS\r\n" + talk
        )
    pipelined = b"EHLO c\r\nSTARTTLS\r\nRSET\r\n"
    found["pipelined"] = bytes([MAY, GREETING, 0, EAGER, 0]) + pipelined + rest
    found["discarded"] = bytes([MAY, GREETING, 0, EAGER | 2, 0]) + pipelined + rest
    found["bytewise"] = bytes([ENCRYPT, GREETING, 0, EAGER | BYTEWISE, 2]) + b"EHLO c\r\nSTARTTLS\r\n" + rest
    found["command"] = bytes([MAY, COMMAND, 0, EAGER, 8]) + rest
    found["parameter"] = bytes([MAY, COMMAND, 0, EAGER, 24]) + rest
    found["banner"] = bytes([MAY, HANDSHAKE, 0, EAGER, 1]) + rest
    found["lmtp"] = bytes([MAY, GREETING, 0, EAGER | 1, 0]) + b"EHLO c\r\nLHLO c\r\nSTARTTLS\r\n" + rest
    found["long"] = bytes([MAY, GREETING, 0, EAGER, 0]) + b"NOOP " + b"x" * 3000 + b"\r\nQUIT\r\n"
    found["close"] = bytes([MAY, HANDSHAKE, 0, EAGER, 0]) + b"\x15\x03\x03\x00\x02\x01\x00RSET\r\n"
    return found


def pair() -> dict[str, bytes]:
    found = {}
    for entry in range(3):
        for level in (MAY, VERIFY, SECURE):
            for config in range(6):
                head = bytes([level, config % 2, entry, config, config, 2 * (config == 0)])
                found[f"honest-{entry}-{level}-{config}"] = (
                    head + call("g\x81") + call("W\x40") + call("R\x40")
                )
    head = bytes([VERIFY, 0, GREETING, 0, 0, 0])
    turns = call("s") + call("S") + call("t\x88") + call("d\x88") + call("S") + call("T\x88") + call("D\x88")
    found["turns"] = head + turns * 8
    found["flipped"] = head + turns * 5 + call("S") + call("T\x88") + call("f\x30\x01") + turns
    found["injected"] = head + turns * 3 + b"RSET\r\n" + turns * 3
    found["twice"] = (
        bytes([VERIFY, 0, HANDSHAKE, 0, 0, 0]) + call("S") + call("T\x88") + call("B\x40") + turns
    )
    found["closed"] = head + call("g\x88") + call("X\x04") + call("g\x88") + call("r\x40") + call("W\x40")
    found["mail"] = head + call("g\x88") + (call("M\x8c") + call("W\x90") + call("g\x8a") + call("w\x8f")) * 3
    found["resumed"] = bytes([VERIFY, 0, HANDSHAKE, 3, 3, 0]) + call("g\x88") + call("g\x88")
    return found


def text() -> dict[str, bytes]:
    return {
        "sts": b"\0version: STSv1\r\nmode: enforce\r\nmx: mx.example\r\nmx: *.example.net\r\nmax_age: 99\r\n",
        "rdata": b"\x01\x03\x01\x01" + bytes(32),
        "hello": b"\x02\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
        "tlsa": b"\x033 1 1 " + b"0f" * 32,
        "tlsa-2": b"\x032 0 2 " + b"0F 1e" * 32,
        "record": b"\x04v=STSv1; id=20160831085700Z;",
        "name": b"\x05mx.example.com",
        "name-below": b"\x05.example.com",
        "name-address": b"\x05[IPv6:2001:db8::1]",
        "name-unicode": "\x05b\u00fccher.example".encode(),
        "fingerprint": b"\x06sha256:" + b"0f" * 32,
        "fingerprint-colons": b"\x06" + b":".join([b"0F"] * 20),
        "settings": b"\x07TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256 X25519,P-256",
        "command": b"\x07STARTTLS now\r\n",
    }


def files() -> dict[str, bytes]:
    read = {path.name: path.read_bytes() for path in FIXTURES.iterdir()}
    keys = b"current " + b"0f" * 32 + b"\nnext " + b"1e" * 32 + b" # next\nprevious " + b"2d" * 32 + b"\n"
    return {
        "roots": b"\x00" + read["ca.pem"],
        "roots-der": b"\x01" + der("ca.pem") + der("server.pem"),
        "crl": b"\x02" + read["ca.crl"],
        "crl-der": b"\x02" + der("ca.crl"),
        "pair": b"\x03" + read["server.key"] + read["server.pem"],
        "key": b"\x04" + read["server.key"],
        "chain": b"\x05" + read["server.pem"],
        "certificate": b"\x06" + read["server.pem"],
        "pairs": b"\x07"
        + b"".join(read[f"{name}.{kind}"] for name in ("server", "client") for kind in ("key", "pem")),
        "pair-file": b"\x08" + read["client.pem"] + read["client.key"],
        "roots-file": b"\x09" + read["ca.pem"],
        "crl-file": b"\x0a" + der("ca.crl"),
        "ticket-keys": b"\x0b" + keys,
        "ocsp": b"\x0c\x30\x03\x0a\x01\x00",
    }


def certificate() -> dict[str, bytes]:
    found = {"info": b"\0smtptls-info\x01\x01\0\0\0\x04\0\0\0\0"}
    for level in (DANE, VERIFY, FINGERPRINT, MAY):
        for name in ("server.pem", "client.pem", "ca.pem"):
            found[f"{level}-{name}"] = bytes([1, level, level]) + der(name)
        found[f"{level}-chain"] = bytes([1, level, 8]) + der("server.pem") + b"\xff\xff" + der("ca.pem")
    return found


def c_api() -> dict[str, bytes]:
    """Configurations 0 (client) and 1 (server), sessions 0 and 1, carried to the end, looked at."""
    configs = bytes([0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0, 1, 0, 9])
    host = bytes([15]) + b"mx.example.test"
    sessions = bytes([5, 0, 0, 0]) + host + bytes([3]) + bytes([5, 1, 1, 2, 3])
    carry = bytes([5, 0, 1, 25, 2])
    look = bytes([5, 0, 0, 16, 2, 6, 5, 1, 0, 16, 2, 6])
    talk = bytes([5, 0, 0, 20, 0, 100, 0, 5, 0, 1, 25, 2, 5, 1, 0, 19, 127, 0, 5, 0, 0, 11, 2])
    wires = [bytes([5, 0, 0, 5, how, 4, 5, 1, 0, 5, how, 4]) for how in (1, 17, 33, 49)]
    cut = bytes([5, 0, 0, 22, 0, 5, 0, 0, 23, 0]) + talk
    policy = bytes([2, 3, 0, 9, 2, 3, 14, 5]) + b"3 1 1" + bytes([2, 3, 3, 4]) + b"a.bc"
    sts = (
        bytes([4, 0, 0, 4, 0, 2, 64])
        + b"version: STSv1\nmode: enforce\nmax_age: 99\nmx: *.example.test\nxx: "
    )
    return {
        "whole": configs + sessions + carry + look + talk + look,
        "greeting": configs + sessions + bytes([5, 0, 1, 25, 0]) + look,
        "elsewhere": bytes([0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0, 1, 0, 13])
        + sessions
        + carry
        + bytes([5, 1, 0, 18, 3])
        + b"abc"
        + carry,
        "early": configs[:8] + sessions + look,
        "policy": policy + sts,
        "sockets": configs + sessions + wires[0] + carry + look + talk + cut,
        "pipes": configs + sessions + wires[1] + carry + look + talk,
        "nonblocking": configs + sessions + wires[2] + carry + look + talk + cut,
        "pipes-nonblocking": configs + sessions + wires[3] + carry + look + talk,
        "injected": configs + sessions + wires[0] + bytes([5, 0, 0, 22, 5]) + b"220 x" + carry + look,
        "freed": configs + sessions + bytes([0, 0, 0, 1, 0, 1, 0, 1]) + carry + look,
    }


def main() -> None:
    for target in (client, server, pair, text, files, certificate, c_api):
        folder = HERE / "found" / target.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in target().items():
            (folder / name).write_bytes(data)


main()
