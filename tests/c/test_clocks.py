"""The C library when clocks are wrong, stand still, or leap."""

import re

import pytest
from c.building import LIBRARY, SANITIZED, own, run, trust


def test_clocks_that_are_wrong(tmp_path, pki):
    program = own(tmp_path, "clocks")
    lists = [pki.empty_crl, pki.revoked_crl, pki.old_crl]
    found = re.search(r"(\d+) sessions", run(program, *trust(pki), *lists))
    assert found and int(found[1]) > 100, found


@pytest.mark.skipif(bool(SANITIZED), reason="what it looks at is the library in build/lib")
def test_the_program_above_stands_before_all_clocks():
    wanted = run("nm", "-D", "--undefined-only", LIBRARY / "libsmtptls.so")
    names = {line.split()[-1].partition("@")[0] for line in wanted.splitlines()}
    assert "clock_gettime" in names
    assert not names & {"time", "gettimeofday", "ftime", "timespec_get", "clock"}
