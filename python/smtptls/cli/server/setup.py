"""What the options of smtptls serve come to: what does not fit together, certificates, settings, a socket."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import socket
import ssl
from pathlib import Path

from ..._enums import Protocol, TlsVersion
from ..._native import Config, KeyPair, Tlsa
from ..exits import Stop
from ..report import shown
from ..tlsa import read_chain
from . import certificates
from .dialogue import Settings
from .faults import Faults
from .store import Store

AUTO = "auto"
VERSIONS = {"1.2": TlsVersion.TLS1_2, "1.3": TlsVersion.TLS1_3}

# A flag, and those beside which it would have no effect or no meaning; and why.
CONTRADICTIONS = (
    (
        "implicit",
        ("lmtp", "require_tls", "no_starttls", "starttls_reply", "inject_after_220"),
        "TLS begins with the first byte",
    ),
    (
        "no_starttls",
        ("starttls_reply", "inject_after_220", "handshake", "offer_after_tls", "weak"),
        "there is no TLS",
    ),
    ("handshake", ("offer_after_tls", "weak"), "no handshake succeeds"),
    ("slow", ("line_by_line",), "replies leave octet by octet"),
)


def fitting(options: argparse.Namespace) -> None:
    def is_given(name: str) -> bool:
        return bool(getattr(options, name))

    for name, others, why in CONTRADICTIONS:
        for other in others:
            if is_given(name) and is_given(other):
                raise Stop(f"{_flag(other)} does not go with {_flag(name)}: {why}")
    if options.starttls_reply and not options.starttls_reply.startswith(b"220"):
        for other in ("inject_after_220", "handshake", "offer_after_tls", "weak"):
            if is_given(other):
                raise Stop(f"{_flag(other)} goes with a --starttls-reply that begins with 220")
    if options.cert != AUTO:
        for other in ("cert_kind", "write_ca"):
            if is_given(other):
                raise Stop(f"{_flag(other)} goes with --cert auto, and not with a certificate that is given")
    elif options.key:
        raise Stop("--key goes with --cert PEM")
    if options.cert_kind == "rsa1024" and (options.sni_map or options.tls_max):
        raise Stop("--cert-kind rsa1024 goes without --sni-map and --tls-max")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", options.name):
        raise Stop(f"--name {shown(options.name)}: not a host name")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def pairs(options: argparse.Namespace, folder: Path) -> tuple[list[KeyPair], certificates.Authority | None]:
    """The key pairs, the default one first, and who signed what was made."""
    authority = None
    if options.cert == AUTO or any(file == AUTO for _, file in options.sni_map):
        certificates.demand()
        authority = certificates.make_authority()
    if options.cert == AUTO:
        assert authority is not None
        kind = options.cert_kind or "valid"
        names = (options.name, "localhost", "127.0.0.1", "::1", *_addresses(options.host))
        pairs = [
            KeyPair(*certificates.make_pair(authority, kind, list(dict.fromkeys(names)), folder, "default"))
        ]
    else:
        pairs = [KeyPair(options.cert, options.key or options.cert)]
    for number, (name, file) in enumerate(options.sni_map):
        if file == AUTO:
            assert authority is not None
            pairs.append(KeyPair(*certificates.make_pair(authority, "valid", [name], folder, str(number))))
        else:
            pairs.append(KeyPair(file, file, (name,)))
    return pairs, authority if options.cert == AUTO else None


def _addresses(host: str) -> list[str]:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return []
    return [] if found.is_unspecified else [str(found)]


def settings(options: argparse.Namespace, pairs: list[KeyPair], store: Store | None) -> Settings:
    openssl = None
    if options.cert_kind == "rsa1024":
        # The engine has nothing to do with such a key.
        openssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        openssl.set_ciphers("DEFAULT:@SECLEVEL=0")
        openssl.load_cert_chain(pairs[0].chain, pairs[0].key)
        pairs = []
    config = Config(
        hostname=options.name, keypairs=pairs, max_version=VERSIONS[options.tls_max or max(VERSIONS)]
    )
    faults = Faults(
        options.greeting,
        options.ehlo_reply,
        options.no_starttls,
        options.starttls_reply,
        options.inject_after_220 or b"",
        options.handshake,
        options.offer_after_tls,
        options.weak,
    )
    protocol = Protocol.LMTP if options.lmtp else Protocol.SMTP
    return Settings(
        config,
        options.name,
        protocol,
        options.implicit,
        options.require_tls,
        options.max_size,
        store,
        faults,
        openssl,
    )


def tlsa(chain: Path, has_authority: bool) -> list[str]:
    """The records of the server's own certificate and, if it is there too, of its authority."""
    first, *others = read_chain(str(chain))
    records = [Tlsa.of(first)]
    if has_authority and others:
        records.append(Tlsa.of(others[-1], 2, 1, 1))
    return [str(record) for record in records]


def listen(host: str, port: int) -> socket.socket:
    failed = f"cannot listen on {shown(host)} port {port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise Stop(f"{failed}: {getattr(error, 'strerror', None) or error}") from error
    family, *_, address = found[0]
    try:
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:  # whose text tells the address once more
        raise Stop(f"{failed}: {os.strerror(error.errno or 0)}") from error
