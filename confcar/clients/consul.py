"""Consul's KV store: py-consul on confcar's transport, with the blocking query's rules and confcar's errors.

py-consul knows the API; it is given our transport through its hook `http_connect`, because its own cannot be
interrupted, follows redirects with the token and drops the headers that tell how good an answer is. It sends the token
in a header only; this module reads the token anew for each request and shows it to nobody. Importing it costs about
0.1 s (py-consul brings requests), so only what serves a Consul source may.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import consul.base
from consul.exceptions import ConsulException
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import HTTPError

from confcar.clients.consul_errors import Request, not_consul, refusal, unreachable, without_leader
from confcar.clients.transport import Transport
from confcar.config.sources import ConsulOptions
from confcar.errors import ConfigError, SourceDeniedError

DEFAULT_ADDRESS = "http://127.0.0.1:8500"
REQUEST_TIMEOUT_SECONDS = 15.0
"""How long a read that does not block may take."""

_Result = TypeVar("_Result")
_FOUND, _NOT_FOUND = 200, 404
# Spreads the queries of a fleet that started together.
_WAIT_JITTER = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store held for one read.

    Attributes:
        index: Consul's index of this state, at least 0. 0 must not be used to block.
        entries: Full key to value, in Consul's order, without folders. Empty where there is nothing.
        may_hide: Whether ACLs may have left keys out without saying which.
        last_contact_seconds: How long the answering server had not heard from the leader.
    """

    index: int
    entries: Mapping[str, bytes] = field(repr=False)
    may_hide: bool
    last_contact_seconds: float


class _Reply(NamedTuple):
    result: Any
    headers: HTTPHeaderDict
    had_token: bool


class ConsulClient:
    """Reads one Consul. Thread-safe.

    Args:
        name: The source's name, for errors.
        options: As configured; `address` None is DEFAULT_ADDRESS.
        on_request: Called after each request with the HTTP status, or "error" where there was no answer.
        on_connections: Called with the number of open connections when it changes.

    Raises:
        ConfigError: The address is no URL.
    """

    def __init__(
        self,
        name: str,
        options: ConsulOptions,
        *,
        on_request: Callable[[str], None],
        on_connections: Callable[[int], None] | None = None,
    ) -> None:
        try:
            self._transport = Transport(
                options.address or DEFAULT_ADDRESS,
                tls=options.tls,
                max_connections=options.max_connections,
                on_connections=on_connections,
            )
        except ValueError as error:
            # The address is not shown: it may carry a password.
            raise ConfigError(f"sources.{name}.address: {error}") from None
        self._options = options
        self._library = _Library(_Http(self._transport, options, on_request=on_request), options)

    def read_key(self, key: str, *, after: int = 0, wait_seconds: float = 0.0) -> Answer:
        """Return what one key holds.

        Args:
            key: Without a leading slash, not empty.
            after: Index to block on; 0 returns at once.
            wait_seconds: How long to block at most while the index is still *after*; 0 returns at once.

        Raises:
            SourceUnavailableError: No leader, no answer, an answer that is not Consul's, 429 or 5xx; worth a retry.
            SourceDeniedError: The token may not, is unknown, or cannot be read.
            SourceDataError: The request is refused for another reason, or redirected.
        """
        return self._read(key, recurse=False, after=after, wait_seconds=wait_seconds)

    def read_folder(self, path: str, *, after: int = 0, wait_seconds: float = 0.0) -> Answer:
        """Return all keys below a folder, at any depth; as `read_key` otherwise. The empty path is the whole store."""
        return self._read(f"{path}/" if path else "", recurse=True, after=after, wait_seconds=wait_seconds)

    def close(self) -> None:
        """End every read under way at once, and hold no connection any more. Any thread, may be called twice."""
        self._transport.close()

    def _read(self, key: str, *, recurse: bool, after: int, wait_seconds: float) -> Answer:
        server, blocking, timeout = self._transport.server, {}, REQUEST_TIMEOUT_SECONDS
        if after > 0 and wait_seconds > 0:
            wait = wait_seconds * (1 - _WAIT_JITTER * random.random())  # noqa: S311 - spreads load, hides nothing
            blocking = {"index": str(after), "wait": f"{max(1, round(wait * 1000))}ms"}
            # Consul adds up to a sixteenth of its own; beyond that the server is taken for stuck.
            timeout = wait_seconds + max(wait_seconds * 0.1, wait_seconds / 16 + 1.0)
        reply = self._library.kv.get(key, recurse=recurse, connections_timeout=timeout, **blocking)
        if reply.headers.get("X-Consul-KnownLeader") == "false" and self._options.consistency != "stale":
            raise without_leader(server)
        try:
            return _answer_of(reply)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise not_consul(server, "unknown content") from None


