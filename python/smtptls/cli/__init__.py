"""The command smtptls: what would a sender do with this server, and why. `docs/cli.md` is its page.

The engine answers; the command asks and prints. `main` has the frame, each subcommand a file of its own.
"""

from .main import main

__all__ = ["main"]
