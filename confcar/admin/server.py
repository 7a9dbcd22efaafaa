"""The HTTP listener: /healthz, /readyz, /status and /metrics, on loopback TCP or a unix socket.

Few routes, all GET, so the standard library's server is enough; it costs nothing while nobody asks. The metrics library
is imported at the first scrape, not before.
"""

from __future__ import annotations

import http.server
import json
import logging
import os
import socket
import socketserver
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from confcar.admin.documents import readiness, status_document
from confcar.errors import ConfigError
from confcar.log import fields
from confcar.status import Status

# A probe or a scraper holds a connection for a moment; more than this is somebody else.
MAX_CONNECTIONS = 32
_IDLE_SECONDS = 15.0
_JOIN_SECONDS = 1.0
_TEXT = "text/plain; charset=utf-8"
_log = logging.getLogger(__name__)

Answer = tuple[int, str, bytes]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server_version = "confcar"
    sys_version = ""
    routes: ClassVar[dict[str, Callable[[], Answer]]] = {}

    def do_GET(self) -> None:
        route = self.routes.get(self.path.partition("?")[0])
        if route is None:
            known = ", ".join(sorted(self.routes))
            self._answer(404, _TEXT, f"not found; there is {known}\n".encode())
            return
        try:
            answer = route()
        except Exception:  # noqa: BLE001 - a bug in one page must be seen by who asks, and end nothing
            _log.exception("unexpected error in the admin listener", extra=fields(path=self.path.partition("?")[0]))
            answer = (500, _TEXT, b"unexpected error, see the log\n")
        self._answer(*answer)

    do_HEAD = do_GET  # noqa: N815 - named by the standard library

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def address_string(self) -> str:
        return "unix" if isinstance(self.client_address, str) else str(self.client_address[0])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the standard library
        """Say nothing: probes come every few seconds and would bury the log."""


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int] | str, family: socket.AddressFamily) -> None:
        self.address_family = family
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, _Handler)  # type: ignore[arg-type]  # typed for TCP only; the base class takes any address

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that went away is not an event."""


class AdminServer:
    """Serves until `close`. Its one thread sleeps in the kernel while nobody asks."""

    def __init__(self, listen: str, status: Status, *, version: str) -> None:
        """Bind to *listen*: `host:port`, `[v6]:port` or `unix:/path`; port 0 takes a free one.

        Raises:
            ConfigError: The address cannot be bound; says why.
        """
        self._socket_path: Path | None = None
        try:
            self._server = self._bind(listen)
        except OSError as error:
            raise ConfigError(f"admin.listen: cannot listen on {listen}: {error.strerror or error}") from error
        self._server.RequestHandlerClass = type("Handler", (_Handler,), {"routes": _routes(status, version)})
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 3600.0}, name="confcar-admin", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it listens: `host:port` or `unix:/path`."""
        if self._socket_path is not None:
            return f"unix:{self._socket_path}"
        host, port = self._server.server_address[:2]
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    def close(self) -> None:
        """Stop listening. Connections under way end by themselves."""
        # The selector that sleeps on the socket would not see it closed; shut down, it counts as ready from now on.
        with suppress(OSError):
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._thread.join(_JOIN_SECONDS)
        self._server.server_close()
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)

    def _bind(self, listen: str) -> _Server:
        if listen.startswith("unix:"):
            self._socket_path = Path(listen.removeprefix("unix:"))
            _remove_stale_socket(self._socket_path)
            before = os.umask(0o177)
            try:
                return _Server(str(self._socket_path), socket.AF_UNIX)
            finally:
                os.umask(before)
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")
        return _Server((host, int(port)), socket.AF_INET6 if ":" in host else socket.AF_INET)


def _remove_stale_socket(path: Path) -> None:
    """Remove a socket that nobody listens on any more; a live one or another kind of file stays and fails the bind."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(str(path)) != 0:
                    path.unlink()


def _routes(status: Status, version: str) -> dict[str, Callable[[], Answer]]:
    def healthz() -> Answer:
        late = status.copy().late
        if late:
            return 503, _TEXT, ("".join(f"{loop}: does not move\n" for loop in late)).encode()
        return 200, _TEXT, b"ok\n"

    def readyz() -> Answer:
        is_ready, reasons = readiness(status.copy())
        return (200 if is_ready else 503), _TEXT, ("".join(f"{line}\n" for line in reasons) or "ok\n").encode()

    def document() -> Answer:
        body = json.dumps(status_document(status.copy(), version), indent=2, ensure_ascii=False) + "\n"
        return 200, "application/json", body.encode()

    def metrics() -> Answer:
        from confcar.admin.metrics import CONTENT_TYPE, exposition

        return 200, CONTENT_TYPE, exposition(status.copy(), version)

    return {"/healthz": healthz, "/readyz": readyz, "/status": document, "/metrics": metrics}
