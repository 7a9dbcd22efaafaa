"""Consul's KV store and catalogue: py-consul on our transport, with the blocking query's rules and confcar's errors.

py-consul knows the API; it is given our transport through its hook `http_connect`, because its own cannot be
interrupted, follows redirects with the token and drops the headers that tell how good an answer is. The transport also
says how consistent an answer has to be and how long it may take, which not all of py-consul's methods can be told. The
token goes in a header only; this module reads it anew for each request and shows it to nobody. Importing it costs about
0.1 s (py-consul brings requests), so only what serves a Consul source may.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import consul.base
from consul.exceptions import ConsulException
from urllib3.exceptions import HTTPError

from confcar.clients.consul_answer import Answer, Reply, items_reader, kv_answer
from confcar.clients.consul_catalog import Subject
from confcar.clients.consul_errors import Request, hidden, not_consul, refusal, unreachable, without_leader
from confcar.clients.transport import Transport
from confcar.config.sources import ConsulOptions
from confcar.errors import ConfigError, SourceDeniedError

DEFAULT_ADDRESS = "http://127.0.0.1:8500"
REQUEST_TIMEOUT_SECONDS = 15.0
"""How long a read that does not block may take."""

_Result = TypeVar("_Result")
_FOUND, _NOT_FOUND = 200, 404
_MILLISECONDS = "ms"
_WITHOUT_INDEX = {"/v1/catalog/datacenters"}
_NO_HEADERS: Mapping[str, str] = {}
# Spreads the queries of a fleet that started together.
_WAIT_JITTER = 0.05


_Ask = Callable[[Any, Mapping[str, str]], Reply]
"""Makes one request by py-consul's client, blocking by `index` and `wait` where these are given."""


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
        self._library, self._exact = (
            _Library(_Http(self._transport, options, consistency, on_request=on_request), options.datacenter)
            for consistency in (options.consistency, "consistent")
        )

    def read_key(
        self, key: str, *, after: int = 0, wait_seconds: float = 0.0, datacenter: str | None = None, exact: bool = False
    ) -> Answer:
        """Return what one key holds.

        Args:
            key: Without a leading slash, not empty.
            after: Index to block on; 0 returns at once.
            wait_seconds: How long to block at most while the index is still *after*; 0 returns at once.
            datacenter: To read from; None for the one in the options.
            exact: Whether the leader has to make sure that it still is one, whatever the options' `consistency`.

        Raises:
            SourceUnavailableError: No leader, no answer, an answer that is not Consul's, 429 or 5xx; worth a retry.
            SourceDeniedError: The token may not, is unknown, or cannot be read.
            SourceDataError: The request is refused for another reason, or redirected.
        """
        return self._read(_kv(key, datacenter), kv_answer, _Terms(after, wait_seconds, exact))

    def read_folder(
        self,
        path: str,
        *,
        after: int = 0,
        wait_seconds: float = 0.0,
        datacenter: str | None = None,
        exact: bool = False,
    ) -> Answer:
        """Return all keys below a folder, at any depth; as `read_key` otherwise. The empty path is the whole store."""
        prefix = f"{path}/" if path else ""
        return self._read(_kv(prefix, datacenter, recurse=True), kv_answer, _Terms(after, wait_seconds, exact))

    def read_catalog(
        self, subject: Subject, *, after: int = 0, wait_seconds: float = 0.0, exact: bool = False
    ) -> Answer:
        """Return what the catalogue lists; as `read_key` otherwise. What has no index has index 0.

        Raises:
            SourceDeniedError: Also where it lists nothing because the token may see nothing of it.
        """
        answer = self._read(subject.ask, items_reader(subject), _Terms(after, wait_seconds, exact))
        if answer.may_hide and not answer.items:
            # Consul shortens these lists without a refusal. Something of the kind that may be seen shows that nothing
            # being left was not the ACLs' doing.
            widest = subject.widest
            if widest == subject or not self._read(widest.ask, items_reader(widest), _Terms(exact=exact)).items:
                raise hidden(self._transport.server, subject.rule, has_token=answer.had_token)
        return answer

    def close(self) -> None:
        """End every read under way at once, and hold no connection any more. Any thread, may be called twice."""
        self._transport.close()

    def _read(self, ask: _Ask, read: Callable[[Reply], Answer], terms: _Terms) -> Answer:
        is_stale = not terms.exact and self._options.consistency == "stale"
        answer = self._answer(ask, read, self._exact if terms.exact else self._library, terms.blocking)
        if is_stale and answer.last_contact_seconds > self._options.max_stale_seconds:
            is_stale, answer = False, self._answer(ask, read, self._exact, {})
        if not answer.knows_leader and not is_stale:
            raise without_leader(self._transport.server)
        return answer

    def _answer(
        self, ask: _Ask, read: Callable[[Reply], Answer], library: _Library, blocking: Mapping[str, str]
    ) -> Answer:
        reply = ask(library, blocking)
        try:
            return read(reply)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise not_consul(self._transport.server, "unknown content") from None


