"""SEC-14: no function of the C library crashes, whatever it is called with and in whatever state."""

from c.building import HEADER, SYMBOLS, own, run, trust, valgrind, watched
from c.prototypes import calls, prototypes


def test_the_header_declares_the_list_and_nothing_else():
    assert {function.name for function in prototypes(HEADER.read_text())} == SYMBOLS


def test_every_function_with_everything(tmp_path, pki):
    """The calls are made from the header, so that a new function is called too."""
    (tmp_path / "calls.h").write_text(calls(prototypes(HEADER.read_text())))
    program = own(tmp_path, "every_function", f"-I{tmp_path}")
    tried = {line.split()[0] for line in run(program, *trust(pki)).splitlines()}
    assert tried == SYMBOLS
    valgrind(program, *trust(pki))


def test_abuse_is_an_error_and_says_which(tmp_path):
    watched(own(tmp_path, "abuse"))
