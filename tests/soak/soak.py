"""Many sessions, good, bad and hostile, against servers that live long: what is lost, and what grows.

    python tests/soak/soak.py [--sessions 100000] [--server fork|poll|aio|aiosmtpd]... [--seed N]

run.py says what it does.
"""

from __future__ import annotations

import sys
from pathlib import Path


def start() -> int:
    # In place of this folder, in which this file has the name of the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from soak.run import main

    return main()


if __name__ == "__main__":
    sys.exit(start())
