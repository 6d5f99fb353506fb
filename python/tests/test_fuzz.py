"""Random calls in a random order on a Session and on an SSLObject, with broken bytes from the peer.

Each call gives a result or an error of the kind that its documentation names: no crash, no hang, no panic
(which would be the code INTERNAL), nothing that was sent before TLS in what is read inside it.

The run in CI is always the same one. SMTPTLS_FUZZ=100000 does so many examples of each test, and others.
"""

from __future__ import annotations

import faulthandler
import functools
import os
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import smtptls
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smtptls import Close, Code, Config, Entry, Policy, Protocol, Session, SSLContext
from support import NAME, greet, pair

pytest_plugins = ["configurations"]
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore:ssl NPN is deprecated:DeprecationWarning"),
]

EXAMPLES = int(os.environ.get("SMTPTLS_FUZZ", "0"))
# Whatever goes into TLS has only octets above 127, and SMTP only those below: so who has said what shows.
SECRET = bytes(range(0x80, 0x100))
INJECTED = b"INJECTED"
HANGS = 60.0  # seconds of one example


def fuzz(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    """An endless loop in Rust never comes back to Python: only this ends it."""
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def configs(pki: Any) -> list[Config]:
    """What sessions of either role are made of: a good pair, TLS 1.2, a key elsewhere, a bad certificate."""
    good = [(pki.leaf, pki.leaf_key)]
    return [
        Config(hostname=NAME, roots=[pki.ca], keypairs=good, client_sessions=4),
        Config(hostname=NAME, roots=[pki.ca], keypairs=good, max_version=smtptls.TlsVersion.TLS1_2),
        Config(hostname=NAME, roots=[pki.ca], keypairs=[smtptls.KeyPair(pki.leaf, None)]),
        Config(
            hostname=NAME,
            roots=[pki.wrongca],
            keypairs=[(pki.selfsigned, pki.selfsigned_key)],
            client_auth=smtptls.ClientAuth.REQUIRE,
        ),
    ]


@pytest.fixture(scope="module")
def flights(trusting: Config, serving: Config) -> list[bytes]:
    """What either side said in sessions that went well."""
    said = []
    for protocol in Protocol:
        sessions = pair(trusting, serving, protocol=protocol)
        heard = [bytearray(), bytearray()]
        taps = [_Tap(session, tape) for session, tape in zip(sessions, heard, strict=True)]
        assert greet(*taps) == [None, None]  # type: ignore[arg-type]
        said += [bytes(tape) for tape in heard]
    assert all(len(flight) > 100 for flight in said)
    return said


class _Tap:
    """A session, and what it has sent."""

    def __init__(self, session: Session, tape: bytearray) -> None:
        self._session, self._tape = session, tape

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def sent(self, count: int) -> None:
        self._tape += self._session.output()[:count]
        self._session.sent(count)


# Each method of a Session: arguments that can be right, and such that are wrong.
CALLS: dict[str, list[tuple[Any, ...]]] = {
    "check_requiretls": [(True,), (False,), (object(),)],
    "close": [(how,) for how in Close] + [(), (99,), ("half",)],
    "expire": [(), (1,)],
    "feed": [
        (b"",),
        (INJECTED + b"\r\n",),
        (b"EHLO x\r\n",),
        ("text",),
        (None,),
        (memoryview(b"abcd")[::2],),
    ],
    "fileno": [(), (1,)],
    "flush": [(), (1,)],
    "insecure_continue": [(), (1,)],
    "leftover": [(), (1,)],
    "makefile": [(), ("rwb", 0), ("r",), (b"rb",)],
    "output": [(), (1,)],
    "pending": [(), (1,)],
    "recv": [(0,), (1,), (65536,), (2**40,), (-1,), (2**70,), ("1",)],
    "recv_into": [(bytearray(9),), (memoryview(bytearray(5))[1:],), (bytearray(),), (b"const",), (7,)],
    "refuse": [(), (1,)],
    "send": [(SECRET,), (SECRET * 300, True), (b"",), ("text",), (None, True)],
    "sendall": [(SECRET,), (SECRET, True), (memoryview(SECRET)[::2],), (b"",), ("text",), (SECRET, "x", 1)],
    "sent": [(0,), (1,), (10**6,), (-1,), (2**70,), ("1",)],
    "set_banner": [(b"220 hello\r\n",), (b"x" * 100_000,), ("text",)],
    "set_command": [("STARTTLS",), (b"STARTTLS\r\n",), (b"STARTTLS\r\nMAIL",), (b"\xff\0",), (5,)],
    "set_deadline": [(1,), (None,), (-1,), (float("nan"),), ("soon",)],
    "set_discard": [(True,), (False,), (object(),)],
    "set_exempt_more": [(True,), (False,), (object(),)],
    "set_greeting": [("here",), ("two\r\nlines",), ("\u00e9" * 1000,), (b"bytes",)],
    "set_not_now": [(), (1,)],
    "set_signature": [(b"",), (b"0" * 70,), ("text",)],
    "settimeout": [(1,), (None,), (float("inf"),), ("soon",)],
    "start": [(), *((entry,) for entry in Entry), (Entry.GREETING, 3), (99,), (Entry.HANDSHAKE, -1), ("x",)],
}
# Its properties, and its static methods.
LOOKS = ["error", "hello", "info", "is_tls", "is_truncated", "reply", "reports", "signature_request"]
MADE = ("client", "server")  # static methods


def test_every_method_has_its_arguments() -> None:
    names = {name for name in dir(Session) if not name.startswith("_")}
    assert names == {*CALLS, *LOOKS, *MADE}


class World:
    """Two sessions, what each has said inside TLS, and what each has read there."""

    def __init__(self, client: Session, server: Session) -> None:
        self.sides = (client, server)
        self.said = (bytearray(), bytearray())
        self.read = (bytearray(), bytearray())

    def call(self, side: int, name: str, arguments: tuple[Any, ...]) -> None:
        session = self.sides[side]
        try:
            result = getattr(session, name)(*arguments)
        except smtptls.Error as error:
            assert error.code is not Code.INTERNAL, f"{name}{arguments!r}: {error}"
            if name == "sendall" and isinstance(error, smtptls.WantOutput):
                self.said[side].extend(bytes(arguments[0])[: error.characters_written])
            return
        except (TypeError, ValueError, OverflowError):
            return
        match name:
            case "recv":
                assert isinstance(result, bytes) and len(result) <= arguments[0]
                self.came(side, result)
            case "recv_into":
                self.came(side, bytes(arguments[0])[:result])
            case "send":
                self.said[side].extend(bytes(arguments[0])[:result])
            case "sendall":
                self.said[side].extend(bytes(arguments[0]))
            case "leftover" | "output":
                assert isinstance(result, bytes)
            case "pending" | "feed":
                assert isinstance(result, int) and result >= 0
            case "makefile":
                result.close()

    def came(self, side: int, data: bytes) -> None:
        """What was read: first the peer's octets from inside TLS, in order; and no plaintext ever."""
        self.read[side].extend(octet for octet in data if octet >= 0x80)
        assert INJECTED not in data
        assert self.said[1 - side].startswith(self.read[side])

    def look(self, side: int) -> None:
        for name in LOOKS:
            getattr(self.sides[side], name)
        info = self.sides[side].info
        if info is not None:
            str(info)

    def carry(self, side: int, most: int, flip: int | None) -> None:
        """Take what one side has to send to the other one; perhaps with one octet that is another."""
        source, target = self.sides[side], self.sides[1 - side]
        data = bytearray(source.output()[:most])
        if not data:
            return
        if flip is not None:
            data[flip % len(data)] ^= 1 << (flip % 8)
        source.sent(target.feed(data))


def a_call(calls: dict[str, list[tuple[Any, ...]]]) -> st.SearchStrategy[tuple[Any, ...]]:
    """A side, a method, and which of its arguments."""
    ways = [(name, number) for name in sorted(calls) for number in range(len(calls[name]))]
    return st.tuples(st.just("call"), st.integers(0, 1), st.sampled_from(ways))


def fresh(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """A buffer that one call has filled must not be the next one's."""
    return tuple(bytearray(a) if type(a) is bytearray else a for a in arguments)


def steps() -> st.SearchStrategy[list[tuple[Any, ...]]]:
    side = st.integers(0, 1)
    call = a_call(CALLS)
    starts = [("start", number) for number in range(4)]
    go_on = st.tuples(st.just("call"), side, st.sampled_from([*starts, ("recv", 1), ("recv", 2)]))
    carry = st.tuples(st.just("carry"), side, st.sampled_from([1, 7, 500, 10**6, 10**6]), st.none())
    broken = st.tuples(st.just("carry"), side, st.just(10**6), st.integers(0, 5000))
    raw = st.tuples(st.just("raw"), side, st.binary(max_size=80))
    piece = st.tuples(st.just("flight"), side, st.integers(0, 3), st.integers(0, 6000), st.integers(0, 6000))
    look = st.tuples(st.just("look"), side)
    both = st.tuples(st.just("both"), st.sampled_from(list(Entry)))
    kinds = (call, call, go_on, carry, carry, broken, raw, piece, look, both)
    return st.lists(st.one_of(*kinds), max_size=40)


def go(world: World, todo: list[tuple[Any, ...]], flights: list[bytes]) -> None:
    faulthandler.dump_traceback_later(HANGS, exit=True)
    for kind, *rest in todo:
        match kind, rest:
            case "call", [side, (name, number)]:
                world.call(side, name, fresh(CALLS[name][number]))
            case "carry", [side, most, flip]:
                world.carry(side, most, flip)
            case "raw", [side, data]:
                world.call(side, "feed", (data,))
            case "flight", [side, which, begin, end]:
                world.call(side, "feed", (flights[which][begin:end],))
            case "look", [side]:
                world.look(side)
            case "both", [entry]:
                for _ in range(8):
                    for side in (0, 1):
                        world.call(side, "start", (entry,))
                        world.carry(side, 10**6, None)


@fuzz(600)
@given(data=st.data())
def test_a_session(configs: list[Config], flights: list[bytes], data: st.DataObject) -> None:
    """Two sessions that may meet, at any entry, under any policy; and anything else."""
    pick = functools.partial(st.sampled_from, configs)
    level = st.sampled_from(["may", "encrypt", "verify", "secure"])
    protocol = data.draw(st.sampled_from(list(Protocol)))
    client = Session.client(data.draw(pick()), Policy(data.draw(level)), NAME, protocol=protocol)
    policy = data.draw(st.sampled_from([None, Policy("encrypt")]))
    server = Session.server(data.draw(pick()), policy, protocol=protocol)
    go(World(client, server), data.draw(steps()), flights)


@fuzz(400)
@given(first=st.integers(0, 3), second=st.integers(0, 3), todo=steps())
def test_a_session_in_tls(
    configs: list[Config], flights: list[bytes], first: int, second: int, todo: list[tuple[Any, ...]]
) -> None:
    """The same from where a handshake is done, if these two can do one."""
    world = World(Session.client(configs[first], Policy("may"), NAME), Session.server(configs[second]))
    go(world, [("both", Entry.HANDSHAKE)], flights)
    go(world, todo, flights)


def test_the_same_calls_in_order_do_meet(configs: list[Config], flights: list[bytes]) -> None:
    """What the tests above do does come to TLS, and their look at what is read would find plaintext in it."""
    world = World(Session.client(configs[0], Policy("verify"), NAME), Session.server(configs[1]))
    exchange = [("call", 0, ("sendall", 0)), ("carry", 0, 10**6, None), ("call", 1, ("recv", 2))]
    go(world, [("both", Entry.HANDSHAKE), *exchange], flights)
    assert bytes(world.read[1]) == SECRET
    with pytest.raises(AssertionError):
        world.came(1, INJECTED)
    with pytest.raises(AssertionError):
        world.came(0, b"\x80")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.binary(max_size=40)
)
MAKERS: list[Callable[..., Any]] = [
    Policy,
    smtptls.Tlsa,
    smtptls.Tlsa.parse,
    smtptls.Tlsa.from_rdata,
    smtptls.Tlsa.of,
    smtptls.StsPolicy.parse,
    smtptls.StsRecord.find,
    smtptls.escape,
    smtptls.fingerprint,
    smtptls.KeyPair,
    Session.client,
    Session.server,
]


@fuzz(800)
@given(make=st.sampled_from(MAKERS), arguments=st.lists(st.one_of(VALUES, st.lists(VALUES)), max_size=4))
def test_what_makes_things(make: Callable[..., Any], arguments: list[Any]) -> None:
    faulthandler.dump_traceback_later(HANGS, exit=True)
    try:
        make(*arguments)
    except smtptls.Error as error:
        assert error.code is not Code.INTERNAL
    except (TypeError, ValueError, OverflowError):
        pass


# Each method and property of an SSLObject.
OBJECT_CALLS: dict[str, list[tuple[Any, ...]]] = {
    "cipher": [()],
    "compression": [()],
    "do_handshake": [(), (), ()],
    "get_channel_binding": [(), ("tls-exporter",), ("tls-server-end-point",), ("x",), (5,)],
    "getpeercert": [(), (True,), (object(),)],
    "pending": [(), (1,)],
    "read": [
        (),
        (1,),
        (65536,),
        (0,),
        (-1,),
        (5, bytearray(3)),
        (0, bytearray(9)),
        (2**70,),
        (3, b"const"),
        ("1",),
    ],
    "selected_alpn_protocol": [()],
    "selected_npn_protocol": [()],
    "shared_ciphers": [()],
    "unwrap": [()],
    "verify_client_post_handshake": [()],
    "version": [()],
    "write": [(SECRET,), (SECRET * 300,), (memoryview(SECRET)[::2],), (b"",), ("text",), (None,)],
}
OBJECT_LOOKS = ["context", "info", "server_hostname", "server_side", "session", "session_reused"]


def test_every_method_of_an_object_has_its_arguments() -> None:
    names = {name for name in dir(smtptls.SSLObject) if not name.startswith("_")}
    assert names == {*OBJECT_CALLS, *OBJECT_LOOKS}


class ObjectWorld:
    """Two SSLObjects, of which at least one is ours, and the buffers between them and the wire."""

    def __init__(self, client: ssl.SSLContext, server: ssl.SSLContext) -> None:
        self.buffers = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in range(2)]
        self.sides = (
            client.wrap_bio(*self.buffers[0], server_hostname=NAME),
            server.wrap_bio(*self.buffers[1], server_side=True),
        )
        self.ended = [False, False]
        self.said = (bytearray(), bytearray())
        self.read = (bytearray(), bytearray())

    def call(self, side: int, name: str, arguments: tuple[Any, ...]) -> None:
        try:
            result = getattr(self.sides[side], name)(*arguments)
        except (ssl.SSLError, TypeError, ValueError, OverflowError) as error:
            assert getattr(error, "code", None) is not Code.INTERNAL, f"{name}{arguments!r}: {error}"
            return
        except BufferError:  # OpenSSL's for what is not contiguous
            assert not isinstance(self.sides[side], smtptls.SSLObject)
            return
        if name == "write":
            self.said[side].extend(bytes(arguments[0])[:result])
        elif name == "read":
            data = bytes(arguments[1])[:result] if len(arguments) > 1 else result
            self.read[side].extend(data)
            assert self.said[1 - side].startswith(self.read[side])

    def carry(self, side: int, most: int, flip: int | None) -> None:
        data = bytearray(self.buffers[side][1].read(most))
        if data and flip is not None:
            data[flip % len(data)] ^= 1 << (flip % 8)
        self.put(1 - side, bytes(data))

    def put(self, side: int, data: bytes) -> None:
        try:
            self.buffers[side][0].write(data)
        except ssl.SSLError:
            assert self.ended[side]

    def go(self, todo: list[tuple[Any, ...]], flights: list[bytes]) -> None:
        faulthandler.dump_traceback_later(HANGS, exit=True)
        for kind, *rest in todo:
            match kind, rest:
                case "call", [side, (name, number)]:
                    self.call(side, name, fresh(OBJECT_CALLS[name][number]))
                case "carry", [side, most, flip]:
                    self.carry(side, most, flip)
                case "raw", [side, data]:
                    self.put(side, data)
                case "flight", [side, which, begin, end]:
                    self.put(side, flights[which][begin:end])
                case "eof", [side]:
                    self.buffers[side][0].write_eof()
                    self.ended[side] = True
                case "look", [side]:
                    if isinstance(self.sides[side], smtptls.SSLObject):
                        for name in OBJECT_LOOKS:
                            getattr(self.sides[side], name)
                case "both", []:
                    for _ in range(4):
                        for side in (0, 1):
                            self.call(side, "do_handshake", ())
                            self.carry(side, 10**6, None)


