"""The flags of `serve` that are wrong: bad files, values and combinations give no server, and one error."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ca.ca import Paths
from conftest import DEADLINE, Sent, program
from flags import flags

PAIR = ["--cert", "<path leaf.pem>", "--key", "<path leaf.key>"]
KEY = "00" * 32

# What is wrong at first sight: the program says how it is used, and ends with 2.
USAGE = {
    "nothing": [],
    "no-key": PAIR[:2],
    "no-cert": PAIR[2:],
    "no-value": [*PAIR, "--chain"],
    "no-flag": [*PAIR, "--chains", "x"],
    "no-key-beside-a-chain": [*PAIR[:2], "--chain", "<path combined.pem>"],
    "ocsp-without-pair": ["--chain", "<path combined.pem>", "--ocsp", "<path ca.pem>"],
    "name-without-pair": ["--chain", "<path combined.pem>", "--keypair-name", "a.example.test"],
    "exempt-more-alone": [*PAIR, "--exempt-more"],
    "client-auth": [*PAIR, "--client-auth", "maybe"],
    "tickets": [*PAIR, "--tickets", "3"],
    "tickets-negative": [*PAIR, "--tickets", "-1"],
    "tickets-word": [*PAIR, "--tickets", "two"],
    "lifetime": [*PAIR, "--ticket-lifetime", "soon"],
}

# What the library finds: its code.
REFUSED = {
    "chain-missing": (["--chain", "<path missing.pem>"], "ERR_FILE"),
    "chain-without-key": (["--chain", "<path leaf.pem>"], "ERR_KEY_PARSE"),
    "chain-without-certificate": (["--chain", "<path leaf.key>"], "ERR_CERTIFICATE_PARSE"),
    "chain-empty": (["--chain", "<path empty.pem>"], "ERR_CERTIFICATE_PARSE"),
    "chain-of-two-kinds": (["--chain", "<join leaf.key leaf.pem rsa.pem rsa.key>"], "ERR_CERTIFICATE_PARSE"),
    "chain-with-stray-key": (["--chain", "<join stray.key leaf.pem>"], "ERR_KEY_MISMATCH"),
    "chain-with-encrypted-key": (["--chain", "<join encrypted.key leaf.pem>"], "ERR_KEY_ENCRYPTED"),
    "second-chain": (["--chain", "<path combined.pem>", "--chain", "<path missing.pem>"], "ERR_FILE"),
    "ocsp-missing": ([*PAIR, "--ocsp", "<path missing.der>"], "ERR_FILE"),
    "ocsp-in-pem": ([*PAIR, "--ocsp", "<path ca.pem>"], "ERR_CERTIFICATE_PARSE"),
    "name": ([*PAIR, "--keypair-name", "a b"], "ERR_ARGUMENT"),
    "client-ca-missing": ([*PAIR, "--client-auth", "ask", "--client-ca", "<path missing.pem>"], "ERR_FILE"),
    "client-ca-empty": ([*PAIR, "--client-ca", "<path empty.pem>"], "ERR_CERTIFICATE_PARSE|ERR_NO_ROOTS"),
    "ticket-keys-missing": ([*PAIR, "--ticket-keys", "<path missing.keys>"], "ERR_FILE"),
    "ticket-keys-empty": ([*PAIR, "--ticket-keys", "<path empty.pem>"], "ERR_KEY_PARSE"),
    "ticket-keys-without-current": ([*PAIR, "--ticket-keys", f"<file next {KEY}>"], "ERR_KEY_PARSE"),
    "ticket-keys-too-short": ([*PAIR, "--ticket-keys", f"<file current {KEY[2:]}>"], "ERR_KEY_PARSE"),
    "alpn-empty": ([*PAIR, "--alpn", ""], "ERR_ARGUMENT"),
    "alpn-too-long": ([*PAIR, "--alpn", "x" * 256], "ERR_ARGUMENT"),
    "greeting-of-two-lines": ([*PAIR, "--greeting", "a\nb"], "ERR_ARGUMENT"),
    "greeting-too-long": ([*PAIR, "--greeting", "x" * 401], "ERR_ARGUMENT"),
}


def run(language: str, words: list[str], pki: Paths, scratch: Path) -> Sent:
    argv = [*program(language, "serve"), *flags(words, pki, scratch)]
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE)
    return Sent(argv, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize("name", USAGE)
def test_usage(language: str, name: str, pki: Paths, tmp_path: Path) -> None:
    came = run(language, USAGE[name], pki, tmp_path)
    assert came.returncode == 2 and "usage: " in came.stderr and not came.stdout, f"{came}"


@pytest.mark.parametrize("name", REFUSED)
def test_refused(language: str, name: str, pki: Paths, tmp_path: Path) -> None:
    """R3207-3-1, R8314-4-4: a server that cannot do what it is told to does not start."""
    words, code = REFUSED[name]
    came = run(language, words, pki, tmp_path)
    assert came.returncode == 1 and "listening" not in came.stdout, f"{came}"
    assert came.error_code in [f"SMTPTLS_{one}" for one in code.split("|")], f"{came}"
    assert (came.action, came.tlsrpt) == ("fail", "none"), f"{came}"
    assert came.stderr.count("\n") == 1 and came.message, f"{came}"
