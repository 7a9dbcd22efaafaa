"""The one HTTP transport: a bounded set of connections that can be ended at once from outside.

Neither client library can interrupt a blocking query, bound its connections or refuse to carry a token to another host;
this can. It follows no redirect and reads no proxy, `.netrc` or credential from the environment: who wants one of these
gives it. Errors are urllib3's own, for the client on top to convert; their texts name the server and never a header.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPS_PORT, HTTPException
from pathlib import Path

import urllib3
from urllib3.exceptions import EmptyPoolError, HTTPError, InvalidHeader, ProtocolError, ReadTimeoutError, SSLError
from urllib3.exceptions import TimeoutError as HttpTimeoutError
from urllib3.util import parse_url

from confcar.clients.cancellation import current_cancellation
from confcar.clients.connections import Connection, TlsConnection
from confcar.clients.proxy import Proxy
from confcar.clients.tls import TlsFiles, words_of
from confcar.config.sources import TlsOptions

_SAFE_METHODS = frozenset({"GET", "HEAD"})
# A server that had closed a kept connection refuses the next request within a round trip. One that closes later was
# working on it, and the caller has to hear of that: its data may be another's now.
_STALE_SECONDS = 1.0
_MAX_IDLE_SECONDS = 60.0
_MAX_RETRY_AFTER_SECONDS = 3600.0


class TransportClosedError(HTTPError):
    """The transport was closed while, or before, the request was made."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer, whatever its status. *headers* are case-insensitive; *data* is the decoded body."""

    status: int
    headers: urllib3.HTTPHeaderDict
    data: bytes = field(repr=False)

    @property
    def retry_after_seconds(self) -> float | None:
        """What `Retry-After` asks for in seconds, 0 to an hour; None where it is absent or a date."""
        text = self.headers.get("Retry-After", "")
        return min(float(text), _MAX_RETRY_AFTER_SECONDS) if text.isascii() and text.isdigit() else None


@dataclass(frozen=True, slots=True)
class _Sent:
    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    most_bytes: int | None

    def over(self, connection: Connection, deadline: float) -> tuple[urllib3.HTTPResponse, bytes]:
        return connection.exchange(
            self.method,
            self.target,
            headers=self.headers,
            body=self.body,
            deadline=deadline,
            most_bytes=self.most_bytes,
        )


