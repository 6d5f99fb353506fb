"""send: one message to one server, in one call."""

from __future__ import annotations

import contextlib
import copy
import email.message
import email.parser
import email.policy
import email.utils
import io
import logging
import math
import re
import smtplib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.generator import BytesGenerator
from typing import Any

from ._enums import Action, Code, Level
from ._errors import Error, Timeout
from ._native import Config, Info, Policy
from ._smtp import GOODBYE, LMTP, SMTP, SMTP_SSL

_logger = logging.getLogger("smtptls")

SUBMISSION_PORT = 587  # RFC 6409 section 3.1

# The head of a message: fields, each with the lines that continue it. And those that nobody is to see.
_HEAD = re.compile(rb"(?:[!-9;-~]+[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*)*")
_BCC = re.compile(rb"^(?:resent-)?bcc[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message that the server has taken.

    info: what TLS came out as, and who the server proved to be; None if the message went in plaintext.
    refused: the recipients that the server did not take, each with its reply, code and text.
    reply: what the server said to the message, code and text: often the number in its queue.
    plaintext_reason: why the message went in plaintext, if it did.
    """

    info: Info | None
    refused: dict[str, tuple[int, bytes]]
    reply: tuple[int, bytes]
    plaintext_reason: Error | None = None

    @property
    def is_tls(self) -> bool:
        """Whether the message went in TLS."""
        return self.info is not None


def send(
    message: email.message.Message[Any, Any] | bytes | str,
    host: str,
    port: int | None = None,
    *,
    config: Config | None = None,
    policy: Policy | Level | str | None = None,
    name: str | None = None,
    sender: str | None = None,
    recipients: Sequence[str] | None = None,
    login: tuple[str, str] | None = None,
    timeout: float | None = 30.0,
    deadline: float | None = None,
    implicit_tls: bool = False,
    lmtp: bool = False,
    local_hostname: str | None = None,
    source_address: tuple[str, int] | None = None,
    mail_options: Sequence[str] = (),
    rcpt_options: Sequence[str] = (),
) -> Sent:
    """Sends one message, in TLS unless the policy allows plaintext.

        smtptls.send(message, "smtp.example.com", login=(user, password))

    message: an email.message.EmailMessage, or its text; a str is sent in UTF-8. Lines may end in LF or CRLF.
        Bcc fields are left out.
    port: without it 587 where there is a login, else 25; 465 with implicit_tls, and 2003 with lmtp.
    config: who we are and whom we trust; the default trusts the authorities that the system trusts.
    policy: what is demanded of the server: a Policy, or just its level; "verify" by default. With "may" the
        message goes in plaintext where TLS cannot be had, on the same connection or a new one; the result and
        a WARNING of the logger "smtptls" say so.
    name: the server that the policy is about, in place of host; needed with LMTP over a unix socket.
    sender, recipients: for the envelope, as addresses alone; a bounce has the sender "". Without them they
        are taken from the message: Sender or From, and To, Cc and Bcc, or where it was resent, the same
        fields with Resent- before their names. A message that was resent twice is a ValueError.
    login: user and password. They go only to a server that has proved who it is, and never in plaintext.
    timeout: seconds that each wait for the server may take; None for ever.
    deadline: seconds for the whole of it, but for the name service; by default there is none.
    implicit_tls: TLS from the first byte. There is no plaintext then, whatever the policy.
    lmtp: speak LMTP (RFC 2033); host may be the path of a unix socket.
    local_hostname: the name for EHLO, the default is this host's; source_address: as smtplib has them.
    mail_options, rcpt_options: for MAIL and RCPT, such as "RET=HDRS". SMTPUTF8 and BODY=8BITMIME are added
        where they are needed.

    It returns when the server has taken the message for one recipient at least.

    Raises Error if TLS or the policy fails, Timeout (an Error too) if the server is silent for too long,
    smtplib.SMTPException if the server refuses, and OSError, of which all these are, if there is no
    connection. A failure while the message itself is sent leaves open whether the server has it.
    """
    if implicit_tls and lmtp:
        raise ValueError("LMTP has no implicit TLS")
    mail = _Mail(message, sender, recipients)
    kind = LMTP if lmtp else SMTP_SSL if implicit_tls else SMTP
    client = kind(
        local_hostname=local_hostname,
        timeout=timeout,
        source_address=source_address,
        config=config,
        policy=policy,
        name=name,
    )
    if port is None:
        port = SUBMISSION_PORT if kind is SMTP and login else kind.default_port
    client.set_deadline(deadline)
    by = math.inf if deadline is None else time.monotonic() + deadline
    try:
        _connect(client, host, port)
        reason = None if implicit_tls else _secure(client, host, port, login is not None)
        if login is not None:
            client.login(*login)
        refused = mail.give(client, mail_options, rcpt_options)
        reply = client.data_reply
        assert reply is not None
        return Sent(client.info, refused, reply, reason)
    except TimeoutError as late:
        if isinstance(late, Error):
            raise
        raise _timeout(host) from late
    except smtplib.SMTPServerDisconnected as lost:
        if isinstance(lost.__context__, TimeoutError):
            raise _timeout(host) from lost
        raise
    finally:
        _leave(client, by)


def _connect(client: SMTP, host: str, port: int) -> None:
    code, text = client.connect(host, port)
    if code != 220:
        raise smtplib.SMTPConnectError(code, text)


def _secure(client: SMTP, host: str, port: int, has_login: bool) -> Error | None:
    """STARTTLS; or why the client goes on in plaintext, on a new connection if need be."""
    try:
        client.starttls()
    except Error as error:
        if has_login or error.action not in (Action.CONTINUE, Action.RECONNECT):
            raise
        # That it was not wanted is no news.
        level = logging.DEBUG if error.code is Code.NOT_WANTED else logging.WARNING
        _logger.log(level, "%s: the message goes in plaintext: %s", host, error)
        if error.action is Action.RECONNECT:
            _connect(client, host, port)
        return error
    return None


def _leave(client: SMTP, by: float) -> None:
    if client.sock is not None:
        # What was sent is sent; how the server takes QUIT changes nothing.
        with contextlib.suppress(OSError):
            client.set_deadline(max(min(GOODBYE, by - time.monotonic()), 0))
            client.quit()
    client.close()


def _timeout(host: str) -> Error:
    message = f"the time allowed ran out waiting for {host}"
    return Timeout(Code.TIMEOUT, message, action=Action.NEXT_HOST, enhanced_status="4.4.2")


class _Mail:
    """A message and its envelope."""

    def __init__(
        self,
        message: email.message.Message[Any, Any] | bytes | str,
        sender: str | None,
        recipients: Sequence[str] | None,
    ) -> None:
        if isinstance(message, str):
            message = message.encode()
        if isinstance(message, bytes):
            message = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
            message = re.sub(rb"\AFrom [^\n]*\n", b"", message)  # an mbox has this line before the head
            message += b"" if message.endswith(b"\r\n") else b"\r\n"
            head = _head(message)
            fields: email.message.Message[Any, Any] = _parsed(head)
            message = _BCC.sub(b"", head) + message[len(head) :]
        else:
            fields = message
        self._message = message
        if sender is None:
            prefix = _prefix(fields)
            field = prefix + ("Sender" if prefix + "Sender" in fields else "From")
            sender = next(iter(_addresses(fields, field)), None)
            if sender is None:
                raise ValueError("the message has no sender, and no sender= says who it is")
        if recipients is None:
            prefix = _prefix(fields)
            recipients = [a for name in ("To", "Cc", "Bcc") for a in _addresses(fields, prefix + name)]
        elif isinstance(recipients, str):
            recipients = [recipients]
        self._sender = sender
        self._recipients = list(dict.fromkeys(recipients))
        if not self._recipients:
            raise ValueError("the message has no recipients, and no recipients= says who they are")
        if not all(address.isprintable() for address in [sender, *recipients]):
            raise ValueError("an address has a control character in it")

    def give(
        self, client: SMTP, mail_options: Sequence[str], rcpt_options: Sequence[str]
    ) -> dict[str, tuple[int, bytes]]:
        """Have the client send it; tell which recipients were refused."""
        client.ehlo_or_helo_if_needed()
        options = list(mail_options)
        given = {option.upper().partition("=")[0] for option in options}
        international = "SMTPUTF8" in given or not "".join([self._sender, *self._recipients]).isascii()
        if international and not client.has_extn("smtputf8"):
            message = "an address is not ASCII, and the server does not offer SMTPUTF8 (RFC 6531)"
            raise smtplib.SMTPNotSupportedError(message)
        data = self._bytes(international, client.has_extn("8bitmime"))
        head = _head(data)
        if not head.isascii() and _is_utf8(head) and client.has_extn("smtputf8"):
            international = True  # RFC 6532 section 3
        if international and "SMTPUTF8" not in given:
            options.append("SMTPUTF8")
        if not data.isascii() and client.has_extn("8bitmime") and "BODY" not in given:
            options.append("BODY=8BITMIME")  # RFC 6152
        return client.sendmail(self._sender, self._recipients, data, options, rcpt_options)

    def _bytes(self, international: bool, has_8bitmime: bool) -> bytes:
        if isinstance(self._message, bytes):
            return self._message
        message = copy.copy(self._message)
        del message["Bcc"], message["Resent-Bcc"]
        policy: Any = message.policy
        if hasattr(policy, "utf8"):
            policy = policy.clone(utf8=international)
        if not has_8bitmime:
            policy = policy.clone(cte_type="7bit")
        flat = io.BytesIO()
        # Without mangle_from_ a line "From here" would get a ">" at its begin.
        BytesGenerator(flat, mangle_from_=False, policy=policy).flatten(message, linesep="\r\n")
        return flat.getvalue()


def _head(message: bytes) -> bytes:
    found = _HEAD.match(message)
    return found[0] if found else b""


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parsed(head: bytes) -> email.message.Message[Any, Any]:
    text = head.decode("utf-8" if _is_utf8(head) else "latin-1")
    return email.parser.HeaderParser(policy=email.policy.default).parsestr(text)


def _prefix(fields: email.message.Message[Any, Any]) -> str:
    """Resent- where the message was resent. Nothing says which of several such blocks is the last one (RFC
    5322 section 3.6.6)."""
    blocks = len(fields.get_all("Resent-Date", []))
    if blocks > 1:
        raise ValueError("the message was resent more than once: give sender= and recipients=")
    return "Resent-" if blocks else ""


def _addresses(fields: email.message.Message[Any, Any], name: str) -> list[str]:
    """The addresses in all fields of this name, without what is around them."""
    found: list[str] = []
    for field in fields.get_all(name, []):
        if hasattr(field, "addresses"):
            found += [address.addr_spec for address in field.addresses]
        else:
            found += [address for _, address in email.utils.getaddresses([str(field)])]
    return [address for address in found if address]
