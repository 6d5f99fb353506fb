"""The small form of the soak test: each kind of server under some hundred sessions, good, bad and hostile."""

from __future__ import annotations

from pathlib import Path

import pytest
from ca.ca import Paths

from soak.run import SERVERS, judge, soak_one

SESSIONS = 700
LIMIT = 3.0  # seconds of silence that a server bears
# In KiB: what allocators may still need after the first fifth. Leaks of some KiB a session show; for smaller
# ones there is the large form. aiosmtpd leaves sessions to the garbage collector, OpenSSL's too.
GROWTH = {"fork": 1024, "poll": 2048, "aio": 4096, "aiosmtpd": 65536}
SLOWER = 10.0  # other tests run beside this one

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")


@pytest.mark.parametrize("server", SERVERS)
def test_soak(server: str, pki: Paths, tmp_path: Path) -> None:
    outcome = soak_one(server, pki, tmp_path, SESSIONS, LIMIT, seed=1)
    print(outcome.row())
    assert judge(outcome, GROWTH[server], SLOWER) == []
    assert outcome.messages["must"] > SESSIONS / 2 and outcome.messages["never"] > 0
