"""The C library when system calls fail, and which it makes at all: by seccomp, which valgrind knows not."""

import re

from c.building import HERE, own, run, trust


def test_every_system_call_fails_once(tmp_path, pki):
    program = own(tmp_path, "sweep", HERE / "faults.c")
    found = re.search(r"(\d+) faults in (\d+) sessions", run(program, *trust(pki)))
    assert found and int(found[1]) > 3000, found


def test_nothing_is_opened_printed_or_installed(tmp_path, pki):
    run(own(tmp_path, "sandbox"), *trust(pki))
