"""Servers that have nothing in common with us but the wish to encrypt: the error says so."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import openssl
import pytest
import smtptls
from ca.ca import NAME
from ca.chains import Chain, make
from ours import judge
from smtptls import Action, Config, Policy


def only(version: ssl.TLSVersion) -> Callable[[ssl.SSLContext], None]:
    def restrict(context: ssl.SSLContext) -> None:
        with pytest.warns(DeprecationWarning):
            context.minimum_version = context.maximum_version = version

    return restrict


def cipher(name: str) -> Callable[[ssl.SSLContext], None]:
    def restrict(context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{name}:@SECLEVEL=0")

    return restrict


SERVERS: dict[str, tuple[Callable[[ssl.SSLContext], None], str]] = {
    "TLS 1.0": (only(ssl.TLSVersion.TLSv1), "older than 1.2"),
    "TLS 1.1": (only(ssl.TLSVersion.TLSv1_1), "older than 1.2"),
    "RSA key exchange": (cipher("AES128-GCM-SHA256"), "RSA key exchange"),
    "CBC": (cipher("ECDHE-RSA-AES128-SHA"), "CBC"),
    "DHE": (cipher("DHE-RSA-AES128-GCM-SHA256"), "finite field DHE"),
    "another curve": (lambda context: context.set_ecdh_curve("secp521r1"), "group"),
}


@pytest.fixture(scope="module")
def chain() -> Chain:
    return make()["rsa-2048"]


@pytest.mark.parametrize(("level", "action"), [("may", Action.RECONNECT), ("encrypt", Action.NEXT_HOST)])
@pytest.mark.parametrize("server", SERVERS)
def test_nothing_in_common(server: str, level: str, action: Action, chain: Chain) -> None:
    """R8996-1, R9325-5.2-1, R9325-3.1.3-1, R9325-4.1-1, R8461-7.2-1: no weaker TLS; at may plaintext on
    a new connection, and the reason."""
    restrict, reason = SERVERS[server]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    restrict(context)
    openssl.load(context, chain)
    verdict = judge(Config(roots_pem=[chain.anchor]), Policy(level), NAME, context)
    error = verdict.error
    assert isinstance(error, smtptls.TlsError) and verdict.session.info is None
    assert (error.action, error.tlsrpt, error.enhanced_status) == (action, "validation-failure", "4.7.5")
    assert error.tlsrpt_reason == "tls-handshake-failure"
    assert reason in str(error), error
