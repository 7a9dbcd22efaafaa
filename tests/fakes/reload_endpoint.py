"""A primary's reload endpoint: answers what it is told to, and notes what it was asked."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Endpoint:
    """What the endpoint does and saw.

    Attributes:
        port: TCP port on 127.0.0.1, 0 for a unix socket.
        status: What it answers.
        body: The answer's body.
        headers: More headers of the answer.
        behaviour: `answer`, `hang` (no answer until the end), `close` (ends the connection), `trickle` (a header that
            never ends).
        requests: Method, path with query, headers in lower case, body of each request.
    """

    port: int = 0
    status: int = 204
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    behaviour: str = "answer"
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Address with a path."""
        return f"http://127.0.0.1:{self.port}/-/reload"


class _Handler(BaseHTTPRequestHandler):
    endpoint: Endpoint

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""

    def address_string(self) -> str:
        """Return what a unix socket has no other word for."""
        return "client"

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.endpoint.requests.append((self.command, self.path, headers, body))
        self.close_connection = True
        if self.endpoint.behaviour == "hang":
            self.endpoint.ended.wait()
        elif self.endpoint.behaviour == "trickle":
            self._trickle()
        elif self.endpoint.behaviour == "close":
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._answer()

    def _answer(self) -> None:
        self.send_response(self.endpoint.status)
        for name, value in self.endpoint.headers.items():
            self.send_header(name, value)
        if self.endpoint.status not in {204, 304}:
            self.send_header("Content-Length", str(len(self.endpoint.body)))
        self.end_headers()
        self.wfile.write(self.endpoint.body)

    def _trickle(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        with suppress(OSError):  # the client has had enough
            while not self.endpoint.ended.wait(0.02):
                self.wfile.write(b"a")

    do_GET = do_POST = do_PUT = _take  # noqa: N815 - the names are the library's


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that refuse the certificate or hang up are part of the tests."""


@contextmanager
def running_endpoint(*, unix: Path | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Endpoint]:
    """Yield an endpoint that listens on a free port, or on a unix socket."""
    endpoint = Endpoint()
    handler = type("Handler", (_Handler,), {"endpoint": endpoint})
    server: socketserver.BaseServer
    if unix is not None:
        server = _UnixServer(str(unix), handler)
    else:
        tcp_server = _Server(("127.0.0.1", 0), handler)
        endpoint.port = tcp_server.server_port
        if tls is not None:
            tcp_server.socket = tls.wrap_socket(tcp_server.socket, server_side=True, do_handshake_on_connect=False)
        server = tcp_server
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
