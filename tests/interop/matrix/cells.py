"""Fills the cells of the interop matrix.

A cell is a peer under a condition at a TLS version. There they meet once with a full handshake and, where
both can, once more with a resumed one; with the condition `own` the server requires a certificate of the
client, and gets it. A message goes through each session, and its text must come out as it went in. Our client
is the Python module, our server is `serve` in C, so that both bindings are in it.
"""

from __future__ import annotations

from pathlib import Path

from ca.ca import NAME, Paths
from conftest import MESSAGE, Serve

from matrix.ours import Client
from matrix.peer import Condition, body
from matrix.senders import CLIENTS, SILENT, Sender
from matrix.servers import SERVERS

VERSIONS = ("1.2", "1.3")
CONDITIONS = tuple(Condition(key, own) for own in (False, True) for key in ("leaf", "rsa"))

# With --resume it leaves its first session by closing the connection.
NO_QUIT = "error: SMTPTLS_ERR_EOF: the client closed the connection without QUIT (action fail, tlsrpt none)"
ALLOWED = {"gnutls-cli": (NO_QUIT,)}

OK = "ok"  # full and resumed
FULL = "full"  # and nothing resumed; page.py says why


def meet_server(peer: str, condition: Condition, pki: Paths) -> dict[str, str]:
    """Our client and a peer's server: the cell of each version."""
    cells = {}
    with SERVERS[peer](pki, condition) as server:
        sent = 0
        for version in VERSIONS:
            client = Client(pki, condition, version, server.login)
            resumed = []
            for _ in range(2):
                info = client.send(server.port)
                sent += 1
                assert info.version == f"TLSv{version}" and info.secured, info
                resumed.append(info.resumed)
            cells[version] = {(False, True): OK, (False, False): FULL}[resumed[0], resumed[1]]
        texts = [body(message) for message in server.mail(sent)]
    assert texts == [body(MESSAGE)] * sent, texts
    return cells


def meet_client(peer: str, condition: Condition, pki: Paths, folder: Path) -> dict[str, str]:
    """A peer's client and `serve`."""
    talk, resumes = CLIENTS[peer]
    keys = folder / "ticket.keys"
    keys.write_text(f"current {'01' * 32}\n")
    flags = ["--ticket-keys", str(keys)]
    if condition.own:
        flags += ["--client-auth", "require", "--client-ca", str(pki.ca)]
    cert, key = condition.pair(pki)
    cells = {}
    wanted: list[str] = []
    with Serve("c", pki, folder / "mail", cert=cert, key=key, require_tls=True, flags=flags) as serve:
        for version in VERSIONS:
            sessions = 2 if version in resumes else 1
            own = folder / version
            own.mkdir()
            talk(Sender(serve, pki, own, version, own=condition.own, sessions=sessions))
            wanted += [f"TLSv{version}", f"TLSv{version} resumed"][:sessions]
            serve.out.wait("tls: ", len(wanted))
            cells[version] = OK if sessions == 2 else FULL
        texts = [] if peer in SILENT else [body(text) for text in serve.wait_mail(len(wanted))]
    lines = [line.split() for line in serve.stdout if line.startswith("tls: ")]
    # Each session is a process of its own, and two that end together may tell it in either order.
    seen = sorted(line[1] + " resumed" * (line[-1] == "resumed") for line in lines)
    assert seen == wanted, serve.stdout
    clients = [line for line in serve.stdout if line.startswith("client: ")]
    assert clients == [f"client: auth=pkix subject=CN={NAME}"] * len(wanted) * condition.own, serve.stdout
    assert texts == [body(MESSAGE)] * len(texts) and (texts or peer in SILENT), texts
    assert [line for line in serve.stderr if line not in ALLOWED.get(peer, ())] == []
    return cells
