"""Run in a new venv, with the standard library and smtptls only: `handshake.py CA CERTIFICATE KEY`.

The two sides shake hands in memory, and a second interpreter is refused.
"""

from __future__ import annotations

import contextlib
import importlib
import sys

import smtptls
import smtptls.aio
import smtptls.tickets

NAME = "mail.example.test"


def handshake(ca: str, certificate: str, key: str) -> None:
    client = smtptls.Session.client(smtptls.Config(roots=[ca]), smtptls.Policy("verify"), NAME)
    server = smtptls.Session.server(smtptls.Config(hostname=NAME, keypairs=[(certificate, key)]))
    todo = {
        client: lambda: client.start(smtptls.Entry.HANDSHAKE),
        server: lambda: server.start(smtptls.Entry.HANDSHAKE),
    }
    for _ in range(10):
        for session in list(todo):
            with contextlib.suppress(smtptls.WantInput, smtptls.WantOutput):
                todo[session]()
                del todo[session]
        for source, target in ((client, server), (server, client)):
            while data := source.output():
                source.sent(target.feed(data))
    assert not todo
    client.sendall(b"NOOP\r\n")
    server.feed(client.output())
    assert server.recv(100) == b"NOOP\r\n"
    info = client.info
    assert info is not None
    print(info.summary)


def refused(*settings: str | bool, **named: bool) -> None:
    """An import in another interpreter is an ImportError that says so."""
    for name in ("_interpreters", "_xxsubinterpreters"):
        with contextlib.suppress(ImportError):
            interpreters = importlib.import_module(name)
            break
    other = interpreters.create(*settings, **named)
    script = """if True:
        try:
            import smtptls
        except ImportError as error:
            assert "interpreter" in str(error), error
        else:
            raise AssertionError("it was imported")
        """
    failed = interpreters.run_string(other, script)  # up to 3.12 it raises
    assert failed is None, failed
    interpreters.destroy(other)


handshake(*sys.argv[1:])
refused()
if sys.version_info >= (3, 13):
    refused("legacy")
else:
    refused(isolated=False)
