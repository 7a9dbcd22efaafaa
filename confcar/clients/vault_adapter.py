"""The bridge from hvac, which speaks requests, to confcar's transport: each request in its turn, and to the right node.

A standby that does not pass requests on redirects to the active node. That is followed once, since the server named by
the config says so: to the same path there, with the same certificates expected, and never from https to http.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, EmptyPoolError, HTTPError
from urllib3.exceptions import TimeoutError as HttpTimeoutError
from urllib3.util import Url, parse_url

from confcar.clients.pace import Pace
from confcar.clients.transport import Response, Transport, TransportClosedError, reason_of
from confcar.errors import SourceError, SourceUnavailableError

REQUEST_TIMEOUT_SECONDS = 10.0
_REDIRECTS = range(300, 400)
# Only these keep the method and the body.
_FOLLOWED = {307, 308}
# The active node, the one before it and, in a cluster without peace, the one before that.
_MOST_NODES = 3

Connect = Callable[[str, Callable[[int], None]], Transport]
"""Makes the transport to a URL, and has it tell how many connections it holds."""


class Nodes:
    """The configured server, and the nodes that it redirected to. Thread-safe.

    Args:
        address: The configured server's.
        connect: Makes the transport to a node.
        on_connections: Called with the number of open connections to all of them when it changes.

    Raises:
        ValueError: The address is no URL.
    """

    def __init__(self, address: str, connect: Connect, *, on_connections: Callable[[int], None] | None) -> None:
        self._connect = connect
        self._on_connections = on_connections
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._others: dict[str, Transport] = {}
        self._is_closed = False
        self._is_secure = address.lower().startswith("https://")
        self.configured = self._new(address)

    def named_by(self, answer: Response, target: str) -> tuple[Transport, str] | None:
        """Return the node that a redirect names and what to ask it for; None where it is not to be followed.

        Args:
            answer: The configured server's.
            target: Path and query that were asked for.
        """
        url = _location_of(answer)
        if answer.status not in _FOLLOWED or url is None or url.auth or url.scheme not in {"http", "https"}:
            return None
        if (self._is_secure and url.scheme != "https") or not url.host or not url.request_uri.endswith(target):
            return None
        address = f"{url.scheme}://{url.netloc}"
        with self._lock:
            if self._is_closed:
                return None
            node = self._others.pop(address, None) or self._new(address)
            self._others[address] = node
            left = self._others.pop(next(iter(self._others))) if len(self._others) > _MOST_NODES else None
        if left is not None:
            left.close()
        return node, url.request_uri

    def close(self) -> None:
        """End all requests at once. Any thread, may be called twice."""
        with self._lock:
            self._is_closed = True
            others = list(self._others.values())
        for transport in (self.configured, *others):
            transport.close()

    def _new(self, address: str) -> Transport:
        return self._connect(address, lambda count: self._counted(address, count))

    def _counted(self, address: str, count: int) -> None:
        self._counts[address] = count
        if self._on_connections is not None:
            self._on_connections(sum(list(self._counts.values())))


class TransportAdapter(BaseAdapter):
    """Lets requests, and so hvac, make its requests on our transport, each in its turn."""

    def __init__(self, nodes: Nodes, *, pace: Pace, on_request: Callable[[str], None]) -> None:
        super().__init__()
        self._nodes = nodes
        self._pace = pace
        self._on_request = on_request

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002 - requests' signature
        timeout: object = None,
        *_: object,
        **__: object,
    ) -> requests.Response:
        """Make one request; certificates and proxies given with it are the transport's matter.

        Raises:
            SourceUnavailableError: No answer, or a redirect that is not followed.
        """
        # hvac's own is a whole number, and not ours.
        seconds = timeout if isinstance(timeout, float) else REQUEST_TIMEOUT_SECONDS
        deadline = time.monotonic() + seconds
        answer = self._ask(self._nodes.configured, request, request.path_url, timeout_seconds=seconds)
        node = self._nodes.named_by(answer, request.path_url) if answer.status in _REDIRECTS else None
        if node is not None:
            left = max(deadline - time.monotonic(), 0.0)
            answer = self._ask(node[0], request, node[1], timeout_seconds=left)
        if answer.status in _REDIRECTS:
            raise self._redirected(answer, has_followed=node is not None)
        return _response_of(request, answer)

    def close(self) -> None:
        """Do nothing: the client closes the transports itself."""

    def _ask(
        self, transport: Transport, request: requests.PreparedRequest, target: str, *, timeout_seconds: float
    ) -> Response:
        if not self._pace.take_turn():
            raise self._no_longer_followed()
        body = request.body.encode() if isinstance(request.body, str) else request.body
        try:
            answer = transport.request(
                (request.method or "GET").upper(),
                target,
                headers=dict(request.headers),
                body=body if isinstance(body, bytes) else None,
                timeout_seconds=timeout_seconds,
            )
        except (HTTPError, OSError) as error:
            self._on_request("error")
            raise self._unreachable(transport, error) from error
        self._on_request(str(answer.status))
        return answer

    def _no_longer_followed(self) -> SourceError:
        return SourceUnavailableError(f"Vault at {self._nodes.configured.server}: no longer followed")

    def _unreachable(self, transport: Transport, error: HTTPError | OSError) -> SourceError:
        server = transport.server
        if isinstance(error, TransportClosedError):
            return self._no_longer_followed()
        if isinstance(error, (HttpTimeoutError, EmptyPoolError)) and not isinstance(error, ConnectTimeoutError):
            return SourceUnavailableError(f"Vault at {server} takes connections but does not answer in time")
        return SourceUnavailableError(f"cannot reach Vault at {server}: {reason_of(error, server)}")

    def _redirected(self, answer: Response, *, has_followed: bool) -> SourceError:
        url = _location_of(answer)
        target = f" to {url.scheme or 'http'}://{url.netloc}" if url is not None and url.host else ""
        where = f"Vault at {self._nodes.configured.server} redirects ({answer.status}{target})"
        if has_followed:
            return SourceUnavailableError(f"{where}, and the node it names redirects too; is there an active node?")
        return SourceUnavailableError(
            f"{where}, which confcar does not follow: the token would go along, so only a 307 or 308 to the same path "
            "of another node is, and never from https to http; set `address` to the active node"
        )


def _location_of(answer: Response) -> Url | None:
    with suppress(HTTPError):
        return parse_url(answer.headers.get("Location", ""))
    return None


def _response_of(request: requests.PreparedRequest, answer: Response) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.headers)
    response.raw = io.BytesIO(answer.data)
    response.url = request.url or ""
    response.request = request
    return response
