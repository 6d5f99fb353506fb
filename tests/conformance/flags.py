"""The flags of a case: what stands in <angle brackets> is made of the throw-away PKI.

    <hex FILE>              the certificate in FILE.pem of the test PKI, as hex of its DER
    <sha256 FILE>           its digest in hex; also sha1, sha384, sha512
    <sha256 key FILE>       that of its public key, as SubjectPublicKeyInfo; `hex key FILE` likewise
    <sha256 FILE N>         that of certificate N of the file: 0 is the first, and what is left out means that
    <colons ...>            any of these as Postfix writes it: upper case, a colon between the octets
    <path NAME>             the path of NAME in the folder of the PKI
    <file TEXT>             the path of a file with this text, backslash escapes as in scripts
    <join NAME NAME ...>    the path of a file that has these files of the PKI, one behind the other

So a TLSA record is "3 1 1 <sha256 key leaf>" and a fingerprint "sha256:<sha256 leaf>". Everything is made
with hashlib and cryptography, and nothing with the library under test.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from ca.ca import Paths
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from script import unescape

PLACE = re.compile(r"<([a-z0-9]+) ([^<>]*)>", re.DOTALL)


def flags(texts: list[str], pki: Paths, scratch: Path) -> list[str]:
    """The flags with what they stand for; files are made in `scratch`."""
    return [PLACE.sub(lambda found: made(found[1], found[2], pki, scratch), text) for text in texts]


def made(what: str, of: str, pki: Paths, scratch: Path) -> str:
    if what == "path":
        return str(pki.folder / of)
    if what in ("file", "join"):  # one for each run, since runs go on at the same time
        joined = b"".join((pki.folder / name).read_bytes() for name in of.split()) if what == "join" else None
        with tempfile.NamedTemporaryFile(dir=scratch, delete=False) as file:
            file.write(unescape(of) if joined is None else joined)
        return file.name
    if what == "colons":
        kind, _, rest = of.partition(" ")
        return re.sub(r"(..)(?=.)", r"\1:", made(kind, rest, pki, scratch)).upper()
    data = octets(of.split(), pki)
    return data.hex() if what == "hex" else hashlib.new(what, data).hexdigest()


def octets(words: list[str], pki: Paths) -> bytes:
    """`[key] FILE [N]`: the DER of a certificate, or of its public key."""
    key = words[0] == "key"
    file, *rest = words[key:]
    chain = x509.load_pem_x509_certificates((pki.folder / f"{file}.pem").read_bytes())
    certificate = chain[int(rest[0]) if rest else 0]
    if key:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return certificate.public_bytes(Encoding.DER)
