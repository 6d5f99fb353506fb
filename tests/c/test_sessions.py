"""Sessions of the C library in memory: what is carried, demanded, judged, and said of it."""

import pytest
from c.building import own, trust, watched


def test_a_pair_in_memory(tmp_path, pki):
    lines = watched(own(tmp_path, "memory"), *trust(pki)).splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    assert lines[0].startswith("TLSv1.3 with cipher TLS_")
    assert " key-exchange X25519 server-signature ECDSA " in lines[0]


def test_what_a_policy_comes_to(tmp_path):
    watched(own(tmp_path, "demand"))


def test_verdicts_and_what_is_said_of_them(tmp_path, pki):
    watched(own(tmp_path, "verdict"), *trust(pki))


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("key", ["ecdsa", "rsa"])
def test_a_key_in_another_process(tmp_path, pki, version, key):
    chain, private = (pki.leaf, pki.leaf_key) if key == "ecdsa" else (pki.rsa, pki.rsa_key)
    output = watched(own(tmp_path, "signing", "-lcrypto"), pki.ca, chain, private, version)
    assert output == f"TLSv{version} {'ECDSA' if key == 'ecdsa' else 'RSA-PSS'}\n"
