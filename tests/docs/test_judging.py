"""Every snippet of docs/judging.md, run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from ca.ca import Paths
from conftest import ROOT, program

PAGE = (ROOT / "docs/judging.md").read_text()
MAIN = r"""
#include <stdio.h>

int main(void)
{
    static const unsigned char usable[35] = {3, 1, 1}, unusable[35] = {0, 0, 1};
    struct answers dns = {"example.org", "mx.example.org", SMTPTLS_DNSSEC_SECURE, SMTPTLS_DNSSEC_SECURE,
                          SMTPTLS_DNSSEC_SECURE, 2, {usable, unusable}, {35, 35}};
    for (int status = SMTPTLS_DNSSEC_SECURE; status <= SMTPTLS_DNSSEC_ERROR; status++) {
        dns.tlsa = status;
        struct smtptls_policy *policy = policy_for(&dns);
        int level = policy ? smtptls_policy_effective_level(policy, dns.host) : -1;
        printf("%s\n", level < 0 ? "no session" : smtptls_level_name(level));
        smtptls_policy_free(policy);
    }
    return 0;
}
"""


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_c(tmp_path: Path) -> None:
    [snippet] = snippets("c")
    (tmp_path / "dane.c").write_text(snippet + MAIN)
    library = ROOT / "build/lib"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]
    command = ["cc", *flags, "dane.c", "-o", "dane", f"-L{library}", "-lsmtptls", f"-Wl,-rpath,{library}"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    result = subprocess.run([str(tmp_path / "dane")], capture_output=True, text=True, check=True, timeout=20)
    assert result.stdout.splitlines() == ["dane", "may", "no session", "no session"]


@pytest.mark.parametrize(("number", "level"), [(0, "dane"), (1, "verify")])
def test_python(number: int, level: str, pki: Paths, tmp_path: Path) -> None:
    (tmp_path / "snippet.py").write_text(snippets("python")[number])
    words = [program("python", "send")[0], str(tmp_path / "snippet.py")]
    result = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    assert (result.stdout, result.stderr) == (f"{level}\n", "")


def test_the_levels_are_all_there() -> None:
    import smtptls

    rows = re.findall(r"^\| `([a-z-]+)` \| (\d) \|", PAGE, re.MULTILINE)
    assert rows == [(level.label, str(level.value)) for level in smtptls.Level]
