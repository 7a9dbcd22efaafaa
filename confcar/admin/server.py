"""The HTTP listener, on loopback TCP or a unix socket: what it takes, how much of it, and from whom.

A few routes and small bodies, so the standard library's server is enough; it costs nothing while nobody asks.
"""

from __future__ import annotations

import http.server
import logging
import os
import socket
import socketserver
import stat
import threading
from contextlib import suppress
from pathlib import Path

from confcar.admin.commands import Commands
from confcar.admin.routes import TEXT, Answer, Routes
from confcar.errors import ConfigError
from confcar.log import fields
from confcar.status import Status

# A probe or a scraper holds a connection for a moment; more than this is somebody else, and gives way to the next.
MAX_CONNECTIONS = 32
MAX_BODY_BYTES = 64 * 1024
_IDLE_SECONDS = 15.0
_GIVE_WAY_SECONDS = 1.0
_JOIN_SECONDS = 1.0
_log = logging.getLogger(__name__)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server_version = "confcar"
    sys_version = ""
    server: _Server

    def handle_one_request(self) -> None:
        self.server.idle[self.connection] = None
        super().handle_one_request()

    def _serve(self) -> None:
        self.server.idle.pop(self.connection, None)
        path = self.path.partition("?")[0]
        answer = self._take_body() or self._refusal(path)
        if answer is None:
            try:
                answer = self.server.routes.find(path)[self.command]()
            except Exception:  # noqa: BLE001 - a bug in one page must be seen by who asks, and end nothing
                _log.exception("unexpected error in the admin listener", extra=fields(path=path))
                answer = Answer(500, TEXT, b"unexpected error, see the log\n")
        self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _serve  # noqa: N815 - named by the library

    def _take_body(self) -> Answer | None:
        """Read the body, which means nothing to any route, off the connection; return what is wrong with it."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            return self._parting(411, "give the body's length")
        if not (length.isascii() and length.isdigit()):
            return self._parting(400, "the body's length is no number")
        if int(length) > MAX_BODY_BYTES:
            return self._parting(413, f"a body has at most {MAX_BODY_BYTES} bytes")
        self.rfile.read(int(length))
        return None

    def _parting(self, status: int, words: str) -> Answer:
        # What is left of the request would be read as the next one.
        self.close_connection = True
        return Answer(status, TEXT, f"{words}\n".encode(), (("Connection", "close"),))

    def _refusal(self, path: str) -> Answer | None:
        methods = self.server.routes.find(path)
        if not methods:
            return self.server.routes.not_found()
        if self.command not in methods:
            allowed = ", ".join(methods)
            return Answer(405, TEXT, f"only {allowed} here\n".encode(), (("Allow", allowed),))
        if self.command == "POST":
            from confcar.admin.guard import why_refused

            is_unix = self.server.address_family == socket.AF_UNIX
            why = why_refused(
                self.headers,
                peer=None if is_unix else str(self.client_address[0]),
                local=None if is_unix else self.connection.getsockname()[:2],
                listen_host=self.server.listen_host,
            )
            if why is not None:
                return Answer(403, TEXT, f"{why}\n".encode())
        return None

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def address_string(self) -> str:
        return "unix" if isinstance(self.client_address, str) else str(self.client_address[0])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the standard library
        """Say nothing: probes come every few seconds and would bury the log."""


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int] | str, family: socket.AddressFamily, routes: Routes) -> None:
        self.address_family = family
        self.routes = routes
        self.listen_host = "" if isinstance(address, str) else address[0]
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        # Connections without a whole request, that which has been so for longest first.
        self.idle: dict[socket.socket, None] = {}
        super().__init__(address, _Handler)  # type: ignore[arg-type]  # typed for TCP only; the base class takes any address

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if not self._slots.acquire(blocking=False):
            self._end_idle()
            if not self._slots.acquire(timeout=_GIVE_WAY_SECONDS):
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
            self.idle.pop(request, None)  # type: ignore[arg-type]  # a stream's
            self._slots.release()

    def _end_idle(self) -> None:
        for connection in list(self.idle)[:1]:
            self.idle.pop(connection, None)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that went away is not an event."""


class AdminServer:
    """Serves until `close`. Its one thread sleeps in the kernel while nobody asks."""

    def __init__(self, listen: str, status: Status, *, version: str, commands: Commands | None = None) -> None:
        """Bind to *listen*: `host:port`, `[v6]:port` or `unix:/path`; port 0 takes a free one.

        Without *commands* nothing can be asked for but what is shown.

        Raises:
            ConfigError: The address cannot be bound; says why.
        """
        self._socket_path: Path | None = None
        try:
            self._server = self._bind(listen, Routes(status, version=version, commands=commands))
        except OSError as error:
            raise ConfigError(f"admin.listen: cannot listen on {listen}: {error.strerror or error}") from error
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

    def _bind(self, listen: str, routes: Routes) -> _Server:
        if listen.startswith("unix:"):
            self._socket_path = Path(listen.removeprefix("unix:"))
            _remove_stale_socket(self._socket_path)
            before = os.umask(0o177)
            try:
                return _Server(str(self._socket_path), socket.AF_UNIX, routes)
            finally:
                os.umask(before)
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")
        return _Server((host, int(port)), socket.AF_INET6 if ":" in host else socket.AF_INET, routes)


def _remove_stale_socket(path: Path) -> None:
    """Remove a socket that nobody listens on any more; a live one or another kind of file stays and fails the bind."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(str(path)) != 0:
                    path.unlink()
