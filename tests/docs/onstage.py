"""The command smtptls among the hosts of stage.py: their names and addresses lead to servers on loopback."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import dns.resolver
from smtptls.cli import main

stage = json.loads(Path(os.environ["SMTPTLS_STAGE"]).read_text())
own_getaddrinfo, own_connect = socket.getaddrinfo, socket.socket.connect


def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
    if host == "localhost":
        host = "127.0.0.1"
    elif not str(host)[-1:].isdigit():
        if host not in stage["names"]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        host = stage["names"][host]
    return own_getaddrinfo(host, port, *arguments, **options)


def connect(sock: socket.socket, address: Any) -> None:
    if isinstance(address, tuple) and not address[0].startswith("127."):
        place = f"{address[0]}:{address[1]}"
        if place not in stage["places"]:
            raise ConnectionRefusedError(111, "Connection refused")
        address = ("127.0.0.1", stage["places"][place])
    own_connect(sock, address)


def read_resolv_conf(resolver: Any, _: object) -> None:
    resolver.nameservers, resolver.port = ["127.0.0.1"], stage["dns"]


socket.getaddrinfo = getaddrinfo
socket.socket.connect = connect  # type: ignore[method-assign, assignment]
dns.resolver.Resolver.read_resolv_conf = read_resolv_conf  # type: ignore[method-assign, assignment]
sys.exit(main())
