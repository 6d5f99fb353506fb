"""The flags of serve, and the configuration that they stand for."""

from __future__ import annotations

import argparse
from typing import Any

import smtptls
from options import seconds
from smtptls import ClientAuth, KeyPair


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "serve", allow_abbrev=False, epilog="SIGHUP: read key pairs and ticket keys again"
    )
    add = parser.add_argument
    add("--cert", metavar="FILE", help="the certificate chain")
    add("--key", metavar="FILE", help="its key")
    add("--ocsp", metavar="FILE", help="an OCSP response to staple to the certificate")
    add("--keypair-name", action="append", default=[], metavar="NAME", help="a further name to use it for")
    add(
        "--chain",
        action="append",
        default=[],
        metavar="FILE",
        help="key pairs in one file, in place of --cert",
    )
    add("--port", type=int, default=0, choices=range(65536), metavar="N")
    add("--store", metavar="DIR")
    add("--lmtp", action="store_true")
    add("--timeout", type=seconds, default=30.0, help="the longest silence")
    add("--require-tls", action="store_true")
    add("--exempt-more", action="store_true", help="HELO, HELP and XCLIENT go without TLS too")
    add("--greeting", metavar="TEXT")
    add("--not-now", action="store_true", help="TLS cannot be had for now")
    add("--discard", action="store_true", help="drop what a client sends in plaintext behind STARTTLS")
    add("--client-auth", choices=[way.label for way in ClientAuth], default="none")
    add("--client-auth-names", action="store_true", help="name the authorities of --client-ca to clients")
    add("--client-ca", metavar="FILE", help="authorities to trust for client certificates")
    add("--alpn", action="append", default=[], metavar="NAME", help="an application protocol to take")
    add("--ticket-keys", metavar="FILE", help="the file of keys for session tickets")
    add("--tickets", type=int, choices=range(3), help="how many a client gets; default: 1")
    add("--ticket-lifetime", type=lifetime, metavar="SECONDS", help="default: 3600")
    add("--service", metavar="NAME", help="whose tickets these are; default: smtp")
    options = parser.parse_args()
    if (options.cert is None) != (options.key is None):
        parser.error("--cert and --key go together")
    if options.cert is None and not options.chain:
        parser.error("--cert and --key are missing, or --chain")
    if options.cert is None and (options.ocsp is not None or options.keypair_name):
        parser.error("--ocsp and --keypair-name are for the pair of --cert")
    if options.exempt_more and not options.require_tls:
        parser.error("--exempt-more goes with --require-tls")
    return options


def lifetime(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError
    return int(text)


def make_config(options: argparse.Namespace) -> smtptls.Config:
    """Who we are and whom we trust. Made once; every session of every thread uses it."""
    pairs = []
    if options.cert is not None:
        pairs = [KeyPair(options.cert, options.key, names=options.keypair_name, ocsp=options.ocsp)]
    flags = {
        "tickets": options.tickets,
        "ticket_lifetime": options.ticket_lifetime,
        "service": options.service,
    }
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    return smtptls.Config(
        keypairs=pairs,
        keypairs_files=options.chain,
        roots=[] if options.client_ca is None else [options.client_ca],
        client_auth=options.client_auth,
        client_auth_names=options.client_auth_names,
        alpn=options.alpn,
        ticket_key_file=options.ticket_keys,
        **given,
    )
