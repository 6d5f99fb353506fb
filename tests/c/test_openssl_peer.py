"""The C library and a peer on OpenSSL's library that does what its command line does not."""

import pytest
from c.building import own, trust, watched


@pytest.mark.parametrize("name", ["early_data", "renegotiation"])
def test_a_peer_on_openssl(tmp_path, pki, name):
    """R9325-3.10-1, R9325-3.5-1, R9266-4.2-1."""
    watched(own(tmp_path, name, "-lssl", "-lcrypto"), *trust(pki))
