"""The kinds of sessions of the soak test: good ones, bad ones and hostile ones.

    Mail            a message with an id and a checksum, and what became of it
    Soak            what all sessions share
    KINDS           each kind by name: how often it comes, and its coroutine

A coroutine plays one session. It raises what it did not expect, and registers each message before the last
octet of it is sent: as one that must arrive, one that must not, or one of which nobody can know, since the
connection ended before the answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ca.ca import Paths

from soak.link import Link, Unexpected

ENDED = (OSError, EOFError, ssl.SSLError)  # how it shows that a server will have no more


@dataclass
class Soak:
    """What all sessions share."""

    port: int
    pki: Paths
    limit: float  # for how long a server bears silence
    random: random.Random
    sent: dict[bytes, str] = field(default_factory=dict)  # by id: "must", "may" or "never"
    session: dict[str, ssl.SSLSession] = field(default_factory=dict)  # the last one of each version
    resumed: int = 0

    # Each wait of a client: a server that says nothing when its own limit is over hangs.
    @property
    def patience(self) -> float:
        return self.limit * 3 + 10

    async def open(self) -> Link:
        return await Link.open(self.port, self.patience)

    def mail(self, fate: str, size: int | None = None) -> bytes:
        """A new message as it goes over the wire, stuffed and with its last dot."""
        name = b"%016x.%d" % (self.random.getrandbits(64), len(self.sent))
        if size is None:
            size = self.random.choice((1, 3, 10, 10, 30, 60, 1500 if len(self.sent) % 40 == 0 else 20))
        lines = [b"%x" % self.random.getrandbits(280) for _ in range(size)]
        lines[0] = b"."
        text = b"\n".join(lines) + b"\n"
        self.sent[name] = fate
        check = hashlib.sha256(text).hexdigest().encode()
        wire = b"Subject: soak\nX-Id: %s\nX-Sum: %s\n\n" % (name, check) + text
        return wire.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n") + b".\r\n"

    @cached_property
    def contexts(self) -> dict[str, ssl.SSLContext]:
        def made(ca: Path, pair: tuple[Path, Path] | None = None, version: str = "") -> ssl.SSLContext:
            context = ssl.create_default_context(cafile=str(ca))
            if pair:
                context.load_cert_chain(*pair)
            if version:
                context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
            return context

        pki = self.pki
        old = made(pki.ca)
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        return {
            "1.2": made(pki.ca, version="TLSv1_2"),
            "1.3": made(pki.ca, version="TLSv1_3"),
            "own": made(pki.ca, (pki.client, pki.client_key)),
            "expired": made(pki.ca, (pki.clientexpired, pki.clientexpired_key)),
            "unknown": made(pki.ca, (pki.clientunknown, pki.clientunknown_key)),
            "stranger": made(pki.wrongca),
            "old": old,
        }

    async def secured(self, which: str = "1.3") -> Link:
        """A connection that has said EHLO inside TLS."""
        link = await self.open()
        try:
            await link.hello()
            await link.starttls(self.contexts[which])
            await link.command(b"EHLO client.example.test", 250)
        except BaseException:
            link.close()
            raise
        return link

    async def to_data(self, which: str = "1.3") -> Link:
        """The same, after the answer to DATA."""
        link = await self.secured(which)
        try:
            await envelope(link)
        except BaseException:
            link.close()
            raise
        return link


async def envelope(link: Link) -> None:
    await link.command(b"MAIL FROM:<alice@client.example.test>", 250)
    await link.command(b"RCPT TO:<bob@mail.example.test>", 250)
    await link.command(b"DATA", 354)


# -- good ones -----------------------------------------------------------------------------------------------


async def good(soak: Soak) -> None:
    """One message or two, TLS 1.2 or 1.3, resumed if there is a session to resume."""
    version = soak.random.choice(("1.2", "1.3", "1.3", "1.3"))
    link = await soak.open()
    with contextlib.closing(link):
        await link.hello()
        kept = soak.session.get(version) if soak.random.random() < 0.5 else None
        await link.starttls(soak.contexts[version], kept)
        await link.command(b"EHLO client.example.test", 250)
        for _ in range(soak.random.choice((1, 1, 2))):
            await envelope(link)
            await link.send(soak.mail("must"))
            await link.reply(250)
        soak.resumed += bool(link.tls.session_reused)
        if link.tls.session and link.tls.session.has_ticket:
            soak.session[version] = link.tls.session
        await link.quit()


async def own_certificate(soak: Soak) -> None:
    await deliver(soak, "own")


async def expired_certificate(soak: Soak) -> None:
    """It is asked for and not required: such a client is nobody in particular."""
    await deliver(soak, "expired")


async def unknown_certificate(soak: Soak) -> None:
    await deliver(soak, "unknown")


async def deliver(soak: Soak, which: str) -> None:
    link = await soak.to_data(which)
    with contextlib.closing(link):
        await link.send(soak.mail("must"))
        await link.reply(250)
        await link.quit()


async def small_records(soak: Soak) -> None:
    """Each octet is a record of its own."""
    link = await soak.to_data()
    with contextlib.closing(link):
        wire = soak.mail("must", size=2)
        await link.raw(b"".join(link.record(wire[n : n + 1]) for n in range(len(wire))))
        await link.reply(250)
        await link.quit()


async def again(soak: Soak) -> None:
    """STARTTLS inside TLS is refused, and nothing is lost by it."""
    link = await soak.secured()
    with contextlib.closing(link):
        await link.command(b"STARTTLS", 454, 500, 502, 503)
        await envelope(link)
        await link.send(soak.mail("must"))
        await link.reply(250)
        await link.quit()


# -- wrong order ---------------------------------------------------------------------------------------------


async def in_clear(soak: Soak) -> None:
    """A whole message without TLS, where TLS is required."""
    link = await soak.open()
    with contextlib.closing(link):
        await link.hello()
        await link.command(b"MAIL FROM:<alice@client.example.test>", 530)
        await link.command(b"RCPT TO:<bob@mail.example.test>", 503, 530)
        await link.command(b"DATA", 503, 530)
        await link.send(soak.mail("never", size=3) + b"QUIT\r\n")
        if b"250" in await link.until_end():
            raise Unexpected("250 for a message in clear")


async def wrong_order(soak: Soak) -> None:
    """What was said in clear does not count inside, and DATA without recipients neither."""
    link = await soak.open()
    with contextlib.closing(link):
        await link.hello()
        await link.starttls(soak.contexts["1.3"])
        await link.command(b"MAIL FROM:<alice@client.example.test>", 503)
        await link.command(b"EHLO client.example.test", 250)
        await link.command(b"DATA", 503)
        await link.command(b"MAIL FROM:<alice@client.example.test>", 250)
        await link.command(b"DATA", 503)
        await link.quit()


# -- injection -----------------------------------------------------------------------------------------------


async def injection(soak: Soak) -> None:
    """Commands behind STARTTLS in the same segment: nothing answers them inside TLS."""
    link = await soak.open()
    with contextlib.closing(link):
        await link.hello()
        await link.send(b"STARTTLS\r\nHELO injected\r\nMAIL FROM:<injected@client.example.test>\r\n")
        with contextlib.suppress(*ENDED):
            code, _text = await link.reply()
            if code != 220:
                return
            await link.handshake(soak.contexts["1.3"])
            _code, text = await link.command(b"EHLO client.example.test")
            if b"\n250" not in text:
                raise Unexpected(f"not the answer to EHLO: {text!r}")
            await link.command(b"RCPT TO:<bob@mail.example.test>", 503)


async def injected_hello(soak: Soak) -> None:
    """A ClientHello that does not wait for 220."""
    link = await soak.open()
    with contextlib.closing(link):
        await link.hello()
        await link.raw(b"STARTTLS\r\n" + link.client_hello(soak.contexts["1.3"]))
        link.half_close()
        await link.until_end()


# -- octets that are none of SMTP's or TLS's -----------------------------------------------------------------


async def garbage(soak: Soak) -> None:
    link = await soak.open()
    with contextlib.closing(link):
        await link.hello()
        await link.command(b"STARTTLS", 220)
        await link.raw(soak.random.randbytes(soak.random.choice((1, 5, 100, 20_000))))
        link.half_close()
        await link.until_end()


async def spoilt_record(soak: Soak) -> None:
    """One octet of a record in a message is another one."""
    link = await soak.to_data()
    with contextlib.closing(link):
        spoilt = bytearray(link.record(soak.mail("never", size=3)))
        spoilt[soak.random.randrange(5, len(spoilt))] ^= 1
        await link.raw(bytes(spoilt))
        if b"250" in await link.until_end():
            raise Unexpected("250 for a spoilt record")


async def clear_inside(soak: Soak) -> None:
    """Plaintext in the middle of TLS."""
    link = await soak.to_data()
    with contextlib.closing(link):
        await link.raw(soak.mail("never", size=3))
        if b"250" in await link.until_end():
            raise Unexpected("250 for plaintext")


async def long_line(soak: Soak) -> None:
    link = await soak.open()
    with contextlib.closing(link):
        await link.reply(220)
        with contextlib.suppress(OSError):
            await link.send(b"EHLO " + b"x" * 100_000 + b"\r\n")
            link.half_close()
        if b"\n250" in await link.until_end():
            raise Unexpected("250 for a line of 100,000 octets")


async def long_line_inside(soak: Soak) -> None:
    link = await soak.secured()
    with contextlib.closing(link), contextlib.suppress(OSError):
        await link.send(b"NOOP " + b"x" * 100_000 + b"\r\n")
        link.half_close()
        if (await link.until_end()).startswith(b"250"):
            raise Unexpected("250 for a line of 100,000 octets")


async def flood(soak: Soak) -> None:
    """A thousand commands at once, whose answers nobody reads before the end."""
    link = await soak.secured()
    with contextlib.closing(link):
        await link.send(b"NOOP\r\n" * 1000)
        for _ in range(1000):
            await link.reply(250)
        await link.quit()


# -- handshakes that lead nowhere ----------------------------------------------------------------------------


async def half_handshake(soak: Soak) -> None:
    """The server's flight is read, and not answered."""
    link = await soak.open()
    with contextlib.closing(link):
        await link.hello()
        await link.command(b"STARTTLS", 220)
        await link.raw(link.client_hello(soak.contexts[soak.random.choice(("1.2", "1.3"))]))
        await link.raw_read()
        if soak.random.random() < 0.5:
            link.reset()
        else:
            link.half_close()
            await link.until_end()


