"""Reads the case files: blocks `[[case]]` in TOML, each expanded by its levels and by its `each`.

Keys of both kinds of case:

    name        what happens
    ids         the requirements that it proves
    script      what the peer does, in the language of script.py
    cert        the certificate of the test PKI that stands in for {cert}; default leaf
    each        a table of name and text: the case once for each, with {each} replaced by the text; or of name
                and table of words and texts, with {word} replaced by the text of that word

Keys of a client case (client_cases/*.toml), a run of `send` and `upgrade`:

    levels      default ["verify"]; {level} in strings is replaced
    options     a table of what run_send of tests/conftest.py takes: name, ca, sni, user, password, lmtp ...
                ca is a file of the test PKI, "leaf" or "wrongca"; "" leaves a flag out. flags is a list of
                further flags as they stand, but for certificates, digests and files: see flags.py
    message     what is given on standard input; backslash escapes as in scripts
    message_kib instead: the size of a message of no meaning
    sni         the server name that the ClientHello must ask for; "" for none
    programs    default ["send", "upgrade"]; a script with {program} in it is one script for each of them
    exit        default 0 if `sent`, else 1
    sent        true: the message is taken; stdout has a line `sent: `, with this text in it if it is a string
    code        the error's code without SMTPTLS_, `|` between alternatives
    action      the error's action, tlsrpt its TLSRPT type; left out: any, the same in all languages
    tls_line    what stands on stdout behind `tls: `: "none", or the start of a summary; default a summary if
                the message went through TLS
    peer        what stands on stdout behind `peer: ` in all languages; left out: any
    error_has   a list of texts that the error's message has
    clear, tls  the verbs that may have been sent in clear, and inside TLS
    received    the message between DATA and the final dot, as it stood on the wire
    peak_mib    the most memory that the program may have taken
    own_words   true: before STARTTLS `upgrade` is on its own, so any code will do for it. Default: whether
                the script ends before the client sends STARTTLS

Keys of a server case (server_cases/*.toml), a run of `serve`:

    flags       a list of further flags as they stand, but for what flags.py makes of <angle brackets>
    pair        false: no --cert and --key, as with --chain
    timeout     seconds for --timeout
    messages    how many messages are stored in the end; default 0; "any": that is not what the case is about
    stored_has  a list of texts in the last stored message; stored_lacks: texts that it does not have
    greeting    the text behind the server's name in its greeting; left out: any
    output      a list of texts that lines of `serve` begin with; output_lacks: texts that none begins with
    error       the code of the line `error: ` that it prints, without SMTPTLS_; default: none is asked for
"""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from script import Step, fill, parse, unescape

HERE = Path(__file__).resolve().parent
PROGRAMS = ["send", "upgrade"]
CLEAR = "EHLO HELO LHLO STARTTLS QUIT"
INSIDE = "EHLO LHLO MAIL RCPT DATA RSET QUIT"


@dataclass
class Case:
    """What the two kinds have in common."""

    name: str
    ids: list[str]
    steps: list[Step]

    def __str__(self) -> str:
        return self.name


@dataclass
class ClientCase(Case):
    """One run of a client program against a script."""

    level: str = "verify"
    options: dict[str, Any] = field(default_factory=dict)
    message: Any = None
    message_kib: int | None = None
    sni: str | None = None
    programs: list[str] = field(default_factory=PROGRAMS.copy)
    exit: int | None = None
    sent: bool | str = False
    code: str | None = None
    action: str | None = None
    tlsrpt: str | None = None
    tls_line: str | None = None
    peer: str | None = None
    error_has: list[str] = field(default_factory=list)
    clear: str = CLEAR
    tls: str = INSIDE
    received: str | None = None
    peak_mib: int | None = None
    own_words: bool | None = None

    def __post_init__(self) -> None:
        if self.exit is None:
            self.exit = 0 if self.sent else 1
        if self.own_words is None:
            self.own_words = not self.sent and not any(
                str(step).startswith("C: STARTTLS") for step in self.steps
            )
        if self.tls_line is None and self.sent:
            self.tls_line = "TLSv1." if self.handshake else "none"
        if self.exit == 1 and self.code is None:
            raise ValueError(f"{self.name}: neither `sent` nor `code`")

    @property
    def handshake(self) -> bool:
        return any(step.verb == "tls" for step in self.steps)


@dataclass
class ServerCase(Case):
    """One run of `serve` with a script as its client."""

    flags: list[str] = field(default_factory=list)
    pair: bool = True
    timeout: float = 10
    messages: int | str = 0
    stored_has: list[str] = field(default_factory=list)
    stored_lacks: list[str] = field(default_factory=list)
    greeting: str | None = None
    output: list[str] = field(default_factory=list)
    output_lacks: list[str] = field(default_factory=list)
    error: str | None = None


def expand(folder: str) -> list[dict[str, Any]]:
    """The blocks of all files of a folder, for each level and each of `each`; `script` is now `steps`.

    And for each program, where their scripts differ.
    """
    files = {path.stem: read(path) for path in sorted((HERE / folder).glob("*.toml"))}
    fragments = files.pop("fragments")
    found: list[dict[str, Any]] = []
    for block in (block for content in files.values() for block in content["case"]):
        levels = block.pop("levels", [None])
        eaches = block.pop("each", {None: ""}).items()
        cert = block.pop("cert", "leaf")
        programs = block.get("programs", PROGRAMS) if "{program}" in block["script"] else [None]
        for (variant, texts), level, program in itertools.product(eaches, levels, programs):
            values = {"cert": cert, "level": level or "verify", "program": program or ""}
            values |= texts if isinstance(texts, dict) else {"each": texts}
            case = {key: replaced(value, values) for key, value in block.items() if key != "script"}
            suffix = [word for word in (variant, level, program) if word]
            case["name"] += f"[{','.join(suffix)}]" if suffix else ""
            case |= {"level": level} if level else {}
            case |= {"programs": [program]} if program else {}
            found.append(case | {"steps": parse(block["script"], fragments, values)})
    names = [case["name"] for case in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two cases with one name: {sorted(twice)}")
    return found


def read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name}: {error}") from error


def replaced(value: Any, values: dict[str, str]) -> Any:
    """`value` with its {names} replaced, in strings at any depth."""
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, list):
        return [replaced(one, values) for one in value]
    if isinstance(value, dict):
        return {key: replaced(one, values) for key, one in value.items()}
    return value


def client_cases() -> list[ClientCase]:
    cases = [ClientCase(**case) for case in expand("client_cases")]
    for case in cases:
        case.message = unescape(case.message) if isinstance(case.message, str) else case.message
        if case.message_kib:
            case.message = (b"x" * 63 + b"\n") * 16 * case.message_kib
    return cases


def server_cases() -> list[ServerCase]:
    return [ServerCase(**case) for case in expand("server_cases")]
