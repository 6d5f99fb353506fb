"""The flags of send and upgrade, and the configuration and policy that they stand for."""

from __future__ import annotations

import argparse
import math
import os
import re
from pathlib import Path
from types import EllipsisType

import smtptls
from smtptls import Code

# The levels at which the server always proves who it is; dane can come to may.
AUTHENTICATING = ("fingerprint", "dane-only", "verify", "secure")

# Flags that may be given several times.
LISTS = (
    ("--match", "NAME", "a name that the server's certificate may be for, in place of --name"),
    ("--crl", "FILE", "certificate revocation lists"),
    ("--fingerprint", "DIGEST", "of a certificate to accept at level fingerprint"),
    ("--key-fingerprint", "DIGEST", "of a public key to accept at level fingerprint"),
    ("--tlsa", "RECORD", 'a TLSA record of the server, such as "3 1 1 0f1e..."'),
)
# What the resolver says.
STATUSES = (
    ("--mx-dnssec", "of the next hop's MX records: " + ", ".join(one.label for one in smtptls.Dnssec)),
    ("--address-dnssec", "of the server's addresses"),
    ("--tlsa-dnssec", "of the answer to the lookup of TLSA records"),
)
# What else is known of the destination.
KNOWN = (
    ("--next-hop", "NAME", "the domain that mail is for"),
    ("--next-hop-expanded", "NAME", "where its CNAMEs lead"),
    ("--tlsa-base", "NAME", "the base domain of the TLSA records; default: the name"),
    ("--sts", "FILE", "the text of the domain's MTA-STS policy"),
)


def parse(program: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(program, allow_abbrev=False)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=port)
    parser.add_argument("--from", required=True, type=address, dest="sender")
    parser.add_argument("--to", required=True, type=address)
    parser.add_argument("--name", help="the name of the server, which the policy is about; default: the host")
    parser.add_argument("--level", choices=[level.label for level in smtptls.Level], default="verify")
    parser.add_argument(
        "--ca", default="system", help="a PEM file of authorities to trust, a directory, or system"
    )
    parser.add_argument("--sni", help="the name to send in the TLS handshake, or none; default: the name")
    for flag, metavar, text in LISTS:
        parser.add_argument(flag, action="append", default=[], metavar=metavar, help=text)
    for flag, text in STATUSES:
        parser.add_argument(flag, default="none", metavar="STATUS", help=text)
    for flag, metavar, text in KNOWN:
        parser.add_argument(flag, metavar=metavar, help=text)
    parser.add_argument(
        "--common-names", action="store_true", help="under DANE-TA also look at the common name"
    )
    parser.add_argument(
        "--cert", metavar="FILE", help="our own certificate chain, for servers that ask for one"
    )
    parser.add_argument("--key", metavar="FILE", help="its key")
    parser.add_argument("--timeout", type=seconds, default=30.0, help="for the whole")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--lmtp", action="store_true")
    options = parser.parse_args()
    if (options.user is None) != (options.password is None):
        parser.error("--user and --password go together")
    if (options.cert is None) != (options.key is None):
        parser.error("--cert and --key go together")
    if options.user is not None and options.level not in AUTHENTICATING:
        parser.error(
            "--user needs a level that authenticates: a password is for a server that has proved who it is"
        )
    options.name = options.name or options.host
    options.protocol = smtptls.Protocol.LMTP if options.lmtp else smtptls.Protocol.SMTP
    return options


def port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 65536:
        raise ValueError
    return int(text)


def address(text: str) -> str:
    """An address becomes part of a command, so it must not be able to end the command."""
    if not re.fullmatch(r"[ -;=?-~]*", text):
        raise ValueError
    return text


def seconds(text: str) -> float:
    if not 0 < (limit := float(text)) < math.inf:
        raise ValueError
    return limit


def make_config(options: argparse.Namespace) -> smtptls.Config:
    """Who we are and whom we trust. A mail program makes this once, when it starts."""
    pairs = [] if options.cert is None else [(options.cert, options.key)]
    if options.ca == "system":
        # The others need no trust anchors, so a system without a trust store can have them too.
        by_anchors = options.level in ("verify", "secure") or options.sts is not None
        return smtptls.Config(system_roots=by_anchors, crls=options.crl, keypairs=pairs)
    if Path(options.ca).is_dir():
        return smtptls.Config(roots_dirs=[options.ca], crls=options.crl, keypairs=pairs)
    return smtptls.Config(roots=[options.ca], crls=options.crl, keypairs=pairs)


def make_policy(options: argparse.Namespace) -> smtptls.Policy:
    """What we demand of this server. A mail program makes one for each destination."""
    sni: str | EllipsisType | None = ... if options.sni is None else options.sni
    return smtptls.Policy(
        options.level,
        names=options.match,
        sni=None if sni == "none" else sni,
        fingerprints=options.fingerprint,
        key_fingerprints=options.key_fingerprint,
        next_hop=options.next_hop,
        next_hop_expanded=options.next_hop_expanded,
        mx_dnssec=options.mx_dnssec,
        address_dnssec=options.address_dnssec,
        tlsa=options.tlsa,
        tlsa_base=options.tlsa_base,
        tlsa_dnssec=options.tlsa_dnssec,
        allow_common_names=options.common_names,
        sts=None if options.sts is None else read_sts(options.sts),
    )


def read_sts(path: str) -> smtptls.StsPolicy:
    """The MTA-STS policy of a file."""
    try:
        with open(path, "rb") as file:
            # One octet more than a policy can have, so that the library sees that there is more.
            text = file.read(64 * 1024 + 1)
    except OSError as error:
        message = f"cannot read {smtptls.escape(os.fsencode(path))}: {error.strerror}"
        raise smtptls.Error(Code.FILE, message, errno=error.errno) from error
    return smtptls.StsPolicy.parse(text)
