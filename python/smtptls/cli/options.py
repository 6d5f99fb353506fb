"""Options that several subcommands share, and the configuration and facts that they stand for."""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import math
import os
import re
import socket
import sys
import textwrap
from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Any

from .._enums import Dnssec, Protocol
from .._errors import ConfigError
from .._native import Config, Policy, StsPolicy, Tlsa, escape
from .exits import Stop
from .facts import Facts, Target, is_address, parse_target
from .probe import Place

_MOMENT = re.compile(r"\d{4}(-\d\d){2}[Tt ]\d\d(:\d\d){2}(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
LARGEST_STS = 64 * 1024  # octets of a policy (RFC 8461 section 3.3)


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    examples: str,
    more: str = "",
) -> argparse.ArgumentParser:
    """A subcommand with its help."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(f"{summary[0].upper()}{summary[1:]}. {more}".rstrip(), 78),
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def add_trust(parser: argparse.ArgumentParser, *, connects: bool = True) -> None:
    group = parser.add_argument_group("who we are and whom we trust" if connects else "whom we trust")
    group.add_argument(
        "--ca",
        action="append",
        metavar="FILE",
        help="a PEM file or directory of authorities to trust; system, the default; mozilla: as the Python "
        "package certifi has them; none",
    )
    group.add_argument(
        "--crl", action="append", default=[], metavar="FILE", help="certificate revocation lists"
    )
    if connects:
        add_identity(group)
    else:
        parser.set_defaults(cert=None, key=None, helo=None)


def add_identity(group: Any) -> None:
    group.add_argument(
        "--cert", metavar="FILE", help="our own certificate chain, for a server that asks for one"
    )
    group.add_argument("--key", metavar="FILE", help="its private key; default: in the same file")
    group.add_argument("--helo", metavar="NAME", help="our name in EHLO; default: the system's")


def add_network(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("connection")
    group.add_argument("--port", type=port, default=25, help="where TARGET has none; default: 25")
    group.add_argument(
        "--resolve",
        action="append",
        default=[],
        type=resolved,
        metavar="HOST:PORT:ADDRESS[:PORT]",
        help="connect there for this host and port; an IPv6 address in brackets",
    )
    families = group.add_mutually_exclusive_group()
    families.add_argument("-4", dest="family", action="store_const", const=socket.AF_INET, help="IPv4 only")
    families.add_argument("-6", dest="family", action="store_const", const=socket.AF_INET6, help="IPv6 only")
    parser.set_defaults(family=socket.AF_UNSPEC)
    group.add_argument("--connect-timeout", type=seconds, default=10.0, metavar="SECONDS", help="default: 10")
    group.add_argument(
        "--timeout", type=seconds, default=30.0, metavar="SECONDS", help="for a session; default: 30"
    )
    group.add_argument("--lmtp", action="store_true", help="speak LMTP")


def add_facts(parser: argparse.ArgumentParser, *, connects: bool = True) -> None:
    group = parser.add_argument_group("facts by hand, in place of the DNS and the web")
    group.add_argument(
        "--tlsa",
        action="append",
        type=tlsa,
        metavar="RECORD",
        help='a TLSA record of the host: "3 1 1 0f1e..."',
    )
    group.add_argument("--tlsa-base", metavar="NAME", help="whose TLSA records they are; default: the host's")
    group.add_argument(
        "--dnssec",
        choices=[status.label for status in Dnssec if status is not Dnssec.NONE],
        help="how far the DNS can be believed on MX, addresses and TLSA; without --tlsa, that there are none",
    )
    for kind in ("mx", "address", "tlsa"):
        group.add_argument(
            f"--{kind}-dnssec",
            choices=[status.label for status in Dnssec],
            help=f"the same of the {kind.upper() if kind != 'address' else kind} records alone",
        )
    group.add_argument(
        "--sts",
        metavar="FILE",
        help="the text of the domain's MTA-STS policy; off: it has none"
        + ("; fetch: as the DNS and its web server have it" if connects else ""),
    )
    group = parser.add_argument_group("names and keys")
    group.add_argument(
        "--name",
        action="append",
        default=[],
        help="a name that the certificate may be for, at verify and secure; .example.com is any host below",
    )
    group.add_argument(
        "--next-hop", metavar="DOMAIN", help="the domain that mail is for; default: the target"
    )
    if connects:
        group.add_argument("--sni", metavar="NAME", help="the name to send in the TLS handshake, or none")
    else:
        parser.set_defaults(sni=None)
    group.add_argument(
        "--fingerprint",
        action="append",
        default=[],
        metavar="ALG:HEX",
        help="of a certificate, for level fingerprint",
    )
    group.add_argument(
        "--key-fingerprint", action="append", default=[], metavar="ALG:HEX", help="the same of a public key"
    )


def add_time(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--at",
        type=moment,
        metavar="TIME",
        help="judge certificates and revocation lists as at this time: 2027-01-31T12:00:00Z",
    )


def make_config(options: argparse.Namespace, groups: tuple[str, ...] | None = None) -> Config:
    if options.key and not options.cert:
        raise Stop("--key goes with --cert")
    own = [(options.cert, options.key or options.cert)] if options.cert else []
    trusted = roots(options.ca)
    return Config(
        hostname=options.helo,
        system_roots=any(kind == "system" for kind, _ in trusted),
        roots=[path for kind, path in trusted if kind == "file"],
        roots_dirs=[path for kind, path in trusted if kind == "folder"],
        crls=options.crl,
        keypairs=own,
        groups=groups,
    )


def roots(places: Sequence[str] | None) -> list[tuple[str, str]]:
    """What --ca says: each system, file or folder, and its path."""
    found = []
    for place in places or ["system"]:
        if place == "system":
            found.append(("system", ""))
        elif place == "mozilla":
            try:
                import certifi
            except ImportError as error:
                raise Stop("--ca mozilla is in the package certifi: pip install 'smtptls[cli]'") from error
            found.append(("file", certifi.where()))
        elif place != "none":
            found.append(("folder" if os.path.isdir(place) else "file", place))
    return found


def make_facts(options: argparse.Namespace, target: Target) -> Facts:
    """Of a target, by what the options say."""
    statuses = {
        kind: Dnssec[(getattr(options, f"{kind}_dnssec") or options.dnssec or "none").upper()]
        for kind in ("mx", "address", "tlsa")
    }
    if options.sts == "fetch" and not hasattr(options, "dns"):
        raise Stop("--sts fetch needs the network, which this command does without: give a file")
    if options.tlsa and statuses["tlsa"] is Dnssec.NONE:
        raise Stop("--tlsa goes with --dnssec secure, or what else your resolver says of the records")
    if not target.is_domain and options.mx_dnssec is None:
        # No MX lookup led to it.
        statuses["mx"] = Dnssec.NONE
    # A name or a fingerprint that is none is a mistake at every level.
    Policy("verify", names=options.name)
    Policy("fingerprint", fingerprints=options.fingerprint, key_fingerprints=options.key_fingerprint)
    sni: str | EllipsisType | None = ... if options.sni is None else options.sni
    return Facts(
        next_hop=options.next_hop or target.host,
        names=tuple(options.name),
        sni=None if sni == "none" else sni,
        fingerprints=tuple(options.fingerprint),
        key_fingerprints=tuple(options.key_fingerprint),
        mx_dnssec=statuses["mx"],
        address_dnssec=statuses["address"],
        tlsa=tuple(options.tlsa or ()),
        tlsa_base=options.tlsa_base,
        tlsa_dnssec=statuses["tlsa"],
        sts=_given_sts(options),
        has_sts=options.sts not in (None, "fetch"),
    )


def _given_sts(options: argparse.Namespace) -> StsPolicy | None:
    """The policy that is given, read once for all targets: it may come from standard input."""
    if options.sts in (None, "off", "fetch"):
        return None
    if not hasattr(options, "sts_policy"):
        options.sts_policy = read_sts(options.sts)
    return options.sts_policy  # type: ignore[no-any-return]


def make_place(options: argparse.Namespace, target: Target, host: str) -> Place:
    """Where a host of a target is."""
    number = target.port or options.port
    return Place(
        host,
        number,
        tuple(where for name, at, where in options.resolve if (name, at) == (host.lower(), number)),
        target.path,
        options.family,
        Protocol.LMTP if options.lmtp else target.protocol,
        target.implicit_tls,
        options.connect_timeout,
        options.timeout,
    )


def fitting_stdin(uses: dict[str, str | None]) -> None:
    """Standard input is one file: whoever reads first has all of it. uses: what may be it, with its path."""
    if len(given := [use for use, path in uses.items() if path == "-"]) > 1:
        raise Stop(f"standard input is either {' or '.join(given)}")


def read_file(path: str, most: int) -> bytes:
    """A file, or - for standard input, with one octet more than it may have."""
    try:
        if path == "-":
            return sys.stdin.buffer.read(most + 1)
        with open(path, "rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise Stop(f"cannot read {escape(os.fsencode(path))}: {error.strerror or error}") from error


def read_sts(path: str) -> StsPolicy:
    try:
        return StsPolicy.parse(read_file(path, LARGEST_STS))
    except ConfigError as error:
        raise Stop(f"{escape(os.fsencode(path))}: {error.message}") from error


# Types of options.


def port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: it is from 1 to 65535")
    return int(text)


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return number


def moment(text: str) -> datetime.datetime:
    """RFC 3339: a date, a time, and how far it is from UTC."""
    try:
        if not _MOMENT.fullmatch(text):
            raise ValueError
        found = datetime.datetime.fromisoformat(text.upper())
        if found.timestamp() < 0:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2027-01-31T12:00:00Z") from error
    return found.astimezone(datetime.UTC)


def tlsa(text: str) -> Tlsa:
    try:
        return Tlsa.parse(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(error.message) from error


def host(text: str) -> str:
    """A host name or an address."""
    try:
        return parse_target(f"[{text}]").host
    except Stop as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no host name") from error


def host_name(text: str) -> str:
    """A host name, which an address is not."""
    if is_address(text):
        raise argparse.ArgumentTypeError(f"{text!r} is an address: TLSA records are for names")
    try:
        Policy("verify", names=[text])
    except ConfigError as error:
        raise argparse.ArgumentTypeError(error.message) from error
    return text


def resolved(text: str) -> tuple[str, int, tuple[str, int]]:
    found = re.fullmatch(r"([^:\[\]]+):(\d+):(?:\[([^\]]+)\]|([^:\[\]]+))(?::(\d+))?", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT:ADDRESS or HOST:PORT:ADDRESS:PORT")
    number = port(found[2])
    try:
        ipaddress.ip_address(found[3] or found[4])
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {found[3] or found[4]!r} is no address") from error
    return found[1].lower(), number, (found[3] or found[4], port(found[5]) if found[5] else number)
