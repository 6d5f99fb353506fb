"""The man pages: as the generator writes them, clean, complete, with examples that compile, and installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ca.ca import Paths
from conftest import ROOT, Serve, require_peer

FOLDER = ROOT / "ffi" / "man"
PAGES = sorted(FOLDER.glob("*.3"))
HEADER = (ROOT / "include" / "smtptls.h").read_text()
SYMBOLS = (ROOT / "ffi" / "symbols.list").read_text().split()
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT / 'include'}"]


def names(page: Path) -> list[str]:
    """What stands in the section NAME."""
    return re.findall(r"^\.Nm (\w+)", page.read_text(), re.MULTILINE)


def examples(page: Path) -> list[str]:
    found = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text.replace("\\&", "").replace("\\e", "\\") for text in found]


EXAMPLES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, text in enumerate(examples(page))
]


def test_they_are_what_the_generator_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(FOLDER / "generate.py"), str(tmp_path)], check=True, timeout=60)
    fresh = {page.name: page.read_text() for page in tmp_path.iterdir()}
    committed = {page.name: page.read_text() for page in PAGES}
    assert committed == fresh, "run `make man`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_lint(page: Path) -> None:
    command = [require_peer("mandoc", "mandoc"), "-Tlint", "-Wwarning", str(page)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_each_function_has_one_page() -> None:
    titles = [page.stem for page in PAGES]
    assert sorted(name for page in PAGES for name in names(page)) == sorted([*SYMBOLS, *titles])


def test_each_constant_has_one_page() -> None:
    constants = re.findall(r"^  (SMTPTLS_\w+) = ", HEADER, re.MULTILINE)
    pages = "".join(page.read_text() for page in PAGES)
    assert sorted(re.findall(r"^\.It Dv (\w+) Pq", pages, re.MULTILINE)) == sorted(constants)


def test_references_lead_somewhere() -> None:
    """Each .Xr and .Fn to something of ours."""
    known = {name for page in PAGES for name in names(page)}
    for page in PAGES:
        used = re.findall(r"\.(?:It )?(?:Pf \( )?(?:Xr|Fn) (smtptls\w*)(?!\w|\*)", page.read_text())
        assert set(used) <= known, page.name


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_compiles(text: str, tmp_path: Path) -> None:
    (tmp_path / "example.c").write_text(text)
    subprocess.run(["cc", *STRICT, "-c", "example.c"], cwd=tmp_path, check=True, timeout=60)


def test_the_whole_program_runs(pki: Paths, tmp_path: Path) -> None:
    [text] = examples(FOLDER / "smtptls.3")
    (tmp_path / "look.c").write_text(text)
    library = ROOT / "build" / "lib"
    link = ["-o", "look", f"-L{library}", "-lsmtptls", f"-Wl,-rpath,{library}"]
    subprocess.run(["cc", *STRICT, "look.c", *link], cwd=tmp_path, check=True, timeout=60)
    environment = os.environ | {"SSL_CERT_FILE": str(pki.ca)}
    with Serve("c", pki, tmp_path / "mail") as server:
        for host, status in (("localhost", 0), ("127.0.0.2", 1)):
            words = [str(tmp_path / "look"), host, str(server.port)]
            result = subprocess.run(
                words, env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            assert result.returncode == status, result.stderr
            if status == 0:
                assert result.stdout.startswith("TLSv1.3 with cipher ") and "\n250" in result.stdout


def test_they_are_installed_with_a_link_for_each_function(tmp_path: Path) -> None:
    words = ["make", "install-man", "PREFIX=/usr", f"DESTDIR={tmp_path}"]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=60)
    folder = tmp_path / "usr" / "share" / "man" / "man3"
    found = {path.name: path.resolve().name for path in folder.iterdir()}
    assert found == {f"{name}.3": page.name for page in PAGES for name in names(page)}
