"""One configuration in 64 server processes that live long, while all their keys change again and again."""

from pathlib import Path

import pytest
from c.building import SANITIZED, own, run
from ca.ca import Paths

CHILDREN = 64
SESSIONS = 10_000


@pytest.mark.skipif(bool(SANITIZED), reason="AddressSanitizer keeps freed memory for a while, and so grows")
def test_prefork(tmp_path: Path, pki: Paths) -> None:
    """The program itself asserts: no session fails, most resume, memory and descriptors stay as they are."""
    rsa, keys = tmp_path / "rsa.pem", tmp_path / "keys"
    rsa.write_bytes(pki.rsa.read_bytes() + pki.rsa_key.read_bytes())
    keys.mkdir()
    program = own(tmp_path, "prefork")
    print(run(program, pki.ca, pki.combined, rsa, keys, str(CHILDREN), str(SESSIONS)))
