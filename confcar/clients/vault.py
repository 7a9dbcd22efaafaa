"""Vault and OpenBao: hvac on confcar's transport, with a ceiling on requests and confcar's errors.

hvac knows the login methods; the connections are ours, because its own cannot be interrupted, carry the token to where
a redirect points and read proxies and credentials from the environment. No token is kept here: each call is given its
own, so that a login cannot change it under another thread. Importing this loads hvac, requests and all login methods:
about 50 ms and 7 MiB, so only what serves a Vault source may.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from urllib.parse import quote

import hvac
import requests
from hvac.adapters import RawAdapter
from hvac.exceptions import VaultError
from urllib3.exceptions import HTTPError

from confcar.clients.pace import Pace
from confcar.clients.transport import Transport
from confcar.clients.vault_adapter import REQUEST_TIMEOUT_SECONDS, Nodes, TransportAdapter
from confcar.clients.vault_answer import VaultAnswer, read_answer
from confcar.config.sources import VaultOptions
from confcar.errors import ConfigError, SourceDataError

DEFAULT_ADDRESS = "https://127.0.0.1:8200"
# A standby that lags behind its active node answers 412 for a moment.
_LAG_PAUSES_SECONDS = (0.1, 0.3)
# hvac wants a URL; the transport below it knows the real one, which may be a unix socket.
_BASE_URL = "http://vault"


class VaultClient:
    """Calls to one server. Thread-safe.

    Args:
        name: The source's name, for errors.
        options: As configured; `address` None is DEFAULT_ADDRESS.
        max_connections: Hard ceiling for each node, at least 1.
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
        self._closed = threading.Event()
        connect = partial(_connect, options, max_connections)
        try:
            self._nodes = Nodes(options.address or DEFAULT_ADDRESS, connect, on_connections=on_connections)
        except (ValueError, HTTPError) as error:
            raise ConfigError(f"sources.{name}.address: {error}") from error
        self._pace = Pace(options.max_requests_per_second)
        session = requests.Session()
        session.trust_env = False
        session.headers["User-Agent"] = "confcar"
        session.adapters.clear()
        session.mount(_BASE_URL, TransportAdapter(self._nodes, pace=self._pace, on_request=on_request))
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
        return self._nodes.configured.server

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
        request = partial(
            self._hvac.adapter.request,
            method,
            f"/v1/{quote(path)}",
            params=params,
            json=body,
            timeout=timeout_seconds,
        )
        asked_at = self._clock()
        answer = self._answer(lambda: request(headers={"X-Vault-Token": token}))
        for pause in _LAG_PAUSES_SECONDS:
            if answer.status != HTTPStatus.PRECONDITION_FAILED or self._closed.wait(pause):
                break
            answer = self._answer(lambda: request(headers={"X-Vault-Token": token}))
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
        self._closed.set()
        self._pace.close()
        self._nodes.close()

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


def _connect(
    options: VaultOptions, max_connections: int, address: str, on_connections: Callable[[int], None]
) -> Transport:
    return Transport(
        address,
        tls=options.tls,
        max_connections=max_connections,
        on_connections=on_connections,
        proxy=options.proxy,
    )
