"""Other people's clients with a certificate of their own, against `serve --client-auth require`.

Each shows its certificate and is let in; each that can resume comes back, and is known by the certificate of
the first handshake; each without one is told so inside TLS, with 554 to its EHLO.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from ca.ca import NAME, Paths
from conftest import DEADLINE, MESSAGE, RECIPIENT, SENDER, Serve, missing, require_peer, wait_until
from postfix import Postfix

DIALOGUE = b"EHLO client.example.test\r\nNOOP\r\nQUIT\r\n"


@dataclass(frozen=True)
class Run:
    """What a peer is to do: this many sessions, with this TLS version, with its certificate or without."""

    serve: Serve
    pki: Paths
    folder: Path
    version: str  # "1.2" or "1.3"
    own: bool
    sessions: int = 1
    said: list[str] = field(default_factory=list)

    @property
    def pair(self) -> tuple[Path, Path] | None:
        return (self.pki.client, self.pki.client_key) if self.own else None

    def flags(self, cert: str, key: str) -> list[str]:
        """The client's pair as flags; a name that ends with = takes the file behind it."""
        if not self.pair:
            return []
        return [
            part
            for name, path in zip((cert, key), self.pair, strict=True)
            for part in ([f"{name}{path}"] if name.endswith("=") else [name, str(path)])
        ]

    def run(self, argv: list[str], stdin: bytes = MESSAGE, env: dict[str, str] | None = None) -> None:
        """A refused client may end with any status: what it and `serve` say counts."""
        done = subprocess.run(
            argv,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
            check=False,
            env={**os.environ, **(env or {})},
        )
        text = done.stdout.decode(errors="backslashreplace")
        self.said.append(text)
        if self.own:
            assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{text}"


def s_client(run: Run) -> None:
    session = run.folder / "session"
    for turn in range(run.sessions):
        argv = [
            require_peer("openssl", "openssl"),
            "s_client",
            "-starttls",
            "smtp",
            "-ign_eof",
            "-nocommands",
        ]
        argv += [
            "-connect",
            f"{run.serve.host}:{run.serve.port}",
            "-servername",
            NAME,
            "-CAfile",
            str(run.pki.ca),
        ]
        argv += ["-verify_return_error", f"-tls{run.version.replace('.', '_')}", *run.flags("-cert", "-key")]
        argv += ["-sess_in" if turn else "-sess_out", str(session)]
        run.run(argv, DIALOGUE)


def gnutls_cli(run: Run) -> None:
    argv = [require_peer("gnutls-cli", "gnutls-bin"), "--starttls-proto=smtp", f"--x509cafile={run.pki.ca}"]
    argv += [f"--port={run.serve.port}", f"--verify-hostname={NAME}", f"--sni-hostname={NAME}"]
    argv += [
        f"--priority=NORMAL:-VERS-ALL:+VERS-TLS{run.version}",
        *run.flags("--x509certfile=", "--x509keyfile="),
    ]
    if run.sessions > 1:
        argv += ["--resume"]
    run.run([*argv, run.serve.host], DIALOGUE)


def swaks(run: Run) -> None:
    argv = [require_peer("swaks", "swaks libnet-ssleay-perl"), "--server", run.serve.host]
    argv += [
        "--port",
        str(run.serve.port),
        "--from",
        SENDER,
        "--to",
        RECIPIENT,
        "--helo",
        "client.example.test",
    ]
    argv += ["--tls", "--tls-verify", "--tls-ca-path", str(run.pki.ca), "--tls-sni", NAME, "--data", "-"]
    argv += ["--tls-protocol", f"tlsv{run.version.replace('.', '_')}", *run.flags("--tls-cert", "--tls-key")]
    run.run(argv)


