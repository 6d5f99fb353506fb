"""smtptls serve in use: by smtplib and by clients that misbehave, its bounds and its end."""

from __future__ import annotations

import contextlib
import email
import email.policy
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import CLEAN, DEADLINE, command, smtptls
from served import Served, serving
from smtptls.cli.server.listener import MOST

pytest_plugins = ["command_fixtures"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

SENDER, RECIPIENT = "me@client.example.test", "you@example.test"
MESSAGE = "Subject: hello\r\n\r\n.a dot\r\n..\r\nend\r\n"


@contextlib.contextmanager
def talking(served: Served) -> Iterator[tuple[socket.socket, Any]]:
    """A connection in plaintext, past the greeting."""
    with (
        socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE) as sock,
        sock.makefile("rb") as lines,
    ):
        assert lines.readline().startswith(b"220 ")
        yield sock, lines


def trusting(served: Served) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(served.ca))


@contextlib.contextmanager
def mailing(served: Served, *, tls: bool = True) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("localhost", served.port, timeout=DEADLINE) as client:
        if tls:
            client.starttls(context=trusting(served))
        yield client


def test_smtplib(tmp_path: Path) -> None:
    """R3207-5-1: a message through ssl, and what is kept of it, whole and with its envelope."""
    store = tmp_path / "mail"
    with serving(tmp_path, "--store", store) as served, mailing(served) as client:
        client.sendmail(SENDER, [RECIPIENT, "two@example.test"], MESSAGE)
        client.sendmail("", [RECIPIENT], MESSAGE)
    kept = sorted(store.iterdir())
    assert [path.suffix for path in kept] == [".eml", ".eml"]
    octets = kept[0].read_bytes()
    assert octets.endswith(b"\r\n" + MESSAGE.encode())
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert found["Return-Path"] == f"<{SENDER}>" and found["Subject"] == "hello"
    assert found.get_all("Delivered-To") == [RECIPIENT, "two@example.test"]
    assert "by localhost with ESMTPS tls TLS_" in " ".join(found["Received"].split())
    assert kept[1].read_bytes().startswith(b"Return-Path: <>\r\n")


def test_a_file_is_whole_as_soon_as_it_is_there(tmp_path: Path) -> None:
    store, stop = tmp_path / "mail", threading.Event()
    sizes: set[int] = set()
    text = ("x" * 70 + "\r\n") * 100_000

    def watch() -> None:
        while not stop.is_set():
            sizes.update(path.stat().st_size for path in store.glob("*.eml"))

    with serving(tmp_path, "--store", store) as served, mailing(served) as client:
        watcher = threading.Thread(target=watch)
        watcher.start()
        client.sendmail(SENDER, [RECIPIENT], text)
        stop.set()
        watcher.join(DEADLINE)
    (kept,) = store.iterdir()
    assert sizes <= {kept.stat().st_size} and kept.stat().st_size > len(text)


def test_in_plaintext_too(tmp_path: Path) -> None:
    store = tmp_path / "mail"
    with serving(tmp_path, "--store", store) as served, mailing(served, tls=False) as client:
        client.sendmail(SENDER, [RECIPIENT], MESSAGE)
    (kept,) = store.iterdir()
    assert b"with ESMTP;" in kept.read_bytes()


def test_send_and_an_ipv6_address(tmp_path: Path) -> None:
    store = tmp_path / "mail"
    with serving(tmp_path, "--store", store, "--host", "::1") as served:
        assert served.ready["host"] == "::1"
        target = f"[::1]:{served.port}"
        ran = smtptls("send", "--ca", served.ca, "--from", SENDER, "--to", RECIPIENT, target)
        assert ran.code == 0, ran
    (kept,) = store.iterdir()
    assert b" ([IPv6:::1])\r\n" in kept.read_bytes()


