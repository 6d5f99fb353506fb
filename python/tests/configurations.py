"""Fixtures for all tests of the module: the test PKI and configurations.

Each test file has it as a plugin. It is no conftest.py, since tests/ of the repository has one already.
"""

from __future__ import annotations

import importlib.util
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import smtptls


@pytest.fixture(scope="session")
def ca() -> Any:
    """The module tests/ca/ca.py of the repository, which makes certificates."""
    path = Path(__file__).resolve().parents[2] / "tests/ca/ca.py"
    spec = importlib.util.spec_from_file_location("smtptls_test_ca", path)
    assert spec and spec.loader
    ca = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ca)
    return ca


@pytest.fixture(scope="session")
def pki(ca: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The throw-away PKI, made once a run; its fields are listed in tests/ca/ca.py of the repository."""
    return ca.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def trusting(pki: Any) -> smtptls.Config:
    """A client's configuration that trusts the test CA."""
    return smtptls.Config(hostname="client.example.test", roots=[pki.ca])


@pytest.fixture(scope="session")
def serving(pki: Any) -> smtptls.Config:
    """A server's configuration with a good certificate."""
    return smtptls.Config(hostname="mail.example.test", keypairs=[(pki.leaf, pki.leaf_key)])


@pytest.fixture(scope="session")
def tls(pki: Any) -> ssl.SSLContext:
    """A server's context of Python's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.leaf, pki.leaf_key)
    return context
