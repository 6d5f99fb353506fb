"""Where smtptls stands beside OpenSSL, GnuTLS and rustls: `make bench`. run.py says more."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # In place of this folder, in which this file has the name of the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.run import main

    main()
