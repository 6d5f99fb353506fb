"""The command: python tests/interop/matrix [--write]. What it does is in run.py."""

from __future__ import annotations

import sys
from pathlib import Path


def start() -> int:
    # In place of this folder: the modules have their names from the folders above.
    sys.path[0:1] = [str(Path(__file__).resolve().parents[level]) for level in (1, 2)]
    from matrix.run import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(start())
