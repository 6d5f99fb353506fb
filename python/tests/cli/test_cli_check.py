"""smtptls check: each situation that a sender meets, by exit code, JSON and text."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from commands import NAME, one_line, peer, says, server, smtptls
from smtptls import Tlsa

try:
    import jsonschema
except ImportError:
    jsonschema = None

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[3]
BARE = b"250-mail.example.test\r\n250 PIPELINING\r\n"
HELLO = b"220 mail.example.test ESMTP\r\n"
OFFER = b"250-mail.example.test\r\n250 STARTTLS\r\n"


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n")


def checked(port: int, *arguments: Any, name: str = NAME) -> dict[str, Any]:
    """The document of a host that is said to be at this port; the exit code and the text agree with it."""
    asked = ("check", f"{name}:{port}", "--resolve", f"{name}:{port}:127.0.0.1", *arguments)
    ran = smtptls(*asked, "--json")
    assert not ran.err
    found: dict[str, Any] = json.loads(ran.out)
    assert found["schema"] == "smtptls.check/1" and found["exit"] == ran.code
    text = smtptls(*asked)
    assert text.code == ran.code
    assert max(map(len, text.out.splitlines())) <= 80 and text.out.isascii()
    word = {0: "OK", 1: "FAIL", 3: "UNDECIDED", 4: "WARN"}[ran.code]
    assert text.out.splitlines()[-1].startswith(f"{name}:{port}: {word} (level ")
    validate(found)
    return found


def validate(found: dict[str, Any]) -> None:
    if jsonschema is None:
        return  # test_the_schema says so
    path = ROOT / "python/smtptls/cli/check.schema.json"
    schema = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(found, schema)


def test_the_schema(good: int, pki: Any) -> None:
    """It fits, and it is not so loose that everything fits."""
    if jsonschema is None:
        pytest.skip("jsonschema is not installed: no document was compared with the schema")
    found = checked(good, "--ca", pki.ca)
    wrongs: tuple[dict[str, Any], ...] = ({"schema": "smtptls.check/2"}, {"exit": 5}, {"hosts": []})
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            validate(found | wrong)


def actions(found: dict[str, Any]) -> dict[str, str]:
    return {level: verdict["action"] for level, verdict in found["hosts"][0]["verdicts"].items()}


def verdict(found: dict[str, Any], level: str) -> dict[str, Any]:
    result: dict[str, Any] = found["hosts"][0]["verdicts"][level]
    return result


def test_trusted_and_right_name(good: int, pki: Any) -> None:
    found = checked(good, "--ca", pki.ca, "--level", "verify")
    assert found["exit"] == 0 and found["ok"]
    assert actions(found) == {
        "none": "clear",
        "may": "deliver",
        "encrypt": "deliver",
        "verify": "deliver",
        "secure": "deliver",
        "dane": "unknown",
        "dane-only": "unknown",
        "sts": "unknown",
    }
    host = found["hosts"][0]
    assert host["tls"]["version"] == "TLSv1.3"
    assert host["certificate"]["names"][0] == f"DNS:{NAME}"
    assert host["smtp"]["starttls"] == "offered"
    assert host["smtp"]["starttls_reply"] == "220 2.0.0 Go ahead"
    assert host["smtp"]["ehlo_after"] == ["PIPELINING"]
    assert host["address"] == "127.0.0.1"
    assert not host["warnings"] and not host["errors"]


# The certificate, and what verify makes of it.
CERTIFICATES = [
    ("selfsigned", "untrusted", "certificate-not-trusted"),
    ("nochain", "untrusted", "certificate-not-trusted"),
    ("expired", "expired", "certificate-expired"),
    ("notyet", "not-yet-valid", "validation-failure"),
    ("other", "name-mismatch", "certificate-host-mismatch"),
    ("cnonly", "name-mismatch", "certificate-host-mismatch"),
    ("client", "certificate-unusable", "validation-failure"),
    ("weak", "certificate-unusable", "validation-failure"),
]


@pytest.mark.parametrize(("name", "why", "result"), CERTIFICATES)
def test_a_bad_certificate(pki: Any, name: str, why: str, result: str) -> None:
    key = pki.chain_key if name == "nochain" else getattr(pki, f"{name}_key")
    with peer(server(getattr(pki, name), key)) as port:
        found = checked(port, "--ca", pki.ca, "--level", "verify")
        assert found["exit"] == 1 and not found["ok"]
        assert found["hosts"][0]["errors"] == [why]
        one = verdict(found, "verify")
        assert (one["action"], one["why"], one["tlsrpt"], one["status"]) == ("defer", why, result, "4.7.5")
        assert actions(found) | {"none": "clear", "may": "deliver", "encrypt": "deliver"} == actions(found)
        # A sender that asks for no proof delivers all the same.
        assert checked(port, "--ca", pki.ca)["exit"] == 0


def test_the_wrong_authority(good: int, pki: Any) -> None:
    found = checked(good, "--ca", pki.wrongca, "--level", "verify")
    assert found["exit"] == 1 and verdict(found, "verify")["why"] == "untrusted"
    assert found["hosts"][0]["pkix"] == {"trusted": False, "name_matched": True}


def test_no_authorities(good: int) -> None:
    found = checked(good, "--ca", "none", "--level", "verify")
    assert found["exit"] == 3 and verdict(found, "verify")["why"] == "no-roots"


def test_another_name_is_told_and_mended(pki: Any) -> None:
    with peer(server(pki.other, pki.other_key)) as port:
        arguments = ("check", f"localhost:{port}", "--ca", pki.ca, "--level", "verify")
        ran = smtptls(*arguments)
        said = " ".join(ran.out.split())
        assert ran.code == 1
        assert "the peer's certificate is not for localhost: it is for other.example.test" in said
        assert smtptls(*arguments, "--name", "other.example.test").code == 0


def test_no_starttls() -> None:
    with peer(says(HELLO, BARE, b"221 Bye\r\n")) as port:
        found = checked(port, "--ca", "none", "--level", "encrypt")
        assert found["exit"] == 1
        one = verdict(found, "encrypt")
        assert (one["why"], one["status"], one["tlsrpt"]) == (
            "starttls-not-offered",
            "4.7.4",
            "starttls-not-supported",
        )
        assert found["hosts"][0]["smtp"]["starttls"] == "not-offered"
        at_may = checked(port, "--ca", "none")
        assert at_may["exit"] == 0 and at_may["hosts"][0]["warnings"] == ["plaintext"]
        assert checked(port, "--ca", "none", "--warnings-as-errors")["exit"] == 4


@pytest.mark.parametrize(
    ("reply", "code"), [(b"454 4.7.0 Not now\r\n", 3), (b"501 5.5.4 No\r\n", 1), (b"554 5.7.3 No\r\n", 1)]
)
def test_starttls_refused(reply: bytes, code: int) -> None:
    with peer(says(HELLO, OFFER, reply, b"221 Bye\r\n")) as port:
        found = checked(port, "--ca", "none", "--level", "encrypt")
        assert found["exit"] == code
        assert verdict(found, "encrypt")["why"] == "starttls-rejected"
        assert found["hosts"][0]["smtp"]["starttls_reply"] == reply.decode().strip()
        assert verdict(found, "may")["action"] == "clear"


def test_the_server_is_busy() -> None:
    with peer(says(b"421 4.3.2 Too many connections\r\n", None)) as port:
        found = checked(port, "--ca", "none")
        assert found["exit"] == 3
        assert found["hosts"][0]["smtp"]["greeting"] == "421 4.3.2 Too many connections"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = checked(port, "--ca", "none")
    assert found["exit"] == 3
    assert set(actions(found).values()) == {"defer", "unknown"}
    assert verdict(found, "may")["why"] == "connect"
    assert found["hosts"][0]["tlsrpt"] == []


@pytest.mark.parametrize("script", [(None,), (HELLO, None), (HELLO, OFFER, None)])
def test_the_server_is_silent(script: tuple[bytes | None, ...]) -> None:
    with peer(says(*script)) as port:
        ran = smtptls(
            "check", "--json", "--ca", "none", "--level", "encrypt", "--timeout", "0.5", f"localhost:{port}"
        )
        assert ran.code == 3
        found = json.loads(ran.out)
        assert verdict(found, "encrypt")["why"] == "timeout"
        # From STARTTLS on a sender at may begins anew, in plaintext.
        assert verdict(found, "may")["action"] == ("clear" if len(script) == 3 else "defer")


def test_silent_inside_the_handshake() -> None:
    def stall(connection: socket.socket) -> None:
        says(HELLO, OFFER, b"220 Go ahead\r\n")(connection)
        while connection.recv(4096):
            pass

    with peer(stall) as port:
        ran = smtptls(
            "check", "--json", "--ca", "none", "--level", "encrypt", "--timeout", "0.5", f"localhost:{port}"
        )
        assert ran.code == 3
        assert verdict(json.loads(ran.out), "encrypt")["why"] == "timeout"


def test_plaintext_is_injected() -> None:
    with peer(says(HELLO, OFFER, b"220 Go ahead\r\n250 injected\r\n", None)) as port:
        found = checked(port, "--ca", "none")
        assert found["exit"] == 1
        assert verdict(found, "may")["why"] == "response-injection"


def test_garbage_in_place_of_tls() -> None:
    def serve(connection: socket.socket) -> None:
        says(HELLO, OFFER, b"220 Go ahead\r\n")(connection)
        connection.recv(4096)
        connection.sendall(b"this is no TLS record at all\r\n" * 10)

    with peer(serve) as port:
        found = checked(port, "--ca", "none", "--level", "encrypt")
        assert found["exit"] == 1
        assert verdict(found, "encrypt")["tlsrpt"] == "validation-failure"


def test_an_alert_has_its_name() -> None:
    def serve(connection: socket.socket) -> None:
        says(HELLO, OFFER, b"220 Go ahead\r\n")(connection)
        connection.recv(4096)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")
        connection.recv(4096)

    with peer(serve) as port:
        found = checked(port, "--ca", "none", "--level", "encrypt")
        assert found["exit"] == 1
        assert verdict(found, "encrypt")["why"] == "tls-alert:handshake-failure"
        assert verdict(found, "may")["action"] == "clear"


def test_text_of_the_peer_is_escaped() -> None:
    evil = b"220 \x1b]0;owned\x07\x1b[2J\xff\xc3\xa9 ESMTP\r\n"
    with peer(says(evil, BARE.replace(b"PIPELINING", b"\x1b[31mX"), b"221 \x1b[5mBye\r\n")) as port:
        arguments = ("check", f"localhost:{port}", "--ca", "none", "-v")
        ran = smtptls(*arguments)
        assert ran.out.isascii() and ran.out.replace("\n", "").isprintable()
        assert "\\x1b]0;owned" in ran.out
        found = json.loads(smtptls(*arguments, "--json").out)
        assert found["hosts"][0]["smtp"]["greeting"].isprintable()


def test_starttls_inside_tls_and_an_early_end(pki: Any) -> None:
    with peer(server(pki.leaf, pki.leaf_key, inside=OFFER)) as port:
        found = checked(port, "--ca", pki.ca, "--min-days", "40")
        assert found["exit"] == 0
        assert found["hosts"][0]["warnings"] == ["expiry", "starttls-after-tls"]


def test_dane(good: int, pki: Any) -> None:
    record = str(Tlsa.of(der(pki.leaf)))
    wrong = "3 1 1 " + "00" * 32
    dane = ("--ca", "none", "--level", "dane", "--dnssec")
    found = checked(good, *dane, "secure", "--tlsa", record)
    assert found["exit"] == 0 and verdict(found, "dane")["auth"] == "dane-ee"
    assert found["hosts"][0]["dane"]["records"] == [{"rr": record, "usable": True, "matched": True}]
    assert found["hosts"][0]["tlsrpt"] == [{"policy_type": "tlsa", "result": "success"}]

    found = checked(good, *dane, "secure", "--tlsa", wrong)
    assert found["exit"] == 1 and verdict(found, "dane")["why"] == "dane-no-match"
    assert found["hosts"][0]["tlsrpt"][0] == {
        "policy_type": "tlsa",
        "result": "certificate-not-trusted",
        "reason": "dane-no-match",
    }
    # One that matches is enough.
    assert checked(good, *dane, "secure", "--tlsa", wrong, "--tlsa", record)["exit"] == 0
    # An insecure answer says nothing; one that does not validate says that somebody may be on the path.
    assert verdict(checked(good, *dane, "insecure", "--tlsa", wrong), "dane")["effective"] == "may"
    found = checked(good, *dane, "bogus")
    assert verdict(found, "dane")["why"] == "dnssec" and found["exit"] == 3
    # Unusable records still force TLS.
    found = checked(good, *dane, "secure", "--tlsa", "0 0 1 " + "00" * 32)
    assert verdict(found, "dane")["effective"] == "encrypt"
    assert found["hosts"][0]["warnings"] == ["dane-unusable"]
    assert verdict(found, "dane-only")["tlsrpt"] == "tlsa-invalid"
    # auto goes by DANE where there are facts.
    found = checked(good, "--ca", "none", "--dnssec", "secure", "--tlsa", wrong)
    assert (found["level"], found["hosts"][0]["level"], found["exit"]) == ("auto", "dane", 1)


def sts(folder: Path, mode: str, mx: str) -> Path:
    path = folder / "policy.txt"
    path.write_text(f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 604800\n")
    return path


def test_mta_sts(pki: Any, tmp_path: Path, good: int) -> None:
    found = checked(good, "--ca", pki.ca, "--sts", sts(tmp_path, "enforce", "*.example.test"))
    assert (found["hosts"][0]["level"], found["exit"]) == ("sts", 0)
    assert verdict(found, "sts")["effective"] == "verify"
    assert found["sts"]["mode"] == "enforce"

    found = checked(good, "--ca", pki.ca, "--sts", sts(tmp_path, "enforce", "mx.example.test"))
    assert found["exit"] == 1 and verdict(found, "sts")["why"] == "sts-mx-mismatch"
    assert found["hosts"][0]["tlsrpt"][0]["result"] == "validation-failure"

    with peer(server(pki.selfsigned, pki.selfsigned_key)) as port:
        policy = sts(tmp_path, "enforce", NAME)
        assert checked(port, "--ca", pki.ca, "--sts", policy)["exit"] == 1
        # A DANE success outweighs it; a DANE failure is not healed by it.
        record = str(Tlsa.of(der(pki.selfsigned)))
        assert (
            checked(port, "--ca", pki.ca, "--sts", policy, "--dnssec", "secure", "--tlsa", record)["exit"]
            == 0
        )
        # In testing mail goes, and the failure is reported.
        found = checked(port, "--ca", pki.ca, "--sts", sts(tmp_path, "testing", NAME))
        assert found["exit"] == 0
        assert found["hosts"][0]["tlsrpt"][0]["result"] == "certificate-not-trusted"
    wrong = ("--dnssec", "secure", "--tlsa", "3 1 1 " + "00" * 32)
    found = checked(good, "--ca", pki.ca, "--sts", sts(tmp_path, "enforce", NAME), *wrong)
    assert (found["hosts"][0]["level"], found["exit"]) == ("dane", 1)
    assert checked(good, "--ca", pki.ca, "--sts", "off", "--level", "sts")["exit"] == 0


def test_fingerprint(good: int, pki: Any) -> None:
    digest = hashlib.sha256(der(pki.leaf)).hexdigest()
    level = ("--ca", "none", "--level", "fingerprint", "--fingerprint")
    assert checked(good, *level, f"sha256:{digest}")["exit"] == 0
    found = checked(good, *level, "sha256:" + "00" * 32)
    assert found["exit"] == 1 and verdict(found, "fingerprint")["why"] == "fingerprint"


def test_all_mx_hosts_of_a_domain(good: int, pki: Any) -> None:
    with peer(server(pki.other, pki.other_key)) as other:
        arguments = (
            "check", "example.test", "--ca", pki.ca, "--level", "verify", "--json",
            "--mx", "b.example.test:20", "--mx", f"{NAME}:10",
            "--resolve", f"{NAME}:25:127.0.0.1:{good}", "--resolve", f"b.example.test:25:127.0.0.1:{other}",
        )  # fmt: skip
        ran = smtptls(*arguments)
        found = json.loads(ran.out)
        validate(found)
        assert [(one["host"], one["pref"]) for one in found["mx"]["hosts"]] == [
            (NAME, 10),
            ("b.example.test", 20),
        ]
        assert [host["exit"] for host in found["hosts"]] == [0, 1] and ran.code == 1
        assert smtptls(*arguments, "--first").code == 0


def test_several_targets_in_lines(good: int, pki: Any) -> None:
    with peer(says(HELLO, BARE, b"221 Bye\r\n")) as bare:
        ran = smtptls(
            "check", "--jsonl", "--level", "encrypt", "--ca", pki.ca, f"localhost:{good}", f"localhost:{bare}"
        )
        lines = [json.loads(line) for line in ran.out.splitlines()]
        assert [one["exit"] for one in lines] == [0, 1] and ran.code == 1


def test_tls_from_the_first_byte(pki: Any) -> None:
    with peer(server(pki.leaf, pki.leaf_key, implicit=True)) as port:
        ran = smtptls("check", "--json", "--ca", pki.ca, "--level", "verify", f"submissions:localhost:{port}")
        assert ran.code == 0
        smtp = json.loads(ran.out)["hosts"][0]["smtp"]
        assert smtp["starttls"] == "implicit" and smtp["greeting"].startswith("220 ")
        assert smtp["ehlo_after"] == ["PIPELINING"]


def test_no_tls_from_the_first_byte() -> None:
    """Such a port has no plaintext to go on in; and what fails from STARTTLS on is nothing to level none."""
    refusal = b"\x15\x03\x03\x00\x02\x02\x28"  # the alert handshake_failure

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(refusal)

    with peer(serve) as port:
        ran = smtptls("check", "--json", "--ca", "none", f"submissions:localhost:{port}")
        found = json.loads(ran.out)
        assert ran.code == 1 and set(actions(found).values()) == {"defer", "unknown"}
        assert verdict(found, "none")["why"] == "tls-alert:handshake-failure"
    for behind in (b"250 injected\r\n", refusal):
        with peer(says(HELLO, OFFER, b"220 Go ahead\r\n" + behind, None)) as port:
            assert verdict(checked(port, "--ca", "none", "--level", "none"), "none")["action"] == "clear"


def test_lmtp_over_a_unix_socket(pki: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "lmtp")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                server(pki.leaf, pki.leaf_key)(connection)

        worker = threading.Thread(target=serve)
        worker.start()
        ran = smtptls("check", "-v", "--ca", pki.ca, "--level", "verify", f"unix:{path}")
        worker.join(20)
    assert ran.code == 0 and "C: LHLO" in ran.out


def test_thresholds(pki: Any) -> None:
    with peer(server(pki.leaf, pki.leaf_key, newest=ssl.TLSVersion.TLSv1_2)) as port:
        found = checked(port, "--ca", pki.ca, "--min-tls", "1.3")
        assert found["exit"] == 1 and found["hosts"][0]["errors"] == ["tls-version"]
        assert checked(port, "--ca", pki.ca, "--min-tls", "1.2")["exit"] == 0
        found = checked(port, "--ca", pki.ca, "--require-pq")
        assert found["exit"] == 1 and found["hosts"][0]["errors"] == ["pq-missing"]


def test_pem_and_quiet(good: int, pki: Any) -> None:
    ran = smtptls("check", "--pem", "--ca", pki.ca, f"localhost:{good}")
    assert ran.out == pki.leaf.read_text()
    ran = smtptls("check", "-q", "--level", "verify", "--ca", pki.wrongca, f"localhost:{good}")
    assert (ran.code, ran.out, ran.err) == (1, "", "")


def test_the_transcript(good: int, pki: Any) -> None:
    out = smtptls("check", "-v", "--ca", pki.ca, "--helo", "me.example.test", f"localhost:{good}").out
    said = [line.strip() for line in out.splitlines() if re.match(r"\s+[CS]: ", line)]
    assert said == [
        "S: 220 mail.example.test ESMTP",
        "C: EHLO me.example.test",
        "S: 250-mail.example.test",
        "S: 250 STARTTLS",
        "C: STARTTLS",
        "S: 220 2.0.0 Go ahead",
    ]


def test_a_broken_policy_file(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    path.write_text("mode: enforce\n")
    ran = smtptls("check", "localhost:25", "--sts", path)
    assert ran.code == 2 and str(path) in one_line(ran)


def test_the_engine_s_table_has_what_a_stricter_level_does() -> None:
    """judge derives the action of stricter levels: wherever the levels differ it is the next host."""
    rows = re.findall(r"^\| -\d+ \|.*$", (ROOT / "docs/errors.md").read_text(), re.MULTILINE)
    assert len(rows) > 30
    for row in rows:
        at_may, other = (cell.strip() for cell in row.split("|")[5:7])
        assert other == at_may or other == "next-host", row
