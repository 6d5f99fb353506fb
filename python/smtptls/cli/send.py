"""smtptls send: one message to one server, under a level."""

from __future__ import annotations

import argparse
import datetime
import email.message
import email.policy
import email.utils
import os
import smtplib
import socket
from collections.abc import Callable, Sequence
from typing import Any

from .._enums import Protocol
from .._errors import ConfigError, Error
from .._native import escape
from .._send import Sent, send
from . import check, gather
from . import options as shared
from .exits import Exit, Stop
from .facts import AUTO, LEVELS, parse_target
from .output import Output, add_colour, complain
from .probe import Place
from .verdict import may_pass

LARGEST = 64 << 20  # octets of a message
PASSWORD = "SMTPTLS_PASSWORD"
EXAMPLES = """  smtptls send --from me@example.com --to you@example.net mx.example.net:25
  smtptls send --from me@example.com --to you@example.net \\
      --user me --password-file secret submission:smtp.example.com message.eml
  smtptls send --level may --from '' --to you@example.net mx.example.net:25"""


def add(commands: Any) -> None:
    parser = shared.add_command(
        commands,
        "send",
        run,
        "send one message, and tell how it went",
        EXAMPLES,
        "Without a file it is a short test message. A password is read from a file, or from the environment "
        f"variable {PASSWORD}, and goes only to a server that has proved who it is.",
    )
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="HOST:PORT, [HOST], submission:HOST, submissions:HOST, ...; of a domain the first MX host",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="the message with its header; - is stdin")
    parser.add_argument(
        "--from", dest="sender", required=True, metavar="ADDRESS", help="of the envelope; '' for a bounce"
    )
    parser.add_argument("--to", action="append", required=True, metavar="ADDRESS", help="of the envelope")
    parser.add_argument("--subject", default="smtptls test", help="of the test message")
    parser.add_argument(
        "--level",
        choices=(AUTO, *LEVELS),
        default="verify",
        metavar="LEVEL",
        help=f"what is demanded of the server: {', '.join((AUTO, *LEVELS))}; default: verify",
    )
    parser.add_argument("--user", help="the name to log in with")
    parser.add_argument("--password-file", metavar="FILE", help="its first line is the password; - is stdin")
    shared.add_facts(parser)
    gather.add_dns(parser)
    shared.add_trust(parser)
    shared.add_network(parser)
    add_colour(parser)


def run(options: argparse.Namespace) -> int:
    shared.fitting_stdin(
        {
            "the message (-)": options.file,
            "the password (--password-file -)": options.password_file,
            "the policy (--sts -)": options.sts,
        }
    )
    target = parse_target(options.target)
    facts = shared.make_facts(options, target)
    check.fitting(options, target, facts)
    login = _login(options)
    message = _message(options)
    if login and target.is_domain and gather.is_online(options, target):
        raise Stop(f"a password goes to no host that the DNS names: say [{target.host}], or which host it is")
    config = shared.make_config(options)
    host = gather.first(target, facts, options)
    place = gather.place(options, target, host)
    if place.implicit_tls and place.protocol is Protocol.LMTP:
        raise Stop("LMTP has no TLS from the first byte")
    try:
        sent = _sent(
            place,
            lambda where, port: send(
                message,
                where,
                port,
                config=config,
                policy=host.facts.policy(options.level),
                name=host.name,
                sender=options.sender,
                recipients=options.to,
                login=login,
                timeout=place.timeout,
                deadline=place.timeout,
                implicit_tls=place.implicit_tls,
                lmtp=place.protocol is Protocol.LMTP,
                local_hostname=options.helo,
            ),
        )
    except ConfigError:
        raise
    except OSError as error:
        return _failed(error, escape(str(place).encode()))
    except ValueError as error:  # of an address, say; some of the above are ValueErrors too
        raise Stop(escape(str(error).encode())) from error
    return _told(Output(options.color), sent)


def _sent(place: Place, send_to: Callable[[str, int], Sent]) -> Sent:
    """Sends to the first address that takes a connection."""
    places = _wheres(place)
    for where in places[:-1]:
        try:
            return send_to(*where)
        except OSError as error:
            # A server that was reached has the last word.
            if isinstance(error, (Error, smtplib.SMTPException)):
                raise
    return send_to(*places[-1])


