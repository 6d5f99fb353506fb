"""smtptls serve: a test server for other people's test suites, faulty on demand."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import re
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._native import escape
from . import options as shared
from .exits import Exit, Stop
from .output import Output
from .server import certificates, setup
from .server.connection import Pace
from .server.faults import HANDSHAKES
from .server.listener import MOST, Listener
from .server.store import Store
from .server.text import octets, reply

SCHEMA = "smtptls.serve/1"
LARGEST = 10 << 20  # octets of a message, where nobody says otherwise
EXAMPLES = """  smtptls serve --write-ca ca.pem --store mail
  smtptls serve --port 2525 --cert mx.pem --key mx.key -v
  smtptls serve --once --cert-kind expired
  smtptls serve --starttls-reply '454 4.7.0 TLS not available'
  smtptls serve --inject-after-220 '250 injected' --write-ca ca.pem"""


def add(commands: Any) -> None:
    parser = shared.add_command(
        commands,
        "serve",
        run,
        "run a test server, with faults on demand",
        EXAMPLES,
        "It says in one line of JSON on stdout where it listens and which TLSA records its certificate has, "
        f"serves up to {MOST} clients at a time, and ends on SIGINT or SIGTERM with exit code 0. "
        "It is for tests: it takes all mail for everybody.",
    )
    where = parser.add_argument_group("where and how")
    where.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on; default: 127.0.0.1"
    )
    where.add_argument("--port", type=port, default=0, help="default: 0, any that is free")
    where.add_argument("--print-port", action="store_true", help="print only the port, in place of the JSON")
    where.add_argument(
        "--name", default="localhost", metavar="HOST", help="the server's name; default: localhost"
    )
    where.add_argument("--implicit", action="store_true", help="TLS from the first byte, as on port 465")
    where.add_argument("--lmtp", action="store_true", help="speak LMTP")
    where.add_argument(
        "--require-tls",
        action="store_true",
        help="answer 530 to what comes before STARTTLS (RFC 3207 section 4)",
    )
    where.add_argument("--once", action="store_true", help="end after the first connection")
    where.add_argument(
        "--store", metavar="DIR", help="a file NAME.eml for each message; made where it is missing"
    )
    where.add_argument(
        "--max-size",
        type=size,
        default=LARGEST,
        metavar="OCTETS",
        help="larger messages are refused with 552; default: 10485760",
    )
    where.add_argument(
        "--timeout",
        type=shared.seconds,
        default=60.0,
        metavar="SECONDS",
        help="for a command of a client, ten times as much for a message; default: 60",
    )
    where.add_argument("-v", "--verbose", action="store_true", help="what is said, on stderr")

    trust = parser.add_argument_group("certificate")
    trust.add_argument(
        "--cert",
        default=setup.AUTO,
        metavar="PEM",
        help="a chain, the server's own first; auto, the default, makes one, for --name and localhost",
    )
    trust.add_argument("--key", metavar="FILE", help="its private key; default: in the same file")
    trust.add_argument(
        "--cert-kind",
        choices=tuple(certificates.KINDS),
        metavar="KIND",
        help="what auto makes: " + _listed(certificates.KINDS),
    )
    trust.add_argument(
        "--write-ca", metavar="FILE", help="where the authority that clients are to trust goes"
    )
    trust.add_argument(
        "--sni-map",
        action="append",
        default=[],
        type=sni,
        metavar="NAME=PEM",
        help="a further certificate and its key, in one file, for clients that ask for NAME; auto makes one",
    )
    trust.add_argument("--tls-max", choices=tuple(setup.VERSIONS), help="the newest version of TLS to use")

    faults = parser.add_argument_group(
        "faults", "TEXT is a line, or several with \\r\\n between; \\xHH is an octet. CRLF is put\nbehind it."
    )
    faults.add_argument("--greeting", type=reply, metavar="TEXT", help="in place of the 220")
    faults.add_argument("--ehlo-reply", type=reply, metavar="TEXT", help="to EHLO in plaintext")
    faults.add_argument(
        "--no-starttls", action="store_true", help="offer no STARTTLS, and answer it with 502"
    )
    faults.add_argument(
        "--starttls-reply", type=reply, metavar="TEXT", help="to STARTTLS; TLS begins if it is a 220"
    )
    faults.add_argument(
        "--inject-after-220",
        type=octets,
        metavar="TEXT",
        help=r"in plaintext behind the 220, in one packet with it; TEXT that ends in \c goes without CRLF",
    )
    faults.add_argument(
        "--handshake",
        choices=tuple(HANDSHAKES),
        metavar="HOW",
        help="what answers a ClientHello: " + _listed(HANDSHAKES),
    )
    faults.add_argument("--offer-after-tls", action="store_true", help="offer STARTTLS inside TLS too")
    faults.add_argument("--weak", action="store_true", help="answer 554 to all but QUIT inside TLS")
    faults.add_argument(
        "--slow",
        type=milliseconds,
        default=0.0,
        metavar="MS",
        help="replies octet by octet, so long before each",
    )
    packets = faults.add_mutually_exclusive_group()
    packets.add_argument(
        "--one-packet", action="store_true", help="a reply leaves in one packet, as is the default"
    )
    packets.add_argument(
        "--line-by-line", action="store_true", help="each line of a reply in a packet of its own"
    )


def _listed(choices: Mapping[str, str]) -> str:
    return "; ".join(f"{name} ({what})" for name, what in choices.items())


def run(options: argparse.Namespace) -> int:
    setup.fitting(options)
    store = Store(options.store) if options.store else None
    with tempfile.TemporaryDirectory(prefix="smtptls-serve-") as folder:
        pairs, authority = setup.pairs(options, Path(folder))
        settings = setup.settings(options, pairs, store)
        tlsa = setup.tlsa(pairs[0].chain, authority is not None)
    listening = setup.listen(options.host, options.port)
    with listening:
        if authority is not None and options.write_ca:
            _write(options.write_ca, authority.pem)
        server = Listener(
            listening,
            settings,
            timeout=options.timeout,
            pace=Pace(options.line_by_line, options.slow),
            is_verbose=options.verbose,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: server.stop())
        port = listening.getsockname()[1]
        server.run(lambda: _tell(options, port, tlsa), once=options.once)
    return Exit.OK


def _tell(options: argparse.Namespace, port: int, tlsa: list[str]) -> None:
    """The ready line. Whoever waits for it may connect."""
    ready = {
        "schema": SCHEMA,
        "host": options.host,
        "port": port,
        "name": options.name,
        "protocol": "lmtp" if options.lmtp else "smtp",
        "implicit_tls": options.implicit,
        "ca": os.path.abspath(options.write_ca) if options.write_ca else None,
        "tlsa": tlsa,
        "pid": os.getpid(),
    }
    output = Output("never")
    output.line(str(port) if options.print_port else json.dumps(ready))
    output.flush()
    if output.stream is None:
        raise Stop("stdout is closed, and so nobody would learn the port")


def _write(path: str, content: bytes) -> None:
    """Whole as soon as it has its name."""
    draft = f"{path}.{os.getpid()}.tmp"
    try:
        Path(draft).write_bytes(content)
        os.replace(draft, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise Stop(f"cannot write {escape(os.fsencode(path))}: {error.strerror}") from error


# Types of options.


def port(asked: str) -> int:
    try:
        return 0 if asked == "0" else shared.port(asked)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or 0 for any that is free") from error


def size(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= 1 << 30:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of octets from 1 to {1 << 30}")
    return int(text)


def milliseconds(text: str) -> float:
    try:
        number = shared.seconds(text) / 1000
    except argparse.ArgumentTypeError:
        number = math.inf
    if number > 10:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds above 0, up to 10000")
    return number


def sni(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not equals or not file or not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", name):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PEM or NAME=auto")
    return name, file