def _answer_of(reply: _Reply) -> Answer:
    index, found = reply.result
    items = found if isinstance(found, list) else [found] if found is not None else []
    headers = reply.headers
    # A listing leaves out what the token may not read. Consul tells who has a token that it did so, and others nothing.
    is_blind = not reply.had_token and headers.get("X-Consul-Default-ACL-Policy") == "deny"
    return Answer(
        index=max(0, int(index)),
        entries={item["Key"]: item["Value"] or b"" for item in items if not item["Key"].endswith("/")},
        may_hide=is_blind or headers.get("X-Consul-Results-Filtered-By-ACLs") == "true",
        last_contact_seconds=int(headers.get("X-Consul-LastContact", "0")) / 1000,
    )


class _Library(consul.base.Consul):  # type: ignore[misc]  # py-consul ships no types
    """py-consul, with our transport where its own would be."""

    def __init__(self, http: _Http, options: ConsulOptions) -> None:
        self._our_http = http
        # Everything is given, because what is not would come from the environment.
        super().__init__(
            "unused", 0, scheme="http", verify=True, consistency=options.consistency, dc=options.datacenter
        )
        # It prefers CONSUL_HTTP_TOKEN to what it is given; ours comes with each request.
        self.token = None

    def http_connect(self, *_: object) -> _Http:
        return self._our_http


class _Http:
    """What py-consul calls: its transport's interface, as far as reading needs it."""

    def __init__(self, transport: Transport, options: ConsulOptions, *, on_request: Callable[[str], None]) -> None:
        self._transport = transport
        self._options = options
        self._on_request = on_request
        tenancy = {"ns": options.namespace, "partition": options.partition}
        self._tenancy = [(name, value) for name, value in tenancy.items() if value]

    def get(
        self,
        callback: Callable[[consul.base.Response], _Result],
        path: str,
        *,
        params: Sequence[tuple[str, object]],
        headers: Mapping[str, str],
        connections_timeout: float,
    ) -> _Reply:
        """Make a GET for py-consul, and return what it makes of the answer together with the answer's headers."""
        token = _read_token(self._options)
        server = self._transport.server
        request = Request(server, _rule(path, params), token, self._options.datacenter)
        target = quote(path, safe="/") + "?" + urlencode([*params, *self._tenancy])
        headers = {**headers, "X-Consul-Token": token} if token else headers
        try:
            response = self._transport.request("GET", target, headers=headers, timeout_seconds=connections_timeout)
        except (HTTPError, OSError) as error:
            self._on_request("error")
            raise unreachable(error, server) from error
        self._on_request(str(response.status))
        if response.status not in {_FOUND, _NOT_FOUND}:
            raise refusal(response, request)
        if "X-Consul-Index" not in response.headers:
            raise not_consul(server, f"status {response.status}, no X-Consul-Index")
        try:
            text = response.data.decode()
            result = callback(consul.base.Response(response.status, response.headers, text))
        except (ConsulException, LookupError, TypeError, ValueError, AttributeError):
            # Their texts quote the body, which holds the values.
            raise not_consul(server, "not its JSON") from None
        return _Reply(result, response.headers, bool(token))


def _rule(path: str, params: Sequence[tuple[str, object]]) -> str:
    kind, _, key = path.partition("/v1/kv/")
    if kind:
        return ""
    is_prefix = key.endswith("/") or any(name == "recurse" for name, _ in params)
    return f'{"key_prefix" if is_prefix else "key"} "{key}"'


def _read_token(options: ConsulOptions) -> str:
    if options.token_file is None:
        token = options.token.get_secret_value().strip() if options.token else ""
        place = "the token"
    else:
        place = f"the token in {options.token_file}"
        try:
            token = options.token_file.read_text("ascii").strip()
        except OSError as error:
            raise SourceDeniedError(f"cannot read token_file {options.token_file}: {error.strerror}") from error
        except ValueError:
            raise SourceDeniedError(f"{place} is not plain text") from None
        if not token:
            raise SourceDeniedError(f"token_file {options.token_file} is empty")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise SourceDeniedError(f"{place} is more than one word")
    return token
