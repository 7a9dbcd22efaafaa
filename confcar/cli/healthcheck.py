"""Asks the running sidecar whether it is alive. Imports as little as it can: probes run it every few seconds.

The config's models stay unloaded: only `admin.listen` is looked up, in the environment first, then in the file.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_DEFAULT_LISTEN = "127.0.0.1:9797"
_VARIABLE = "CONFCAR_ADMIN__LISTEN"
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
        elif argument.startswith(("--config=", "-c")) and argument != "-c":
            config = Path(argument.removeprefix("--config=").removeprefix("-c"))
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
    except (OSError, ValueError, IndexError) as error:
        why = error if isinstance(error, OSError) else "it is not confcar that answers, or too many ask at once"
        print(f"no answer from {listen}: {why}", file=sys.stderr)
        return 1
    print(body.strip())
    return 0 if status == 200 else 1  # noqa: PLR2004 - HTTP's OK


def _listen(config: Path | None, environ: Mapping[str, str]) -> str:
    # In any case, as the config takes its variables.
    listen = next((value for name, value in environ.items() if name.upper() == _VARIABLE), None)
    if listen is None:
        listen = _configured(config, environ)
    path = listen.removeprefix("unix:")
    if path == listen or Path(path).is_absolute():
        return listen
    return f"unix:{_directory(config, environ) / path}"


def _configured(config: Path | None, environ: Mapping[str, str]) -> str:
    from confcar.config.document import read_document
    from confcar.config.expand import ExpansionError, expand
    from confcar.config.find import find_config
    from confcar.errors import ConfigError

    try:
        admin = read_document(find_config(config, environ)).data.get("admin")
        listen = admin.get("listen") if isinstance(admin, dict) else None
        return expand(listen, environ) if isinstance(listen, str) else _DEFAULT_LISTEN
    except (ConfigError, ExpansionError):
        # A config that was broken after the start says nothing about the sidecar, which still has the old one.
        return _DEFAULT_LISTEN


def _directory(config: Path | None, environ: Mapping[str, str]) -> Path:
    from confcar.config.find import find_config
    from confcar.errors import ConfigError

    try:
        return find_config(config, environ).absolute().parent
    except ConfigError:
        return Path.cwd()


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
