"""The C library in processes that live long, fork, have many threads, and load it as a plugin."""

import os

import pytest
from c.building import HERE, LIBRARY, ROOT, SANITIZED, own, run, trust, valgrind, watched

HELGRIND = [
    "valgrind",
    "-q",
    "--tool=helgrind",
    "--error-exitcode=9",
    f"--suppressions={HERE / 'threads.supp'}",
]


def test_fork(tmp_path, pki):
    watched(own(tmp_path, "processes"), *trust(pki))


def test_hundreds_at_once_and_thousands_in_a_row(tmp_path, pki):
    program = own(tmp_path, "many")
    # AddressSanitizer keeps freed memory for a while, and so grows.
    in_a_row = "20" if SANITIZED else "5000"
    print(run(program, *trust(pki), "300", in_a_row))
    valgrind(program, *trust(pki), "10", "20")


@pytest.mark.skipif(bool(SANITIZED), reason="what it loads is the library in build/lib")
def test_loading_and_unloading(tmp_path):
    program = own(tmp_path, "loading")
    run(program, LIBRARY / "libsmtptls.so", "200")
    valgrind(program, LIBRARY / "libsmtptls.so", "20")


def test_threads_share_a_configuration(tmp_path, pki):
    run(own(tmp_path, "threads"), *trust(pki), "16", "300", "reload")


def test_helgrind_finds_no_race(tmp_path, pki):
    """With the library as it was before its names were stripped, so that the suppressions find theirs."""
    names = ROOT / "target" / "release" / "libsmtptls.so"
    assert names.exists(), f"{names} is missing: run `make library`"
    (tmp_path / "libsmtptls.so.0").symlink_to(names)
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path)}
    program = own(tmp_path, "threads")
    valgrind(program, *trust(pki), "8", "5", "alone", tool=HELGRIND, env=environment)
