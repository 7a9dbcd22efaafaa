"""A small HTTP proxy: passes plain requests on and opens tunnels by CONNECT, for those who know the password."""

from __future__ import annotations

import base64
import select
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.servers.api import request

_PASSED_ON = {"content-type", "retry-after"}


class HttpProxy:
    """A proxy on a free loopback port; a context manager.

    Args:
        credentials: `user:password` that it wants to see; empty for anybody.

    Attributes:
        port: On 127.0.0.1.
        asked: What it was asked: `CONNECT host:port`, `GET http://…`, in order.
        seen: All header lines that were addressed to it, as `name: value`.
        refuses: HTTP status to answer everything with; 0 for serving.
    """

    def __init__(self, credentials: str = "") -> None:
        self.credentials = base64.b64encode(credentials.encode()).decode() if credentials else ""
        self.asked: list[str] = []
        self.seen: list[str] = []
        self.refuses = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler_for(proxy: HttpProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            pass

        def _may_pass(self) -> bool:
            proxy.asked.append(f"{self.command} {self.path}")
            proxy.seen += [f"{name.lower()}: {value}" for name, value in self.headers.items()]
            is_known = self.headers.get("Proxy-Authorization", "") == f"Basic {proxy.credentials}"
            refusal = proxy.refuses or (407 if proxy.credentials and not is_known else 0)
            if refusal:
                self.send_response(refusal)
                self.send_header("Content-Length", "0")
                self.end_headers()
            return not refusal

        def do_CONNECT(self) -> None:
            self.close_connection = True
            if not self._may_pass():
                return
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=5.0) as upstream:
                self.send_response(200)
                self.end_headers()
                self.wfile.flush()
                with suppress(OSError):
                    _pass_both_ways(self.connection, upstream)

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not self._may_pass():
                return
            own = {"proxy-authorization", "host", "content-length"}
            headers = {name: value for name, value in self.headers.items() if name.lower() not in own}
            assert urlsplit(self.path).scheme == "http"
            answer = request(self.command, self.path, body=body or None, headers=headers)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() in _PASSED_ON:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_PUT = do_POST = _pass_on  # noqa: N815 - the names are the library's

    return Handler


def _pass_both_ways(one: socket.socket, other: socket.socket) -> None:
    while True:
        for source in select.select([one, other], [], [])[0]:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)