def curl(run: Run) -> None:
    argv = [require_peer("curl", "curl"), "--verbose", "--ssl-reqd", "--cacert", str(run.pki.ca)]
    argv += [f"--tlsv{run.version}", "--tls-max", run.version, "--noproxy", "*", "--crlf"]
    argv += ["--resolve", f"{NAME}:{run.serve.port}:{run.serve.host}", "--mail-from", SENDER]
    argv += ["--mail-rcpt", RECIPIENT, "--upload-file", "-", *run.flags("--cert", "--key")]
    run.run([*argv, f"smtp://{NAME}:{run.serve.port}/client.example.test"])


def msmtp(run: Run) -> None:
    argv = [
        require_peer("msmtp", "msmtp"),
        "--debug",
        "--host",
        run.serve.host,
        "--port",
        str(run.serve.port),
    ]
    argv += ["--auth=off", "--tls=on", "--tls-starttls=on", f"--tls-trust-file={run.pki.ca}"]
    argv += [f"--tls-priorities=NORMAL:-VERS-ALL:+VERS-TLS{run.version}", "--domain=client.example.test"]
    argv += [*run.flags("--tls-cert-file=", "--tls-key-file="), "--from", SENDER, RECIPIENT]
    run.run(argv)


AIOSMTPLIB = """
    import asyncio, json, ssl, sys
    import aiosmtplib

    given = json.load(sys.stdin)
    context = ssl.create_default_context(cafile=given["ca"])
    context.minimum_version = context.maximum_version = ssl.TLSVersion[given["version"]]
    if given["pair"]:
        context.load_cert_chain(*given["pair"])
    sending = aiosmtplib.send(
        given["message"].encode(), sender=given["sender"], recipients=[given["recipient"]],
        hostname="localhost", port=given["port"], start_tls=True, tls_context=context, timeout=10)
    asyncio.run(sending)
"""


def described(run: Run) -> dict[str, object]:
    pair = [str(path) for path in run.pair] if run.pair else None
    described = {"ca": str(run.pki.ca), "pair": pair, "port": run.serve.port, "name": NAME}
    return {**described, "sender": SENDER, "recipient": RECIPIENT, "message": MESSAGE.decode()}


def aiosmtplib(run: Run) -> None:
    given = {**described(run), "version": f"TLSv{run.version.replace('.', '_')}"}
    run.run([sys.executable, "-c", textwrap.dedent(AIOSMTPLIB)], json.dumps(given).encode())


# Node keeps a session; nodemailer hands the option `session` on to node's tls.connect.
NODEMAILER = """
    const fs = require("fs");
    const SMTPConnection = require("nodemailer/lib/smtp-connection");
    const given = JSON.parse(fs.readFileSync(0));
    const tls = {
        ca: fs.readFileSync(given.ca), servername: given.name,
        minVersion: given.version, maxVersion: given.version,
    };
    if (given.pair)
        [tls.cert, tls.key] = given.pair.map((path) => fs.readFileSync(path));
    const fail = (error) => { console.log(String(error)); process.exit(1); };
    function send(turns) {
        const name = "client.example.test";
        const options = {host: "127.0.0.1", port: given.port, requireTLS: true, name, tls};
        const connection = new SMTPConnection(options);
        connection.on("error", fail);
        connection.connect(() => {
            const envelope = {from: given.sender, to: [given.recipient]};
            connection.send(envelope, given.message, (error) => {
                if (error)
                    fail(error);
                tls.session = connection._socket.getSession();
                connection.on("end", () => turns > 1 && send(turns - 1));
                connection.quit();
            });
        });
    }
    send(given.sessions);
"""


def nodemailer(run: Run) -> None:
    node, path = require_peer("node", "nodejs"), Path("/usr/share/nodejs")
    if not (path / "nodemailer").is_dir():
        missing("nodemailer is not installed: apt-get install node-nodemailer")
    given = {**described(run), "version": f"TLSv{run.version}", "sessions": run.sessions}
    script = run.folder / "client.js"
    script.write_text(textwrap.dedent(NODEMAILER))
    run.run([node, str(script)], json.dumps(given).encode(), {"NODE_PATH": str(path)})


