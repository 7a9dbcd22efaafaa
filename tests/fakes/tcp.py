"""A server that speaks whatever bytes a test wants: one thread per connection, over TCP, TLS or a unix socket."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Conversation = Callable[[socket.socket], None]
"""Serves one connection and returns when it is to be closed."""


class TcpServer:
    """Counts its connections. *accepted* in all, *open* now, *peak* at the same time."""

    def __init__(
        self, conversation: Conversation, *, tls: ssl.SSLContext | None = None, path: Path | None = None
    ) -> None:
        self._conversation = conversation
        self._tls = tls
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self.accepted = self.open = self.peak = 0
        self.stopping = threading.Event()
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen(200)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Port it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    def drop_connections(self) -> None:
        """Close every open connection and go on listening."""
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def stop(self) -> None:
        """Close everything."""
        self.stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        self._thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with self._lock:
            self.accepted += 1
            self.open += 1
            self.peak = max(self.peak, self.open)
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with self._lock:
                self._sockets.add(sock)
            self._conversation(sock)
        except OSError:
            pass  # the client went away, which is its right
        finally:
            with self._lock:
                self._sockets.discard(sock)
                self.open -= 1
            sock.close()


def read_request(sock: socket.socket) -> bytes | None:
    """Return the head of the next request, without a body; None where the client closed."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            return None
        head += byte
    return head


def answer(body: bytes = b"ok", *, status: str = "200 OK", headers: str = "") -> bytes:
    """Return a whole response with its length."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def answer_all(sock: socket.socket) -> None:
    """Answer every request with `ok`."""
    while read_request(sock) is not None:
        sock.sendall(answer())


@contextmanager
def serving(
    conversation: Conversation, *, tls: ssl.SSLContext | None = None, path: Path | None = None
) -> Iterator[TcpServer]:
    """A TcpServer for the length of a block."""
    server = TcpServer(conversation, tls=tls, path=path)
    try:
        yield server
    finally:
        server.stop()
