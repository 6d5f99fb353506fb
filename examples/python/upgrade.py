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


def deliver(options: argparse.Namespace, message: bytes) -> None:
    config = mail.make_config(options)
    by = time.monotonic() + options.timeout
    with mail.connect(options) as connection:
        client = mail.Client(connection, by)
        client.wanted(220, "the greeting", client.reply())
        hello = say_hello(client, options, config)
        if "STARTTLS" in mail.keywords(hello):
            session = starttls(options, config, connection, client)
        elif options.level == "may":
            session = None
        else:
            client.leave()
            raise smtptls.Error(
                smtptls.Code.NOT_OFFERED,
                "the server does not offer STARTTLS",
                action=smtptls.Action.NEXT_HOST,
                tlsrpt="starttls-not-supported",
            )
        if session and session.info:
            print(f"tls: {session.info.summary}")
            # RFC 3207 section 4.2: what was learnt before TLS is forgotten.
            client = mail.Client(session, by)
            hello = say_hello(client, options, config)
        else:
            print("tls: none")
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
    options: argparse.Namespace, config: smtptls.Config, connection: socket.socket, client: mail.Client
) -> smtptls.Session | None:
    """STARTTLS on a connection where EHLO is done: TLS, or None if the policy is content without."""
    policy = mail.make_policy(options)
    session = smtptls.Session.client(config, policy, options.name, connection, protocol=options.protocol)
    session.set_deadline(mail.left(client.by))
    try:
        # What was read and not used was injected; the library refuses to go on with it.
        session.start(smtptls.Entry.COMMAND, unread=len(client.buffer))
    except smtptls.Error as error:
        # The server refused, and the connection is as good as it was.
        if error.action is smtptls.Action.CONTINUE:
            return None
        mail.refuse(session, connection, error, client.by)
        raise
    return session


if __name__ == "__main__":
    sys.exit(mail.main("upgrade", deliver))
