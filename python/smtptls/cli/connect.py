"""smtptls connect: a pipe through TLS, once STARTTLS is done and the server is judged."""

from __future__ import annotations

import argparse
import os
import select
import sys
from typing import Any

from .._enums import Action, Close, Entry
from .._errors import ConfigError, Error, WantInput, WantOutput
from .._native import Session
from . import check, gather
from . import options as shared
from .exits import Exit, Stop
from .facts import LEVELS, parse_target
from .output import complain
from .probe import Wire, connect
from .verdict import may_pass

EXAMPLES = """  smtptls connect mx.example.com:25
  printf 'NOOP\\r\\nQUIT\\r\\n' | smtptls connect -v submission:smtp.example.com
  smtptls connect --level encrypt --ca none localhost:2525"""
# A pipe through TLS asks for TLS.
DEMANDING = tuple(level for level in LEVELS if level not in ("none", "may"))
CHUNK = 16384


def add(commands: Any) -> None:
    parser = shared.add_command(
        commands,
        "connect",
        run,
        "talk to a server inside TLS",
        EXAMPLES,
        "What comes from stdin goes to the server, and what the server says to stdout, once TLS is up, the "
        "server is judged and EHLO is answered. No octet has a meaning of its own.",
    )
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="HOST:PORT, [HOST], submission:HOST, submissions:HOST, ...; of a domain the first MX host",
    )
    parser.add_argument(
        "--level",
        choices=DEMANDING,
        default="verify",
        metavar="LEVEL",
        help=f"what is demanded of the server: {', '.join(DEMANDING)}; default: verify",
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="go on with a server that does not meet the level, with a warning",
    )
    parser.add_argument(
        "--crlf", choices=("auto", "always", "never"), default="auto",
        help="make CRLF of LF from stdin; auto: where stdin is a terminal",
    )  # fmt: skip
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="on stderr what was said before, and TLS"
    )
    shared.add_facts(parser)
    gather.add_dns(parser)
    shared.add_trust(parser)
    shared.add_network(parser)


def run(options: argparse.Namespace) -> int:
    shared.fitting_stdin({"what goes to the server": "-", "the policy (--sts -)": options.sts})
    target = parse_target(options.target)
    facts = shared.make_facts(options, target)
    check.fitting(options, target, facts)
    config = shared.make_config(options)
    host = gather.first(target, facts, options)
    place = gather.place(options, target, host)
    try:
        session = Session.client(config, host.facts.policy(options.level), host.name, protocol=place.protocol)
        sock, _ = connect(place)
    except ConfigError:
        raise
    except Error as error:
        return _told(error)
    with sock:
        wire = Wire(session, sock, place.timeout)
        try:
            wire.start(Entry.HANDSHAKE if place.implicit_tls else Entry.GREETING)
        except Error as error:
            if not (options.insecure and session.is_tls):
                _tell(wire, options.verbose)
                wire.leave()
                return _told(error)
            complain(f"WARNING: {error.message}; going on all the same")
            session.insecure_continue()
        _tell(wire, options.verbose)
        try:
            _pipe(wire, _is_crlf(options.crlf))
        except Error as error:
            return _told(error)
    return Exit.OK


def _told(error: Error) -> Exit:
    status = f" ({error.enhanced_status})" if error.enhanced_status else ""
    complain(f"{error.message}{status}")
    if error.action is Action.FAIL:
        return Exit.USAGE  # it says nothing of the server
    return Exit.UNDECIDED if may_pass(error) else Exit.FAILED


def _tell(wire: Wire, is_verbose: bool) -> None:
    if not is_verbose or sys.stderr is None:
        return
    for line in wire.transcript():
        sys.stderr.write(f"{line}\n")
    if (info := wire.session.info) is not None:
        sys.stderr.write(f"tls: {info.summary}\n")
        sys.stderr.write(f"peer: level={info.level.label} auth={info.auth.label}\n")
    sys.stderr.flush()


def _is_crlf(asked: str) -> bool:
    return asked == "always" or (asked == "auto" and sys.stdin is not None and sys.stdin.isatty())


def _pipe(wire: Wire, crlf: bool) -> None:
    """Carries octets both ways until the server closes."""
    if sys.stdin is None or sys.stdout is None:
        raise Stop("stdin and stdout have to be open")
    stdin, stdout = sys.stdin.fileno(), sys.stdout.fileno()
    session = wire.session
    from_user = [stdin]
    while True:
        wire.limit(wire.timeout)
        try:
            while data := session.recv(CHUNK):
                if not _written(stdout, data):
                    return
            return  # close_notify, or the end without it: SMTP says itself where a reply ends
        except WantOutput:
            wire.push()
            continue
        except WantInput:
            wire.push()
        # Only once everything is said may the server's silence end it.
        ready, _, _ = select.select([*from_user, wire.sock], [], [], None if from_user else wire.timeout)
        if not ready:
            raise wire.late()
        if stdin in ready:
            octets = os.read(stdin, CHUNK)
            if octets:
                wire.sendall(octets.replace(b"\n", b"\r\n") if crlf else octets)
            else:
                from_user = []
                wire.close(Close.HALF)
        if wire.sock in ready:
            wire.pull()


def _written(stdout: int, data: bytes) -> bool:
    """Whether there is still somebody who reads."""
    try:
        while data:
            data = data[os.write(stdout, data) :]
    except BrokenPipeError:
        return False
    except OSError as error:
        raise Stop(f"cannot write the output: {error.strerror}") from error
    return True
