"""swaks, curl and msmtp deliver to `serve` through STARTTLS, checking its certificate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ca.ca import NAME, Paths
from clients import KEYS, run, serve_with
from conftest import MESSAGE, RECIPIENT, SENDER, Serve, require_peer
from hops import ours, same_tls


def check_stored(serve: Serve, protocol: str, stored: bytes) -> dict[str, str | None]:
    trace, message = ours(stored)
    assert message == MESSAGE
    assert trace["protocol"] == protocol
    assert serve.stderr == []
    return trace


@pytest.mark.parametrize("protocol", ["ESMTP", "LMTP"])
def test_swaks(protocol: str, language: str, pki: Paths, tmp_path: Path) -> None:
    swaks = require_peer("swaks", package="swaks libnet-ssleay-perl")
    lmtp = protocol == "LMTP"
    with Serve(language, pki, tmp_path, require_tls=True, lmtp=lmtp) as serve:
        argv = [swaks, "--server", serve.host, "--port", str(serve.port), "--protocol", protocol]
        argv += ["--from", SENDER, "--to", RECIPIENT, "--helo", "client.example.test"]
        argv += ["--tls", "--tls-verify", "--tls-ca-path", str(pki.ca), "--tls-sni", NAME, "--data", "-"]
        text = run(argv, MESSAGE.removesuffix(b"\n"))  # swaks adds a line end of its own
        used = re.search(r"=== TLS started with cipher (\S+?):(\S+?):", text)
        assert used, text
        same_tls(serve.out.wait("tls: "), used[1], used[2])
        (stored,) = serve.wait_mail()
    trace = check_stored(serve, f"{protocol}S", stored)
    assert trace["helo"] == "client.example.test"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl(version: str, key: str, language: str, pki: Paths, tmp_path: Path) -> None:
    curl = require_peer("curl", package="curl")
    with serve_with(key, language, pki, tmp_path) as serve:
        argv = [curl, "--verbose", "--ssl-reqd", "--cacert", str(pki.ca), f"--tlsv{version}"]
        argv += ["--tls-max", version, "--noproxy", "*", "--resolve", f"{NAME}:{serve.port}:{serve.host}"]
        argv += ["--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "--upload-file", "-", "--crlf"]
        text = run([*argv, f"smtp://{NAME}:{serve.port}/client.example.test"], MESSAGE)
        used = re.search(r"SSL connection using (\S+) / (\S+)", text)
        assert used, text
        assert used[1] == f"TLSv{version}"
        same_tls(serve.out.wait("tls: "), used[1], used[2])
        (stored,) = serve.wait_mail()
    trace = check_stored(serve, "ESMTPS", stored)
    assert trace["helo"] == "client.example.test"


@pytest.mark.parametrize("key", KEYS)
def test_msmtp(key: str, language: str, pki: Paths, tmp_path: Path) -> None:
    msmtp = require_peer("msmtp", package="msmtp")
    with serve_with(key, language, pki, tmp_path) as serve:
        argv = [msmtp, "--debug", "--host", serve.host, "--port", str(serve.port), "--auth=off"]
        argv += [
            "--tls=on",
            "--tls-starttls=on",
            f"--tls-trust-file={pki.ca}",
            "--domain=client.example.test",
        ]
        argv += ["--set-from-header=off", "--set-date-header=off", "--set-msgid-header=off"]
        text = run([*argv, "--from", SENDER, RECIPIENT], MESSAGE)
        used = re.search(r"\(TLS(1\.[23])[-)]", text)
        assert used, text
        assert serve.out.wait("tls: ").split()[0] == f"TLSv{used[1]}"
        (stored,) = serve.wait_mail()
    check_stored(serve, "ESMTPS", stored)
