"""Sends one message. The library does everything up to EHLO inside TLS; from there on it is plain SMTP."""

from __future__ import annotations

import argparse
import sys
import time

import mail
import smtptls


def deliver(options: argparse.Namespace, message: bytes) -> None:
    config = mail.make_config(options)
    policy = mail.make_policy(options)
    by = time.monotonic() + options.timeout
    with mail.connect(options) as connection:
        session = smtptls.Session.client(config, policy, options.name, connection, protocol=options.protocol)
        session.set_deadline(mail.left(by))
        try:
            session.start(smtptls.Entry.GREETING)
        except smtptls.Error as error:
            # Plaintext, which only level may allows; the connection is as good as it was.
            if error.action is not smtptls.Action.CONTINUE:
                mail.refuse(session, connection, error, by)
                raise
        hello = session.reply or ""
        if session.is_tls and session.info:
            print(f"tls: {session.info.summary}")
            client = mail.Client(session, by)
        else:
            print("tls: none")
            client = mail.Client(connection, by)
        reply = client.deliver(options, hello, message)
        print(f"sent: {reply.escaped}")


if __name__ == "__main__":
    sys.exit(mail.main("send", deliver))
