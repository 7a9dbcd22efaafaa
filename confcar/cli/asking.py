"""Asks the running sidecar over its own listener. Imports as little as it can: probes run it every few seconds.

The config's models stay unloaded: only `admin.listen` is looked up, in the environment first, then in the file.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_DEFAULT_LISTEN = "127.0.0.1:9797"
_VARIABLE = "CONFCAR_ADMIN__LISTEN"
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked on loopback, not bound


class NoAnswerError(Exception):
    """Nobody can be asked, or nobody answers; the text says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: HTTP's status, and the body as text."""

    status: int
    body: str


class Sidecar:
    """The running sidecar, as the config and the environment say where it listens.

    Args:
        config: The config file; None for the one that is found.
        environ: The environment.
        address: Where it listens, in the form of `admin.listen`; None to look that up.
    """

    def __init__(self, config: Path | None, environ: Mapping[str, str], *, address: str | None = None) -> None:
        self._listen = _find_listen(config, environ) if address in {None, *_named(environ)} else str(address)

    def ask(self, path: str, *, method: str = "GET", timeout_seconds: float) -> Reply:
        """Return the answer. Blocks for at most about *timeout_seconds* of silence.

        Raises:
            NoAnswerError: There is none.
        """
        if self._listen == "off":
            message = "admin.listen is off: nobody can be asked"
            raise NoAnswerError(message)
        try:
            answer = self._exchange(path, method, timeout_seconds)
            head, _, body = answer.partition(b"\r\n\r\n")
            return Reply(int(head.split(b" ", 2)[1]), body.decode(errors="replace"))
        except (OSError, ValueError, IndexError) as error:
            why = error if isinstance(error, OSError) else "it is not confcar that answers, or too many ask at once"
            raise NoAnswerError(f"no answer from {self._listen}: {why}") from error

    def _exchange(self, path: str, method: str, timeout_seconds: float) -> bytes:
        with _connect(self._listen, timeout_seconds) as connection:
            host = "localhost"
            if not self._listen.startswith("unix:"):
                host += f":{connection.getpeername()[1]}"
            connection.sendall(f"{method} {path} HTTP/1.0\r\nHost: {host}\r\nConfcar: 1\r\n\r\n".encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
            return answer


def _find_listen(config: Path | None, environ: Mapping[str, str]) -> str:
    listen = next(iter(_named(environ)), None) or _configured(config, environ)
    path = listen.removeprefix("unix:")
    if path == listen or Path(path).is_absolute():
        return listen
    return f"unix:{_directory(config, environ) / path}"


def _named(environ: Mapping[str, str]) -> list[str]:
    # In any case, as the config takes its variables.
    return [value for name, value in environ.items() if name.upper() == _VARIABLE]


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


def _connect(listen: str, timeout_seconds: float) -> socket.socket:
    if listen.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_seconds)
        try:
            connection.connect(listen.removeprefix("unix:"))
        except BaseException:
            connection.close()
            raise
        return connection
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    return socket.create_connection((_WILDCARDS.get(host, host), int(port)), timeout=timeout_seconds)