async def cut_hello(soak: Soak) -> None:
    link = await soak.open()
    with contextlib.closing(link):
        await link.hello()
        await link.command(b"STARTTLS", 220)
        hello = link.client_hello(soak.contexts["1.3"])
        await link.raw(hello[: soak.random.randrange(1, len(hello))])
        link.half_close()
        await link.until_end()


async def refused_by_client(soak: Soak) -> None:
    """A client that does not trust the server says so with an alert."""
    link = await soak.open()
    with contextlib.closing(link):
        await link.hello()
        try:
            await link.starttls(soak.contexts["stranger"])
        except ssl.SSLCertVerificationError:
            return
        raise Unexpected("a certificate of a stranger was taken")


async def old_version(soak: Soak) -> None:
    link = await soak.open()
    with contextlib.closing(link):
        await link.hello()
        try:
            await link.starttls(soak.contexts["old"])
        except (ssl.SSLError, OSError):
            return
        raise Unexpected("TLS 1.1 was taken")


# -- ends ----------------------------------------------------------------------------------------------------


async def reset(soak: Soak) -> None:
    """RST after so many steps."""
    link = await soak.open()
    with contextlib.closing(link):
        steps = soak.random.randrange(6)
        if steps > 0:
            await link.hello()
        if steps == 2:
            await link.command(b"STARTTLS", 220)
        if steps > 2:
            await link.starttls(soak.contexts["1.3"])
        if steps > 3:
            await link.command(b"EHLO client.example.test", 250)
        if steps > 4:
            await envelope(link)
        link.reset()


