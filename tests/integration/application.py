"""A primary that talks to a database with the credentials in its file, and takes new ones when it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

_PAUSE_SECONDS = 0.1


class DatabaseApplication:
    """Logs in and asks, again and again, with the last credentials it was told to take.

    Attributes:
        port: Where `POST /` tells it to read its file again.
        queries: How many were answered.
        failures: What went wrong, one text for each failed query.
        reloads: How often it was told, and took them.
        refuses: Whether it answers 503 instead, and goes on with what it has.
    """

    def __init__(self, file: Path, query: Callable[[str, str], object]) -> None:
        self._file = file
        self._query = query
        self._credentials: tuple[str, str] | None = None
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port
        self.queries = self.reloads = 0
        self.refuses = False
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=body) for body in (self._server.serve_forever, self._ask)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()

    def _ask(self) -> None:
        while not self._stopped.wait(_PAUSE_SECONDS):
            used = self._credentials
            if used is None:
                continue
            try:
                self._query(*used)
                self.queries += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the query failed
                if used is self._credentials:  # else it was told in between, and the old ones are not its own any more
                    self.failures.append(f"{time.monotonic():.1f} {used[0]}: {error}")

    @property
    def user(self) -> str:
        """The role it uses now; empty for none."""
        return self._credentials[0] if self._credentials else ""

    def _take(self) -> None:
        held = json.loads(self._file.read_text())
        self._credentials = held["username"], held["password"]
        self.reloads += 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        application = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
                pass

            def do_POST(self) -> None:
                if not application.refuses:
                    application._take()
                self.send_response(503 if application.refuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        return Handler