class Transport:
    """Requests to one server, on at most *max_connections* connections. Thread-safe.

    Args:
        address: `http://host:port`, `https://host:port` or `unix:///path`; a path in it is put before every request's.
            Without a scheme it is http.
        tls: For https. Certificate files are read again when they change, for the next connection.
        max_connections: Hard ceiling, at least 1; a request beyond it waits for a free one within its own time limit.
        unix_socket: Connect there, whatever the address says; the address still gives the `Host` header and the scheme.
        on_connections: Called with the number of open connections when it changes, by any thread; it must not block.
        proxy: `http://host:port`, perhaps with `user:password@`; https goes through it by CONNECT. None for none.

    Raises:
        ValueError: The address is no URL of these kinds.
    """

    def __init__(
        self,
        address: str,
        *,
        tls: TlsOptions | None = None,
        max_connections: int,
        unix_socket: Path | None = None,
        on_connections: Callable[[int], None] | None = None,
        proxy: str | None = None,
    ) -> None:
        if address.startswith("unix:"):
            unix_socket, address = Path("/" + address.removeprefix("unix:").lstrip("/")), "http://localhost"
        url = parse_url(address if "://" in address else f"http://{address}")
        if url.scheme not in {"http", "https"} or not url.host:
            message = "an address is http://host:port, https://host:port or unix:///path"
            raise ValueError(message)
        self._url = url
        self._prefix = (url.path or "").rstrip("/")
        self._tls = tls or TlsOptions()
        self._tls_files = TlsFiles(self._tls) if url.scheme == "https" else None
        self._proxy = Proxy.at(proxy) if proxy is not None else None
        self._max_connections = max_connections
        self._unix_socket = unix_socket
        self._on_connections = on_connections
        self._reported = 0
        self._changed = threading.Condition()
        self._busy: set[Connection] = set()
        self._idle: list[Connection] = []
        self._is_closed = False

    @property
    def connections(self) -> int:
        """How many connections are open, or being opened, now."""
        with self._changed:
            return len(self._busy) + len(self._idle)

    @property
    def server(self) -> str:
        """The server for people: the address without credentials, or the socket's path."""
        if self._unix_socket is not None:
            return f"unix://{self._unix_socket}"
        return self._url._replace(auth=None, query=None, fragment=None).url

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float,
        most_bytes: int | None = None,
    ) -> Response:
        """Make one request and return the complete answer, whatever its status; a redirect is returned, not followed.

        Blocks for at most *timeout_seconds*, connecting for at most 5 s of it, plus the time to look the name up. A
        GET or HEAD on a kept connection that turns out to be closed already is made once more on a new one. Inside a
        `Cancellation` that is cancelled it fails at once, as a connection that breaks does.

        Args:
            method: Of HTTP.
            path: Quoted, with the query.
            headers: To send.
            body: To send.
            timeout_seconds: For all of it.
            most_bytes: Give up where the body is longer, before the rest is read; None: it may have any length.

        Raises:
            TransportClosedError: `close` was called.
            AnswerTooLargeError: The body is longer than *most_bytes*.
            urllib3.exceptions.HTTPError: No connection, no free one in time, no answer in time, a broken answer.
            CertificateFileError: A certificate file cannot be used; an OSError.
        """
        deadline = time.monotonic() + timeout_seconds
        connection = self._take(deadline)
        cancellation = current_cancellation()
        is_whole = False
        target, all_headers = self._prefix + path, headers or {}
        if self._proxy is not None and self._tls_files is None:
            target = self._url._replace(auth=None, path=None).url + target
            all_headers = {**all_headers, **self._proxy.headers}
        sent = _Sent(method, target, all_headers, body, most_bytes)
        try:
            with cancellation.waiting_on(connection):
                raw, data = self._exchange(connection, sent, deadline)
            # A body without a length looks whole when its connection is ended.
            self._raise_if_closed()
            cancellation.raise_if_cancelled()
            is_whole = True
            return Response(raw.status, raw.headers, data)
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            converted = self._converted(error, timeout_seconds)
            if converted is error:
                raise
            raise converted from (None if isinstance(converted, InvalidHeader) else error)
        finally:
            self._give_back(connection, is_whole=is_whole)

    def close(self) -> None:
        """End all requests under way at once and hold no connection any more. Any thread, may be called twice."""
        with self._changed:
            self._is_closed = True
            busy, idle = list(self._busy), list(self._idle)
            self._idle.clear()
            self._changed.notify_all()
        for connection in busy:
            connection.interrupt()
        for connection in idle:
            connection.close()
        with self._changed:
            self._report()

    def _exchange(self, connection: Connection, sent: _Sent, deadline: float) -> tuple[urllib3.HTTPResponse, bytes]:
        was_open, started = connection.sock is not None, time.monotonic()
        try:
            return sent.over(connection, deadline)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            is_stale = was_open and time.monotonic() - started < _STALE_SECONDS
            is_over = self._is_closed or current_cancellation().is_cancelled
            if not is_stale or sent.method not in _SAFE_METHODS or is_over:
                raise
            connection.close()
            return sent.over(connection, deadline)

    def _take(self, deadline: float) -> Connection:
        context = self._tls_files.context() if self._tls_files else None
        with self._changed:
            self._raise_if_closed()
            while len(self._busy) >= self._max_connections:
                if not self._changed.wait(max(deadline - time.monotonic(), 0)):
                    raise EmptyPoolError(self.server, "no free connection in time")  # type: ignore[arg-type]  # any text
                self._raise_if_closed()
            connection = self._take_idle(context) or self._new_connection(context)
            self._busy.add(connection)
            self._report()
            return connection

    def _take_idle(self, context: ssl.SSLContext | None) -> Connection | None:
        oldest = time.monotonic() - _MAX_IDLE_SECONDS
        kept = []
        for connection in self._idle:
            if connection.idle_since > oldest and connection.is_connected and _context_of(connection) is context:
                kept.append(connection)
            else:
                connection.close()
        self._idle = kept
        return kept.pop() if kept else None

    def _give_back(self, connection: Connection, *, is_whole: bool) -> None:
        with self._changed:
            self._busy.discard(connection)
            if is_whole and not self._is_closed and connection.sock is not None:
                connection.idle_since = time.monotonic()
                self._idle.append(connection)
            else:
                connection.close()
            self._report()
            self._changed.notify()

    def _new_connection(self, context: ssl.SSLContext | None) -> Connection:
        connection: Connection
        host, port = self._url.host or "", self._url.port
        via, via_port = (host, port) if self._proxy is None else (self._proxy.host, self._proxy.port)
        if context is None:
            connection = Connection(via, via_port)
        else:
            connection = TlsConnection(via, via_port, ssl_context=context, server_hostname=self._tls.server_name)
            if self._proxy is not None:
                connection.set_tunnel(host, port or HTTPS_PORT, headers=self._proxy.headers)
        connection.unix_socket = self._unix_socket
        return connection

    def _report(self) -> None:
        # What a closed one winds down does not count: its successor may report under the same name already.
        count = 0 if self._is_closed else len(self._busy) + len(self._idle)
        if self._on_connections is not None and count != self._reported:
            self._reported = count
            self._on_connections(count)

    def _raise_if_closed(self) -> None:
        if self._is_closed:
            message = "the transport is closed"
            raise TransportClosedError(message)

    def _converted(self, error: Exception, timeout_seconds: float) -> Exception:
        if self._is_closed and not isinstance(error, TransportClosedError):
            return TransportClosedError("the transport was closed")
        if isinstance(error, (TimeoutError, ReadTimeoutError)):
            return HttpTimeoutError(f"{self.server}: no whole answer within {timeout_seconds:g} s")
        if isinstance(error, ssl.SSLError):
            return SSLError(f"{self.server}: TLS failed: {words_of(error)}")
        if isinstance(error, (OSError, HTTPException, ProtocolError)):
            return ProtocolError(f"{self.server}: the connection broke ({type(error).__name__})")
        # Any other ValueError names a header that cannot be sent, with its value, which may be a token.
        return error if isinstance(error, HTTPError) else InvalidHeader("a header cannot be sent")


def reason_of(error: Exception, server: str) -> str:
    """Return an error's text for a message that names *server* already; another place, as a proxy's, stays in it."""
    host = server.partition("://")[2].partition("/")[0]
    return str(error).removeprefix(f"{server}: ").removeprefix(f"{host}: ")


def _context_of(connection: Connection) -> ssl.SSLContext | None:
    return connection.ssl_context if isinstance(connection, TlsConnection) else None
