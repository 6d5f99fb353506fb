"""The demonstration ends well and shows what it promises."""

import subprocess

from conftest import ROOT


def test_the_demo_shows_three_mails():
    words = [ROOT / ".venv/bin/python", ROOT / "tests/demo/demo.py"]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("C: STARTTLS") == 3
    assert result.stdout.count("tls: TLSv1.3") >= 3
    assert result.stdout.count("Received: from ") == 3
