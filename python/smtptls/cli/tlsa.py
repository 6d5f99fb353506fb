"""smtptls tlsa: makes TLSA records, explains them, and compares them with a chain; all without a network."""

from __future__ import annotations

import argparse
import os
import re
import ssl
from collections.abc import Sequence
from typing import Any

from .._enums import Auth
from .._errors import ConfigError, Error
from .._native import Config, Policy, Tlsa, certificate_dict, escape
from . import options as shared
from .exits import Exit, Stop
from .facts import parse_target
from .output import Output, add_colour
from .probe import probe

LARGEST = 1 << 20  # octets of a PEM file
EXAMPLES = """  smtptls tlsa gen mx.pem --host mx.example.com
  smtptls tlsa gen --from mx.example.com:25
  smtptls tlsa show "3 1 1 0f1e..."
  smtptls tlsa match chain.pem --host mx.example.com "3 1 1 0f1e...\""""

USAGES = {
    0: "PKIX-TA: an authority, beside the usual trust",
    1: "PKIX-EE: the server's certificate, beside the usual trust",
    2: "DANE-TA: an authority, and nothing else counts",
    3: "DANE-EE: the server's own, and nothing else counts",
}
SELECTORS = {0: "the certificate", 1: "its public key"}
MATCHINGS = {0: "the octets themselves", 1: "their SHA-256", 2: "their SHA-512"}
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "tlsa",
        help="make, explain and compare TLSA records",
        description="TLSA records (RFC 6698, RFC 7672): make, explain, compare.",
        epilog=f"examples:\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parts = parser.add_subparsers(metavar="WHAT", required=True, dest="what")

    gen = shared.add_command(parts, "gen", generate, "make the record of a certificate", EXAMPLES)
    gen.add_argument(
        "file", nargs="?", metavar="PEM", help="a certificate chain, the server's own first; - is stdin"
    )
    gen.add_argument("--from", dest="server", metavar="TARGET", help="the certificate that this server shows")
    gen.add_argument(
        "--host", type=shared.host_name, help="the name of the server: prints the line of a zone file"
    )
    gen.add_argument(
        "--usage",
        type=int,
        choices=(2, 3),
        default=3,
        help="2: the last of the chain; 3, the default: the first",
    )
    gen.add_argument(
        "--selector",
        type=int,
        choices=(0, 1),
        default=1,
        help="0: the certificate; 1, the default: its public key",
    )
    gen.add_argument(
        "--matching",
        type=int,
        choices=(0, 1, 2),
        default=1,
        help="0: all octets; 1, the default: their SHA-256; 2: SHA-512",
    )
    shared.add_trust(gen)
    shared.add_network(gen)

    show = shared.add_command(
        parts, "show", explain, "say what records mean, and whether SMTP can use them", EXAMPLES
    )
    show.add_argument("records", nargs="+", type=shared.tlsa, metavar="RECORD")
    add_colour(show)

    match = shared.add_command(
        parts, "match", compare, "compare records with a certificate chain", EXAMPLES,
        "Exit code 0: a sender under DANE would deliver.",
    )  # fmt: skip
    match.add_argument("file", metavar="PEM", help="a certificate chain, the server's own first; - is stdin")
    match.add_argument("records", nargs="+", type=shared.tlsa, metavar="RECORD")
    match.add_argument(
        "--host",
        type=shared.host_name,
        required=True,
        help="the name of the server, which DANE-TA compares",
    )
    match.add_argument(
        "--next-hop",
        type=shared.host_name,
        metavar="DOMAIN",
        help="the domain that mail is for, if its MX records are secure",
    )
    add_colour(match)


def read_chain(path: str) -> list[bytes]:
    """The certificates of a PEM file, in DER."""
    shown = escape(os.fsencode(path))
    text = shared.read_file(path, LARGEST)
    if len(text) > LARGEST:
        raise Stop(f"{shown}: larger than {LARGEST} octets")
    found = []
    for number, armour in enumerate(_CERTIFICATE.findall(text), 1):
        try:
            found.append(ssl.PEM_cert_to_DER_cert(armour.decode("ascii")))
            certificate_dict(found[-1])
        except (ConfigError, ValueError) as error:
            raise Stop(f"{shown}: certificate {number} cannot be read") from error
    if not found:
        raise Stop(f"{shown}: no certificate in it; it should have -----BEGIN CERTIFICATE-----")
    return found


