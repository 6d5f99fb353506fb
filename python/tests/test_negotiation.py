"""Versions, cipher suites and groups of a Config: what it takes, and what two of them come to."""

from __future__ import annotations

from typing import Any

import pytest
from smtptls import Code, Config, ConfigError, Info, Policy, Session, TlsError, TlsVersion
from support import NAME, greet, together

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]


def agreed(pki: Any, ours: dict[str, Any], theirs: dict[str, Any]) -> Info:
    """What a client and a server with these keywords come to."""
    client = Session.client(Config(roots=[pki.ca], **ours), Policy(), NAME)
    server = Session.server(Config(keypairs=[(pki.leaf, pki.leaf_key)], **theirs))
    assert greet(client, server) == [None, None]
    assert client.info is not None and server.info is not None
    assert client.info.summary == server.info.summary
    return client.info


@pytest.mark.parametrize("version", list(TlsVersion))
def test_the_newest_version(pki: Any, version: TlsVersion) -> None:
    label = {TlsVersion.TLS1_2: "TLSv1.2", TlsVersion.TLS1_3: "TLSv1.3"}[version]
    bounds = {"min_version": version, "max_version": version}
    assert agreed(pki, bounds, {}).version == label
    assert agreed(pki, {}, bounds).version == label
    assert agreed(pki, {"max_version": version}, {}).version == label


def test_versions_that_do_not_meet(pki: Any) -> None:
    client = Session.client(Config(roots=[pki.ca], max_version=TlsVersion.TLS1_2), Policy(), NAME)
    serving = Config(keypairs=[(pki.leaf, pki.leaf_key)], min_version=TlsVersion.TLS1_3)
    server = Session.server(serving)
    failed, refused = together(client, server, [client.start], [server.start])
    assert isinstance(failed, TlsError) and isinstance(refused, TlsError)
    assert (failed.code, refused.code) == (Code.ALERT, Code.HANDSHAKE)


@pytest.mark.parametrize(
    ("ciphers", "at_1_3", "at_1_2"),
    [
        ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        (
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "TLS_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        ),
        (
            ["tls_chacha20_poly1305_sha256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_AES_256_GCM_SHA384",
            "TLS_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        ),
    ],
    ids=str,
)
def test_ciphers(pki: Any, ciphers: Any, at_1_3: str, at_1_2: str) -> None:
    """A list is for the versions that it names suites of."""
    assert agreed(pki, {"ciphers": ciphers}, {}).cipher == at_1_3
    old = {"max_version": TlsVersion.TLS1_2}
    assert agreed(pki, {"ciphers": ciphers, **old}, {}).cipher == at_1_2
    assert Config(ciphers=ciphers).unknown_ciphers == ()


@pytest.mark.parametrize(
    ("groups", "group"),
    [
        ("P-256", "secp256r1"),
        (["secp384r1"], "secp384r1"),
        (("prime256v1", "x25519"), "secp256r1"),
        ("X25519MLKEM768:x25519", "X25519MLKEM768"),
        (None, "x25519"),
    ],
    ids=str,
)
def test_groups(pki: Any, groups: Any, group: str) -> None:
    """The client's first group has the key share."""
    assert agreed(pki, {"groups": groups}, {}).group == group
    assert Config(groups=groups).unknown_groups == ()


def test_what_is_unknown_is_told() -> None:
    """And warned of by nothing: what to say to whom is the program's."""
    config = Config(
        ciphers="HIGH:!aNULL:TLS_AES_128_GCM_SHA256:RC4-SHA\x07", groups=["ffdhe2048", "x25519", "X448"]
    )
    assert config.unknown_ciphers == ("HIGH", "!aNULL", "RC4-SHA\\x07")
    assert config.unknown_groups == ("ffdhe2048", "X448")
    assert Config().unknown_ciphers == Config().unknown_groups == ()
    with pytest.raises(AttributeError):
        config.unknown_groups = ()  # type: ignore[misc]


@pytest.mark.parametrize("keyword", ["ciphers", "groups"])
@pytest.mark.parametrize("nothing", ["", " : ,", "HIGH:!aNULL\x1b", [], ["RC4"]], ids=str)
def test_a_list_of_nothing(keyword: str, nothing: Any) -> None:
    arguments: dict[str, Any] = {keyword: nothing}
    with pytest.raises(ConfigError) as caught:
        Config(**arguments)
    assert caught.value.code is Code.ARGUMENT and caught.value.message.isprintable()
