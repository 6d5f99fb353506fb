"""The scripted SMTP peer: plays a script (see script.py) as a server for `send` and `upgrade` or as a client.

It shares nothing with the programs under test: plain sockets, and Python's ssl module (OpenSSL) for TLS.
"""

from __future__ import annotations

import fnmatch
import socket
import ssl
import threading
import time
import warnings
from typing import Self

from ca.ca import Paths
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from script import Step, show, unescape
from wire import STEP_LIMIT, Ended, Wire, authorities, handshake_messages

FLOOD_LIMIT = 256 << 20  # octets: who swallows so much of one reply has no bound
CERTIFICATE_REQUEST = 13  # RFC 5246 section 7.4.4
PAUSE = 0.05  # between segments, so that they arrive one by one
VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


class Mismatch(Exception):
    """The other side did not do what the script expects."""


class Player:
    """Plays the steps of a script over one connection. Afterwards `failure` says what went wrong."""

    def __init__(self, side: str, steps: list[Step], pki: Paths) -> None:
        self.side = side  # "S" or "C"
        self.steps = steps
        self.pki = pki
        self.reached = 0  # steps played to their end
        self.failure: str | None = None
        self.wire: Wire | None = None
        self.sni: str | None = None
        self.replies: list[list[bytes]] = []  # as a client: each with the lines it has
        self.messages: list[bytes] = []  # as a server: as they came, with their final dot

    @property
    def done(self) -> bool:
        return self.reached == len(self.steps) and self.failure is None

    def play(self, wire: Wire) -> None:
        self.wire = wire
        try:
            for step in self.steps:
                self._step(step, wire)
                self.reached += 1
        except (Mismatch, Ended, TimeoutError, OSError, ValueError) as error:
            what = str(error) or type(error).__name__
            self.failure = f"step {self.reached + 1} `{self.steps[self.reached]}`: {what}"
            if isinstance(error, Mismatch):
                return
            where = wire.inside if wire.tls else wire.clear
            self.failure += f" (the last it sent: {show(bytes(where[-200:]))})"
        finally:
            wire.close()

    # -- steps ----------------------------------------------------------------------------------------------

    def _step(self, step: Step, wire: Wire) -> None:
        verb, text = step.verb, step.text
        if verb in ("S:", "C:", "S="):
            if verb[0] == self.side:
                wire.send(step.data + b"\r\n")
            elif self.side == "S":
                self._expect_command(text, wire)
            else:
                self._expect_reply(text, wire, exact=verb == "S=")
        elif verb == "raw:":
            wire.send(step.data)
        elif verb == "cut:":
            self._segments([unescape(part) for part in text.split("|")], wire)
        elif verb == "line":
            wire.send(b"NOOP ".ljust(int(text) - 2, b"x") + b"\r\n")
        elif verb == "fill":
            for _ in range(int(text)):
                wire.send(b"x" * (1 << 20))
        elif verb in ("dribble:", "flood:"):
            self._until_broken(step, wire)
        elif verb == "bytewise":
            wire.bytewise = True
        elif verb == "records":
            wire.record_size = int(text)
        elif verb == "beneath:":
            wire.send_beneath(step.data)
        elif verb == "hello":
            self._expect_hello(wire)
        elif verb == "alert":
            wire.send_beneath(b"\x15\x03\x03\x00\x02\x02" + bytes([int(text)]))
        elif verb in ("tls", "tls-fails"):
            self._tls(text.split(), wire, must_fail=verb == "tls-fails")
        elif verb == "message":
            self.messages.append(wire.take_until(b"\r\n.\r\n", time.monotonic() + STEP_LIMIT))
        elif verb in ("has", "lacks"):
            self._keyword(text, wanted=verb == "has")
        elif verb == "quiet":
            if came := wire.quiet(float(text)):
                raise Mismatch(f"it sent {show(came)}")
        elif verb == "pause":
            time.sleep(float(text))
        elif verb == "silence":
            wire.drain()
        elif verb == "end":
            self._end(wire)
        elif verb == "closed":
            self._closed(wire, notify=text == "notify")
        elif verb == "tls-closed":
            came = wire.drain()
            if not only_alerts(came):
                raise Mismatch(f"it sent {show(came)}")
        elif verb in ("close", "close-notify"):
            wire.half_close() if verb == "close" else wire.close_notify()
            wire.drain()
        elif verb == "reset":
            wire.reset()
        else:
            raise ValueError("has no meaning here")

    def _segments(self, parts: list[bytes], wire: Wire) -> None:
        for index, part in enumerate(parts):
            if index:
                time.sleep(PAUSE)
            if part:
                wire.send(part)

    def _until_broken(self, step: Step, wire: Wire) -> None:
        """Send and send, until the other side is gone."""
        dribble = step.verb == "dribble:"
        unit = step.data if dribble else step.data * (65536 // len(step.data) + 1)
        sent, end = 0, time.monotonic() + STEP_LIMIT
        try:
            while sent < FLOOD_LIMIT and time.monotonic() < end:
                wire.send(unit[sent % len(unit) :][:1] if dribble else unit)
                sent += 1 if dribble else len(unit)
                if dribble:
                    time.sleep(0.1)
        except Ended:
            return
        raise Mismatch(f"it still listens after {sent} octets")

    def _expect_command(self, pattern: str, wire: Wire) -> None:
        line = wire.take_until(b"\n", time.monotonic() + STEP_LIMIT)
        if not line.endswith(b"\r\n") or not fnmatch.fnmatchcase(line[:-2].decode("latin-1"), pattern):
            raise Mismatch(f"it sent {show(line)}")

    def _expect_reply(self, wanted: str, wire: Wire, *, exact: bool) -> None:
        lines: list[bytes] = []
        end = time.monotonic() + STEP_LIMIT
        while not lines or lines[-1][3:4] == b"-":
            line = wire.take_until(b"\n", end)
            lines.append(line.rstrip(b"\r\n"))
            if not line.endswith(b"\r\n") or not line[:3].isdigit() or lines[0][:3] != line[:3]:
                raise Mismatch(f"it sent {show(line)}, which is no reply")
        self.replies.append(lines)
        last = lines[-1].decode("latin-1")
        fits = last == wanted if exact else any(f"{last} ".startswith(f"{one} ") for one in wanted.split("|"))
        if not fits:
            raise Mismatch(f"it answered {show(lines[-1])}")

    def _expect_hello(self, wire: Wire) -> None:
        """A TLS record with a ClientHello (RFC 8446 sections 5.1 and 4)."""
        end = time.monotonic() + STEP_LIMIT
        head = wire.take(5, end)
        if head[:2] != b"\x16\x03":
            raise Mismatch(f"it sent {show(head)}, which is no TLS handshake record")
        body = wire.take(int.from_bytes(head[3:5], "big"), end)
        if body[:1] != b"\x01":
            raise Mismatch(f"it sent {show(body)}, which is no ClientHello")

    def _tls(self, words: list[str], wire: Wire, *, must_fail: bool) -> None:
        options = dict(word.split("=", 1) for word in words if "=" in word)
        words = [word for word in words if "=" not in word]
        context = self._server_context(*words) if self.side == "S" else client_context(*words)
        self._set(context, options)
        try:
            wire.handshake(context, server=self.side == "S", name=options.get("sni"))
        except (ssl.SSLError, Ended) as error:
            if must_fail:
                return
            raise Mismatch(f"handshake failed: {error}; it sent {show(bytes(wire.clear[-100:]))}") from error
        if must_fail:
            raise Mismatch("the handshake succeeded")
        self._check(options, wire)

    def _check(self, options: dict[str, str], wire: Wire) -> None:
        """What the handshake must have come to; see script.py."""
        tls = wire.tls
        assert tls is not None
        shown = tls.getpeercert(binary_form=True)
        asked = handshake_messages(bytes(wire.shaken), CERTIFICATE_REQUEST)
        if "cert" in options and asked:
            raise Mismatch("it asks for a client certificate")
        if "shows" in options and tls.version() == "TLSv1.2" and not asked:
            raise Mismatch("it asks for no client certificate")
        if "asks" in options and shown:
            raise Mismatch("it shows a client certificate")
        if "sees" in options and shown != self._certificate(options["sees"]).public_bytes(Encoding.DER):
            raise Mismatch("it shows another certificate")
        if "agreed" in options and (tls.selected_alpn_protocol() or "none") != options["agreed"]:
            raise Mismatch(f"the application protocol is {tls.selected_alpn_protocol()}")
        if "named" in options:
            wanted = options["named"]
            names = [] if wanted == "none" else [self._certificate(wanted).subject.public_bytes()]
            if [authorities(one) for one in asked] != [names]:
                raise Mismatch(f"it asks for certificates of {[authorities(one) for one in asked]}")

    def _certificate(self, name: str) -> x509.Certificate:
        """The first certificate of a file of the PKI."""
        return x509.load_pem_x509_certificates((self.pki.folder / f"{name}.pem").read_bytes())[0]

    def _set(self, context: ssl.SSLContext, options: dict[str, str]) -> None:
        """What else the handshake is to have; see script.py."""
        if "alpn" in options:
            context.set_alpn_protocols(options["alpn"].split(","))
        if (own := options.get("cert", options.get("shows", "none"))) != "none":
            chain = self.pki.folder / f"{own}.pem"
            context.load_cert_chain(chain, chain.with_suffix(".key"))
        if "asks" in options:
            context.load_verify_locations(self.pki.folder / f"{options['asks']}.pem")
            context.verify_mode = ssl.CERT_OPTIONAL

    def _server_context(self, certificate: str, version: str | None = None) -> ssl.SSLContext:
        context = bounded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), version)
        key = certificate.replace("nochain", "chain")
        context.load_cert_chain(self.pki.folder / f"{certificate}.pem", self.pki.folder / f"{key}.key")

        def saw_name(_connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            self.sni = name

        context.sni_callback = saw_name
        return context

    def _keyword(self, word: str, *, wanted: bool) -> None:
        """The first line of an EHLO reply names the server; the others are keywords."""
        listed = {line[4:].split(b" ")[0].upper().decode("latin-1") for line in self.replies[-1][1:]}
        if (word in listed) != wanted:
            raise Mismatch(f"it offers {sorted(listed)}")

    def _end(self, wire: Wire) -> None:
        """Whatever the other side says now, until it goes; its QUIT gets an answer, which it may wait for."""
        try:
            wire.take_until(b"QUIT\r\n", time.monotonic() + STEP_LIMIT)
            if self.side == "S":
                wire.send(b"221 2.0.0 bye\r\n")
            wire.drain()
        except Ended:
            pass  # it is gone

    def _closed(self, wire: Wire, *, notify: bool) -> None:
        if came := wire.drain():
            raise Mismatch(f"it sent {show(came)}")
        if notify and wire.ended != "close_notify":
            raise Mismatch(f"it ended with {wire.ended}, not with close_notify")


def bounded(context: ssl.SSLContext, version: str | None) -> ssl.SSLContext:
    """Only this version of TLS, if one is given, and no opinion about the strength of anything."""
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of 1.0 and 1.1, which are here to be refused
        context.minimum_version = VERSIONS[version or "1.2"]
        context.maximum_version = VERSIONS[version or "1.3"]
    return context


def client_context(version: str | None = None) -> ssl.SSLContext:
    """A client that takes any certificate: whom it talks to is no question here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return bounded(context, version)


def only_alerts(data: bytes) -> bool:
    """Whether these octets are whole TLS alert records, or nothing at all."""
    while data:
        if data[:2] != b"\x15\x03" or len(data) < 5:
            return False
        length = int.from_bytes(data[3:5], "big")
        if len(data) < 5 + length:
            return False
        data = data[5 + length :]
    return True


class ServerPeer(Player):
    """The peer as a server: for one connection on a port of its own, from `with` to the end of its block."""

    def __init__(self, steps: list[Step], pki: Paths) -> None:
        super().__init__("S", steps, pki)
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.refuses = [step.verb for step in steps] == ["refuse"]
        self.connections = 0

    def __enter__(self) -> Self:
        if self.refuses:  # bound and not listening: the port is taken, and refuses
            self.reached = 1
        else:
            self._listener.listen()
            self._listener.settimeout(STEP_LIMIT)
            self._thread = threading.Thread(target=self._serve, daemon=True)
            self._thread.start()
        return self

    def _serve(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            self.failure = "nobody connected"
            return
        self.connections += 1
        self.play(Wire(sock))

    def __exit__(self, *_: object) -> None:
        """By now the program has ended, so the script must be at its end too, or stuck for good."""
        if not self.refuses:
            if self.wire is None:
                self._thread.join(0.1)
                self._listener.shutdown(socket.SHUT_RDWR)  # ends the accept
            self._thread.join(STEP_LIMIT + 2)
            if self._thread.is_alive() and self.failure is None:
                self.failure = f"stuck in step {self.reached + 1} `{self.steps[self.reached]}`"
            # A second connection would wait in the queue.
            self._listener.settimeout(0)
            try:
                sock, _ = self._listener.accept()
                self.connections += 1
                sock.close()
            except OSError:
                pass
        self._listener.close()


def play_client(steps: list[Step], pki: Paths, port: int) -> Player:
    """The peer as a client of the server at this port: plays the script to its end."""
    player = Player("C", steps, pki)
    player.play(Wire(socket.create_connection(("127.0.0.1", port), STEP_LIMIT)))
    return player
