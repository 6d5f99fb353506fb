"""What OpenSSL's client sees of the keys of `serve`: staples, resumption, and that they are read again.

And the names of authorities in TLS 1.3, and client certificates between our own programs.
"""

from __future__ import annotations

import datetime
import re
import shutil
import time
from pathlib import Path

import pytest
from ca.ca import DAY, NAME, Issuer, Paths, issue, key_pem, new_key, pem
from clients import run
from conftest import MESSAGE, Serve, require_peer, run_send
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

VERSIONS = ("TLSv1.2", "TLSv1.3")
DIALOGUE = b"EHLO client.example.test\r\nNOOP\r\nQUIT\r\n"


def s_client(serve: Serve, version: str, *flags: object) -> str:
    """One session of `openssl s_client` from the greeting to QUIT; tickets have come by then."""
    argv = [require_peer("openssl", "openssl"), "s_client", "-starttls", "smtp", "-ign_eof", "-nocommands"]
    argv += ["-connect", f"{serve.host}:{serve.port}", "-servername", NAME]
    argv += [f"-{version.lower().replace('v', '').replace('.', '_')}", *map(str, flags)]
    return run(argv, DIALOGUE)


def resumed(text: str) -> bool:
    found = re.search("^(New|Reused), ", text, re.MULTILINE)
    assert found, text
    return found[1] == "Reused"


# -- OCSP staples --------------------------------------------------------------------------------------------


def stapled(folder: Path) -> tuple[Path, Path, Path, Path]:
    """A certificate, its key, an OCSP response that says that it is good, and its authority."""
    root_key, key = new_key(), new_key()
    root = Issuer(issue(root_key, "OCSP Root", names=(), is_ca=True), root_key)
    leaf = issue(key, NAME, issuer=root)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf,
        issuer=root.certificate,
        algorithm=hashes.SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=now - DAY,
        next_update=now + DAY,
        revocation_time=None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, root.certificate)
    paths = tuple(folder / name for name in ("leaf.pem", "leaf.key", "leaf.ocsp", "root.pem"))
    contents = (
        pem(leaf),
        key_pem(key),
        builder.sign(root_key, hashes.SHA256()).public_bytes(Encoding.DER),
        pem(root.certificate),
    )
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths[0], paths[1], paths[2], paths[3]


@pytest.mark.parametrize("version", VERSIONS)
def test_staple(version: str, language: str, pki: Paths, tmp_path: Path) -> None:
    """A response beside the pair of --cert reaches those who ask for it, and nobody else."""
    cert, key, response, root = stapled(tmp_path)
    flags = ["--ocsp", str(response)]
    with Serve(language, pki, tmp_path / "mail", cert=cert, key=key, flags=flags) as serve:
        asked = s_client(serve, version, "-status", "-CAfile", root)
        unasked = s_client(serve, version, "-CAfile", root)
    assert "OCSP Response Status: successful (0x0)" in asked and "Cert Status: good" in asked, asked
    assert "Verify return code: 0 (ok)" in asked, asked
    assert "OCSP" not in unasked.replace("OCSP Root", ""), unasked
    assert serve.stderr == []


def test_no_staple(language: str, pki: Paths, tmp_path: Path) -> None:
    with Serve(language, pki, tmp_path) as serve:
        assert "OCSP response: no response sent" in s_client(serve, "TLSv1.3", "-status")


# -- client certificates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [True, False], ids=["names", "no-names"])
@pytest.mark.parametrize("version", VERSIONS)
def test_names_of_authorities(version: str, names: bool, language: str, pki: Paths, tmp_path: Path) -> None:
    flags = ["--client-auth", "ask", "--client-ca", str(pki.ca)]
    flags += ["--client-auth-names"] if names else []
    with Serve(language, pki, tmp_path, flags=flags) as serve:
        text = s_client(serve, version, "-cert", pki.client, "-key", pki.client_key)
        assert serve.out.wait("client: ") == f"auth=pkix subject=CN={NAME}"
    assert ("Acceptable client certificate CA names\nCN = smtptls test root CA\n" in text) == names, text
    assert "Requested Signature Algorithms: " in text, text


