"""One TCP connection of the scripted peer: it sends and takes bytes, in clear or in TLS, and records them.

TLS is Python's ssl over memory buffers, so that the peer owns every segment: it can dribble a ClientHello,
close without close_notify, or write beneath TLS.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time

STEP_LIMIT = 15.0  # seconds that a peer waits for the other side; a bound on hanging, not on speed
CHUNK = 65536


class Ended(Exception):
    """The other side has ended the connection: `how` is eof, reset, alert or close_notify."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


def handshake_messages(data: bytes, kind: int) -> list[bytes]:
    """The handshake messages of a type that went in clear, without their heads (RFC 5246 section 7.4)."""
    messages = b""
    while data[:1] == b"\x16":
        end = 5 + int.from_bytes(data[3:5], "big")
        messages += data[5:end]
        data = data[end:]
    found = []
    while messages:
        end = 4 + int.from_bytes(messages[1:4], "big")
        if messages[0] == kind:
            found.append(messages[4:end])
        messages = messages[end:]
    return found


def authorities(request: bytes) -> list[bytes]:
    """The names in a CertificateRequest of TLS 1.2, in DER (RFC 5246 section 7.4.4)."""
    rest = request[1 + request[0] :]  # behind the types of certificates
    rest = rest[2 + int.from_bytes(rest[:2], "big") + 2 :]  # and the algorithms of signatures
    found = []
    while rest:
        end = 2 + int.from_bytes(rest[:2], "big")
        found.append(rest[2:end])
        rest = rest[end:]
    return found


def in_records(data: bytes, size: int) -> bytes:
    """Handshake records cut in smaller ones, which RFC 8446 section 5.1 allows."""
    cut = b""
    while data:
        end = 5 + int.from_bytes(data[3:5], "big")
        body = data[5:end]
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        cut += b"".join(data[:3] + len(part).to_bytes(2, "big") + part for part in parts)
        data = data[end:]
    return cut


class Wire:
    """A connected socket with a TLS layer that can be put in, and a record of what came through it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self.clear = bytearray()  # all that came outside our TLS layer
        self.shaken = bytearray()  # what came while it was shaking hands, as it stood on the wire
        self.inside = bytearray()  # all that came through it
        self.ended: str | None = None
        self.tls: ssl.SSLObject | None = None
        self.bytewise = False  # each octet in a TCP segment of its own
        self.record_size = 0  # the most octets in a record of the ClientHello; 0 leaves it as it is
        self._pending = bytearray()  # received, recorded, not used yet
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    # -- out ------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send through TLS if it is up, in clear if not."""
        if self.tls is None:
            self.send_beneath(data)
            return
        self.tls.write(data)
        self._flush()

    def send_beneath(self, data: bytes) -> None:
        """Send these octets as they are, below TLS."""
        self._socket.settimeout(STEP_LIMIT)
        try:
            if not self.bytewise:
                self._socket.sendall(data)
                return
            for index in range(len(data)):
                self._socket.sendall(data[index : index + 1])
                if index % 8 == 0:
                    time.sleep(0.0002)  # lets the other side run, so that it meets short reads
        except ConnectionError as error:
            self.ended = "reset"
            raise Ended("reset") from error

    def _flush(self) -> None:
        if data := self._outgoing.read():
            if self.record_size:
                data, self.record_size = in_records(data, self.record_size), 0
            self.send_beneath(data)

    # -- in -------------------------------------------------------------------------------------------------

    def _receive(self, end: float) -> bytes:
        """Octets from the socket; TimeoutError when `end` has come, Ended when there are no more."""
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(CHUNK)
        except ConnectionError as error:
            self.ended = "reset"
            raise Ended("reset") from error
        if not data:
            self.ended = self.ended or "eof"
            raise Ended("eof")
        return data

    def _more(self, end: float) -> None:
        """Take in more octets and record them."""
        if self.tls is None:
            data = self._receive(end)
            self.clear += data
            self._pending += data
            return
        while True:
            try:
                data = self.tls.read(CHUNK)
            except ssl.SSLWantReadError:
                self._flush()
                try:
                    self._incoming.write(self._receive(end))
                except Ended as ended:
                    if ended.how == "reset":
                        raise
                    self._incoming.write_eof()
                continue
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLEOFError:
                raise Ended("eof") from None
            except ssl.SSLError as error:
                if "ALERT" not in (error.reason or ""):
                    raise
                self.ended = "alert"
                raise Ended("alert") from error
            if not data:
                self.ended = "close_notify"
                raise Ended("close_notify")
            self.inside += data
            self._pending += data
            return

    def take_until(self, mark: bytes, end: float) -> bytes:
        """All octets up to and with `mark`."""
        while (found := self._pending.find(mark)) < 0:
            self._more(end)
        return self._take(found + len(mark))

    def take(self, count: int, end: float) -> bytes:
        """Exactly so many octets."""
        while len(self._pending) < count:
            self._more(end)
        return self._take(count)

    def _take(self, count: int) -> bytes:
        data = bytes(self._pending[:count])
        del self._pending[:count]
        return data

    def drain(self, seconds: float = STEP_LIMIT) -> bytes:
        """Everything until the other side ends the connection; TimeoutError if it does not."""
        end = time.monotonic() + seconds
        try:
            while True:
                self._more(end)
        except Ended:
            return self._take(len(self._pending))

    def quiet(self, seconds: float) -> bytes:
        """What arrives within these seconds, which should be nothing."""
        try:
            if not self._pending:
                self._more(time.monotonic() + seconds)
        except TimeoutError:
            pass
        return bytes(self._pending)

    # -- TLS ------------------------------------------------------------------------------------------------

    def handshake(self, context: ssl.SSLContext, *, server: bool, name: str | None = None) -> None:
        """Put TLS in from here on; raises ssl.SSLError or Ended when it fails."""
        self._incoming.write(self._pending)
        self.shaken += self._pending
        if self._pending:  # these octets belong to TLS
            del self.clear[-len(self._pending) :]
            self._pending.clear()
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=name)
        end = time.monotonic() + STEP_LIMIT
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                data = self._receive(end)
                self.shaken += data
                self._incoming.write(data)
            except ssl.SSLError:
                self._flush()  # the alert
                raise
        self.tls = tls
        self._flush()

    # -- the end --------------------------------------------------------------------------------------------

    def close_notify(self) -> None:
        """End TLS in order, then our direction of TCP."""
        assert self.tls is not None
        with contextlib.suppress(ssl.SSLError):  # the other side's close_notify is still to come
            self.tls.unwrap()
        self._flush()
        self.half_close()

    def half_close(self) -> None:
        """End our direction of TCP; in TLS that is an end without close_notify."""
        with contextlib.suppress(OSError):  # the other side may have been faster
            self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Send RST: SO_LINGER with no time to linger."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        self._socket.close()
