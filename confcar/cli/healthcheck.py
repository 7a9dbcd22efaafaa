"""Asks the running sidecar whether it is alive. Imports as little as it can: probes run it every few seconds.

The config's models stay unloaded: only `admin.listen` is looked up, in the environment first, then in the file.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_DEFAULT_LISTEN = "127.0.0.1:9797"
_TIMEOUT_SECONDS = 3.0
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked on loopback, not bound
_TRUE = {"1", "true", "yes", "on"}


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `confcar healthcheck` with *arguments*; return 0 where the answer is good, 1 where not, 2 for bad usage."""
    config: Path | None = None
    is_ready_asked = environ.get("CONFCAR_READY", "").lower() in _TRUE
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--ready":
            is_ready_asked = True
        elif argument in {"-c", "--config"} and rest:
            config = Path(rest.pop(0))
        elif argument.startswith("--config="):
            config = Path(argument.removeprefix("--config="))
        else:
            print(f"healthcheck knows --ready and --config FILE, not {argument}", file=sys.stderr)
            return 2
    return ask(config, is_ready_asked=is_ready_asked, environ=environ)


def ask(config: Path | None, *, is_ready_asked: bool, environ: Mapping[str, str]) -> int:
    """Print what the sidecar answers to the probe and return 0 where it is good, else 1."""
    listen = _listen(config, environ)
    if listen == "off":
        print("admin.listen is off: nobody can be asked", file=sys.stderr)
        return 1
    try:
        status, body = _get(listen, "/readyz" if is_ready_asked else "/healthz")
    except (OSError, ValueError) as error:
        print(f"no answer from {listen}: {error}", file=sys.stderr)
        return 1
    print(body.strip())
    return 0 if status == 200 else 1  # noqa: PLR2004 - HTTP's OK


def _listen(config: Path | None, environ: Mapping[str, str]) -> str:
    if listen := environ.get("CONFCAR_ADMIN__LISTEN"):
        return listen
    from confcar.config.document import read_document
    from confcar.config.expand import ExpansionError, expand
    from confcar.config.find import find_config
    from confcar.errors import ConfigError

    try:
        path = find_config(config, environ)
        admin = read_document(path).data.get("admin")
        text = admin.get("listen") if isinstance(admin, dict) else None
        listen = expand(text, environ) if isinstance(text, str) else _DEFAULT_LISTEN
    except (ConfigError, ExpansionError):
        # A config that was broken after the start says nothing about the sidecar, which still has the old one.
        return _DEFAULT_LISTEN
    if listen.startswith("unix:"):
        return f"unix:{path.absolute().parent / listen.removeprefix('unix:')}"
    return listen


def _get(listen: str, path: str) -> tuple[int, str]:
    with _connect(listen) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body.decode(errors="replace")


def _connect(listen: str) -> socket.socket:
    if listen.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_TIMEOUT_SECONDS)
        connection.connect(listen.removeprefix("unix:"))
        return connection
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    return socket.create_connection((_WILDCARDS.get(host, host), int(port)), timeout=_TIMEOUT_SECONDS)
