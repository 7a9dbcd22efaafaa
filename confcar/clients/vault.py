"""Vault and OpenBao: hvac on confcar's transport, with a ceiling on requests and confcar's errors.

hvac knows the login methods; the connections are ours, because its own cannot be interrupted, carry the token to where
a redirect points and read proxies and credentials from the environment. No token is kept here: each call is given its
own, so that a login cannot change it under another thread. Importing this loads hvac, requests and all login methods:
about 50 ms and 7 MiB, so only what serves a Vault source may.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from urllib.parse import quote

import hvac
import requests
from hvac.adapters import RawAdapter
from hvac.exceptions import VaultError
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, EmptyPoolError, HTTPError
from urllib3.exceptions import TimeoutError as HttpTimeoutError
from urllib3.util import parse_url

from confcar.clients.pace import Pace
from confcar.clients.transport import Response, Transport, TransportClosedError
from confcar.clients.vault_answer import VaultAnswer, read_answer
from confcar.config.sources import VaultOptions
from confcar.errors import ConfigError, SourceDataError, SourceError, SourceUnavailableError

DEFAULT_ADDRESS = "https://127.0.0.1:8200"
REQUEST_TIMEOUT_SECONDS = 10.0
_REDIRECTS = range(300, 400)
# hvac wants a URL; the transport below it knows the real one, which may be a unix socket.
_BASE_URL = "http://vault"


class VaultClient:
    """Calls to one server. Thread-safe.

    Args:
        name: The source's name, for errors.
        options: As configured; `address` None is DEFAULT_ADDRESS.
        max_connections: Hard ceiling, at least 1.
        on_request: Called after each request with the HTTP status, or "error" where there was no answer.
        on_connections: Called with the number of open connections when it changes.
        clock: Monotonic seconds, for `last_success`.

    Raises:
        ConfigError: The address is no URL.
    """

    def __init__(
        self,
        name: str,
        options: VaultOptions,
        *,
        max_connections: int,
        on_request: Callable[[str], None],
        on_connections: Callable[[int], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._last_success: tuple[str, float] = ("", -math.inf)
        try:
            self._transport = Transport(
                options.address or DEFAULT_ADDRESS,
                tls=options.tls,
                max_connections=max_connections,
                on_connections=on_connections,
            )
        except (ValueError, HTTPError) as error:
            raise ConfigError(f"sources.{name}.address: {error}") from error
        self._pace = Pace(options.max_requests_per_second)
        session = requests.Session()
        session.trust_env = False
        session.headers["User-Agent"] = "confcar"
        session.adapters.clear()
        session.mount(_BASE_URL, TransportAdapter(self._transport, pace=self._pace, on_request=on_request))
        self._hvac = hvac.Client(
            _BASE_URL,
            token="",  # None would take one from the environment or the home folder
            session=session,
            adapter=RawAdapter,
            namespace=options.namespace,
            allow_redirects=False,
            ignore_exceptions=True,
        )

    @property
    def server(self) -> str:
        """The server for people, without credentials."""
        return self._transport.server

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> VaultAnswer:
        """Return the answer to one request, whatever its status. Blocks for about *timeout_seconds* at most.

        Args:
            method: `GET`, `PUT`, …
            path: Below `/v1/`, unquoted, without empty, `.` and `..` segments.
            token: Sent with it.
            params: The query.
            body: Sent as JSON.
            timeout_seconds: For the whole of it.

        Raises:
            SourceUnavailableError: No answer, a redirect, or an answer that is not Vault's.
        """
        asked_at = self._clock()
        answer = self._answer(
            lambda: self._hvac.adapter.request(
                method,
                f"/v1/{quote(path)}",
                headers={"X-Vault-Token": token},
                params=params,
                json=body,
                timeout=timeout_seconds,
            )
        )
        if answer.is_ok:
            self._last_success = token, asked_at
        return answer

    def last_success(self, token: str) -> float:
        """Return when the last request began that the server did for this token; minus infinity for never.

        Only the token used last is known.
        """
        used, at = self._last_success
        return at if used == token else -math.inf

    def log_in(self, call: Callable[[hvac.Client], requests.Response]) -> VaultAnswer:
        """Return the answer to a login by one of hvac's methods; it is sent without a token.

        Args:
            call: Uses the client it is given once, with `use_token=False`, and returns the result.

        Raises:
            SourceUnavailableError: No answer, a redirect, or an answer that is not Vault's.
            SourceDataError: hvac refuses the parameters.
        """
        return self._answer(lambda: call(self._hvac))

    def close(self) -> None:
        """End all requests under way at once, and those that wait for their turn. Any thread, may be called twice."""
        self._pace.close()
        self._transport.close()

    def _answer(self, call: Callable[[], requests.Response]) -> VaultAnswer:
        try:
            response = call()
        except requests.RequestException as error:
            # Not chained: requests shows the header that it could not send, and that is the token.
            raise SourceDataError(f"the request cannot be sent ({type(error).__name__})") from None
        except VaultError as error:
            raise SourceDataError(f"hvac refuses the login's parameters ({type(error).__name__})") from None
        asked = response.request
        return read_answer(
            self.server,
            response.status_code,
            response.content,
            retry_after=response.headers.get("Retry-After", ""),
            sent=(asked.headers.get("X-Vault-Token", ""), asked.body if isinstance(asked.body, bytes) else b""),
        )


class TransportAdapter(BaseAdapter):
    """Lets requests, and so hvac, make its requests on our transport, each in its turn."""

    def __init__(self, transport: Transport, *, pace: Pace, on_request: Callable[[str], None]) -> None:
        super().__init__()
        self._transport = transport
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
            SourceUnavailableError: No answer, or a redirect.
        """
        if not self._pace.take_turn():
            raise self._no_longer_followed()
        body = request.body.encode() if isinstance(request.body, str) else request.body
        try:
            answer = self._transport.request(
                (request.method or "GET").upper(),
                request.path_url,
                headers=dict(request.headers),
                body=body if isinstance(body, bytes) else None,
                # hvac's own is a whole number, and not ours.
                timeout_seconds=timeout if isinstance(timeout, float) else REQUEST_TIMEOUT_SECONDS,
            )
        except (HTTPError, OSError) as error:
            self._on_request("error")
            raise self._unreachable(error) from error
        self._on_request(str(answer.status))
        if answer.status in _REDIRECTS:
            raise self._redirected(answer)
        return _response_of(request, answer)

    def close(self) -> None:
        """Do nothing: the client closes the transport itself."""

    def _no_longer_followed(self) -> SourceError:
        return SourceUnavailableError(f"Vault at {self._transport.server}: no longer followed")

    def _unreachable(self, error: HTTPError | OSError) -> SourceError:
        server = self._transport.server
        if isinstance(error, TransportClosedError):
            return self._no_longer_followed()
        if isinstance(error, (HttpTimeoutError, EmptyPoolError)) and not isinstance(error, ConnectTimeoutError):
            return SourceUnavailableError(f"Vault at {server} takes connections but does not answer in time")
        return SourceUnavailableError(f"cannot reach Vault at {server}: {error}")

    def _redirected(self, answer: Response) -> SourceError:
        target = ""
        with suppress(HTTPError):  # an unreadable place is not worth a second error
            url = parse_url(answer.headers.get("Location", ""))
            target = f" to {url.scheme or 'http'}://{url.netloc}" if url.host else ""
        return SourceUnavailableError(
            f"Vault at {self._transport.server} redirects ({answer.status}{target}), as a standby does; confcar does "
            "not follow, since the token would go along: set `address` to the active node or a load balancer before it"
        )


def _response_of(request: requests.PreparedRequest, answer: Response) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.headers)
    response.raw = io.BytesIO(answer.data)
    response.url = request.url or ""
    response.request = request
    return response
