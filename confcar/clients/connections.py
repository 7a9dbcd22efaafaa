"""HTTP connections whose every wait ends: at the deadline of the request, or at once when they are interrupted.

urllib3 bounds each single receive, so a server that trickles holds a thread for ever, and nothing of it can be woken
from outside while it connects, shakes hands or reads. These can. They raise what sockets, `ssl`, `http.client` and
urllib3 raise; the transport on top converts. A connection serves one thread at a time; only `interrupt` may come from
another.
"""

from __future__ import annotations

import math
import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from urllib3 import HTTPResponse

CONNECT_TIMEOUT_SECONDS = 5.0
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})\b")


class AnswerTooLargeError(HTTPError):
    """The body is longer than was asked for; the rest was not read."""


def seconds_until(deadline: float) -> float:
    """Return how long it is to a moment of the monotonic clock, above 0.

    Raises:
        TimeoutError: It has passed.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        message = "the time is over"
        raise TimeoutError(message)
    return left


class _TimedSocket(socket.socket):
    deadline: float = math.inf

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        if self.deadline != math.inf:
            self.settimeout(seconds_until(self.deadline))
        return super().recv_into(buffer, nbytes, flags)


class TimedTlsSocket(ssl.SSLSocket):
    """The TLS side of the same; set it as `sslsocket_class` of the context that a TlsConnection is given."""

    deadline: float = math.inf

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Receive as any socket does, but not beyond the deadline.

        Raises:
            TimeoutError: The deadline has passed, or passed while waiting.
        """
        if self.deadline != math.inf:
            self.settimeout(seconds_until(self.deadline))
        return super().recv_into(buffer, nbytes, flags)


class Connection(HTTPConnection):
    """One connection, opened by the first exchange and opened again where the server closed it.

    Attributes:
        unix_socket: Where to connect to instead of the host; None for the host.
        idle_since: Monotonic time when it was last put aside.
    """

    unix_socket: Path | None = None
    idle_since: float = 0.0
    _deadline: float = math.inf
    _is_interrupted: bool = False
    _opening: socket.socket | None = None
    _wire: socket.socket | None = None

    def __str__(self) -> str:
        return str(self.unix_socket) if self.unix_socket else f"{self.host}:{self.port}"

    def exchange(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
        most_bytes: int | None = None,
    ) -> tuple[HTTPResponse, bytes]:
        """Make one request and return the answer and its whole body.

        Raises:
            TimeoutError: It did not end before *deadline*, a moment of the monotonic clock.
            AnswerTooLargeError: The body is longer than *most_bytes*.
            OSError, http.client.HTTPException, urllib3.exceptions.HTTPError: It failed; close the connection.
            ValueError: The target or a header cannot be sent. The text may hold the header's value.
        """
        self._deadline = deadline
        if self.sock is None:
            self.connect()
        sock = self.sock
        assert isinstance(sock, (_TimedSocket, TimedTlsSocket))
        sock.deadline = deadline
        self.timeout = seconds_until(deadline)
        self.request(method, target, body=body, headers=headers, preload_content=most_bytes is None)
        response = self.getresponse()
        if most_bytes is None:
            return response, response.data
        data = response.read(most_bytes + 1)
        if len(data) > most_bytes:
            response.close()  # it holds the socket open as well
            raise AnswerTooLargeError(f"{self}: the answer is longer than {most_bytes} bytes")
        return response, data

    def interrupt(self) -> None:
        """Make whatever this connection waits for fail at once, and all that it is asked later. Any thread."""
        self._is_interrupted = True
        for sock in (self._opening, self._wire):
            if sock is not None:
                # shutdown, not close: it wakes the thread that reads, which then closes its own socket. The plain
                # socket's, not the TLS one's: that would take the TLS state away from under the reader.
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def connect(self) -> None:
        """Open the connection, TLS included.

        Raises:
            ConnectionAbortedError: It was interrupted.
            urllib3.exceptions.HTTPError: The name is unknown or nobody answers there.
            OSError: The TLS handshake failed.
        """
        try:
            super().connect()
        finally:
            self._forget_opening()
        # http.client lets go of `sock` before the body is read where the server closes after the answer.
        self._wire = self.sock
        self._raise_if_interrupted()

    def _tunnel(self) -> None:
        """Ask the proxy for the way to the server."""
        try:
            super()._tunnel()
        except TimeoutError as error:
            raise ConnectTimeoutError(f"{self}: the proxy does not answer") from error
        except OSError as error:
            found = _TUNNEL_REFUSED.match(str(error))
            said = f"the proxy answers {found[1]}" if found else "the connection to the proxy broke"
            raise NewConnectionError(self, said) from error

    def _new_conn(self) -> socket.socket:
        try:
            if self.unix_socket is not None:
                return self._dial(socket.AF_UNIX, str(self.unix_socket))
            return self._dial_host()
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except UnicodeError as error:
            raise NewConnectionError(self, "this is no host name") from error
        except TimeoutError as error:
            raise ConnectTimeoutError(f"{self}: no connection within {CONNECT_TIMEOUT_SECONDS:g} s") from error
        except OSError as error:
            raise NewConnectionError(self, f"cannot connect: {error.strerror or error}") from error

    def _dial_host(self) -> socket.socket:
        failure: OSError | None = None
        # Not urllib3's create_connection: its socket cannot be reached, and so not be interrupted, while it connects.
        for found in socket.getaddrinfo(self._dns_host.strip("[]"), self.port, type=socket.SOCK_STREAM):
            try:
                return self._dial(found[0], found[4])
            except ConnectionAbortedError:
                raise
            except OSError as error:
                failure = error
        raise failure or OSError("the name has no address")

    def _dial(self, family: int, address: str | tuple[object, ...]) -> socket.socket:
        self._forget_opening()
        sock = _TimedSocket(family, socket.SOCK_STREAM)
        try:
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(min(CONNECT_TIMEOUT_SECONDS, seconds_until(self._deadline)))
            # A proxy is asked before the request's own deadline is set.
            sock.deadline = time.monotonic() + (sock.gettimeout() or 0.0)
            # A second handle on the same connection: the TLS layer takes the first one away while it shakes hands.
            self._opening = sock.dup()
            self._raise_if_interrupted()
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
        return sock

    def _forget_opening(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.close()

    def _raise_if_interrupted(self) -> None:
        if self._is_interrupted:
            message = "the connection was interrupted"
            raise ConnectionAbortedError(message)


class TlsConnection(Connection, HTTPSConnection):
    """The same over TLS; its context's `sslsocket_class` must be TimedTlsSocket."""
