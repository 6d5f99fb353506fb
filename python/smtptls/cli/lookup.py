"""What the DNS says of a domain and its hosts, and how far to believe it: dnspython as a stub resolver."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.resolver

from .._enums import Dnssec
from .._errors import ConfigError
from .._native import Tlsa, escape
from .exits import Stop

LIFETIME = 10.0  # seconds that a question has at most, over all name servers and tries
PAYLOAD = 1232  # octets of an answer over UDP; longer ones come over TCP
# What is looked at of an answer that has more. A sender has bounds too.
MOST_HOSTS = 64
MOST_ADDRESSES = 32
MOST_RECORDS = 64

# From good to bad: what is worse counts where answers are put together.
_ORDER = (Dnssec.SECURE, Dnssec.INSECURE, Dnssec.NONE, Dnssec.ERROR, Dnssec.BOGUS)


@dataclass(frozen=True)
class Answer:
    """To one question. A status of none says that this resolver's word on DNSSEC is not believed."""

    status: Dnssec
    records: tuple[dns.rdata.Rdata, ...] = ()
    name: str = ""  # where CNAMEs lead
    exists: bool = True  # the name; with other records, perhaps
    failure: str | None = None

    @property
    def has_failed(self) -> bool:
        return self.status in (Dnssec.BOGUS, Dnssec.ERROR)


@dataclass(frozen=True)
class Exchangers:
    """The MX hosts of a domain with their preferences, the most preferred first."""

    answer: Answer
    hosts: tuple[tuple[int, str], ...] = ()
    is_null: bool = False  # RFC 7505: the domain takes no mail
    is_implicit: bool = False  # RFC 5321 section 5.1: no MX records, so the domain itself
    left_out: int = 0


@dataclass(frozen=True)
class Addresses:
    """Of a host. The name is where CNAMEs lead, if it is another one."""

    status: Dnssec
    addresses: tuple[str, ...] = ()
    name: str = ""
    failure: str | None = None


@dataclass(frozen=True)
class Records:
    """The TLSA records of a host, and for which name they are."""

    status: Dnssec
    records: tuple[Tlsa, ...] = ()
    base: str | None = None
    failure: str | None = None


