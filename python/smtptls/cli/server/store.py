"""Where the test server puts messages: a file each, whole as soon as it has its name."""

from __future__ import annotations

import email.utils
import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from ..._native import escape
from ..exits import Stop


@dataclass(frozen=True)
class Envelope:
    """Who sends a message, to whom, and how it came."""

    sender: str
    recipients: tuple[str, ...]
    client: str  # the name that it gave, and its address
    by: str
    keyword: str  # of RFC 3848
    clause: str = ""  # of RFC 8314 section 4.3

    def trace(self) -> bytes:
        """The header fields of final delivery (RFC 5321 section 4.4)."""
        lines = [f"Return-Path: <{self.sender}>", *(f"Delivered-To: {one}" for one in self.recipients)]
        clause = f" {self.clause}" if self.clause else ""
        date = email.utils.formatdate(localtime=True)
        lines += [
            f"Received: from {self.client}",
            f"\tby {self.by} with {self.keyword}{clause};",
            f"\t{date}",
        ]
        return "".join(f"{line}\r\n" for line in lines).encode()


class Store:
    """A directory of .eml files."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.count = itertools.count()
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise Stop(f"--store {escape(os.fsencode(folder))}: {error.strerror}") from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise Stop(f"--store {escape(os.fsencode(folder))}: no file can be made there")

    def put(self, envelope: Envelope, message: bytes) -> str:
        """Writes a message, and gives the name of its file; raises OSError."""
        name = f"{time.time_ns()}.{os.getpid()}.{next(self.count)}"
        draft = self.folder / f"{name}.tmp"
        try:
            with draft.open("xb") as file:
                file.write(envelope.trace() + message)
                file.flush()
                os.fsync(file.fileno())  # before the client hears that it is stored
            draft.rename(self.folder / f"{name}.eml")
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return f"{name}.eml"
