"""Sends one message. The library does everything up to EHLO inside TLS; from there on it is plain SMTP."""

from __future__ import annotations

import argparse
import sys
import time

import mail
import smtptls
from options import make_config, make_policy


def deliver(options: argparse.Namespace, message: bytes) -> None:
    config = make_config(options)
    policy = make_policy(options)
    by = time.monotonic() + options.timeout
    with mail.connect(options) as connection:
        session = smtptls.Session.client(config, policy, options.name, connection, protocol=options.protocol)
        session.set_deadline(mail.left(by))
        try:
            session.start(smtptls.Entry.GREETING)
        except smtptls.Error as error:
            # Plaintext, which only levels none and may allow; the connection is as good as it was.
            if error.action is not smtptls.Action.CONTINUE:
                mail.refuse(session, connection, error, by)
                raise
        hello = session.reply or ""
        mail.tell_tls(session.info)
        client = mail.Client(session if session.is_tls else connection, by)
        reply = client.deliver(options, hello, message)
        print(f"sent: {reply.escaped}")


if __name__ == "__main__":
    sys.exit(mail.main("send", deliver))
