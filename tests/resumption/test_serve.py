"""What `serve` is told by its flags: client certificates, key pairs, ALPN, its dialogue, reloading by SIGHUP.

And the client's own certificate of `send` and `upgrade`.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from ca.ca import NAME, OTHER_NAME, Paths
from conftest import DEADLINE, program, run_send
from resumption.fleet import Server, keeping, keys, visit

NOT_NOW = "454 4.7.0 TLS not available due to temporary reason"
REQUIRED = "530 5.7.0 Must issue a STARTTLS command first"


def said(port: int, *lines: str) -> list[str]:
    """What a client in plaintext hears: the greeting, then the reply to each of its lines."""
    replies = []
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
        file = connection.makefile("rwb")
        for line in ("", *lines):
            if line:
                file.write(f"{line}\r\n".encode())
                file.flush()
            reply = [file.readline().decode().rstrip()]
            while reply[-1][3:4] == "-":
                reply.append(file.readline().decode().rstrip())
            replies.append("\n".join(reply))
    return replies


def shown(port: int, name: str, protocols: Sequence[str] = ()) -> tuple[bytes, str | None]:
    """The certificate that Python's ssl is shown, and the application protocol that was agreed on."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
        file = connection.makefile("rb")
        file.readline()
        connection.sendall(b"STARTTLS\r\n")
        file.readline()
        with context.wrap_socket(connection, server_hostname=name) as wire:
            wire.sendall(b"QUIT\r\n")
            assert wire.recv(100).startswith(b"221 ")
            certificate = wire.getpeercert(binary_form=True)
            assert certificate is not None
            return certificate, wire.selected_alpn_protocol()


def der(path: Path) -> bytes:
    [first, *_] = re.findall(
        "-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", path.read_text(), re.DOTALL
    )
    return ssl.PEM_cert_to_DER_cert(first)


@pytest.mark.parametrize("which", ["send", "upgrade"])
@pytest.mark.parametrize("way", ["none", "ask", "require"])
def test_client_certificates(language: str, way: str, which: str, pki: Paths, tmp_path: Path) -> None:
    """A trusted one, one of another authority, and none."""
    flags = ["--client-auth", way, "--client-ca", str(pki.ca)]
    with Server(language, pki, tmp_path / "store", *flags, "--client-auth-names") as serve:
        for number, (own, auth, subject) in enumerate(
            (
                (("--cert", str(pki.client), "--key", str(pki.client_key)), "pkix", "CN="),
                (("--cert", str(pki.selfsigned), "--key", str(pki.selfsigned_key)), "none", "CN="),
                ((), "none", "-"),
            )
        ):
            sent = run_send(language, port=serve.port, ca=pki.ca, which=which, flags=own)
            serve.out.wait("tls: ", number + 1)
            if way != "none":
                line = serve.out.wait("client: ", number + 1)
                assert line.startswith(f"auth={auth} subject={subject}")
            if way == "require" and auth == "none":
                assert sent.error_code == "SMTPTLS_ERR_REFUSED" and "554 5.7.0" in (sent.message or "")
                serve.err.wait("error: ", number)
            else:
                sent.check()
    assert way != "none" or not [line for line in serve.stdout if line.startswith("client: ")]
    codes = [line.split(": ")[1] for line in serve.stderr]
    assert codes == (["SMTPTLS_ERR_CERT_INVALID", "SMTPTLS_ERR_CERT_REQUIRED"] if way == "require" else [])


def test_key_pairs(language: str, pki: Paths, tmp_path: Path) -> None:
    """Of a pair with a further name and a staple, and of a file with several."""
    chain, staple = tmp_path / "chains.pem", tmp_path / "staple.der"
    chain.write_text("".join(path.read_text() for path in (pki.other_key, pki.other, pki.rsa_key, pki.rsa)))
    staple.write_bytes(b"\x30\x03\x0a\x01\x06")
    flags: list[str | Path] = ["--keypair-name", ".further.test", "--ocsp", staple, "--chain", chain]
    with Server(language, pki, tmp_path / "store", *flags) as serve:
        for name, path in ((NAME, pki.leaf), ("a.further.test", pki.leaf), (OTHER_NAME, pki.other)):
            assert shown(serve.port, name)[0] == der(path)
        words = ["openssl", "s_client", "-connect", f"127.0.0.1:{serve.port}", "-starttls", "smtp"]
        words += ["-servername", NAME, "-status", "-ign_eof"]
        done = subprocess.run(words, input=b"QUIT\r\n", capture_output=True, timeout=DEADLINE, check=False)
        assert b"OCSP response" in done.stdout and b"no response sent" not in done.stdout