class Dns:
    """The name servers that are asked, and whether what they say of DNSSEC is believed.

    server: an address and a port, or the system's.
    trust: ad-loopback, ad or none. The AD bit says something where nobody can change it on the way.
    """

    def __init__(self, server: tuple[str, int] | None = None, trust: str = "ad-loopback") -> None:
        self._resolver = _resolver(server)
        self._unchecked = _resolver(server)  # with checking disabled (RFC 4035 section 3.2.2)
        self._resolver.set_flags(dns.flags.RD | dns.flags.AD)
        self._unchecked.set_flags(dns.flags.RD | dns.flags.CD)
        servers = [str(server) for server in self._resolver.nameservers]
        self.server = f"{servers[0]} port {self._resolver.port}" if servers else "none"
        self._is_near = all(ipaddress.ip_address(server).is_loopback for server in servers)
        self.trust = trust
        self._validates: bool | None = None

    def doubt(self) -> str | None:
        """Why what it says of DNSSEC is not believed, once something was asked."""
        if self.trust == "none":
            return "what the name server says of DNSSEC is not believed (--dnssec-trust none)"
        if self.trust == "ad-loopback" and not self._is_near:
            return (
                f"the name server {self.server} is not on this host, so what it says of DNSSEC may have been "
                "changed on the way: ask one on loopback, or say --dnssec-trust ad"
            )
        if self._validates is False:
            return (
                f"the name server {self.server} does not validate: it does not set AD for the root, so what "
                "is signed cannot be told from what is not"
            )
        return None

    def ask(self, name: str | dns.name.Name, kind: str, by: float) -> Answer:
        """One question, to be answered by a time of time.monotonic()."""
        try:
            asked = name if isinstance(name, dns.name.Name) else _name(name)
        except dns.exception.DNSException as error:
            why = _shown(str(error))
            return Answer(Dnssec.ERROR, failure=f"{_shown(name)} is no name for the DNS: {why}")
        if (left := by - time.monotonic()) <= 0:
            return Answer(Dnssec.ERROR, failure=f"no time left to look up {kind} of {_shown(asked)}")
        try:
            answer = self._resolver.resolve(
                asked, kind, lifetime=min(LIFETIME, left), raise_on_no_answer=False, search=False
            )
        except dns.resolver.NXDOMAIN as error:
            flags = error.response(asked).flags  # type: ignore[no-untyped-call]
            return Answer(self._status(flags, by), name=_text(asked), exists=False)
        except (dns.exception.DNSException, OSError) as error:
            return self._failed(asked, kind, error, by)
        status = self._status(answer.response.flags, by)
        return Answer(status, tuple(answer.rrset or ()), _text(answer.canonical_name))

    def exchangers(self, domain: str, by: float) -> Exchangers:
        """RFC 5321 section 5.1."""
        answer = self.ask(domain, "MX", by)
        if answer.has_failed or not answer.exists:
            return Exchangers(answer)
        if not answer.records:
            return Exchangers(answer, ((0, ascii_name(domain)),), is_implicit=True)
        found = sorted((int(one.preference), _text(one.exchange)) for one in answer.records)  # type: ignore[attr-defined]
        # RFC 7505 section 3: a null MX stands alone; beside others it is a mistake.
        hosts = [(preference, host) for preference, host in found if host]
        return Exchangers(
            answer, tuple(hosts[:MOST_HOSTS]), is_null=not hosts, left_out=len(hosts[MOST_HOSTS:])
        )

    def addresses(self, host: str, family: socket.AddressFamily, by: float) -> Addresses:
        """RFC 7672 section 2.2.2: one of A and AAAA that validates is enough."""
        kinds = {socket.AF_INET: ("A",), socket.AF_INET6: ("AAAA",)}.get(family, ("AAAA", "A"))
        answers = [self.ask(host, kind, by) for kind in kinds]
        good = [answer for answer in answers if answer.records]
        if not good:
            worst = max(answers, key=lambda answer: _ORDER.index(answer.status))
            return Addresses(worst.status, failure=worst.failure)
        best = min(good, key=lambda answer: _ORDER.index(answer.status))
        found = [str(one.address) for answer in good for one in answer.records]  # type: ignore[attr-defined]
        return Addresses(best.status, tuple(found[:MOST_ADDRESSES]), best.name)

    def tlsa(self, host: str, at: Addresses, port: int, by: float) -> Records:
        """RFC 7672 section 2.2.3: of the name where CNAMEs lead, if all is secure so far, or of its own."""
        own = ascii_name(host)
        names = [own] if not at.name or at.name == own else [at.name, own]
        if at.status is Dnssec.INSECURE:
            # Section 2.2.2: name servers of unsigned zones may break at TLSA. An alias may be secure yet.
            if len(names) == 1 or self.ask(host, "CNAME", by).status is not Dnssec.SECURE:
                return Records(Dnssec.NONE)
            names = [own]
        found = Records(Dnssec.NONE)
        for base in names:
            found = self.records(base, port, by)
            if found.records or found.status in (Dnssec.ERROR, Dnssec.BOGUS):
                break
        return found

    def records(self, base: str, port: int, by: float) -> Records:
        """The TLSA records of one name."""
        answer = self.ask(f"_{port}._tcp.{base}", "TLSA", by)
        if answer.has_failed:
            return Records(answer.status, base=base, failure=answer.failure)
        if len(answer.records) > MOST_RECORDS:
            failure = f"{base} has {len(answer.records)} TLSA records; {MOST_RECORDS} are read at most"
            return Records(Dnssec.ERROR, base=base, failure=failure)
        try:
            records = tuple(Tlsa.from_rdata(one.to_wire() or b"") for one in answer.records)
        except ConfigError as error:
            return Records(Dnssec.ERROR, base=base, failure=error.message)
        return Records(answer.status, records, base)

    def texts(self, name: str, by: float) -> tuple[Answer, list[str]]:
        """The TXT records of a name, each with its strings joined (RFC 8461 section 3.1)."""
        answer = self.ask(name, "TXT", by)
        found = [b"".join(one.strings) for one in answer.records]  # type: ignore[attr-defined]
        return answer, [text.decode("utf-8", "replace") for text in found]

    def _status(self, flags: int, by: float) -> Dnssec:
        if self.trust == "none" or (self.trust == "ad-loopback" and not self._is_near):
            return Dnssec.NONE
        if flags & dns.flags.AD:
            return Dnssec.SECURE
        return Dnssec.INSECURE if self._is_validating(by) else Dnssec.NONE

    def _is_validating(self, by: float) -> bool:
        """Whether the absence of AD says something: the root is signed."""
        if self._validates is None:
            self._validates = False
            with contextlib.suppress(dns.exception.DNSException, OSError):
                left = max(0.1, min(LIFETIME, by - time.monotonic()))
                answer = self._resolver.resolve(
                    dns.name.root, "NS", lifetime=left, raise_on_no_answer=False, search=False
                )
                self._validates = bool(answer.response.flags & dns.flags.AD)
        return self._validates

    def _failed(self, name: dns.name.Name, kind: str, error: Exception, by: float) -> Answer:
        """RFC 7672 section 2.1: what is bogus means as much as what failed; a person wants to know."""
        what = f"{kind} records of {_shown(name)}"
        rcodes, extended = [], []
        for *_, trouble, response in getattr(error, "kwargs", {}).get("errors", ()):
            rcodes.append(trouble if isinstance(trouble, str) else type(trouble).__name__)
            options = [] if response is None else response.extended_errors()
            extended += [option.to_text().encode("ascii", "backslashreplace").decode() for option in options]
        if "SERVFAIL" in rcodes and self._is_there_unchecked(name, kind, by):
            why = f": {', '.join(dict.fromkeys(extended))}" if extended else ""
            return Answer(Dnssec.BOGUS, failure=f"the {what} do not validate{why}")
        if isinstance(error, dns.exception.Timeout):
            why = f"{self.server} did not answer in time"
        else:
            why = f"{self.server} says {', '.join(dict.fromkeys(rcodes))}" if rcodes else str(error)
            why += f" ({', '.join(extended)})" if extended else ""
        return Answer(Dnssec.ERROR, failure=f"the lookup of the {what} failed: {why}")

    def _is_there_unchecked(self, name: dns.name.Name, kind: str, by: float) -> bool:
        """Whether there is an answer once nobody validates it."""
        left = max(0.1, min(LIFETIME, by - time.monotonic()))
        try:
            self._unchecked.resolve(name, kind, lifetime=left, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return True
        except (dns.exception.DNSException, OSError):
            return False
        return True


def _resolver(server: tuple[str, int] | None) -> dns.resolver.Resolver:
    try:
        made = dns.resolver.Resolver(configure=server is None)
    except dns.exception.DNSException as error:
        raise Stop(f"the system's name servers are not known: {error}; give one by --dns ADDRESS") from error
    if server is not None:
        made.nameservers, made.port = [server[0]], server[1]
    made.use_edns(0, dns.flags.DO, PAYLOAD)
    made.timeout = LIFETIME / 3
    made.cache = None
    return made


def ascii_name(text: str) -> str:
    """The name as the DNS has it: its A-labels, in lower case."""
    return _text(_name(text))


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text, idna_codec=dns.name.IDNA_2008_Practical)


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).removesuffix(".").lower()


def _shown(text: str | dns.name.Name) -> str:
    return escape((text if isinstance(text, str) else _text(text)).encode())