@pytest.mark.parametrize("which", ["send", "upgrade"])
@pytest.mark.parametrize("mode", ["none", "ask", "require"])
def test_own_pair(mode: str, which: str, language: str, pki: Paths, tmp_path: Path) -> None:
    """R8314-5.5-1: a client has its certificate ready, and shows it to a server that asks."""
    flags = ["--client-auth", mode, "--client-ca", str(pki.ca)]
    own = ["--cert", str(pki.client), "--key", str(pki.client_key)]
    with Serve(language, pki, tmp_path, flags=flags) as serve:
        run_send(language, which=which, port=serve.port, ca=pki.ca, flags=own).check()
        serve.wait_mail()
    clients = [line for line in serve.stdout if line.startswith("client: ")]
    assert clients == ([] if mode == "none" else [f"client: auth=pkix subject=CN={NAME}"])


@pytest.mark.parametrize("which", ["send", "upgrade"])
@pytest.mark.parametrize("own", [None, "clientunknown"])
def test_own_pair_refused(own: str | None, which: str, language: str, pki: Paths, tmp_path: Path) -> None:
    """R3207-4.1-4: the client hears of it as 554 to its EHLO, and no mail is taken."""
    flags = ["--client-auth", "require", "--client-ca", str(pki.ca)]
    pair = ["--cert", f"{pki.folder / own}.pem", "--key", f"{pki.folder / own}.key"] if own else []
    with Serve(language, pki, tmp_path, flags=flags) as serve:
        came = run_send(language, which=which, port=serve.port, ca=pki.ca, flags=pair)
    assert (came.returncode, came.error_code) == (1, "SMTPTLS_ERR_REFUSED"), f"{came}"
    assert "554 5.7.0" in (came.message or ""), f"{came}"
    assert not list(tmp_path.glob("*.eml"))


@pytest.mark.parametrize("which", ["send", "upgrade"])
def test_half_a_pair(which: str, language: str, pki: Paths) -> None:
    """Nothing is sent, not even a connection made: nobody listens at the port."""
    for half in (["--cert", str(pki.client)], ["--key", str(pki.client_key)]):
        came = run_send(language, which=which, port=1, ca=pki.ca, flags=half)
        assert came.returncode == 2 and "usage: " in came.stderr, f"{came}"
    other = ["--cert", str(pki.client), "--key", str(pki.leaf_key)]
    came = run_send(language, which=which, port=1, ca=pki.ca, flags=other)
    assert (came.returncode, came.error_code) == (1, "SMTPTLS_ERR_KEY_MISMATCH"), f"{came}"


# -- resumption ----------------------------------------------------------------------------------------------


def ticket_keys(path: Path, *lines: tuple[str, int]) -> Path:
    """A file of ticket keys, each of one octet over and over."""
    path.write_text("".join(f"{role} {f'{octet:02x}' * 32}\n" for role, octet in lines))
    return path


