"""What a person gets wrong, and what a terminal has not: one clear line, the right code, no traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from commands import CLEAN, DEADLINE, NAME, command, one_line, peer, says, server, smtptls

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

HELLO = b"220 mail.example.test ESMTP\r\n"
OFFER = b"250-mail.example.test\r\n250 STARTTLS\r\n"
ZEROS = "3 1 1 " + "00" * 32
NOT_TEXT = os.fsdecode(b"\xff")  # an octet that no UTF-8 has
ENVELOPE = ("--from", "me@example.test", "--to", "you@example.test")


@pytest.mark.parametrize(
    "arguments",
    [
        (f"{NOT_TEXT}:25",),
        (f"--{NOT_TEXT}", "localhost:25"),
        *(
            ("localhost:25", option, NOT_TEXT)
            for option in (
                "--name",
                "--helo",
                "--mx",
                "--sni",
                "--next-hop",
                "--tlsa-base",
                "--fingerprint",
                "--level",
                "--ca",
                "--sts",
            )
        ),
    ],
)
def test_an_argument_that_is_no_text(arguments: tuple[str, ...]) -> None:
    ran = smtptls("check", *arguments)
    assert ran.code == 2
    assert "bug" not in one_line(ran)


def test_a_locale_without_a_character() -> None:
    """JSON is the same everywhere, and text says what it cannot show."""
    for encoding in ("ascii", "latin-1", "utf-8"):
        env = {"PYTHONIOENCODING": encoding}
        ran = smtptls("check", "--json", "--resolve", "\u20ac.test:1:127.0.0.1", "\u20ac.test:1", env=env)
        assert ran.code == 3 and json.loads(ran.out)["target"] == "\u20ac.test:1"
        text = smtptls("check", "--resolve", "\u20ac.test:1:127.0.0.1", "\u20ac.test:1", env=env)
        assert text.code == 3 and not text.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "a.test:25", "--fingerprint", "zz"), "fingerprint"),
        (("check", "a.test:25", "--key-fingerprint", "md5:00"), "fingerprint"),
        (("check", "a.test:25", "--name", ""), "host name"),
        (("check", "a.test:25", "--name", "two words"), "host name"),
        (("connect", "a.test:25", "--level", "fingerprint", "--fingerprint", "zz"), "fingerprint"),
        (("send", *ENVELOPE, "a.test:25", "--name", "two words"), "host name"),
        (("check", "a.test:25", "--resolve", "a.test:25:256.1.1.1"), "'256.1.1.1' is no address"),
        (("check", "a.test:25", "--resolve", "a.test:25:[::g]"), "'::g' is no address"),
        (("policy", "two words", "--no-starttls"), "'two words' is no host name"),
        (("policy", "", "--no-starttls"), "'' is no host name"),
        (("tlsa", "show", "3", "1", "1", "00"), '"3" is no TLSA record'),
    ],
)
def test_a_value_that_is_none_of_its_kind(arguments: tuple[str, ...], said: str) -> None:
    ran = smtptls(*arguments, "--ca", "none") if arguments[0] in ("check", "connect") else smtptls(*arguments)
    assert ran.code == 2 and said in one_line(ran)


@pytest.mark.parametrize("host", ["two words", "", "$(id)", "192.0.2.1", "2001:db8::1"])
def test_a_record_is_for_a_name(host: str, pki: Any) -> None:
    for arguments in (("gen", pki.leaf, "--host", host), ("match", pki.leaf, ZEROS, "--host", host)):
        ran = smtptls("tlsa", *arguments)
        assert ran.code == 2
        assert one_line(ran).startswith("argument --host: ")


def test_armour_around_no_certificate(pki: Any) -> None:
    for arguments in (
        ("tlsa", "gen", pki.garbage),
        ("tlsa", "match", pki.garbage, ZEROS, "--host", NAME),
        ("policy", NAME, "--chain", pki.garbage),
    ):
        ran = smtptls(*arguments)
        assert ran.code == 2
        assert one_line(ran) == f"{pki.garbage}: certificate 1 cannot be read"


def test_each_certificate_of_the_pki_can_be_read(pki: Any) -> None:
    """What is wrong with one is for a sender to say."""
    names = ("leaf", "rsa", "chain", "expired", "weak", "selfsigned", "cnonly", "srv", "caleaf")
    for name in names:
        assert smtptls("tlsa", "gen", getattr(pki, name)).code == 0, name


@pytest.mark.parametrize("command", [("connect",), ("send", "--from", "a@b.example", "--to", "c@d.example")])
@pytest.mark.parametrize(
    ("reply", "code"),
    [(b"454 4.7.0 Not now\r\n", 3), (b"501 5.5.4 No\r\n", 1)],
)
def test_a_pipe_or_a_message_that_is_refused(reply: bytes, code: int, command: tuple[str, ...]) -> None:
    """R3207-4-5: connect and send tell a refusal for now from one for good, as check does."""
    demands = ("--ca", "none", "--level", "encrypt")
    with peer(says(HELLO, OFFER, reply, b"221 Bye\r\n")) as port:
        ran = smtptls(*command, *demands, f"localhost:{port}")
        assert ran.code == code
        one_line(ran)
    with peer(says(b"421 4.3.2 Busy\r\n", None)) as port:
        ran = smtptls(*command, *demands, f"localhost:{port}")
        assert ran.code == 3
        one_line(ran)


@pytest.mark.parametrize(
    ("replies", "code", "starttls"),
    [
        ((b"421 4.3.2 Closing\r\n", None), 3, "unknown"),
        ((b"554 5.3.2 No\r\n", b"554 5.3.2 No\r\n", None), 1, "unknown"),
        ((b"502 5.5.1 What?\r\n", b"250 mail.example.test\r\n", None), 1, "not-offered"),
    ],
)
def test_ehlo_is_refused(replies: tuple[bytes | None, ...], code: int, starttls: str) -> None:
    """For now, for good, or as by a server that knows HELO only."""
    with peer(says(HELLO, *replies)) as port:
        ran = smtptls("check", "--json", "--ca", "none", "--level", "encrypt", f"localhost:{port}")
        smtp = json.loads(ran.out)["hosts"][0]["smtp"]
        assert (ran.code, smtp["starttls"], smtp["ehlo_before"]) == (code, starttls, [])
        assert smtptls("connect", "--ca", "none", "--level", "encrypt", f"localhost:{port}").code == code


def test_ehlo_is_refused_inside_tls(pki: Any) -> None:
    for reply, code in ((b"421 4.3.2 Closing\r\n", 3), (b"554 5.3.2 No\r\n", 1)):
        with peer(server(pki.leaf, pki.leaf_key, inside=reply)) as port:
            place = ("--ca", pki.ca, "--level", "verify", f"localhost:{port}")
            assert smtptls("check", *place).code == smtptls("connect", *place).code == code


def test_nobody_is_trusted(good: int) -> None:
    """A gap on our side says nothing of the server: it is no failure of it."""
    for arguments in (("connect",), ("send", *ENVELOPE)):
        ran = smtptls(*arguments, "--ca", "none", f"localhost:{good}")
        assert ran.code == 2 and "trust anchors" in one_line(ran)
    out = smtptls("check", "--level", "verify", "--ca", "none", f"localhost:{good}").out
    assert "verify, secure          unknown\n" in out and "give the authorities by --ca\n" in out


def test_a_message_names_the_place_that_does_not_answer() -> None:
    ran = smtptls("send", *ENVELOPE, "--ca", "none", "--level", "encrypt", "localhost:1")
    assert (ran.code, one_line(ran)) == (3, "not sent: no connection to localhost:1: Connection refused")


def test_plaintext_where_tls_should_begin() -> None:
    with peer(says(HELLO)) as port:
        ran = smtptls("check", "--ca", "none", f"submissions:localhost:{port}")
        assert ran.code == 1
        assert "leave submissions: away" in " ".join(ran.out.split())


def test_a_reason_is_told_once() -> None:
    out = smtptls("check", "--ca", "none", "localhost:1").out
    assert out.count("Connection refused") == 1


def test_a_name_server_that_does_not_answer_is_no_bad_signature() -> None:
    ran = smtptls("check", "--dns", "127.0.0.1:1", "--deadline", "2", "example.test")
    assert ran.code == 3
    said = " ".join(ran.out.split())
    assert "remedy ask again later" in said and said.count("127.0.0.1 port 1 did not answer in time") == 1


def test_a_reply_without_an_end_says_nothing_of_starttls() -> None:
    with peer(says(HELLO, b"250-mail.example.test\r\n" + b"250-X\r\n" * 200, None)) as port:
        ran = smtptls("check", "--json", "--ca", "none", f"localhost:{port}")
        assert ran.code == 1
        assert json.loads(ran.out)["hosts"][0]["smtp"]["starttls"] == "unknown"
        assert "STARTTLS" not in smtptls("check", "--ca", "none", f"localhost:{port}").out


def endless(connection: socket.socket) -> None:
    connection.sendall(b"220-mail.example.test\r\n")
    while True:
        connection.sendall(b"220-and so on\r\n" * 1000)


def dribbling(connection: socket.socket) -> None:
    connection.sendall(b"220-")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize("command", ["check", "connect", "send"])
@pytest.mark.parametrize("serve", [endless, dribbling])
def test_a_greeting_without_an_end(command: str, serve: Any) -> None:
    """It costs neither memory nor more time than was allowed."""
    envelope = ENVELOPE if command == "send" else ()
    with peer(serve) as port:
        ran = smtptls(
            command, *envelope, "--ca", "none", "--level", "encrypt", "--timeout", "2", f"localhost:{port}"
        )
        assert ran.code in (1, 3)
        said = ran.err if command != "check" else ran.out
        assert (
            "65536 octets" in said
            if serve is endless
            else "did not answer within 2 s" in said or "ran out" in said
        )


def test_a_reply_without_an_end_inside_tls(pki: Any) -> None:
    with peer(server(pki.leaf, pki.leaf_key, inside=b"250-X\r\n" * 20000 + b"250 X\r\n")) as port:
        ran = smtptls("send", *ENVELOPE, "--ca", pki.ca, f"localhost:{port}")
        assert ran.code in (1, 3) and "65536 octets" in one_line(ran)


def test_of_many_names_some_are_shown(ca: Any, pki: Any, tmp_path: Path) -> None:
    key = ca.new_key()
    names = tuple(ca.x509.DNSName(f"host{number}.example.test") for number in range(30))
    (tmp_path / "many.pem").write_bytes(ca.key_pem(key) + ca.pem(ca.issue(key, "many", names=names)))
    with peer(server(tmp_path / "many.pem")) as port:
        said = " ".join(smtptls("check", "--ca", "none", f"localhost:{port}").out.split())
        assert "host9.example.test, and 20 more" in said and "host10" not in said
        ran = smtptls("check", "--json", "--ca", "none", f"localhost:{port}")
        assert len(json.loads(ran.out)["hosts"][0]["certificate"]["names"]) == 30


def test_what_is_quoted_is_quoted_once() -> None:
    ran = smtptls("check", "--port", "a\\b", "localhost")
    assert one_line(ran).startswith("argument --port: 'a\\\\b' is no port")
    assert one_line(smtptls("check", "--\x1b[31m")).startswith("unrecognized arguments: --\\x1b[31m ")


def test_a_word_is_not_broken(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    path.write_text("version: STSv2\n")
    assert "sts-policy-invalid" in smtptls("sts", "parse", path).out


def test_an_expired_certificate_has_a_date(pki: Any) -> None:
    with peer(server(pki.expired, pki.expired_key)) as port:
        assert "EXPIRED 20" in smtptls("check", "--ca", pki.ca, f"localhost:{port}").out


@pytest.mark.parametrize("reader", ["cat", "head -1", "true"])
def test_a_pipe_of_the_shell(reader: str, good: int, pki: Any) -> None:
    """Nothing on stderr, and the code is the verdict's, whoever reads."""
    script = f'set -o pipefail; "$@" | {reader} > /dev/null'
    words = command("check", "--ca", pki.wrongca, "--level", "verify", f"localhost:{good}")
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", *words],
        capture_output=True, timeout=DEADLINE * 2, env=CLEAN, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"")
