"""What the C library promises of calls on descriptors: waiting, writing, closing, and limits of time."""

import pytest
from c.building import own, trust, watched


@pytest.mark.parametrize("name", ["io_modes", "writes", "close_modes", "deadline"])
def test_promises(tmp_path, pki, name):
    watched(own(tmp_path, name), *trust(pki))


def test_signals_end_a_wait_where_they_should(tmp_path):
    watched(own(tmp_path, "interrupt"))
