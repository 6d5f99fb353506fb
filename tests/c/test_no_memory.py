"""The C library when memory runs out: each allocation of a whole session fails. Not under AddressSanitizer,
which has an allocator of its own."""

import re

from c.building import own, run, trust


def test_every_allocation_fails_once_and_all_from_each_on(tmp_path, pki):
    told = run(own(tmp_path, "no_memory"), *trust(pki))
    found = re.search(r"(\d+) allocations failed: (\d+) aborted, (\d+) errors, (\d+) went on", told)
    assert found and int(found[1]) > 1000, told
    # Each way out is met: what Rust asks for, and what aws-lc does.
    assert all(int(count) > 0 for count in found.groups()), told
