"""The C library as a library: exports, linking, installing, and that abuse does not crash it."""

import re
import subprocess
from pathlib import Path

import pytest
from conftest import require_peer

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "lib"
HEADER = ROOT / "include" / "smtptls.h"
SYMBOLS = set((ROOT / "ffi" / "symbols.list").read_text().split())
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(*command: str | Path, **options) -> str:
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=300, **options
    )
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


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


def compile_against(source: Path, to: Path, *flags: str) -> Path:
    run("gcc", "-std=c99", "-D_POSIX_C_SOURCE=200809L", *STRICT, "-g", source, "-o", to, *flags)
    return to


def own(tmp_path: Path, name: str) -> Path:
    flags = [f"-I{ROOT / 'include'}", f"-L{LIBRARY}", "-lsmtptls", f"-Wl,-rpath,{LIBRARY}"]
    return compile_against(ROOT / "tests" / "c" / f"{name}.c", tmp_path / name, *flags)


VALGRIND = ["valgrind", "-q", "--leak-check=full", "--track-fds=yes", "--error-exitcode=9"]


def valgrind(*command: str | Path) -> None:
    require_peer("valgrind", "valgrind")
    run(*VALGRIND, *command)


def test_abuse_is_an_error_and_never_a_crash(tmp_path):
    """SEC-14. The program knows every function of symbols.list, so that a new one cannot be forgotten."""
    text = (ROOT / "tests" / "c" / "abuse.c").read_text()
    unknown = {name for name in SYMBOLS if f"{name}(" not in text}
    assert unknown <= {"smtptls_version", "smtptls_config_new"}, unknown
    program = own(tmp_path, "abuse")
    run(program)
    valgrind(program)


def test_signals_end_a_wait_where_they_should(tmp_path):
    run(own(tmp_path, "interrupt"))


def test_a_pair_in_memory(tmp_path, pki):
    program = own(tmp_path, "memory")
    arguments = [pki.ca, pki.leaf, pki.leaf_key]
    lines = run(program, *arguments).splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    assert lines[0].startswith("TLSv1.3 with cipher TLS_")
    assert lines[0].endswith("key-exchange X25519MLKEM768")
    valgrind(program, *arguments)


def test_what_a_policy_comes_to(tmp_path):
    program = own(tmp_path, "demand")
    run(program)
    valgrind(program)


def test_verdicts_and_what_is_said_of_them(tmp_path, pki):
    program = own(tmp_path, "verdict")
    arguments = [pki.ca, pki.leaf, pki.leaf_key]
    run(program, *arguments)
    valgrind(program, *arguments)


def test_install_and_link_from_there_alone(tmp_path, pki):
    """make install PREFIX= DESTDIR=, then pkg-config, shared and static."""
    prefix = tmp_path / "prefix"
    run("make", "-C", ROOT, "install", f"PREFIX={prefix}")
    staged = tmp_path / "staged"
    run("make", "-C", ROOT, "install", "PREFIX=/usr", f"DESTDIR={staged}")
    names = {str(path.relative_to(staged)) for path in staged.rglob("*") if not path.is_dir()}
    version = (prefix / "lib" / "libsmtptls.so").resolve().name
    assert names == {
        f"usr/lib/{version}",
        "usr/lib/libsmtptls.so.0",
        "usr/lib/libsmtptls.so",
        "usr/lib/libsmtptls.a",
        "usr/include/smtptls.h",
        "usr/lib/pkgconfig/smtptls.pc",
    }
    require_peer("pkg-config", "pkg-config")
    environment = {"PATH": "/usr/bin:/bin", "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    source = ROOT / "tests" / "c" / "memory.c"
    arguments = [pki.ca, pki.leaf, pki.leaf_key]
    flags = run("pkg-config", "--cflags", "--libs", "smtptls", env=environment).split()
    run(compile_against(source, tmp_path / "shared", *flags, f"-Wl,-rpath,{prefix / 'lib'}"), *arguments)
    flags = run("pkg-config", "--cflags", "--libs", "--static", "smtptls", env=environment).split()
    static = [f"{prefix}/lib/libsmtptls.a" if flag == "-lsmtptls" else flag for flag in flags]
    program = compile_against(source, tmp_path / "static", *static)
    assert "libsmtptls" not in run("readelf", "-d", program)
    run(program, *arguments)
