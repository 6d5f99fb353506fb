"""What is in a wheel, and what is not. The last two hold for wheels to publish: `make wheel` runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from built import data, sources, version, wheel
from conftest import ROOT

INFO = f"smtptls-{version()}.dist-info"
MODULE = "smtptls/_native.abi3.so"
LICENCES = ROOT / "python/licences"
OURS = ("LICENSE-APACHE", "LICENSE-ISC", "LICENSE-MIT")

published = pytest.mark.skipif("SMTPTLS_WHEEL" not in os.environ, reason="of wheels that `make wheel` built")


def read(name: str) -> str:
    with ZipFile(wheel()) as opened:
        return opened.read(name).decode()


def metadata() -> Message:
    return Parser().parsestr(read(f"{INFO}/METADATA"))


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """The shared object, unpacked."""
    with ZipFile(wheel()) as opened:
        return Path(opened.extract(MODULE, tmp_path))


def run(*arguments: str | Path) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60).stdout


FACTS = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "sboms/smtptls.cdx.json")


def test_it_holds_the_package_and_nothing_else() -> None:
    with ZipFile(wheel()) as opened:
        names = {name for name in opened.namelist() if not name.endswith("/")}
    about = {f"{INFO}/{name}" for name in FACTS}
    licences = {f"{INFO}/licenses/{name}" for name in (*OURS, "licences/THIRD-PARTY.txt")}
    beside = {f"smtptls-{version()}.data/{name}" for name in data()}
    assert beside and names == sources() | {MODULE} | about | licences | beside


def test_one_wheel_is_for_every_python_from_3_11_on() -> None:
    tags = re.findall(r"^Tag: (\S+)$", read(f"{INFO}/WHEEL"), re.MULTILINE)
    assert tags and all(tag.startswith("cp311-abi3-") for tag in tags)
    assert metadata()["Requires-Python"] == ">=3.11"


def test_it_needs_nothing_unless_an_extra_is_asked_for() -> None:
    about = metadata()
    assert set(about.get_all("Provides-Extra", [])) == {"cli", "dev", "test"}
    assert all("extra ==" in needed for needed in about.get_all("Requires-Dist", []))


def test_licences() -> None:
    for name in OURS:
        assert read(f"{INFO}/licenses/{name}") == (ROOT / name).read_text()
    third = (LICENCES / "THIRD-PARTY.txt").read_text()
    assert read(f"{INFO}/licenses/licences/THIRD-PARTY.txt") == third
    assert {"licences/THIRD-PARTY.txt", *OURS} == set(metadata().get_all("License-File", []))


def test_the_list_of_crates_is_of_now() -> None:
    run(sys.executable, LICENCES / "collect.py", "--check")


def test_the_sbom_names_the_same_crates_as_the_licences() -> None:
    bom = json.loads(read(f"{INFO}/sboms/smtptls.cdx.json"))
    crates = {f"{one['name']} {one['version']}" for one in bom["components"]}
    head = (LICENCES / "THIRD-PARTY.txt").read_text().split("\n====", 1)[0]
    assert crates == set(re.findall(r"^(\S+ \d\S*): ", head, re.MULTILINE))
    names = {one["name"] for one in bom["components"]}
    assert names >= {"aws-lc-sys", "pyo3", "rustls", "rustls-webpki"} and not names & {"ring", "windows-sys"}
    assert bom["metadata"]["component"]["version"] == version()
    refs = {one["bom-ref"] for one in [*bom["components"], bom["metadata"]["component"]]}
    used = [ref for one in bom["dependencies"] for ref in (one["ref"], *one["dependsOn"])]
    assert set(used) == refs


def test_the_module_is_stripped_and_exports_its_start_only(module: Path) -> None:
    sections = run("readelf", "--section-headers", "--wide", module)
    assert ".dynsym" in sections and ".symtab" not in sections and ".debug" not in sections
    exported = [line.split()[-1] for line in run("nm", "-D", "--defined-only", module).splitlines()]
    assert exported == ["PyInit__native"]


@published
def test_glibc_2_17_is_enough(module: Path) -> None:
    assert wheel().name.endswith("-cp311-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl")
    needed = re.findall(r"GLIBC_(\d+)\.(\d+)", run("readelf", "--version-info", "--wide", module))
    assert needed and max((int(major), int(minor)) for major, minor in needed) <= (2, 17)


@published
def test_it_says_nothing_of_the_machine_that_built_it(module: Path) -> None:
    whole = module.read_bytes()
    assert b"rustls" in whole
    for place in (ROOT, Path.home(), os.environ.get("CARGO_HOME", "/.cargo/"), "/tmp/", "/registry/src/"):
        assert os.fsencode(place) not in whole, place
