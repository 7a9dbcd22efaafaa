"""Requests to Consul: the token, the tenancy, the consistency and confcar's errors, below py-consul and beside it.

py-consul knows the API; it is given our transport through its hook `http_connect`, because its own cannot be
interrupted, follows redirects with the token and drops the headers that tell how good an answer is. The transport also
says how consistent an answer has to be and how long it may take, which not all of py-consul's methods can be told. The
token goes in a header only; this module reads it anew for each request and shows it to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote, urlencode

import consul.base
from consul.exceptions import ConsulException, NotFound
from urllib3.exceptions import HTTPError

from confcar.clients.cancellation import current_cancellation
from confcar.clients.connections import AnswerTooLargeError
from confcar.clients.consul_answer import Reply
from confcar.clients.consul_errors import Request, not_consul, refusal, unreachable
from confcar.clients.transport import Response, Transport
from confcar.config.sources import ConsulOptions
from confcar.errors import SourceDataError, SourceDeniedError

REQUEST_TIMEOUT_SECONDS = 15.0
"""How long a request that does not block may take, where nothing else is said."""
MILLISECONDS = "ms"
"""The unit of the waits that are sent."""

_Result = TypeVar("_Result")
_FOUND, _NOT_FOUND = 200, 404
_ANSWERS = frozenset({_FOUND, _NOT_FOUND})
_WITHOUT_INDEX = {"/v1/catalog/datacenters"}
_NO_HEADERS: Mapping[str, str] = {}
_MOST_BYTES: ContextVar[int | None] = ContextVar("most_bytes", default=None)


class TooMuchError(SourceDataError):
    """A read found more than it may cost."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to Consul.

    Attributes:
        method: Of HTTP.
        path: Not quoted.
        params: Of the query, without tenancy and consistency.
        headers: Without the token.
        body: To send.
        accepted: The statuses that are answers, not errors.
    """

    method: str
    path: str
    params: Sequence[tuple[str, object]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    accepted: frozenset[int] = frozenset({_FOUND})

    @property
    def policy(self) -> str:
        """What the ACL rule that allows it has to grant."""
        return "read" if self.method == "GET" else "write"


class Library(consul.base.Consul):  # type: ignore[misc]  # py-consul ships no types
    """py-consul, with our transport where its own would be."""

    def __init__(self, http: Http, datacenter: str | None) -> None:
        self._our_http = http
        # Everything is given, because what is not would come from the environment. The consistency is the transport's.
        super().__init__("unused", 0, scheme="http", verify=True, consistency="default", dc=datacenter)
        # It prefers CONSUL_HTTP_TOKEN to what it is given; ours comes with each request.
        self.token = None

    def http_connect(self, *_: object) -> Http:
        """Return our transport: py-consul's hook."""
        return self._our_http


class Http:
    """What py-consul calls: its transport's interface, as far as confcar needs it. Thread-safe.

    Attributes:
        options: As configured.
        server: The address without credentials, for errors.
    """

    def __init__(
        self,
        transport: Transport,
        options: ConsulOptions,
        consistency: str,
        *,
        on_request: Callable[[str], None],
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> None:
        self.options = options
        self.server = transport.server
        self._transport = transport
        self._on_request = on_request
        self._timeout_seconds = timeout_seconds
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
        call = Call("GET", path, params, headers, accepted=_ANSWERS)
        response, had_token = self.exchange(call)
        server = self.server
        if "X-Consul-Index" not in response.headers and path not in _WITHOUT_INDEX:
            raise not_consul(server, f"status {response.status}, no X-Consul-Index")
        return Reply(_result_of(response, callback, server), response.headers, had_token)

    def put(
        self,
        callback: Callable[[consul.base.Response], _Result],
        path: str,
        *,
        params: Sequence[tuple[str, object]] = (),
        headers: Mapping[str, str] = _NO_HEADERS,
        data: str | bytes = b"",
    ) -> Reply:
        """Make a PUT for py-consul; it is never made twice."""
        body = data.encode() if isinstance(data, str) else data
        return self._write(Call("PUT", path, params, headers, body, _ANSWERS), callback)

    def delete(
        self,
        callback: Callable[[consul.base.Response], _Result],
        path: str,
        *,
        params: Sequence[tuple[str, object]] = (),
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Reply:
        """Make a DELETE for py-consul; it is never made twice."""
        return self._write(Call("DELETE", path, params, headers, None, _ANSWERS), callback)

    def _write(self, call: Call, callback: Callable[[consul.base.Response], _Result]) -> Reply:
        response, had_token = self.exchange(call)
        return Reply(_result_of(response, callback, self.server), response.headers, had_token)

    def exchange(self, call: Call) -> tuple[Response, bool]:
        """Return the answer, of an accepted status, and whether a token was sent; raises confcar's errors."""
        token = _read_token(self.options)
        server, named = self.server, dict(call.params)
        request = Request(server, _rule(call), token, str(named.get("dc") or "") or None, call.policy)
        target = quote(call.path, safe="/") + "?" + urlencode([*call.params, *self._always])
        headers = {**call.headers, "X-Consul-Token": token} if token else call.headers
        try:
            response = self._transport.request(
                call.method,
                target,
                headers=headers,
                body=call.body,
                timeout_seconds=_deadline_seconds(named, self._timeout_seconds),
                most_bytes=_MOST_BYTES.get(),
            )
        except AnswerTooLargeError as error:
            self._on_request(str(_FOUND))
            raise TooMuchError(f"Consul at {server}: {call.path} holds more than is read at once") from error
        except (HTTPError, OSError) as error:
            self._on_request("cancelled" if current_cancellation().is_cancelled else "error")
            raise unreachable(error, server) from error
        self._on_request(str(response.status))
        if response.status not in call.accepted:
            raise refusal(response, request)
        return response, bool(token)


@contextmanager
def at_most(most_bytes: int | None) -> Iterator[None]:
    """Let this thread's requests inside the block end with TooMuchError where the answer is longer; None: never.

    It goes with the thread because py-consul passes no such parameter on.
    """
    token = _MOST_BYTES.set(most_bytes)
    try:
        yield
    finally:
        _MOST_BYTES.reset(token)


def _result_of(response: Response, callback: Callable[[consul.base.Response], _Result], server: str) -> _Result | None:
    try:
        return callback(consul.base.Response(response.status, response.headers, response.data.decode()))
    except NotFound:
        return None
    except (ConsulException, LookupError, TypeError, ValueError, AttributeError):
        # Their texts quote the body, which holds the values.
        raise not_consul(server, "not its JSON") from None


def _deadline_seconds(params: Mapping[str, object], timeout_seconds: float) -> float:
    if "wait" not in params:
        return timeout_seconds
    wait = int(str(params["wait"]).removesuffix(MILLISECONDS)) / 1000
    # Consul adds up to a sixteenth of its own; beyond that the server is taken for stuck.
    return wait + max(wait * 0.1, wait / 16 + 1.0)


def _rule(call: Call) -> str:
    kind, _, key = call.path.partition("/v1/kv/")
    if kind:
        return 'session_prefix ""' if kind.startswith("/v1/session/") else ""
    if call.policy == "write":
        # Keys are made in their folder as they are needed.
        return f'key_prefix "{key.rpartition("/")[0]}/"'
    is_prefix = key.endswith("/") or any(name in {"recurse", "keys"} for name, _ in call.params)
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