async def cut(soak: Soak) -> None:
    """Half a message, and an end of TCP with close_notify or without."""
    link = await soak.to_data()
    with contextlib.closing(link):
        wire = soak.mail("never")
        await link.send(wire[: soak.random.randrange(len(wire) - 3)])
        if soak.random.random() < 0.5:
            with contextlib.suppress(ssl.SSLError):
                link.tls.unwrap()
        link.half_close()
        if b"250" in await link.until_end():
            raise Unexpected("250 for half a message")


async def torn(soak: Soak) -> None:
    """Half a message, then RST."""
    link = await soak.to_data()
    wire = soak.mail("never")
    await link.send(wire[: soak.random.randrange(len(wire) - 3)])
    link.reset()


async def unanswered(soak: Soak) -> None:
    """A whole message, and RST before its answer is read: once or never, but not half and not twice."""
    link = await soak.to_data()
    await link.send(soak.mail("may"))
    link.reset()


async def no_quit(soak: Soak) -> None:
    link = await soak.to_data()
    with contextlib.closing(link):
        await link.send(soak.mail("must"))
        await link.reply(250)


# -- silence -------------------------------------------------------------------------------------------------


async def stall(soak: Soak) -> None:
    """Silence after so many steps, until the server has had enough of it."""
    link = await soak.open()
    with contextlib.closing(link):
        steps = soak.random.randrange(6)
        if steps > 0:
            await link.hello()
        if steps in (2, 3):
            await link.command(b"STARTTLS", 220)
        if steps == 3:
            hello = link.client_hello(soak.contexts["1.3"])
            await link.raw(hello[: len(hello) // 2])
        if steps > 3:
            await link.starttls(soak.contexts["1.3"])
        if steps > 4:
            await link.command(b"EHLO client.example.test", 250)
            await envelope(link)
            await link.send(soak.mail("never")[:40])
        if b"250" in await link.until_end():
            raise Unexpected("250 for silence")


Kind = Callable[[Soak], Awaitable[None]]

# How often each comes: half of all sessions are good, and one in fifty is silent.
KINDS: dict[str, tuple[int, Kind]] = {
    "good": (500, good),
    "own certificate": (20, own_certificate),
    "expired certificate": (10, expired_certificate),
    "unknown certificate": (10, unknown_certificate),
    "records of one octet": (5, small_records),
    "STARTTLS inside TLS": (15, again),
    "message in clear": (30, in_clear),
    "wrong order": (30, wrong_order),
    "injection": (30, injection),
    "injected ClientHello": (20, injected_hello),
    "garbage": (30, garbage),
    "spoilt record": (20, spoilt_record),
    "plaintext inside TLS": (20, clear_inside),
    "long line": (15, long_line),
    "long line inside TLS": (15, long_line_inside),
    "flood": (5, flood),
    "half a handshake": (30, half_handshake),
    "half a ClientHello": (20, cut_hello),
    "client trusts nobody": (20, refused_by_client),
    "TLS 1.1": (10, old_version),
    "reset": (40, reset),
    "half a message": (25, cut),
    "half a message, reset": (20, torn),
    "no answer awaited": (20, unanswered),
    "no QUIT": (20, no_quit),
    "silence": (20, stall),
}
