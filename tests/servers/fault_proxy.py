"""A proxy between a client and a real server that can refuse, hold, delay, answer wrongly and break off.

It listens on a port of its own and passes HTTP/1.1 on byte by byte: keep-alive stays, a long poll stays open as long as
both sides want it, and when one side leaves the other one sees it. Switches may be thrown from any thread at any time;
`refuse` and `cut_connections` also end what is under way, the others count from the next request on.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Self

from tests.servers.faults import Fault, Faults
from tests.servers.http_wire import (
    BrokenMessageError,
    Head,
    answer_body,
    ends_with_the_connection,
    read_head,
    request_body,
)
from tests.servers.process import unused_ports

_CONNECT_SECONDS = 5.0
_JOIN_SECONDS = 5.0


class FaultProxy(Faults):
    """A proxy to a server on a loopback port; also a context manager: `with FaultProxy(server.port) as proxy: …`.

    Attributes:
        port: The port to point the client at; it stays the same over `refuse` and `heal`.
    """

    def __init__(self, target_port: int) -> None:
        super().__init__()
        self.port = unused_ports(1)[0]
        self._target_port = target_port
        self._connections: set[_Connection] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    @property
    def address(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many client connections there are now."""
        with self._guard:
            return len(self._connections)

    def start(self) -> Self:
        """Listen, and pass everything on until a switch is thrown."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self._run(self._accept, self._listener)
        return self

    def stop(self) -> None:
        """End everything; returns when its threads are gone."""
        self.refuse()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)
        self._threads.clear()

    def refuse(self) -> None:
        """Refuse new connections and end the open ones, as a server that is gone does."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which closing alone does not
            listener.close()
        self.cut_connections()

    def cut_connections(self) -> None:
        """End every open connection now; new ones are served."""
        with self._guard:
            connections = list(self._connections)
        for connection in connections:
            connection.end()

    def heal(self) -> None:
        """Throw all switches back and listen again."""
        self.clear()
        if self._listener is None:
            self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, function: Callable[[socket.socket], None], argument: socket.socket) -> None:
        thread = threading.Thread(target=function, args=(argument,), name=f"fault-proxy-{self.port}", daemon=True)
        self._threads = [other for other in self._threads if other.is_alive()]
        thread.start()
        self._threads.append(thread)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._run(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        connection = _Connection(client, self._target_port)
        with self._guard:
            self._connections.add(connection)
        try:
            if self._listener is None:  # refused between `accept` and here
                return
            # OSError: one side left. ValueError: what it sent is not HTTP. Either way both sides see the end.
            with suppress(OSError, ValueError, BrokenMessageError):
                while connection.pass_one(self):
                    pass
        finally:
            with self._guard:
                self._connections.discard(connection)
            connection.close()


class _Connection:
    """A client's connection and the one to the server that belongs to it; served by one thread."""

    def __init__(self, client: socket.socket, target_port: int) -> None:
        self._client = client
        self._reader: BinaryIO = client.makefile("rb")
        self._target_port = target_port
        self._upstream: socket.socket | None = None
        self._upstream_reader: BinaryIO | None = None

    def pass_one(self, faults: Faults) -> bool:
        """Pass one request and its answer on; returns whether the connection may carry another one."""
        if self._upstream is not None and _first_readable(self._client, self._upstream) is self._upstream:
            return False  # the server closed an idle connection
        head = read_head(self._reader)
        if head is None:
            return False
        body = b"".join(request_body(self._reader, head))
        met = faults.faults_for(head)
        if not self._wait_out(met):
            return False
        answer = next((fault.answer for fault in met if fault.answer is not None), None)
        if answer is not None:
            self._client.sendall(answer)
            return not head.closes
        self._connect().sendall(head.raw + body)
        cuts = [fault.cut_after_bytes for fault in met if fault.cut_after_bytes is not None]
        return self._pass_answer(head, cut_after=min(cuts, default=None))

    def end(self) -> None:
        """Make both sides see the end; wakes the thread that serves it. From any thread."""
        for side in (self._client, self._upstream):
            if side is not None:
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the file descriptors back; only from the thread that serves it."""
        self.end()
        for stream in (self._reader, self._client, self._upstream_reader, self._upstream):
            if stream is not None:
                stream.close()

    def _wait_out(self, met: list[Fault]) -> bool:
        """Wait as long as the faults say; returns whether the client is still there."""
        if any(fault.holds for fault in met):
            _wait_readable(self._client)
            return False
        seconds = sum(fault.delay_seconds for fault in met)
        return not seconds or not _wait_readable(self._client, seconds=seconds)

    def _pass_answer(self, request: Head, *, cut_after: int | None) -> bool:
        upstream, reader = self._connect(), self._upstream_reader
        if reader is None or _first_readable(upstream, self._client) is self._client:
            return False  # the client left during a long poll; closing ours lets the server see it
        head = read_head(reader)
        if head is None:
            return False
        self._client.sendall(head.raw)
        passed = 0
        for piece in answer_body(reader, head, method=request.method):
            if cut_after is not None and passed + len(piece) > cut_after:
                self._client.sendall(piece[: cut_after - passed])
                return False
            self._client.sendall(piece)
            passed += len(piece)
        return not (request.closes or ends_with_the_connection(head, method=request.method))

    def _connect(self) -> socket.socket:
        """Return the connection to the server, opening it where there is none."""
        if self._upstream is None:
            self._upstream = socket.create_connection(("127.0.0.1", self._target_port), timeout=_CONNECT_SECONDS)
            self._upstream.settimeout(None)
            self._upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._upstream_reader = self._upstream.makefile("rb")
        return self._upstream


def _first_readable(first: socket.socket, second: socket.socket) -> socket.socket:
    """Return the side that has something to read or has ended, the first where both have."""
    return first if first.fileno() in _wait_readable(first, second) else second


def _wait_readable(*sockets: socket.socket, seconds: float | None = None) -> set[int]:
    """Return the descriptors that have something to read or have ended; none where *seconds* pass first."""
    poll = select.poll()  # not `select`, which ends at descriptor 1023
    for each in sockets:
        poll.register(each, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(None if seconds is None else seconds * 1000)}
