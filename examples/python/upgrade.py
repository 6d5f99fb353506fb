"""Sends one message as an existing mail program would.

It has its own socket, its own greeting and EHLO, and the library from STARTTLS until TLS is up.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time

import mail
import smtptls
from options import make_config, make_policy
from smtptls import Level


def deliver(options: argparse.Namespace, message: bytes) -> None:
    config = make_config(options)
    policy = make_policy(options)
    by = time.monotonic() + options.timeout
    with mail.connect(options) as connection:
        client = mail.Client(connection, by)
        client.wanted(220, "the greeting", client.reply())
        hello = say_hello(client, options, config)
        try:
            level = policy.effective_level(options.name)
        except smtptls.Error:
            client.leave()
            raise
        session = None
        if level > Level.NONE and "STARTTLS" in mail.keywords(hello):
            session = starttls(options, config, policy, connection, client)
        elif level > Level.MAY:
            client.leave()
            raise smtptls.Error(
                smtptls.Code.NOT_OFFERED,
                "the server does not offer STARTTLS",
                action=smtptls.Action.NEXT_HOST,
                tlsrpt="starttls-not-supported",
            )
        mail.tell_tls(session.info if session else None)
        if session:
            # RFC 3207 section 4.2: what was learnt before TLS is forgotten.
            client = mail.Client(session, by)
            hello = say_hello(client, options, config)
        reply = client.deliver(options, hello, message)
        print(f"sent: {reply.escaped}")


def say_hello(client: mail.Client, options: argparse.Namespace, config: smtptls.Config) -> str:
    """EHLO, and HELO where the server knows nothing else (RFC 5321 section 3.2). Gives the reply to EHLO."""
    verb = "LHLO" if options.lmtp else "EHLO"
    reply = client.command(f"{verb} {config.hostname}")
    # RFC 3207 section 4.2: never HELO inside TLS, since EHLO has worked before.
    if reply.code >= 500 and verb == "EHLO" and not isinstance(client.connection, smtptls.Session):
        client.ask(250, f"HELO {config.hostname}")
        return ""
    return client.wanted(250, verb, reply).text


def starttls(
    options: argparse.Namespace,
    config: smtptls.Config,
    policy: smtptls.Policy,
    connection: socket.socket,
    client: mail.Client,
) -> smtptls.Session | None:
    """STARTTLS on a connection where EHLO is done: TLS, or None if the policy is content without."""
    session = smtptls.Session.client(config, policy, options.name, connection, protocol=options.protocol)
    session.set_deadline(mail.left(client.by))
    try:
        # What was read and not used was injected; the library refuses to go on with it.
        session.start(smtptls.Entry.COMMAND, unread=len(client.buffer))
    except smtptls.Error as error:
        # The server refused, and the connection is as good as it was.
        if error.action is smtptls.Action.CONTINUE:
            return None
        if mail.is_unsent(error):
            client.leave()
        else:
            mail.refuse(session, connection, error, client.by)
        raise
    return session


if __name__ == "__main__":
    sys.exit(mail.main("upgrade", deliver))