def test_a_file_of_key_pairs_in_place_of_one(language: str, pki: Paths, tmp_path: Path) -> None:
    words = [*program(language, "serve"), "--chain", str(pki.combined)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        assert shown(port, NAME)[0] == der(pki.leaf)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0


def test_application_protocols(language: str, pki: Paths, tmp_path: Path) -> None:
    with Server(language, pki, tmp_path / "store", "--alpn", "smtp", "--alpn", "esmtp") as serve:
        assert shown(serve.port, NAME, ["esmtp"])[1] == "esmtp" and shown(serve.port, NAME)[1] is None
        with pytest.raises((ssl.SSLError, OSError)):
            shown(serve.port, NAME, ["http/1.1"])
        assert serve.err.wait("error: ").startswith("SMTPTLS_ERR_HANDSHAKE")


def test_the_greeting(language: str, pki: Paths, tmp_path: Path) -> None:
    with Server(language, pki, tmp_path / "store", "--greeting", "ESMTP ready, no UBE") as serve:
        assert said(serve.port, "QUIT")[0].endswith(" ESMTP ready, no UBE")


def test_a_greeting_that_is_none(language: str, pki: Paths) -> None:
    """It is found before the first client comes."""
    words = [*program(language, "serve"), "--chain", str(pki.combined), "--greeting", "two\nlines"]
    done = subprocess.run(words, capture_output=True, timeout=DEADLINE, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error: SMTPTLS_ERR_ARGUMENT")


@pytest.mark.parametrize("required", [False, True])
def test_not_now(language: str, required: bool, pki: Paths, tmp_path: Path) -> None:
    """Not offered before the client goes on in plaintext, and not afterwards."""
    with Server(language, pki, tmp_path / "store", "--not-now", require_tls=required) as serve:
        commands = ("EHLO a", "STARTTLS", "MAIL FROM:<a@b.test>", "RSET", "EHLO a", "STARTTLS", "QUIT")
        replies = said(serve.port, *commands)
        assert not any("STARTTLS" in reply for reply in (replies[1], replies[5]))
        assert replies[2] == replies[6] == NOT_NOW and replies[7].startswith("221 ")
        assert [reply == REQUIRED for reply in replies[3:5]] == [required, required]


@pytest.mark.parametrize("discard", [False, True])
@pytest.mark.parametrize("first", [(), ("EHLO a", "MAIL FROM:<a@b.test>")], ids=["library", "program"])
def test_injected_commands(
    language: str, discard: bool, first: tuple[str, ...], pki: Paths, tmp_path: Path
) -> None:
    """Where the library has the dialogue, and where the program has it and hands it back for STARTTLS."""
    with (
        Server(language, pki, tmp_path / "store", *(["--discard"] if discard else [])) as serve,
        socket.create_connection(("127.0.0.1", serve.port), DEADLINE) as connection,
    ):
        file = connection.makefile("rb")

        def reply() -> str:
            line = file.readline()
            while line[3:4] == b"-":
                line = file.readline()
            return line.decode()

        assert reply().startswith("220 ")
        for line in first:
            connection.sendall(f"{line}\r\n".encode())
            assert reply().startswith("250 ")
        connection.sendall(b"STARTTLS\r\nRSET\r\n")
        if not discard:
            assert reply().startswith("554 5.5.0")
            serve.err.wait("error: SMTPTLS_ERR_PLAINTEXT_INJECTED")
            return
        assert reply().startswith("220 ")
        context = ssl.create_default_context(cafile=str(pki.ca))
        with context.wrap_socket(connection, server_hostname=NAME) as wire:
            wire.sendall(b"NOOP\r\n")
            assert wire.recv(100) == b"250 2.0.0 OK\r\n", "the answer to NOOP, and none before it"
            wire.sendall(b"RCPT TO:<a@b.test>\r\n")
            assert wire.recv(100).startswith(b"503 "), "what was before TLS is forgotten"


def test_more_exemptions(language: str, pki: Paths, tmp_path: Path) -> None:
    """As Postfix has it. XCLIENT is the program's, and what comes after it needs TLS as before."""
    commands = ("HELO a", "HELP", "MAIL FROM:<a@b.test>", "XCLIENT NAME=a", "MAIL FROM:<a@b.test>", "DATA")
    with Server(language, pki, tmp_path / "more", "--exempt-more", require_tls=True) as serve:
        replies = said(serve.port, *commands, "EHLO a", "QUIT")
        codes = [reply[:3] for reply in replies]
        assert codes == ["220", "250", "214", "530", "502", "530", "530", "250", "221"]
        assert "STARTTLS" in replies[7]
        connection = socket.create_connection(("127.0.0.1", serve.port), DEADLINE)
        with connection, connection.makefile("rb") as file:
            file.readline()
            for line in (b"XCLIENT NAME=a\r\n", b"STARTTLS\r\n"):
                connection.sendall(line)
                reply = file.readline()
            assert reply.startswith(b"220 ")
            context = ssl.create_default_context(cafile=str(pki.ca))
            with context.wrap_socket(connection, server_hostname=NAME) as wire:
                wire.sendall(b"QUIT\r\n")
                assert wire.recv(100).startswith(b"221 ")
    with Server(language, pki, tmp_path / "strict", require_tls=True) as serve:
        assert said(serve.port, *commands)[1:] == [REQUIRED] * len(commands)


def test_reloading(language: str, pki: Paths, tmp_path: Path) -> None:
    """A bad file leaves the old keys serving, and the error names it; the other file is read all the same."""
    chain, key, path = tmp_path / "chain.pem", tmp_path / "key.pem", keys(tmp_path / "keys")
    shutil.copy(pki.leaf, chain)
    shutil.copy(pki.leaf_key, key)
    with Server(language, pki, tmp_path / "store", "--ticket-keys", path, cert=chain, key=key) as serve:
        assert shown(serve.port, NAME)[0] == der(pki.leaf)
        shutil.copy(pki.rsa, chain)
        shutil.copy(pki.rsa_key, key)
        serve.reload()
        assert shown(serve.port, NAME)[0] == der(pki.rsa)
        client = keeping(pki)
        visit(client, serve.port)
        path.write_text("current\n")
        key.write_text("")
        serve.signal(signal.SIGHUP)
        errors = [serve.err.wait("error: ", count) for count in (1, 2)]
        assert str(key) in errors[0] and str(path) in errors[1]
        assert visit(client, serve.port).resumed and shown(serve.port, NAME)[0] == der(pki.rsa)
        shutil.copy(pki.rsa_key, key)
        keys(path.with_name("new")).rename(path)
        serve.reload()
        assert not visit(client, serve.port).resumed
    assert len(serve.stderr) == 2


@pytest.mark.parametrize("which", ["send", "upgrade"])
@pytest.mark.parametrize("flag", ["--cert", "--key"])
def test_a_pair_is_whole(language: str, which: str, flag: str, pki: Paths) -> None:
    sent = run_send(language, port=1, which=which, flags=(flag, str(pki.combined)))
    assert sent.returncode == 2 and sent.stdout == "" and "usage: " in sent.stderr


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--cert", "x"),
        ("--key", "x"),
        ("--chain", "x", "--ocsp", "x"),
        ("--chain", "x", "--keypair-name", "a.test"),
        ("--chain", "x", "--exempt-more"),
        ("--chain", "x", "--tickets", "3"),
        ("--chain", "x", "--tickets", "x"),
        ("--chain", "x", "--ticket-lifetime", "-1"),
        ("--chain", "x", "--client-auth", "always"),
        ("--chain",),
    ],
    ids=" ".join,
)
def test_flags_that_do_not_fit(language: str, flags: tuple[str, ...]) -> None:
    words = [*program(language, "serve"), *flags]
    done = subprocess.run(words, capture_output=True, timeout=DEADLINE, check=False)
    assert done.returncode == 2 and b"usage: serve" in done.stderr, done
