"""A primary that reloads by HTTP: `python http_primary.py FOLDER VALUE_FILE [PORT | SOCKET_PATH]`.

Every request is appended to `FOLDER/requests.jsonl`. `POST /-/reload` waits for as long, and answers with the status,
that `FOLDER/answers.json` says (`{"statuses": [503, 200], "delay_seconds": 0, "location": ""}`; the last status stays),
and a 2xx makes it read VALUE_FILE again. `GET /value` gives what it read last. The pid file `FOLDER/pid` is written
once it listens.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_UNIX
from typing import Any

_RELOAD = "/-/reload"


class _Primary:
    """The state behind the requests; one lock around all of it but the waiting."""

    def __init__(self, folder: Path, value_file: Path) -> None:
        self._folder = folder
        self._value_file = value_file
        self._lock = threading.Lock()
        self._never = threading.Event()
        self.value = ""
        self._read_value()

    def note(self, line: dict[str, Any]) -> None:
        """Append one request to the log."""
        with self._lock, (self._folder / "requests.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def reload(self) -> tuple[int, str]:
        """Return the status to answer a reload with, and a `Location` or an empty string."""
        with self._lock:
            answers = self._take_answer()
        self._never.wait(answers["delay_seconds"])
        status: int = answers["statuses"][0]
        with self._lock:
            if status // 100 == 2:
                self._read_value()
        return status, answers["location"]

    def _take_answer(self) -> dict[str, Any]:
        path = self._folder / "answers.json"
        answers: dict[str, Any] = {"statuses": [200], "delay_seconds": 0, "location": ""}
        if path.exists():
            answers.update(json.loads(path.read_text()))
        rest = {**answers, "statuses": answers["statuses"][1:] or answers["statuses"]}
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(rest))
        temporary.replace(path)
        return answers

    def _read_value(self) -> None:
        self.value = self._value_file.read_text() if self._value_file.exists() else ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    primary: _Primary

    def do_GET(self) -> None:
        """Answer `/value`."""
        self._note()
        self._answer(200 if self.path == "/value" else 404, body=self.primary.value)

    def do_POST(self) -> None:
        """Answer a reload."""
        self._note()
        if self.path != _RELOAD:
            self._answer(404)
            return
        status, location = self.primary.reload()
        self._answer(status, location=location)

    do_PUT = do_POST  # noqa: N815 -- the base class calls it so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class names it so
        """Print nothing: the log of requests has it all."""

    def address_string(self) -> str:
        """Return no address: a unix socket has none."""
        return "-"

    def _note(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        moment = {"monotonic_ns": time.monotonic_ns(), "clock_ns": time.time_ns()}
        self.primary.note({**moment, "method": self.command, "path": self.path, "headers": headers, "body": body})

    def _answer(self, status: int, *, body: str = "", location: str = "") -> None:
        content = body.encode()
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _UnixServer(ThreadingHTTPServer):
    address_family = AF_UNIX

    def server_bind(self) -> None:
        """Bind without asking for a host name, which a path has not."""
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0


def main(folder: Path, value_file: Path, listen: str) -> None:
    """Serve until it is ended by a signal."""

    class Handler(_Handler):
        primary = _Primary(folder, value_file)

    if listen.isdigit():
        server = ThreadingHTTPServer(("127.0.0.1", int(listen)), Handler)
    else:
        server = _UnixServer(listen, Handler)  # type: ignore[arg-type]  # a unix address is a path
    (folder / "pid").write_text(f"{os.getpid()}\n")
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
