"""A context that changes while other threads use it, as a server's does when its certificate is renewed."""

from __future__ import annotations

import contextlib
import ssl
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import smtptls
from ca.ca import Paths
from conftest import DEADLINE

from users.peers import HOST, openssl_client, openssl_server, server_side


@contextlib.contextmanager
def busy(work: Callable[[], object]) -> Iterator[None]:
    """Three threads that do this all the time, and take turns more often than they would."""
    stop, interval = threading.Event(), sys.getswitchinterval()

    def run() -> None:
        while not stop.is_set():
            work()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(3)]
    sys.setswitchinterval(1e-5)
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(DEADLINE)
        sys.setswitchinterval(interval)


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> bytes | None:
    """The two of them in memory; the certificate that the server showed."""
    to_client, to_server = (ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())
    asks = client.wrap_bio(*to_client, server_hostname=HOST)
    answers = server.wrap_bio(*to_server, server_side=True)
    for _ in range(4):
        for side in (asks, answers):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        to_server[0].write(to_client[1].read())
        to_client[0].write(to_server[1].read())
    return asks.getpeercert(True)


def test_renewed_certificate_is_served(pki: Paths) -> None:
    """A connection that begins after load_cert_chain has the new certificate."""
    context, client = server_side(pki), openssl_client(pki)
    client.check_hostname = False
    files = [(pki.other, pki.other_key), (pki.leaf, pki.leaf_key)]
    expected = [ssl.PEM_cert_to_DER_cert(certificate.read_text()) for certificate, _key in files]
    kept: list[smtptls.SSLContext] = [context]

    def connect() -> None:
        kept[0].wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)

    with busy(connect):
        for number in range(150):
            context.load_cert_chain(*files[number % 2])
            assert handshake(client, context) == expected[number % 2], f"renewal {number}"


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.005, 0.02])
def test_trust_added_at_the_first_connection(delay: float, pki: Paths) -> None:
    """The system's authorities are read for the first connection; one added meanwhile is trusted as well."""
    for _ in range(5):
        context = smtptls.create_default_context()
        begun = threading.Event()

        def first(context: ssl.SSLContext = context, begun: threading.Event = begun) -> None:
            begun.set()
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=HOST)

        thread = threading.Thread(target=first)
        thread.start()
        begun.wait(DEADLINE)
        threading.Event().wait(delay)
        context.load_verify_locations(pki.ca)
        thread.join(DEADLINE)
        handshake(context, openssl_server(pki))
