"""Rows of an audit: what a server says before TLS, and up to it."""

from __future__ import annotations

from ..._enums import Protocol
from ..._native import escape
from .talk import Audited, Failed, Skipped, Undecided, by_code

# What goes before STARTTLS where TLS is required (RFC 3207 section 4), but for those that are said anyway.
EXEMPT = ("NOOP",)
REFUSED = (
    "HELO {host}", "MAIL FROM:<>", "RCPT TO:<{recipient}>", "DATA", "BDAT 0 LAST", "RSET", "VRFY {recipient}",
    "EXPN {recipient}", "HELP", "AUTH PLAIN", "ETRN {host}", "XSMTPTLS",
)  # fmt: skip
# Whoever lets these through, as Postfix does, lets no mail through.
HARMLESS = ("HELO", "HELP")


def offered(audited: Audited) -> str:
    with audited.open() as talk:
        audited.before = reply = talk.ask(audited.hello)
    if reply.code != 250:
        raise Undecided(f"it answers {audited.hello[:4]} with {reply}")
    if "STARTTLS" not in reply.keywords:
        raise Failed(f"it offers {' '.join(sorted(reply.keywords)) or 'nothing'}")
    return "STARTTLS is offered"


def accepted(audited: Audited) -> str:
    """STARTTLS up to EHLO inside TLS; what else comes on it goes by this."""
    with audited.open() as talk:
        if not audited.place.implicit_tls:
            talk.ask(audited.hello)
            if (reply := talk.ask("STARTTLS")).code != 220:
                raise by_code(reply)(f"it answers STARTTLS with {reply}")
            talk.is_spoiled = True  # QUIT is no ClientHello
            if stray := talk.stray():
                raise Failed(f'in plaintext behind the 220 comes "{escape(stray)}"')
            talk.tls()
            talk.is_spoiled = False
        audited.after = reply = talk.ask(audited.hello)
        info = talk.wire.session.info if talk.wire else None
    if reply.code == 554:
        raise Undecided(f"it refuses this client inside TLS: {reply}")
    if reply.code != 250:
        raise Failed(f"it answers {audited.hello[:4]} inside TLS with {reply}")
    return f"{info.version} {info.cipher}" if info else "TLS"


def parameter(audited: Audited) -> str:
    with audited.open() as talk:
        talk.ask(audited.hello)
        reply = talk.ask("STARTTLS now")
        if reply.code != 501:
            talk.is_spoiled = reply.code == 220
            raise Failed(f"it answers {reply}")
        again = talk.ask("STARTTLS")
        talk.is_spoiled = again.code == 220
        if again.code != 220:
            raise Failed(f"it answers {reply}, and STARTTLS behind it with {again}")
        talk.tls()
        talk.is_spoiled = False
    return str(reply)


def lower_case(audited: Audited) -> str:
    with audited.begin(b"starttls\r\n") as talk:
        talk.tls()
    return "220, and TLS"


def required(audited: Audited) -> str:
    """The table of RFC 3207 section 4."""
    exempt: list[str] = []
    otherwise: list[str] = []
    with audited.open() as talk:
        talk.ask(audited.hello)
        if (reply := talk.ask("MAIL FROM:<>")).code != 530:
            raise Skipped(f"TLS is not required: it answers MAIL with {reply}")
        for command in REFUSED:
            asked = command.format(host=audited.config.hostname, recipient=audited.recipient)
            verb, reply = asked.split()[0], talk.ask(asked)
            if reply.code == 530:
                continue
            talk.is_spoiled = 300 <= reply.code < 400
            if reply.code < 400 and verb not in HARMLESS:
                raise Failed(f"it answers {verb} with {reply}")
            (exempt if reply.code < 400 else otherwise).append(f"{verb} {reply.code}")
        for verb in EXEMPT:
            if (reply := talk.ask(verb)).code != 250:
                raise Failed(f"it answers {verb} with {reply}")
    notes = [f"exempt besides: {', '.join(exempt)}"] if exempt else []
    notes += [f"refused by another code: {', '.join(otherwise)}"] if otherwise else []
    return "; ".join(["530", *notes])


def passwords(audited: Audited) -> str:
    assert audited.before is not None
    for line in audited.before.lines:
        words = line[4:].upper().replace(b"=", b" ").split()
        clear = {"PLAIN", "LOGIN"} & {word.decode("latin-1") for word in words[1:]}
        if words[:1] == [b"AUTH"] and clear:
            raise Failed(f"it offers AUTH {' '.join(sorted(clear))} in plaintext")
    return "no AUTH PLAIN or LOGIN"


def other_hello(audited: Audited) -> str:
    is_lmtp = audited.place.protocol is Protocol.LMTP
    replies = []
    with audited.open() as talk:
        for verb in ("EHLO", "HELO") if is_lmtp else ("LHLO",):
            replies.append(talk.ask(f"{verb} {audited.config.hostname}"))
            if replies[-1].code < 400:
                raise Failed(f"it answers {verb} with {replies[-1]}")
    return str(replies[0])
