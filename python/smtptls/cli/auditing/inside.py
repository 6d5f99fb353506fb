"""Rows of an audit: what a server says inside TLS, and how it ends."""

from __future__ import annotations

import re

from .talk import Audited, Ended, Failed, Skipped, Talk, Undecided


def not_offered(audited: Audited) -> str:
    assert audited.after is not None
    if "STARTTLS" in audited.after.keywords:
        raise Failed("it offers STARTTLS inside TLS")
    return "it is not offered"


def second(audited: Audited) -> str:
    with audited.secured() as talk:
        talk.ask(audited.hello)
        reply = talk.ask("STARTTLS")
        if reply.code < 400:
            talk.is_spoiled = True
            raise Failed(f"it answers {reply}")
    return str(reply)


def reset(audited: Audited) -> str:
    """A transaction that began before TLS must be forgotten."""
    with audited.open() as talk:
        talk.ask(audited.hello)
        for command in ("MAIL FROM:<>", f"RCPT TO:<{audited.recipient}>"):
            if (reply := talk.ask(command)).code >= 300:
                raise Skipped(f"no transaction before TLS: it answers {command} with {reply}")
        _secure(talk)
        reply = talk.ask("DATA")
        if reply.code < 400:
            talk.is_spoiled = True  # what comes next would be a message
            raise Failed(f"it answers DATA with {reply}, for a transaction that began before TLS")
    return str(reply)


def forgotten_hello(audited: Audited) -> str:
    """An EHLO from before TLS must not count inside it."""
    mail = "MAIL FROM:<>"
    with audited.secured() as talk:
        reply = talk.ask(mail)
    if reply.code == 530:
        raise Skipped(f"it answers MAIL with {reply}, whatever came before")
    if reply.code >= 400:
        return str(reply)
    # Now without any EHLO: there are servers that ask for none.
    with audited.open() as talk:
        if talk.ask("STARTTLS").code == 220:
            talk.tls()
        without = talk.ask(mail)
    if without.code < 300:
        raise Skipped("it asks for no EHLO at all")
    raise Failed(f"it answers MAIL with {reply}, by an EHLO from before TLS")


def _secure(talk: Talk) -> None:
    if (reply := talk.ask("STARTTLS")).code != 220:
        raise Undecided(f"it answers STARTTLS with {reply}")
    talk.tls()


def close_notify(audited: Audited) -> str:
    with audited.secured() as talk:
        talk.ask(audited.hello)
        reply = talk.ask("QUIT")
        try:
            while True:
                talk.receive()
        except Ended:
            if talk.is_truncated():
                raise Failed(f"behind {reply} the connection ends without close_notify") from None
    return str(reply)


def enhanced(audited: Audited) -> str:
    """Of all replies that the other rows came upon."""
    if not any(
        reply and "ENHANCEDSTATUSCODES" in reply.keywords for reply in (audited.before, audited.after)
    ):
        raise Skipped("ENHANCEDSTATUSCODES is not offered")
    count = 0
    for command, reply in audited.heard:
        if command[:4].upper() in ("EHLO", "LHLO", "HELO"):
            continue
        for line in reply.lines:
            if line[:1] != b"3" and not re.match(rb"([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3}(?: |$)", line):
                raise Failed(f"it answers {command} with {reply}")
            count += 1
    return f"{count} lines have one"
