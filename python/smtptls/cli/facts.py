"""What is known of a target without asking it: where it is, what the DNS says, its MTA-STS policy; and the
policies that senders of each level would have."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import EllipsisType

from .._enums import Dnssec, Level, Protocol
from .._errors import Error
from .._native import Policy, StsPolicy, Tlsa, escape
from .exits import Stop

# As the table shows them: those that ask for no proof, then those that go by trust anchors, then by the DNS.
LEVELS = ("none", "may", "encrypt", "fingerprint", "verify", "secure", "dane", "dane-only", "sts")
AUTO = "auto"

SCHEMES = {"submission": 587, "submissions": 465, "lmtp": None}
_HOST = re.compile(r"[^\s\[\]:/@,]+")


@dataclass(frozen=True)
class Target:
    """Where to go: a domain, whose MX hosts are meant, or one host."""

    text: str
    host: str
    port: int | None = None  # None where --port decides
    is_domain: bool = False
    implicit_tls: bool = False
    protocol: Protocol = Protocol.SMTP
    path: str | None = None  # of a unix socket


def parse_target(text: str) -> Target:
    """Reads TARGET; raises Stop."""
    shown = escape(text.encode())
    scheme, colon, rest = text.partition(":")
    if scheme == "unix" and colon:
        if not rest.startswith("/"):
            raise Stop(f"{shown}: unix: wants an absolute path, such as unix:/run/lmtp")
        return Target(text, "localhost", protocol=Protocol.LMTP, path=rest)
    if scheme in SCHEMES and colon and not rest.isdecimal():
        host, port = _host_port(rest, shown)
        port = port or SCHEMES[scheme]
        if port is None:
            raise Stop(f"{shown}: LMTP has no port of its own: say lmtp:HOST:PORT")
        protocol = Protocol.LMTP if scheme == "lmtp" else Protocol.SMTP
        return Target(text, host, port, implicit_tls=scheme == "submissions", protocol=protocol)
    host, port = _host_port(text, shown)
    is_domain = port is None and not text.startswith("[") and not is_address(host)
    return Target(text, host, port, is_domain)


def _host_port(text: str, shown: str) -> tuple[str, int | None]:
    bracketed = re.fullmatch(r"\[([^\[\]]+)\](?::(\d+))?", text)
    plain = re.fullmatch(r"([^\s\[\]:/@,]+)(?::(\d+))?", text)
    if is_address(text):
        return text, None
    if not (found := bracketed or plain):
        raise Stop(f"{shown}: not a target: it is DOMAIN, [HOST], HOST:PORT, or see smtptls check --help")
    host, port = found[1].removeprefix("IPv6:"), found[2]
    if not (is_address(host) or (_HOST.fullmatch(host) and not host.startswith("-"))):
        raise Stop(f"{shown}: not a host name or an address")
    if port is not None and not 0 < int(port) < 65536:
        raise Stop(f"{shown}: a port is from 1 to 65535")
    return host.rstrip(".") or host, None if port is None else int(port)


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class StsFound:
    """What the search for a domain's MTA-STS policy came to."""

    state: str  # ok, none, or the result type of RFC 8460 section 4.3 that a sender would report
    id: str | None = None  # of the record
    source: str | None = None
    message: str | None = None  # why there is none


@dataclass(frozen=True)
class Facts:
    """What a sender would know of a host before it connects."""

    next_hop: str | None = None
    next_hop_expanded: str | None = None  # where its CNAMEs lead
    names: tuple[str, ...] = ()
    sni: str | EllipsisType | None = ...
    fingerprints: tuple[str, ...] = ()
    key_fingerprints: tuple[str, ...] = ()
    mx_dnssec: Dnssec = Dnssec.NONE
    address_dnssec: Dnssec = Dnssec.NONE
    tlsa: tuple[Tlsa, ...] = ()
    tlsa_base: str | None = None
    tlsa_dnssec: Dnssec = Dnssec.NONE
    sts: StsPolicy | None = None
    has_sts: bool = field(default=False)  # known, be it that there is none
    sts_found: StsFound | None = None  # where it was not given by hand
    doubt: str | None = None  # why nothing that the DNS says can be believed, so DANE is not decidable
    sources: Mapping[str, str] = field(default_factory=dict)  # mx, address, tlsa: given, or the name server

    @property
    def has_dane(self) -> bool:
        """There are TLSA records that can be believed."""
        return bool(self.tlsa) and self.tlsa_dnssec is Dnssec.SECURE and self.doubt is None

    def levels(self) -> tuple[str, ...]:
        """Those that a table shows: fingerprint only where there are some to compare."""
        has_fingerprints = bool(self.fingerprints or self.key_fingerprints)
        return tuple(level for level in LEVELS if level != "fingerprint" or has_fingerprints)

    def policy(self, level: str) -> Policy:
        """What a sender at this level demands: sts is may, raised by the domain's policy; auto is dane."""
        if level in ("dane", "dane-only", AUTO):
            return Policy(
                "dane" if level == AUTO else level,
                sni=self.sni,
                next_hop=self.next_hop,
                next_hop_expanded=self.next_hop_expanded,
                mx_dnssec=self.mx_dnssec,
                address_dnssec=self.address_dnssec,
                tlsa=self.tlsa,
                tlsa_base=self.tlsa_base,
                tlsa_dnssec=self.tlsa_dnssec,
                sts=self.sts if level == AUTO else None,
            )
        if level == "sts":
            return Policy("may", sni=self.sni, next_hop=self.next_hop, sts=self.sts)
        return Policy(
            level,
            sni=self.sni,
            names=self.names if level in ("verify", "secure") else (),
            fingerprints=self.fingerprints if level == "fingerprint" else (),
            key_fingerprints=self.key_fingerprints if level == "fingerprint" else (),
            next_hop=self.next_hop,
        )

    def chosen(self, level: str, host: str) -> str:
        """The row of the table that a level means; auto goes by what is known, as an MTA does."""
        if level != AUTO:
            return level
        if self.doubt is not None or (self.tlsa_dnssec is Dnssec.NONE and not self._is_dns_failed()):
            return "sts" if self.sts is not None else "may"
        try:
            effective = self.policy(AUTO).effective_level(host)
        except Error:
            # Only what the DNS or the MTA-STS policy says forbids a session, and DANE comes first.
            return "dane" if not self._is_mx_refused(host) else "sts"
        return {Level.MAY: "may", Level.VERIFY: "sts"}.get(effective, "dane")

    def _is_dns_failed(self) -> bool:
        return any(status in (Dnssec.BOGUS, Dnssec.ERROR) for status in (self.mx_dnssec, self.address_dnssec))

    def _is_mx_refused(self, host: str) -> bool:
        try:
            replace(self, sts=None).policy("dane").effective_level(host)
        except Error:
            return False
        return True
