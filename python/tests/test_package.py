"""The package as a whole: its enums, its types, and what it says of itself."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest
import smtptls
from smtptls import _native

pytest_plugins = ["configurations"]
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "include/smtptls.h"
# What C calls the members of each enum.
PREFIXES = {
    "Action": "SMTPTLS_ACTION_",
    "Auth": "SMTPTLS_AUTH_",
    "ClientAuth": "SMTPTLS_CLIENT_AUTH_",
    "Close": "SMTPTLS_CLOSE_",
    "Digest": "SMTPTLS_DIGEST_",
    "Dnssec": "SMTPTLS_DNSSEC_",
    "Entry": "SMTPTLS_FROM_",
    "FingerprintOf": "SMTPTLS_FINGERPRINT_",
    "Level": "SMTPTLS_LEVEL_",
    "Protocol": "SMTPTLS_PROTOCOL_",
    "StsMode": "SMTPTLS_STS_",
    "TlsVersion": "SMTPTLS_",
    "Tlsrpt": "SMTPTLS_TLSRPT_",
}
# Where C has another word.
WORDS = {"FINGERPRINT_CERT": "FINGERPRINT_CERTIFICATE", "FINGERPRINT_PUBKEY": "FINGERPRINT_PUBLIC_KEY"}


def header() -> dict[str, int]:
    """The numbers of include/smtptls.h by their names."""
    text = HEADER.read_text()
    return {
        name: int(number) for name, number in re.findall(r"^\s*(SMTPTLS_\w+) = (-?\d+),", text, re.MULTILINE)
    }


@pytest.mark.parametrize("name", [name for name, _ in _native.tables()])
def test_enums_are_the_engine_s(name: str) -> None:
    table = dict(dict(_native.tables())[name])
    enum = getattr(smtptls, name)
    assert {member.name: member.value for member in enum} == table
    assert enum.__module__ == "smtptls"


def test_enums_are_those_of_c() -> None:
    if not HEADER.exists():
        pytest.fail(f"{HEADER} is missing")
    numbers = header()
    for name, prefix in PREFIXES.items():
        for member in getattr(smtptls, name):
            wanted = prefix + member.name
            names = {wanted, *(wanted.replace(python, c) for c, python in WORDS.items())}
            assert [numbers[one] for one in names if one in numbers] == [member.value], names
    codes = {name: number for name, number in numbers.items() if re.match("SMTPTLS_(ERR|WANT)_", name)}
    del codes["SMTPTLS_WANT_RETRY"]  # Python's sockets begin again by themselves
    assert {smtptls.Error(code, "").name: int(code) for code in smtptls.Code} == codes


def test_labels() -> None:
    assert [action.label for action in smtptls.Action] == ["fail", "continue", "reconnect", "next-host"]
    levels = ["none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure"]
    assert [level.label for level in smtptls.Level] == levels
    assert [auth.label for auth in smtptls.Auth] == ["none", "fingerprint", "dane-ee", "dane-ta", "pkix"]
    assert [digest.label for digest in smtptls.Digest] == ["sha1", "sha256", "sha384", "sha512"]
    assert [status.label for status in smtptls.Dnssec] == ["none", "secure", "insecure", "bogus", "error"]
    assert [mode.label for mode in smtptls.StsMode] == ["none", "testing", "enforce"]
    assert smtptls.Tlsrpt.CERTIFICATE_EXPIRED.label == "certificate-expired"
    assert len(smtptls.Tlsrpt) == 11


def test_what_the_package_says_of_itself() -> None:
    about = metadata.metadata("smtptls")
    cargo = (ROOT / "Cargo.toml").read_text()
    assert f'version = "{smtptls.__version__}"' in cargo
    assert metadata.version("smtptls") == smtptls.__version__
    assert about["License-Expression"] == "Apache-2.0 OR ISC OR MIT"
    assert about["Requires-Python"] == ">=3.11"
    assert set(about.get_all("Provides-Extra", [])) == {"cli", "dev", "test"}
    assert resources.files("smtptls").joinpath("py.typed").is_file()


def test_everything_public_is_there_and_documented() -> None:
    assert sorted(smtptls.__all__) == smtptls.__all__ or set(smtptls.__all__) <= set(dir(smtptls))
    for name in set(smtptls.__all__) - {"__version__"}:
        thing = getattr(smtptls, name)
        assert thing.__doc__, name
    kinds = [smtptls.Config, smtptls.Info, smtptls.Policy, smtptls.Session]
    for kind in (*kinds, smtptls.KeyPair, smtptls.StsPolicy, smtptls.StsRecord, smtptls.Tlsa):
        for name, member in vars(kind).items():
            if not name.startswith("_"):
                assert member.__doc__, f"{kind.__name__}.{name}"


def run(*arguments: str, folder: Path) -> str:
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_stubs_say_what_is_there(tmp_path: Path) -> None:
    run("mypy.stubtest", "smtptls", folder=tmp_path)


def test_the_stub_of_the_enums_is_of_today() -> None:
    stub = resources.files("smtptls").joinpath("_enums.pyi").read_text()
    found = re.findall(r"^class (\w+)\(|^    (\w+) = (-?\d+)$", stub, re.MULTILINE)
    classes: dict[str, dict[str, int]] = {}
    for kind, member, number in found:
        if kind:
            classes[kind] = {}
        else:
            classes[list(classes)[-1]][member] = int(number)
    assert classes == {name: dict(members) for name, members in _native.tables()}


def test_the_examples_are_typed(tmp_path: Path) -> None:
    examples = sorted((ROOT / "examples/python").glob("*.py"))
    assert {path.stem for path in examples} >= {"send", "serve", "upgrade"}
    run("mypy", "--strict", *map(str, examples), folder=tmp_path)
