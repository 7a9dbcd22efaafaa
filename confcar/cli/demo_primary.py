"""The primary of `confcar demo`: reads two files at its start and on SIGHUP, and says over HTTP what it read.

`python demo_primary.py serve DIRECTORY PID_FILE ADDRESS_FILE` serves until SIGTERM; `check DIRECTORY` tries files as
`nginx -t` does. It stands for somebody else's program: it knows nothing of confcar and needs the standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_SIGNALS = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT}
_MAX_PORT = 65535


def read_settings(directory: Path) -> dict[str, str | int]:
    """Return what the two files say, both read through one open directory so that they cannot be of two generations.

    Raises:
        OSError: A file is not there.
        ValueError: A file says something that cannot be used, or the two do not agree.
    """
    data = directory / "..data"
    folder = os.open(data if data.exists() else directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        app, proxy = _read("app.conf", folder), _read("proxy.conf", folder)
        generation = Path(f"/proc/self/fd/{folder}").readlink().name
    finally:
        os.close(folder)
    port = int(app["port"])
    if not 0 < port <= _MAX_PORT:
        message = f"port {port} is not between 1 and {_MAX_PORT}"
        raise ValueError(message)
    if proxy["upstream"] != f"127.0.0.1:{port}":
        message = f"app.conf says port {port}, proxy.conf says upstream {proxy['upstream']}"
        raise ValueError(message)
    return {"name": app["name"], "port": port, "upstream": proxy["upstream"], "read_from": generation}


def _read(name: str, folder: int) -> dict[str, str]:
    with open(os.open(name, os.O_RDONLY, dir_fd=folder), encoding="utf-8") as file:  # noqa: PTH123 - by descriptor
        pairs = [line.partition("=") for line in file.read().splitlines() if "=" in line]
    return {key.strip(): value.strip() for key, _, value in pairs}


class _Primary:
    """What was read last, when, and how often that was because of a signal."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._reloads = -1
        self._answers: dict[str, bytes] = {}
        self.read_again()

    def read_again(self) -> None:
        """Read the files.

        Raises:
            OSError: A file is not there; what was read before stays.
            ValueError: The files cannot be used; the same.
        """
        read_at_ns = time.monotonic_ns()
        settings = read_settings(self._directory)
        self._reloads += 1
        answer = json.dumps({**settings, "reloads": self._reloads}).encode()
        self._answers = {"/": answer, "/read-at": str(read_at_ns).encode()}

    def answer(self, path: str) -> bytes | None:
        """Return the body to answer a GET with, None where there is no such path."""
        return self._answers.get(path)


def _handler(primary: _Primary) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = primary.answer(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the standard library
            """Say nothing."""

    return Handler


def _serve(directory: Path, pid_file: Path, address_file: Path) -> int:
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)  # caught, as /proc shows it; taken by sigwait below
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    primary = _Primary(directory)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(primary))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address_file.write_text(f"127.0.0.1:{server.server_address[1]}\n")
    pid_file.write_text(f"{os.getpid()}\n")
    while signal.sigwait(_SIGNALS) == signal.SIGHUP:
        try:
            primary.read_again()
        except (OSError, ValueError) as error:
            print(f"primary: the files cannot be used: {error}", file=sys.stderr)
    return 0


def _check(directory: Path) -> int:
    try:
        read_settings(directory)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    arguments = [Path(argument) for argument in sys.argv[2:]]
    sys.exit(_check(*arguments) if sys.argv[1] == "check" else _serve(*arguments))