@dataclass(frozen=True, slots=True)
class _Terms:
    """How a read is to be answered; as the arguments of `read_key`."""

    after: int = 0
    wait_seconds: float = 0.0
    exact: bool = False

    @property
    def blocking(self) -> Mapping[str, str]:
        """Consul's parameters for it, the wait a little shorter at random."""
        if self.after <= 0 or self.wait_seconds <= 0:
            return {}
        wait = self.wait_seconds * (1 - _WAIT_JITTER * random.random())  # noqa: S311 - spreads load, hides nothing
        return {"index": str(self.after), "wait": f"{max(1, round(wait * 1000))}{_MILLISECONDS}"}


def _kv(key: str, datacenter: str | None, *, recurse: bool = False) -> _Ask:
    return lambda library, blocking: library.kv.get(key, recurse=recurse, dc=datacenter, **blocking)


class _Library(consul.base.Consul):  # type: ignore[misc]  # py-consul ships no types
    """py-consul, with our transport where its own would be."""

    def __init__(self, http: _Http, datacenter: str | None) -> None:
        self._our_http = http
        # Everything is given, because what is not would come from the environment. The consistency is the transport's.
        super().__init__("unused", 0, scheme="http", verify=True, consistency="default", dc=datacenter)
        # It prefers CONSUL_HTTP_TOKEN to what it is given; ours comes with each request.
        self.token = None

    def http_connect(self, *_: object) -> _Http:
        return self._our_http


class _Http:
    """What py-consul calls: its transport's interface, as far as reading needs it."""

    def __init__(
        self, transport: Transport, options: ConsulOptions, consistency: str, *, on_request: Callable[[str], None]
    ) -> None:
        self._transport = transport
        self._options = options
        self._on_request = on_request
        tenancy = {"ns": options.namespace, "partition": options.partition}
        self._always = [(name, value) for name, value in tenancy.items() if value]
        # py-consul can be told for some calls only, and for none of the health checks'.
        self._always += [(consistency, "1")] if consistency != "default" else []

    def get(
        self,
        callback: Callable[[consul.base.Response], _Result],
        path: str,
        *,
        params: Sequence[tuple[str, object]] = (),
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Reply:
        """Make a GET for py-consul, and return what it makes of the answer together with the answer's headers."""
        token = _read_token(self._options)
        server = self._transport.server
        named = dict(params)
        request = Request(server, _rule(path, params), token, str(named.get("dc") or "") or None)
        target = quote(path, safe="/") + "?" + urlencode([*params, *self._always])
        headers = {**headers, "X-Consul-Token": token} if token else headers
        try:
            response = self._transport.request("GET", target, headers=headers, timeout_seconds=_deadline_seconds(named))
        except (HTTPError, OSError) as error:
            self._on_request("error")
            raise unreachable(error, server) from error
        self._on_request(str(response.status))
        if response.status not in {_FOUND, _NOT_FOUND}:
            raise refusal(response, request)
        if "X-Consul-Index" not in response.headers and path not in _WITHOUT_INDEX:
            raise not_consul(server, f"status {response.status}, no X-Consul-Index")
        try:
            text = response.data.decode()
            result = callback(consul.base.Response(response.status, response.headers, text))
        except (ConsulException, LookupError, TypeError, ValueError, AttributeError):
            # Their texts quote the body, which holds the values.
            raise not_consul(server, "not its JSON") from None
        return Reply(result, response.headers, bool(token))


def _deadline_seconds(params: Mapping[str, object]) -> float:
    if "wait" not in params:
        return REQUEST_TIMEOUT_SECONDS
    wait = int(str(params["wait"]).removesuffix(_MILLISECONDS)) / 1000
    # Consul adds up to a sixteenth of its own; beyond that the server is taken for stuck.
    return wait + max(wait * 0.1, wait / 16 + 1.0)


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
