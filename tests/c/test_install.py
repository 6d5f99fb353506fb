"""What `make install` installs, and that a program needs no more: the examples in C, built from that alone.

They are built by what pkg-config says, shared and static, in C and in C++.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from ca.ca import NAME, Paths
from conftest import ROOT, require_peer

EXAMPLES = ROOT / "examples" / "c"
SYMBOLS = set((ROOT / "ffi" / "symbols.list").read_text().split())
VERSION = re.findall(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[0]

# Programs of one file each; and programs that share the other files.
SINGLE = ("poll", "fork", "alarm", "submit")
SHARING = ("send", "serve", "upgrade")
SHARED = ("client", "flags", "message", "server", "settings", "wire")

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
C = ["gcc", "-x", "c", *STRICT, "-Wstrict-prototypes", "-D_POSIX_C_SOURCE=200809L"]
CXX = ["g++", "-x", "c++", *STRICT]
COMPILERS = {
    **{standard: [*C, f"-std={standard}"] for standard in ("c99", "c11", "c17")},
    **{standard: [*CXX, f"-std={standard}"] for standard in ("c++11", "c++14", "c++17", "c++20")},
}
LINKS = ("shared", "static")


def run(*words: object, environment: dict[str, str] | None = None, status: int = 0) -> str:
    """What a command prints; it has to end with `status`."""
    argv = [str(word) for word in words]
    result = subprocess.run(
        argv, check=False, capture_output=True, text=True, timeout=300, env=os.environ | (environment or {})
    )
    assert result.returncode == status, f"{argv}: {result.stdout}{result.stderr}"
    return result.stdout


class Tree(NamedTuple):
    """Where `make install` was told to put PREFIX=/usr."""

    root: Path

    @property
    def library(self) -> Path:
        return self.root / "usr" / "lib"

    def pkg_config(self, *flags: str) -> list[str]:
        """What pkg-config says, as in a build for another system: nothing of this one can help out."""
        path = require_peer("pkg-config", "pkg-config")
        environment = {
            "PKG_CONFIG_LIBDIR": str(self.library / "pkgconfig"),
            "PKG_CONFIG_SYSROOT_DIR": str(self.root),
            "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
            "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1",
        }
        return run(path, *flags, "smtptls", environment=environment).split()

    def build(self, name: str, to: Path, standard: str, link: str) -> Path:
        """An example, compiled somewhere else than in its own folder."""
        if standard.startswith("c++"):
            require_peer("g++", "g++")
        to.mkdir(parents=True, exist_ok=True)
        for file in [*EXAMPLES.glob("*.c"), *EXAMPLES.glob("*.h")]:
            shutil.copy(file, to)
        sources = [f"{one}.c" for one in (name, *(SHARED if name in SHARING else ()))]
        flags = self.pkg_config("--libs", *(["--static"] if link == "static" else []))
        if link == "static":
            # The linker takes the shared library where both are there.
            flags = ["-l:libsmtptls.a" if flag == "-lsmtptls" else flag for flag in flags]
        cflags = self.pkg_config("--cflags")
        # -x none: what comes behind the sources is no source.
        words = [*COMPILERS[standard], *cflags, *(to / source for source in sources), "-x", "none", *flags]
        run(*words, "-o", to / name)
        return to / name

    def run(self, program: Path, *arguments: object, status: int = 0) -> str:
        """A program that was built with it."""
        return run(program, *arguments, environment={"LD_LIBRARY_PATH": str(self.library)}, status=status)


def install(*variables: str) -> None:
    """`make install`, by one of pytest's workers at a time: it builds the library first, if that is old."""
    with (ROOT / "build" / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run("make", "-C", ROOT, "install", *variables)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    root = tmp_path_factory.mktemp("tree")
    install("PREFIX=/usr", f"DESTDIR={root}")
    return Tree(root)


def test_every_example_is_known() -> None:
    mains = {path.stem for path in EXAMPLES.glob("*.c") if "\nint main(" in path.read_text()}
    assert mains == {*SINGLE, *SHARING}
    assert {path.stem for path in EXAMPLES.glob("*.c")} - mains == {*SHARED}


# -- what is there -------------------------------------------------------------------------------------------


def test_files_and_links(tree: Tree) -> None:
    library = tree.library
    assert os.readlink(library / "libsmtptls.so") == "libsmtptls.so.0"
    assert os.readlink(library / "libsmtptls.so.0") == f"libsmtptls.so.{VERSION}"
    modes = {
        library / f"libsmtptls.so.{VERSION}": 0o755,
        library / "libsmtptls.a": 0o644,
        library / "pkgconfig" / "smtptls.pc": 0o644,
        tree.root / "usr" / "include" / "smtptls.h": 0o644,
    }
    for path, mode in modes.items():
        assert stat.S_IMODE(path.lstat().st_mode) == mode, path
    header = (tree.root / "usr" / "include" / "smtptls.h").read_bytes()
    assert header == (ROOT / "include" / "smtptls.h").read_bytes()
    # Nothing but that and the manual.
    files = {path for path in tree.root.rglob("*") if not path.is_dir()}
    files -= {*modes, library / "libsmtptls.so", library / "libsmtptls.so.0"}
    assert {path.relative_to(tree.root).parts[:3] for path in files} <= {("usr", "share", "man")}


def test_soname(tree: Tree) -> None:
    assert "Library soname: [libsmtptls.so.0]" in run("readelf", "-d", tree.library / "libsmtptls.so")


def test_exports(tree: Tree) -> None:
    """Rust's names and aws-lc's would clash with those of a program that has them too."""
    shared = run("nm", "-D", "--defined-only", tree.library / "libsmtptls.so").splitlines()
    assert {line.split()[-1] for line in shared} == SYMBOLS
    static = run("nm", "--extern-only", "--defined-only", tree.library / "libsmtptls.a").splitlines()
    assert {line.split()[-1] for line in static if len(line.split()) == 3} == SYMBOLS


def test_pkg_config_file(tree: Tree) -> None:
    text = (tree.library / "pkgconfig" / "smtptls.pc").read_text()
    assert "@" not in text and str(tree.root) not in text
    fields = dict(re.findall(r"^(\w[\w.]*)(?:=|: )(.*)$", text, re.MULTILINE))
    assert (fields["prefix"], fields["libdir"], fields["includedir"]) == ("/usr", "/usr/lib", "/usr/include")
    assert (fields["Name"], fields["Version"]) == ("smtptls", VERSION)
    assert "Requires" not in text
    assert tree.pkg_config("--modversion") == [VERSION]
    assert tree.pkg_config("--cflags") == [f"-I{tree.root}/usr/include"]
    assert tree.pkg_config("--libs") == [f"-L{tree.root}/usr/lib", "-lsmtptls"]
    static = tree.pkg_config("--libs", "--static")
    assert static[:2] == [f"-L{tree.root}/usr/lib", "-lsmtptls"] and len(static) > 2


def test_folders_may_be_chosen(tmp_path: Path) -> None:
    """As a distribution does, and without DESTDIR, as a person does."""
    folders = {"PREFIX": "/opt/mail", "LIBDIR": "/opt/mail/lib/multi", "INCLUDEDIR": "/opt/mail/include/tls"}
    words = [f"{name}={folder}" for name, folder in folders.items()]
    install(*words, f"DESTDIR={tmp_path}")
    own = tmp_path / "own"
    install(f"PREFIX={own}")
    text = (tmp_path / "opt/mail/lib/multi/pkgconfig/smtptls.pc").read_text()
    assert text.startswith("prefix=/opt/mail\nlibdir=/opt/mail/lib/multi\nincludedir=/opt/mail/include/tls\n")
    assert (tmp_path / "opt/mail/lib/multi/libsmtptls.so").exists()
    assert (tmp_path / "opt/mail/include/tls/smtptls.h").exists()
    assert (own / "lib/pkgconfig/smtptls.pc").read_text().startswith(f"prefix={own}\nlibdir={own}/lib\n")


# -- building with it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("standard", COMPILERS)
def test_the_header_needs_nothing_else(standard: str, tree: Tree, tmp_path: Path) -> None:
    if standard.startswith("c++"):
        require_peer("g++", "g++")
    source = tmp_path / "alone.c"
    source.write_text("#include <smtptls.h>\n#include <smtptls.h>\nint main(void) { return SMTPTLS_OK; }\n")
    run(*COMPILERS[standard], *tree.pkg_config("--cflags"), "-fsyntax-only", source)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("name", [*SINGLE, *SHARING])
def test_every_example_builds_in_c(name: str, link: str, tree: Tree, tmp_path: Path) -> None:
    check(tree, tree.build(name, tmp_path, "c99", link), link)


@pytest.mark.parametrize("standard", [standard for standard in COMPILERS if standard.startswith("c++")])
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("name", SINGLE)
def test_examples_build_in_cplusplus(name: str, link: str, standard: str, tree: Tree, tmp_path: Path) -> None:
    check(tree, tree.build(name, tmp_path, standard, link), link)


@pytest.mark.parametrize("standard", [standard for standard in COMPILERS if standard.startswith("c++")])
def test_sharing_examples_build_in_cplusplus(standard: str, tree: Tree, tmp_path: Path) -> None:
    """All files compiled once, and each program linked with what it shares."""
    require_peer("g++", "g++")
    for file in [*EXAMPLES.glob("*.c"), *EXAMPLES.glob("*.h")]:
        shutil.copy(file, tmp_path)
    sources = [tmp_path / f"{name}.c" for name in (*SHARED, *SHARING)]
    words = [*COMPILERS[standard], "-Wno-missing-field-initializers", *tree.pkg_config("--cflags")]
    subprocess.run([*words, "-c", *sources], cwd=tmp_path, check=True, timeout=300)
    shared = [tmp_path / f"{name}.o" for name in SHARED]
    for name in SHARING:
        program = tmp_path / name
        run("g++", tmp_path / f"{name}.o", *shared, *tree.pkg_config("--libs"), "-o", program)
        check(tree, program, "shared")


def check(tree: Tree, program: Path, link: str) -> None:
    """It starts, and says how it is used; and it has the library in itself, or names it by its soname."""
    tree.run(program, "--help", status=2)
    needed = re.findall(r"Shared library: \[(libsmtptls.*?)\]", run("readelf", "-d", program))
    assert needed == (["libsmtptls.so.0"] if link == "shared" else [])


@pytest.mark.parametrize("standard", ["c99", "c++11"])
@pytest.mark.parametrize("link", LINKS)
def test_a_handshake(link: str, standard: str, tree: Tree, tmp_path: Path, pki: Paths) -> None:
    """Both ends of it from the installed tree."""
    client, server = (tree.build(name, tmp_path, standard, link) for name in ("poll", "fork"))
    argv = [str(word) for word in (server, pki.leaf, pki.leaf_key, 0)]
    environment = os.environ | {"LD_LIBRARY_PATH": str(tree.library)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as running:
        try:
            assert running.stdout is not None
            port = running.stdout.readline().rpartition(":")[2].strip()
            text = tree.run(client, "127.0.0.1", port, 2, "--ca", pki.ca, "--name", NAME)
        finally:
            running.terminate()
    assert text.endswith("\n2 sessions: 2 good, 0 failed\n")