def _wheres(place: Place) -> Sequence[tuple[str, int]]:
    if place.path is not None:
        return [(place.path, place.port)]
    if place.addresses:
        return place.addresses
    if place.family is not socket.AF_UNSPEC:
        found = socket.getaddrinfo(place.host, place.port, place.family, socket.SOCK_STREAM)
        return [(str(address[0]), int(address[1])) for *_, address in found]
    return [(place.host, place.port)]


def _login(options: argparse.Namespace) -> tuple[str, str] | None:
    if options.user is None:
        if options.password_file:
            raise Stop("--password-file goes with --user")
        return None
    if options.password_file:
        text = shared.read_file(options.password_file, 4096).split(b"\n", 1)[0].rstrip(b"\r")
        return options.user, text.decode("utf-8", "surrogateescape")
    if PASSWORD not in os.environ:
        raise Stop(f"--user goes with --password-file, or with {PASSWORD} in the environment")
    return options.user, os.environ[PASSWORD]


def _message(options: argparse.Namespace) -> bytes | email.message.EmailMessage:
    if options.file is not None:
        text = shared.read_file(options.file, LARGEST)
        if len(text) > LARGEST:
            raise Stop(f"{escape(os.fsencode(options.file))}: larger than {LARGEST} octets")
        return text
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    try:
        message["From"] = f"<{options.sender}>" if options.sender else "postmaster@localhost"
        message["To"] = ", ".join(options.to)
        message["Subject"] = options.subject
    except ValueError as error:
        raise Stop(f"not an address or a subject: {escape(str(error).encode())}") from error
    message["Date"] = email.utils.format_datetime(datetime.datetime.now(datetime.UTC))
    message["Message-ID"] = email.utils.make_msgid(domain=options.helo or "smtptls.invalid")
    message.set_content("This is a test message of smtptls send.\n")
    return message


def _told(output: Output, sent: Sent) -> Exit:
    if sent.info is None:
        why = sent.plaintext_reason.message if sent.plaintext_reason else "no TLS"
        output.line(f"{output.word('WARN')}: the message went in plaintext")
        output.note(why, 2)
    else:
        output.field("TLS", sent.info.summary)
        proved = "yes" if sent.info.secured else "no"
        output.field(
            "server", f"level {sent.info.level.label}, proved by {sent.info.auth.label}; secured: {proved}"
        )
    for address, (code, text) in sent.refused.items():
        output.line(f"{output.word('FAIL')}: {escape(address.encode())} refused")
        output.note(_reply(code, text), 2)
    output.line(f"{output.word('OK')}: sent: {_reply(*sent.reply)}")
    output.flush()
    return Exit.FAILED if sent.refused else Exit.OK


def _reply(code: int, text: bytes | str) -> str:
    return f"{code} {escape(text if isinstance(text, bytes) else text.encode())}"


def _failed(error: OSError, where: str) -> Exit:
    """Says why nothing was sent, and whether it is worth trying later."""
    if isinstance(error, Error):
        status = f" ({error.enhanced_status})" if error.enhanced_status else ""
        complain(f"not sent: {error.message}{status}")
        return Exit.UNDECIDED if may_pass(error) else Exit.FAILED
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        replies = [(escape(address.encode()), reply) for address, reply in error.recipients.items()]
        complain("not sent: " + "; ".join(f"{address}: {_reply(*reply)}" for address, reply in replies))
        return _by_code(*(reply[0] for _, reply in replies))
    if isinstance(error, smtplib.SMTPResponseException):
        complain(f"not sent: the server says {_reply(error.smtp_code, error.smtp_error)}")
        return _by_code(error.smtp_code)
    if isinstance(error, smtplib.SMTPServerDisconnected):
        complain(f"not sent: {escape(str(error).encode())}")
        return Exit.UNDECIDED
    if isinstance(error, smtplib.SMTPException):
        complain(f"not sent: {escape(str(error).encode())}")
        return Exit.FAILED
    complain(f"not sent: no connection to {where}: {error.strerror or error}")
    return Exit.UNDECIDED


def _by_code(*codes: int) -> Exit:
    # A 2 or a 3 stands here where the reply is no answer to the command; -1 where there was none.
    return Exit.UNDECIDED if all(code < 200 or 400 <= code < 500 for code in codes) else Exit.FAILED
