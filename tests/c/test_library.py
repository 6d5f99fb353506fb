"""The C library as a library: what it exports and needs, and its header."""

import re
from pathlib import Path

import pytest
from c.building import (
    HEADER,
    LIBRARY,
    ROOT,
    STRICT,
    SYMBOLS,
    run,
)
from conftest import require_peer


def shared() -> Path:
    path = LIBRARY / "libsmtptls.so"
    assert path.exists(), f"{path} is missing: run `make library`"
    return path.resolve()


def test_the_shared_library_exports_the_list_and_nothing_else():
    lines = run("nm", "-D", "--defined-only", shared()).splitlines()
    assert {line.split()[-1] for line in lines} == SYMBOLS


def test_the_static_library_exports_the_list_and_nothing_else():
    lines = run("nm", "--extern-only", "--defined-only", LIBRARY / "libsmtptls.a").splitlines()
    assert {line.split()[-1] for line in lines if len(line.split()) == 3} == SYMBOLS


def test_soname_nodelete_and_what_it_needs():
    dynamic = run("readelf", "-d", shared())
    assert "Library soname: [libsmtptls.so.0]" in dynamic
    assert "NODELETE" in dynamic
    needed = set(re.findall(r"Shared library: \[(.*?)\]", dynamic))
    assert needed <= {"libc.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}, needed


def test_there_is_no_jitter_entropy_in_it():
    """aws-lc's costs 45 ms of CPU in every new process; .cargo/config.toml leaves it out."""
    symbols = run("nm", ROOT / "target" / "release" / "libsmtptls.so")
    assert "smtptls_session_start" in symbols
    assert "jent_" not in symbols, "is .cargo/config.toml in force?"


@pytest.mark.parametrize("standard", ["c99", "c11", "c17"])
def test_the_header_is_plain_c(standard):
    run(
        "gcc",
        f"-std={standard}",
        *STRICT,
        "-Wstrict-prototypes",
        "-Wc++-compat",
        "-fsyntax-only",
        "-x",
        "c",
        HEADER,
    )


@pytest.mark.parametrize("standard", ["c++11", "c++17", "c++20"])
def test_the_header_is_plain_cplusplus(standard):
    require_peer("g++", "g++")
    run("g++", f"-std={standard}", *STRICT, "-fsyntax-only", "-x", "c++", HEADER)