class Client(Postfix):
    """Postfix with a pair for its client side, with a cache of sessions, and with one TLS version."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.pki, run.serve.port)
        self._run = run

    def _configure(self) -> None:
        super()._configure()
        more = f"smtp_tls_mandatory_protocols = TLSv{self._run.version}\n"
        more += f"smtp_tls_session_cache_database = btree:{self.folder}/data/sessions\n"
        more += "soft_bounce = yes\n"  # no notice to the sender, which would be a session more
        if self._run.pair:
            cert, key = self._run.pair
            more += f"smtp_tls_chain_files = {key}, {cert}\n"
        with (self.folder / "etc/main.cf").open("a") as main:
            main.write(more)


def wrote(instance: Postfix, words: str, times: int) -> bool:
    return instance.log().count(words) >= times


def postfix(run: Run) -> None:
    with Client(run) as instance:
        for sent in range(1, run.sessions + 1):
            instance.relay(MESSAGE)
            end, count = ("status=sent", sent) if run.own else ("status=SOFTBOUNCE", 1)
            wait_until(partial(wrote, instance, end, count), f"Postfix to log {end}")
        run.said.append(instance.log())


VERSIONS = ("1.2", "1.3")

# How each is run, and the versions of which it can come back with a session of before.
PEERS: dict[str, tuple[Callable[[Run], None], tuple[str, ...]]] = {
    "s_client": (s_client, VERSIONS),
    "postfix": (postfix, VERSIONS),
    "nodemailer": (nodemailer, VERSIONS),
    # At TLS 1.3 it takes the session before it has said EHLO, and the ticket comes with the answer to that.
    "gnutls-cli": (gnutls_cli, ("1.2",)),
    # One run keeps to one connection, and made to open a second it shakes hands anew; no file of sessions.
    "curl": (curl, ()),
    # One connection a run, and no option for a session.
    "swaks": (swaks, ()),
    "msmtp": (msmtp, ()),
    # asyncio's start_tls takes no session, and the ssl module resumes only one that it is given.
    "aiosmtplib": (aiosmtplib, ()),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("peer", PEERS)
def test_client_certificate(peer: str, version: str, language: str, pki: Paths, tmp_path: Path) -> None:
    talk, resumes = PEERS[peer]
    keys = tmp_path / "ticket.keys"
    keys.write_text(f"current {'01' * 32}\n")
    flags = ["--client-auth", "require", "--client-ca", str(pki.ca), "--ticket-keys", str(keys)]
    with Serve(language, pki, tmp_path / "mail", require_tls=True, flags=flags) as serve:
        wanted = 2 if version in resumes else 1
        talk(Run(serve, pki, tmp_path, version, own=True, sessions=wanted))
        serve.out.wait("client: ", wanted)
    check(serve, version, [False, True][:wanted], f"client: auth=pkix subject=CN={NAME}")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("peer", PEERS)
def test_no_client_certificate(peer: str, version: str, language: str, pki: Paths, tmp_path: Path) -> None:
    """R3207-4.1-4: TLS comes up, and inside it every client reads why it is refused."""
    flags = ["--client-auth", "require", "--client-ca", str(pki.ca)]
    with Serve(language, pki, tmp_path / "mail", require_tls=True, flags=flags) as serve:
        run = Run(serve, pki, tmp_path, version, own=False)
        PEERS[peer][0](run)
        serve.err.wait("error: SMTPTLS_ERR_CERT_REQUIRED")
    check(serve, version, [False], "client: auth=none subject=-")
    assert "554" in run.said[0] and "5.7.0" in run.said[0], run.said[0]
    assert not list((tmp_path / "mail").glob("*.eml"))


def check(serve: Serve, version: str, resumed: list[bool], client: str) -> None:
    """What `serve` saw: these sessions of this version, each of this client."""
    tls = [line for line in serve.stdout if line.startswith("tls: ")]
    assert [line.endswith(" resumed") for line in tls] == resumed, serve.stdout
    assert all(line.startswith(f"tls: TLSv{version} ") for line in tls), serve.stdout
    clients = [line for line in serve.stdout if line.startswith("client: ")]
    assert clients == [client] * len(resumed), serve.stdout
