"""Rows of an audit: commands in plaintext behind STARTTLS, which must never be carried out inside TLS.

What an attacker on the path adds there would count as said by the client (CVE-2011-0411).
"""

from __future__ import annotations

import time

from ..._native import escape
from .talk import Audited, Ended, Failed, Talk

SEGMENT_PAUSE = 0.05  # seconds, so that segments arrive one by one


def one_packet(audited: Audited) -> str:
    with audited.open() as talk:
        talk.ask(audited.hello)
        talk.send(b"STARTTLS\r\nNOOP\r\n")
        return _left_out(talk)


def two_segments(audited: Audited) -> str:
    with audited.open() as talk:
        talk.ask(audited.hello)
        talk.send(b"STARTTLS\r\n")
        time.sleep(SEGMENT_PAUSE)
        talk.send(b"NOOP\r\n")
        return _left_out(talk)


def split(audited: Audited) -> str:
    """The beginning of a command in plaintext, and its end inside TLS."""
    with audited.open() as talk:
        talk.ask(audited.hello)
        talk.send(b"STARTTLS\r\nNO")
        if (refusal := _refused(talk)) is not None:
            return refusal
        talk.send(b"OP\r\n")
        reply = talk.reply()
        if reply.code < 400:
            raise Failed(f"NO before TLS and OP inside made NOOP: it answers {reply}")
        return f"OP inside TLS is answered with {reply}"


def _left_out(talk: Talk) -> str:
    """Whether a NOOP behind STARTTLS has no answer inside TLS. Replies are counted; no time is."""
    if (refusal := _refused(talk)) is not None:
        return refusal
    talk.send(b"QUIT\r\n")
    replies = talk.replies_to_the_end()
    if not replies:
        raise Failed("it does not answer QUIT inside TLS")
    if len(replies) > 1:
        raise Failed(f"QUIT alone has {len(replies)} replies inside TLS, the first is {replies[0]}")
    return "what came behind STARTTLS was dropped"


def _refused(talk: Talk) -> str | None:
    """How the server kept TLS from beginning; None where it began."""
    try:
        reply = talk.reply()
    except Ended:
        return "it closes the connection"
    if reply.code != 220:
        if reply.code < 400:
            raise Failed(f"it answers STARTTLS with {reply}")
        return str(reply)
    talk.is_spoiled = True
    if stray := talk.stray():
        if stray[:1].isdigit():
            raise Failed(f'in plaintext behind the 220 comes "{escape(stray)}"')
        return "it begins no TLS"  # an alert
    try:
        talk.tls()
    except Ended:  # whatever TCP calls it: that is a matter of time
        return "it closes the connection"
    except Failed as error:
        return str(error)
    talk.is_spoiled = False
    return None