def object_steps() -> st.SearchStrategy[list[tuple[Any, ...]]]:
    side = st.integers(0, 1)
    call = a_call(OBJECT_CALLS)
    carry = st.tuples(st.just("carry"), side, st.sampled_from([1, 7, 500, 10**6, 10**6]), st.none())
    broken = st.tuples(st.just("carry"), side, st.just(10**6), st.integers(0, 5000))
    raw = st.tuples(st.just("raw"), side, st.binary(max_size=80))
    piece = st.tuples(st.just("flight"), side, st.integers(0, 3), st.integers(0, 6000), st.integers(0, 6000))
    rare = st.one_of(st.tuples(st.just("eof"), side), st.tuples(st.just("look"), side), raw, piece, broken)
    kinds = (call, call, carry, carry, st.tuples(st.just("both")), rare)
    return st.lists(st.one_of(*kinds), max_size=40)


@pytest.fixture(scope="module")
def contexts(pki: Any) -> tuple[list[ssl.SSLContext], list[ssl.SSLContext]]:
    """Of clients and of servers; the last of each is ssl's own."""
    clients: list[ssl.SSLContext] = []
    servers: list[ssl.SSLContext] = []
    for kind in (SSLContext, SSLContext, SSLContext, ssl.SSLContext):
        client, server = kind(ssl.PROTOCOL_TLS_CLIENT), kind(ssl.PROTOCOL_TLS_SERVER)
        client.load_verify_locations(pki.ca)
        client.load_cert_chain(pki.client, pki.client_key)
        server.load_verify_locations(pki.ca)
        server.load_cert_chain(pki.leaf, pki.leaf_key)
        clients.append(client)
        servers.append(server)
    clients[1].maximum_version = ssl.TLSVersion.TLSv1_2
    clients[2].load_verify_locations(pki.wrongca)
    servers[1].verify_mode = ssl.CERT_REQUIRED
    servers[2].sni_callback = lambda sock, name, context: None
    return clients, servers


@fuzz(600)
@given(
    which=st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(lambda t: t != (3, 3)), todo=object_steps()
)
def test_an_object(contexts: Any, flights: list[bytes], which: tuple[int, int], todo: list[Any]) -> None:
    """Against our own kind and against OpenSSL's."""
    ObjectWorld(contexts[0][which[0]], contexts[1][which[1]]).go(todo, flights)


def test_objects_do_meet(contexts: Any, flights: list[bytes]) -> None:
    """What the test above does comes to TLS, and what it looks at would show a wrong octet."""
    for one, other in ((0, 0), (3, 0), (0, 3), (1, 1), (1, 2)):
        world = ObjectWorld(contexts[0][one], contexts[1][other])
        exchange = [("call", 0, ("write", 0)), ("carry", 0, 10**6, None), ("call", 1, ("read", 2))]
        world.go([("both",), *exchange], flights)
        assert bytes(world.read[1]) == SECRET, (one, other)
        world.said[0].clear()
        world.call(0, "write", (SECRET,))
        world.said[0][0] ^= 1
        world.carry(0, 10**6, None)
        with pytest.raises(AssertionError):
            world.call(1, "read", (65536,))
