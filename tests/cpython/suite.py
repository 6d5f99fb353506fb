"""Runs test modules of the interpreter's own standard library, with ssl's context or with smtptls.SSLContext
in its place, and prints what came of each test as JSON. Started by test_cpython.py with that interpreter.

    python suite.py (ssl|smtptls) MODULE...
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import ssl
import sys
import unittest
from pathlib import Path
from typing import Any, ClassVar

handshakes = 0


def put_in_place() -> None:
    """Have the standard library make contexts of smtptls where it makes ssl's."""
    # The package may lie among others that another version of Python cannot read.
    folder = Path(os.environ["SMTPTLS_PACKAGE"]) / "smtptls"
    spec = importlib.util.spec_from_file_location("smtptls", folder / "__init__.py")
    assert spec and spec.loader
    sys.modules["smtptls"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from smtptls import _sslcontext as ours

    base: Any = ssl.SSLContext.__mro__[1]

    class Context(ours.SSLContext):
        pass

    # The setters of ssl.SSLContext call their base's by the global name that is exchanged below.
    for name, kind in (
        ("minimum_version", ssl.TLSVersion),
        ("maximum_version", ssl.TLSVersion),
        ("options", ssl.Options),
        ("verify_flags", ssl.VerifyFlags),
        ("verify_mode", ssl.VerifyMode),
    ):
        kept = getattr(base, name)

        def put(self: Any, value: int, kept: Any = kept, name: str = name) -> None:
            self._changes()
            kept.__set__(self, value)

        def get(self: Any, kept: Any = kept, kind: Any = kind) -> Any:
            return kind(kept.__get__(self))

        setattr(Context, name, property(get, put))

    def stdlib_context(*args: Any, certfile: Any = None, keyfile: Any = None, **options: Any) -> Any:
        context = Context(ssl.PROTOCOL_TLS_SERVER if options.get("purpose") else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = options.get("check_hostname", False)
        context.verify_mode = options.get("cert_reqs", ssl.CERT_NONE)
        if certfile:
            context.load_cert_chain(certfile, keyfile)
        return context

    connection: Any = ours._Connection
    do_handshake = connection.do_handshake

    def counted(self: Any) -> None:
        global handshakes
        do_handshake(self)
        handshakes += 1

    connection.do_handshake = counted
    ours.SSLContext = Context  # type: ignore[misc]
    ssl.SSLContext = Context  # type: ignore[misc]
    ssl.create_default_context = ours.create_default_context  # type: ignore[assignment]
    ssl._create_stdlib_context = ssl._create_unverified_context = stdlib_context  # type: ignore[attr-defined]


class Result(unittest.TextTestResult):
    """What came of each test."""

    outcomes: ClassVar[dict[str, list[str]]] = {}

    def why(self, err: Any, test: Any) -> str:
        # The text that unittest prints; it has no public name.
        return str(self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    def note(self, test: Any, what: str, why: str = "") -> None:
        # A test that lies in a subtest counts with it.
        name = str(test.id()).split(" ")[0]
        if self.outcomes.get(name, ["passed"])[0] in ("passed", "skipped"):
            self.outcomes[name] = [what, why]

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self.note(test, "passed")

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self.note(test, "error", self.why(err, test))

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self.note(test, "failure", self.why(err, test))

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self.note(test, "skipped", reason)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(test, "failure", self.why(err, test))


def main() -> None:
    which, *modules = sys.argv[1:]
    if which == "smtptls":
        put_in_place()
    # Nothing that lies outside of this machine.
    vars(importlib.import_module("test.support"))["use_resources"] = []
    suite = unittest.TestSuite()
    for name in modules:
        module = importlib.import_module(name)
        suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(module))
    result: Any = Result
    unittest.TextTestRunner(io.StringIO(), resultclass=result, verbosity=0).run(suite)
    sys.stdout.write("\n" + json.dumps({"handshakes": handshakes, "outcomes": Result.outcomes}) + "\n")
    sys.stdout.flush()
    # Threads that a test has left behind do not keep it.
    os._exit(0)


if __name__ == "__main__":
    main()
