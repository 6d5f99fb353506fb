"""Runs a command and writes the most memory that it took, in KiB, to a file: `peak.py FILE COMMAND...`"""

import os
import resource
import subprocess
import sys

status = subprocess.run(sys.argv[2:], check=False).returncode
with open(sys.argv[1], "w", encoding="ascii") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status if status >= 0 else os.EX_SOFTWARE)
