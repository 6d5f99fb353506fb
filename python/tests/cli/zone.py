"""A DNS server on loopback that answers as a validating resolver does: with AD or not, bogus, cut, silent.

It stands on dnslib, which shares no code with the dnspython that is tested.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from dnslib import EDNS0, QTYPE, RCODE, RR, DNSRecord, EDNSOption

ADDRESS = "127.0.0.1"
EXTENDED_ERROR = 15  # the EDNS option of RFC 8914
BOGUS = struct.pack("!H", 6) + b"no valid \x1b[31msignature"


class Zone:
    """Records, and how they are answered; running from `with` to the end of its block.

    records: lines of a zone file, with absolute names.
    signed: the domains whose answers, also that there is nothing, are secure.
    faults: by "name type": bogus, servfail, refused, silent, truncated, insecure, secure.
    validates: whether the root is secure.
    """

    def __init__(
        self,
        records: str,
        *,
        signed: Iterable[str] = (),
        faults: Mapping[str, str] | None = None,
        validates: bool = True,
        address: str = ADDRESS,
        port: int = 0,
    ) -> None:
        lines = [line.split(None, 1) for line in records.splitlines() if line.strip()]
        self.records = [RR.fromZone(f"{name} 60 IN {rest}")[0] for name, rest in lines]
        self.signed = tuple(signed)
        self.faults = dict(faults or {})
        self.validates = validates
        self.asked: list[str] = []
        self.address, self._port = address, port

    def __enter__(self) -> Self:
        zone = self

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                packet, sock = self.request
                if reply := zone.reply(packet, "udp"):
                    sock.sendto(reply, self.client_address)

        class Stream(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                head = self.rfile.read(2)
                if len(head) < 2:
                    return
                reply = zone.reply(self.rfile.read(*struct.unpack("!H", head)), "tcp")
                if reply:
                    self.wfile.write(struct.pack("!H", len(reply)) + reply)

        self._servers: list[Any] = []
        for _ in range(20):  # until a port is free for both
            stream = _Tcp((self.address, self._port), Stream)
            self.port = stream.server_address[1]
            try:
                self._servers = [stream, _Udp((self.address, self.port), Datagram)]
                break
            except OSError:
                stream.server_close()
                if self._port:
                    raise
        assert self._servers, "no port is free for UDP and TCP"
        self._threads = [threading.Thread(target=one.serve_forever, args=(0.05,)) for one in self._servers]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._servers:
            one.shutdown()
            one.server_close()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    @property
    def where(self) -> str:
        """As --dns takes it."""
        return f"{self.address}:{self.port}"

    def reply(self, packet: bytes, way: str) -> bytes | None:
        request = DNSRecord.parse(packet)
        name, kind = str(request.q.qname).lower(), QTYPE[request.q.qtype]
        self.asked.append(f"{name} {kind}")
        reply = request.reply(ra=1, aa=0)
        reply.header.ad = 0
        fault = self.faults.get(f"{name} {kind}")
        if fault == "silent":
            return None
        if fault == "truncated" and way == "udp":
            reply.header.tc = 1
            return bytes(reply.pack())
        if fault in ("servfail", "refused") or (fault == "bogus" and not request.header.cd):
            reply.header.rcode = getattr(RCODE, "REFUSED" if fault == "refused" else "SERVFAIL")
            if fault == "bogus":
                reply.add_ar(EDNS0(opts=[EDNSOption(EXTENDED_ERROR, BOGUS)]))
            return bytes(reply.pack())
        secure = self._fill(reply, name, kind)
        if fault in ("secure", "insecure"):
            secure = fault == "secure"
        asks = request.header.ad or any(one.rtype == QTYPE.OPT and one.edns_do for one in request.ar)
        reply.header.ad = int(secure and asks and not request.header.cd)
        packed: bytes = reply.pack()
        if way == "udp" and len(packed) > 1232:
            reply = request.reply(ra=1, aa=0)
            reply.header.tc = 1
            return bytes(reply.pack())
        return packed

    def _fill(self, reply: Any, name: str, kind: str) -> bool:
        """Follows CNAMEs as a resolver does; says whether every step is secure."""
        secure = True
        for _ in range(40):
            if name == ".":
                return self.validates
            secure = secure and any(name == zone or name.endswith(f".{zone}") for zone in self.signed)
            own = [one for one in self.records if str(one.rname).lower() == name]
            found = [one for one in own if QTYPE[one.rtype] == kind]
            alias = [one for one in own if QTYPE[one.rtype] == "CNAME"]
            for one in found or alias:
                reply.add_answer(one)
            if found or not alias:
                below = any(str(one.rname).lower().endswith(f".{name}") for one in self.records)
                if not own and not below:
                    reply.header.rcode = RCODE.NXDOMAIN
                return secure
            name = str(alias[0].rdata).lower()
            secure = secure and self.faults.get(f"{name} {kind}") != "insecure"
        return secure


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 65535


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
