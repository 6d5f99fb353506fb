"""Every snippet and every command of README.md, run."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from ca.ca import NAME, Paths
from conftest import MESSAGE, ROOT, Serve, program, require_peer

README = (ROOT / "README.md").read_text()

# Commands that this suite is itself a part of, or that other tests run; each with where.
ELSEWHERE = {
    "make demo": "test_demo.py",
    "make test": "runs this test",
    "make examples": "what `make test` does first",
    "make install PREFIX=/usr/local": "tests/c/test_library.py, with another PREFIX",
    "pip install ./python": "what `make python` does",
    "smtptls check example.com": "test_cli_page.py",
}


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = "".join(snippets("sh")).splitlines()
    return [line.split("  # ")[0].split(" # ")[0].strip() for line in lines]


def test_every_command_is_known():
    known = set(ELSEWHERE) | {command for command in commands() if runs_here(command)}
    assert set(commands()) == known
    makefile = (ROOT / "Makefile").read_text()
    for command in commands():
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE), command


def runs_here(command: str) -> bool:
    return command.startswith(("build/c/", ".venv/", "cc "))


@pytest.mark.parametrize("command", [command for command in commands() if "--from" in command])
def test_sending_commands(command: str, pki: Paths, tmp_path: Path):
    words = shlex.split(command.split("<")[0])
    words = ["127.0.0.1" if word == "mx.example.com" else word for word in words]
    with Serve("c", pki, tmp_path / "mail") as server:
        words[words.index("--port") + 1] = str(server.port)
        words += ["--ca", str(pki.ca), "--name", NAME]
        result = subprocess.run(words, cwd=ROOT, input=MESSAGE, capture_output=True, timeout=60)
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith(b"tls: TLSv1.3")


def test_serving_command(pki: Paths, tmp_path: Path):
    [command] = [command for command in commands() if "serve" in command]
    words = shlex.split(command)
    replaced = {
        "chain.pem": str(pki.leaf),
        "key.pem": str(pki.leaf_key),
        "2525": "0",
        "/var/tmp/mail": str(tmp_path),
    }
    words = [replaced.get(word, word) for word in words]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("listening: 127.0.0.1:")
        server.terminate()
        assert server.wait(timeout=20) == 0


MAIN = r"""
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_in address = {0};
    char buf[4096];
    int fd = socket(AF_INET, SOCK_STREAM, 0), code;

    (void)argc;
    config = smtptls_config_new();
    if (smtptls_config_add_roots_file(config, argv[2]) != SMTPTLS_OK)
        return 2;
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || read(fd, buf, sizeof buf) <= 0)
        return 2;
    if (write(fd, "EHLO me.example\r\n", 17) != 17 || read(fd, buf, sizeof buf) <= 0)
        return 2;
    code = secure(fd, argv[3], 0);
    smtptls_config_free(config);
    return code == 0 ? 0 : 1;
}
"""


def test_c_snippet_and_link_command(pki: Paths, tmp_path: Path):
    """The snippet in a program, compiled by README's own command from an installed tree."""
    require_peer("pkg-config", "pkg-config")
    prefix = tmp_path / "prefix"
    subprocess.run(["make", "install", f"PREFIX={prefix}"], cwd=ROOT, check=True, capture_output=True)
    [snippet] = snippets("c")
    (tmp_path / "mailer.c").write_text(snippet + MAIN)
    [command] = [command for command in commands() if command.startswith("cc ")]
    environment = {
        "PATH": "/usr/bin:/bin",
        "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig",
        "LD_LIBRARY_PATH": f"{prefix}/lib",
    }
    strict = f"{command} -Wall -Wextra -Werror"
    subprocess.run(strict, shell=True, cwd=tmp_path, check=True, env=environment)
    with Serve("c", pki, tmp_path / "mail") as server:
        for name, status in ((NAME, 0), ("other.example", 1)):
            words = [str(tmp_path / "mailer"), str(server.port), str(pki.ca), name]
            result = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
            assert result.returncode == status, result.stderr
            if status == 0:
                assert result.stdout.startswith("TLSv1.3 with cipher ")
            else:
                assert result.stderr.startswith("SMTPTLS_ERR_CERT_NAME: ") and "(next-host)" in result.stderr


def test_python_snippet(pki: Paths, tmp_path: Path):
    [snippet] = snippets("python")
    with Serve("c", pki, tmp_path / "mail") as server:
        script = snippet.replace("system_roots=True", f"roots=[{str(pki.ca)!r}]")
        script = script.replace('("mx.example.com", 25)', f'("127.0.0.1", {server.port})')
        script = script.replace('"mx.example.com"', repr(NAME))
        (tmp_path / "script.py").write_text(script)
        words = [program("python", "send")[0], str(tmp_path / "script.py")]
        result = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith("TLSv1.3 with cipher ") and "221 2.0.0" in result.stdout
