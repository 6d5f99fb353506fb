"""The C library when the peer goes away behind each octet of a whole session."""

import re

from c.building import own, run, trust


def test_behind_each_octet(tmp_path, pki):
    """SEC-12."""
    told = run(own(tmp_path, "peer_gone"), *trust(pki))
    found = re.findall(r"(\d+) cut: (\d+) by an error of the socket, (\d+) at the end, (\d+) truncated", told)
    assert len(found) == 4 and sum(int(each[0]) for each in found) > 5000, told
    assert all(int(count) > 0 for each in found for count in each), told