@pytest.mark.parametrize("version", VERSIONS)
def test_resumption(version: str, language: str, pki: Paths, tmp_path: Path) -> None:
    """A ticket of one process is good for the next, and for as long as its key is in the file."""
    keys, session = tmp_path / "ticket.keys", tmp_path / "session"
    ticket_keys(keys, ("current", 1), ("next", 2))
    flags = ["--ticket-keys", str(keys)]
    with Serve(language, pki, tmp_path / "mail", flags=flags) as serve:
        assert not resumed(s_client(serve, version, "-sess_out", session))
        assert resumed(s_client(serve, version, "-sess_in", session))
        # Rotated once: the key is the previous one now.
        ticket_keys(keys, ("previous", 1), ("current", 2), ("next", 3))
        serve.reload()
        serve.out.wait("reloaded")
        assert resumed(s_client(serve, version, "-sess_in", session))
    with Serve(language, pki, tmp_path / "mail", flags=flags) as again:
        assert resumed(s_client(again, version, "-sess_in", session))
        # Rotated twice: it is gone.
        ticket_keys(keys, ("previous", 2), ("current", 3), ("next", 4))
        again.reload()
        again.out.wait("reloaded")
        assert not resumed(s_client(again, version, "-sess_in", session))
    for lines, wanted in ((serve.stdout, [False, True, True]), (again.stdout, [True, False])):
        assert [line.endswith(" resumed") for line in lines if line.startswith("tls: ")] == wanted
    assert serve.stderr == again.stderr == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "flags", [["--service", "submission"], ["--ticket-lifetime", "1"]], ids=lambda f: f[0]
)
def test_no_resumption(version: str, flags: list[str], language: str, pki: Paths, tmp_path: Path) -> None:
    """A ticket of another service, or one that has had its time, leads to a full handshake."""
    keys, session = ticket_keys(tmp_path / "ticket.keys", ("current", 1)), tmp_path / "session"
    own = ["--ticket-keys", str(keys), *(flags if flags[0] == "--ticket-lifetime" else [])]
    with Serve(language, pki, tmp_path / "mail", flags=own) as serve:
        s_client(serve, version, "-sess_out", session)
    if own[-1] == "1":
        time.sleep(2.5)
    with Serve(language, pki, tmp_path / "mail", flags=["--ticket-keys", str(keys), *flags]) as serve:
        assert not resumed(s_client(serve, version, "-sess_in", session))


@pytest.mark.parametrize("count", ["0", "1", "2"])
def test_tickets(count: str, language: str, pki: Paths, tmp_path: Path) -> None:
    keys = ticket_keys(tmp_path / "ticket.keys", ("current", 1))
    flags = ["--ticket-keys", str(keys), "--tickets", count]
    with Serve(language, pki, tmp_path / "mail", flags=flags) as serve:
        text = s_client(serve, "TLSv1.3", "-msg")
    assert text.count("NewSessionTicket") == int(count), text


# -- read again ----------------------------------------------------------------------------------------------


def test_reload(language: str, pki: Paths, tmp_path: Path) -> None:
    """SIGHUP: the new pair serves connections that begin afterwards; a bad one leaves the old."""
    cert, key, keys = tmp_path / "own.pem", tmp_path / "own.key", tmp_path / "ticket.keys"

    def install(name: str) -> None:
        shutil.copy(pki.folder / f"{name}.pem", cert)
        shutil.copy(pki.folder / f"{name}.key", key)

    def shown(serve: Serve) -> str:
        found = re.search(
            "-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n", s_client(serve, "TLSv1.3")
        )
        assert found
        return found[0]

    leaf, rsa = (getattr(pki, name).read_text() for name in ("leaf", "rsa"))
    install("leaf")
    ticket_keys(keys, ("current", 1))
    with Serve(
        language, pki, tmp_path / "mail", cert=cert, key=key, flags=["--ticket-keys", str(keys)]
    ) as serve:
        assert shown(serve) == leaf
        install("rsa")
        assert shown(serve) == leaf
        serve.reload()
        serve.out.wait("reloaded")
        assert shown(serve) == rsa
        shutil.copy(pki.stray_key, key)
        serve.reload()
        assert serve.err.wait("error: ").startswith("SMTPTLS_ERR_KEY_MISMATCH: ")
        assert shown(serve) == rsa
        install("leaf")
        keys.write_text("current 00\n")
        serve.reload()
        assert serve.err.wait("error: ", 2).startswith("SMTPTLS_ERR_KEY_PARSE: ")
        ticket_keys(keys, ("current", 2))
        serve.reload()
        serve.out.wait("reloaded", 2)
        assert shown(serve) == leaf
        run_send(language, port=serve.port, ca=pki.ca, message=MESSAGE).check()
    assert len([line for line in serve.stdout if line == "reloaded"]) == 2
    assert len(serve.stderr) == 2 and all("action fail, tlsrpt none)" in line for line in serve.stderr)
