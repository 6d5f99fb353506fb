"""The language of the scripts: what each step means. `peer.py` plays them, the case files are written in it.

A script has one step a line; `#` begins a comment line. Text may hold \\r \\n \\0 \\xHH and
{names} of the case.
`S:` is the server's side and `C:` the client's, as in RFC 3207: the peer sends the lines of its own side and
expects those of the other.

    S: TEXT, C: TEXT     a line. Own side: sent with CRLF. As a server we expect a command line that fits the
                         pattern (`*` is anything); as a client we expect a reply, `S: 530 5.7.0`: its last
                         line must begin with these words, and `|` stands between alternatives
    S= TEXT              the last line of the reply must be exactly this
    raw: TEXT            send this, without CRLF
    cut: A|B|C           send in segments, with a pause between them
    line N               send a NOOP of exactly N octets, CRLF included
    fill N               send N MiB of one letter, without CRLF
    dribble: TEXT        send octet by octet, with pauses, until the other side gives up
    flood: TEXT          send over and over until the other side gives up
    bytewise             from here on each octet goes in a segment of its own
    records N            the ClientHello goes in TLS records of N octets each
    beneath: TEXT        in TLS: put these octets on the wire below TLS
    hello                wait for a ClientHello
    alert N              answer a ClientHello with this fatal alert
    tls CERT [VERSION]   handshake with this certificate of the test PKI; as a client just `tls [VERSION]`.
                         More words behind that: `alpn=ID,ID`, the peer speaks these application protocols,
                         and `agreed=ID`, this one must come of it, or `agreed=none`.
                         As a client: `sni=NAME`, it asks for this server; `sees=CERT`, the server must show
                         this certificate; `cert=CERT`, it has this one, and must not be asked for it;
                         `shows=CERT`, it must be asked and has this one, or `shows=none`; `named=CA`, it must
                         be asked for one of this CA, or `named=none`, of any. Whether it is asked is seen in
                         TLS 1.2 only.
                         As a server: `asks=CA`, it asks for a certificate of this CA, and none must come
    tls-fails ...        the same, and the handshake must not succeed
    message              expect a message up to its final dot
    has WORD             the last EHLO reply lists this keyword; `lacks WORD`: it does not
    pause S              wait, neither sending nor reading
    quiet S              the other side must send nothing for S seconds
    silence              send nothing more, and wait for the other side to end the connection
    end                  wait for the other side to end the connection; its QUIT is answered, and all that it
                         still sends is recorded
    closed [notify]      the other side must end the connection without another octet (with close_notify)
    tls-closed           the other side must end the connection and send at most TLS alerts
    close                end the connection; in TLS this is an end without close_notify
    close-notify         end TLS in order, and the connection
    reset                break the connection with RST
    refuse               (alone) nobody listens at the port
    use NAME             the steps of this fragment
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WITH_TEXT = {"S:", "C:", "S=", "raw:", "cut:", "dribble:", "flood:", "beneath:"}
WITH_WORDS = {
    "alert",
    "tls",
    "tls-fails",
    "has",
    "lacks",
    "quiet",
    "pause",
    "closed",
    "line",
    "fill",
    "records",
}
ALONE = {
    "bytewise",
    "hello",
    "message",
    "silence",
    "end",
    "tls-closed",
    "close",
    "close-notify",
    "reset",
    "refuse",
}


@dataclass(frozen=True)
class Step:
    """One line of a script."""

    verb: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.text}".strip()

    @property
    def data(self) -> bytes:
        return unescape(self.text)


def parse(text: str, fragments: dict[str, str], values: dict[str, str]) -> list[Step]:
    """The steps of a script, its fragments put in and its {names} replaced."""
    steps: list[Step] = []
    for line in fill(text, values).strip().splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        verb, _, rest = line.partition(" ")
        if verb == "use":
            steps += parse(fragments[rest], fragments, values)
            continue
        if verb not in WITH_TEXT | WITH_WORDS | ALONE or (verb in ALONE and rest):
            raise ValueError(f"no such step: {line}")
        steps.append(Step(verb, rest))
    return steps


def fill(text: str, values: dict[str, str]) -> str:
    """Replace {name} where the name is known; other braces stay."""
    return re.sub(r"\{([a-z]+)\}", lambda found: values.get(found[1], found[0]), text)


def unescape(text: str) -> bytes:
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def show(data: bytes) -> str:
    """Octets as a person can read them."""
    return repr(bytes(data[:400]))[1:] + (f"... ({len(data)} octets)" if len(data) > 400 else "")