def matches(record: Tlsa, host: str, chain: Sequence[bytes], next_hop: str | None = None) -> bool:
    """Whether a sender that has this record alone would deliver."""
    return _matched([record], host, chain, next_hop) is None


def _matched(
    records: Sequence[Tlsa], host: str, chain: Sequence[bytes], next_hop: str | None
) -> Error | None:
    policy = Policy(
        "dane-only",
        tlsa=records,
        tlsa_dnssec="secure",
        address_dnssec="secure",
        mx_dnssec="secure" if next_hop else "none",
        next_hop=next_hop,
    )
    try:
        auth = Config().judge(policy, host, chain)
    except Error as error:
        return error
    assert auth in (Auth.DANE_EE, Auth.DANE_TA)
    return None


def generate(options: argparse.Namespace) -> int:
    if (options.file is None) == (options.server is None):
        raise Stop("say either a PEM file or --from TARGET")
    if options.server is None:
        chain, host, port = read_chain(options.file), options.host, options.port
    else:
        target = parse_target(options.server)
        place = shared.make_place(options, target, target.host)
        found = probe(shared.make_config(options), Policy("may"), target.host, place)
        if not found.chain:
            why = found.error.message if found.error else "it showed no certificate"
            transient = found.error is not None and found.error.tlsrpt is None
            raise Stop(f"{target.text}: {why}", Exit.UNDECIDED if transient else Exit.FAILED)
        chain, host, port = list(found.chain), options.host or target.host, place.port
    if options.usage == 2 and len(chain) < 2:
        raise Stop("usage 2 is of an authority, and the chain has only the server's own certificate")
    certificate = chain[0] if options.usage == 3 else chain[-1]
    record = Tlsa.of(certificate, options.usage, options.selector, options.matching)
    output = Output()
    output.line(f"_{port}._tcp.{host.rstrip('.')}. IN TLSA {record}" if host else str(record))
    output.flush()
    return Exit.OK


def explain(options: argparse.Namespace) -> int:
    output = Output(options.color)
    for number, record in enumerate(options.records):
        if number:
            output.line()
        output.line(short(record))
        output.field("usage", f"{record.usage} {USAGES.get(record.usage, 'not assigned')}")
        output.field("selector", f"{record.selector} {SELECTORS.get(record.selector, 'not assigned')}")
        output.field("matching", f"{record.matching} {MATCHINGS.get(record.matching, 'not assigned')}")
        output.field("data", f"{len(record.data)} octets")
        if record.unusable is None:
            output.line(f"  {'for SMTP':<12} {output.word('OK')}")
        else:
            output.line(f"  {'for SMTP':<12} {output.word('FAIL')}")
            output.note(
                f"unusable: {record.unusable}; with only such records a sender encrypts and proves nothing",
                15,
            )
    output.flush()
    return Exit.FAILED if all(record.unusable for record in options.records) else Exit.OK


def compare(options: argparse.Namespace) -> int:
    chain = read_chain(options.file)
    output = Output(options.color)
    for record in options.records:
        if record.unusable:
            word, why = "WARN", f"unusable: {record.unusable}"
        elif (error := _matched([record], options.host, chain, options.next_hop)) is None:
            word, why = "OK", "matches"
        else:
            word, why = "FAIL", error.message
        output.line(f"{output.word(word, 5)} {short(record)}")
        output.note(why, 6)
    error = _matched(options.records, options.host, chain, options.next_hop)
    if error is None:
        output.line(f"{output.word('OK')}: a sender under DANE would deliver")
    else:
        output.line(
            f"{output.word('DEFER')}: a sender at level dane-only would not deliver ({error.enhanced_status})"
        )
        output.note(error.message, 2)
    output.flush()
    return Exit.OK if error is None else Exit.FAILED


def short(record: Tlsa) -> str:
    """A record in its presentation form, with the middle of long data left out."""
    numbers, data = str(record).rsplit(" ", 1)
    return f"{numbers} {data}" if len(data) <= 64 else f"{numbers} {data[:32]}...{data[-16:]}"