def test_a_message_that_is_too_large(tmp_path: Path) -> None:
    """552 to what MAIL announces, and to what comes without; the connection goes on."""
    store = tmp_path / "mail"
    with serving(tmp_path, "--max-size", "1000", "--store", store) as served, mailing(served) as client:
        with pytest.raises(smtplib.SMTPSenderRefused) as announced:
            client.sendmail(SENDER, [RECIPIENT], "x" * 1001)
        assert announced.value.smtp_code == 552
        for size, code in ((1000, 250), (1001, 552), (3 << 20, 552), (998, 250)):
            client.ehlo()
            client.mail(SENDER)
            client.rcpt(RECIPIENT)
            lines = "x" * 70 + "\r\n"
            text = (lines * (size // 72 + 1))[: size - 2] + "\r\n"
            assert client.data(text)[0] == code, size
    assert len(list(store.iterdir())) == 2


def test_memory_is_bounded(tmp_path: Path) -> None:
    """SEC-8: a line without an end, and a message without one."""

    def peak() -> int:
        status = Path(f"/proc/{served.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10

    piece, much = b"x" * (1 << 20), 48
    with serving(tmp_path, "--max-size", "1000") as served, talking(served) as (sock, lines):
        before = peak()
        for _ in range(much):
            sock.sendall(piece)
        sock.sendall(b"\r\nEHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
        assert lines.readline().startswith(b"500 ")
        while not lines.readline().startswith(b"354 "):
            pass
        for _ in range(much):
            sock.sendall(piece)
        sock.sendall(b"\r\n.\r\n")
        assert lines.readline().startswith(b"552 ")
        assert peak() - before < much << 19


def test_what_is_no_mail(tmp_path: Path) -> None:
    """Bare line ends, lines without an end, commands out of order: a clear answer each, and it goes on."""
    with serving(tmp_path) as served, talking(served) as (sock, lines):
        sock.sendall(b"NOOP " + b"x" * 2000 + b"\r\n")
        assert lines.readline().startswith(b"500 5.5.2 Line too long")
        sock.sendall(b"NOOP\nNOOP\r\n")
        assert lines.readline().startswith(b"500 5.5.2 ")
        for line, code in (
            ("MAIL FROM:<a@b>", 503), ("DATA", 503), ("EHLO", 501), ("NOOP x", 250), ("FOO", 500),
            ("HELO client", 250), ("MAIL TO:<a@b>", 501), ("MAIL FROM:<a@b> SIZE=x", 501),
            ("MAIL FROM:<a@b> SIZE=99999999999", 552), ("MAIL FROM:<a@b> FOO=1", 555), ("RCPT TO:<a@b>", 503),
            ("MAIL FROM:<a@b> BODY=8BITMIME", 250), ("MAIL FROM:<a@b>", 503), ("RCPT TO:<>", 501),
            ("RCPT TO:<c@d>", 250), ("RSET", 250), ("DATA", 503), ("AUTH PLAIN", 502), ("VRFY a", 252),
        ):  # fmt: skip
            sock.sendall(f"{line}\r\n".encode())
            assert lines.readline()[:3] == str(code).encode(), line
        sock.sendall(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
        assert [lines.readline()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        sock.sendall(b"Subject: x\n.\nMAIL\r\n.\r\nQUIT\r\n")
        assert lines.readline().startswith(b"550 5.6.11 ") and lines.readline().startswith(b"221 ")
        assert lines.readline() == b""


def test_input_behind_starttls(tmp_path: Path) -> None:
    """SEC-1: it is never carried out."""
    for flags in ((), ("--inject-after-220", "250 x")):
        with serving(tmp_path, *flags) as served, talking(served) as (sock, lines):
            sock.sendall(b"STARTTLS\r\nNOOP\r\n")
            assert lines.readline().startswith(b"554 5.5.0 ") and lines.readline() == b""


def test_a_client_that_stalls(tmp_path: Path) -> None:
    with serving(tmp_path, "--timeout", "2", "-v") as served:
        with talking(served) as (sock, lines):
            sock.sendall(b"EHLO")
            assert lines.readline().startswith(b"421 4.4.2 ") and lines.readline() == b""
        with talking(served) as (sock, lines):
            sock.sendall(b"STARTTLS\r\n")
            assert lines.readline().startswith(b"220 ")
            assert sock.recv(100) == b""  # and no plaintext where TLS should be (SEC-7)
    assert "the client did nothing for 2 s" in served.err


def test_no_more_than_so_many_clients(tmp_path: Path) -> None:
    with serving(tmp_path) as served, contextlib.ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(talking(served))
        with socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE) as late:
            assert late.recv(100).startswith(b"421 4.3.2 ")
            assert late.recv(100) == b""
        stack.close()
        # And afterwards there is room again, once they are seen to be gone.
        by = time.monotonic() + DEADLINE
        while time.monotonic() < by:
            with socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE) as again:
                if again.recv(100).startswith(b"220 "):
                    return
        pytest.fail("there is no room any more")


def test_once(tmp_path: Path) -> None:
    with serving(tmp_path, "--once", ends=True) as served, mailing(served) as client:
        client.noop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("flags", [(), ("--once",)])
def test_a_signal_ends_it(number: int, flags: tuple[str, ...], tmp_path: Path) -> None:
    """Also while clients are there, in plaintext and in TLS."""
    with contextlib.ExitStack() as stack:
        with serving(tmp_path, "-v", *flags, stop=number) as served:
            client = stack.enter_context(smtplib.SMTP("localhost", served.port, timeout=DEADLINE))
            client.starttls(context=trusting(served))
            if not flags:
                _, lines = stack.enter_context(talking(served))
        assert "[1] end" in served.lines and ("[2] end" in served.lines) is not bool(flags)
        if not flags:
            assert lines.readline() == b""
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            client.noop()


def test_a_transcript(tmp_path: Path) -> None:
    """SEC-20: what a client says cannot write on a terminal."""
    with serving(tmp_path, "-v") as served:
        with mailing(served) as client:
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)
        with talking(served) as (sock, lines):
            sock.sendall(b"\x1b[31mFOO\xff\r\n")
            assert lines.readline().startswith(b"500 ")
    assert served.err.replace("\n", "").isprintable() and served.err.isascii()
    for line in (
        "[1] connection from 127.0.0.1",
        "[1] S: 220 localhost ESMTP smtptls test server",
        "[1] C: STARTTLS",
        "[1] S: 220 2.0.0 Ready to start TLS",
        f"[1] C: mail FROM:<{SENDER}> size={len(MESSAGE)}",
        f"[1] C: (a message of {len(MESSAGE) + 5} octets)",  # with two dots doubled, and the last one
        "[1] end",
        "[2] C: \\x1b[31mFOO\\xff",
    ):
        assert line in served.lines, served.err
    assert any(line.startswith("[1] tls: TLSv1.3 with cipher ") for line in served.lines)


def test_octets_that_leave(tmp_path: Path) -> None:
    """TEXT is octets: escapes, several lines, CRLF behind it or not."""
    with (
        serving(tmp_path, "--greeting", r"220-a\x00\xff\\\t\r\n220 b") as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE) as sock,
    ):
        assert sock.recv(100) == b"220-a\0\xff\\\t\r\n220 b\r\n"
    with serving(tmp_path, "--line-by-line") as served, talking(served) as (sock, _):
        sock.sendall(b"EHLO x\r\n")
        assert sock.recv(1000) == b"250-localhost\r\n"


def test_the_port_alone(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("serve", "--print-port"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN,
    ) as ran:  # fmt: skip
        assert ran.stdout
        port = int(ran.stdout.readline())
        with smtplib.SMTP("127.0.0.1", port, timeout=DEADLINE) as client:
            assert client.noop()[0] == 250
        ran.send_signal(signal.SIGINT)
        assert ran.communicate(timeout=DEADLINE) == (b"", b"") and ran.returncode == 0


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A message that could not be kept is not taken."""
    store = tmp_path / "mail"
    with serving(tmp_path, "--store", store) as served:
        store.rmdir()
        with mailing(served) as client, pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)
        assert refused.value.smtp_code == 451
    assert served.err == "smtptls: a message could not be stored: No such file or directory\n"
