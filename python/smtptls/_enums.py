"""The engine's enums, made from its own tables; `_enums.pyi` shows them to type checkers."""

from enum import IntEnum

from . import _native

# The first thing that is done with the module, whatever is imported first.
_native.claim_interpreter()


class _Labelled(IntEnum):
    """An enum whose members have a name for logs and configuration files."""

    @property
    def label(self):
        """The name as it stands in logs and configuration files, such as next-host."""
        return self.name.lower().replace("_", "-")


_LABELS = ("Action", "Level", "Auth", "ClientAuth", "Digest", "Dnssec", "StsMode", "Tlsrpt")

_DOCS = {
    "Code": "What went wrong, or what is wanted first.",
    "Action": "What the policy lets a program do after a failure.",
    "Level": "How much security is demanded of a peer, each level as Postfix defines it.",
    "Entry": "Where in the dialogue of RFC 3207 a session takes over.",
    "Auth": "How the peer was authenticated.",
    "ClientAuth": "Whether a server asks for client certificates.",
    "Close": "How to close: send close_notify, wait for the peer's too, or go on reading.",
    "Protocol": "SMTP (RFC 5321) or LMTP (RFC 2033).",
    "TlsVersion": "A version of TLS, by its number on the wire.",
    "FingerprintOf": "What a fingerprint is the digest of.",
    "Digest": "A digest algorithm, numbered as TLS numbers hashes.",
    "Dnssec": "How far a DNS answer can be believed, as the program's resolver says.",
    "StsMode": "What an MTA-STS policy demands (RFC 8461 section 5).",
    "Tlsrpt": "A result type for an SMTP TLS report (RFC 8460).",
}

for _name, _members in _native.tables():
    _enum = (_Labelled if _name in _LABELS else IntEnum)(_name, _members, module="smtptls")
    _enum.__doc__ = _DOCS[_name]
    globals()[_name] = _enum
