"""Consul's KV store and catalogue: what can be read, with the blocking query's rules and confcar's errors.

How a request is made is `consul_http`'s. Importing it costs about 0.1 s (py-consul brings requests), so only what
serves a Consul source may.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confcar.clients.consul_answer import (
    Answer,
    Held,
    Names,
    Reply,
    folder_answer,
    items_reader,
    keys_answer,
    kv_answer,
    names_of,
)
from confcar.clients.consul_catalog import Subject
from confcar.clients.consul_errors import hidden, not_consul, without_leader
from confcar.clients.consul_folder import read_folder
from confcar.clients.consul_http import MILLISECONDS, Http, Library, TooMuchError, at_most
from confcar.clients.consul_transaction import read_keys
from confcar.clients.transport import Transport
from confcar.config.sources import ConsulOptions
from confcar.errors import ConfigError

__all__ = ["ConsulClient", "Terms", "TooMuchError"]

DEFAULT_ADDRESS = "http://127.0.0.1:8500"
# Spreads the queries of a fleet that started together.
_WAIT_JITTER = 0.05


@dataclass(frozen=True, slots=True)
class Terms:
    """How a read is to be answered.

    Attributes:
        after: Index to block on; 0 returns at once.
        wait_seconds: How long to block at most while the index is still *after*; 0 returns at once.
        exact: Whether the leader has to make sure that it still is one, whatever the options' `consistency`.
        before: What a prefix held at the answer before: the less differs, the less there is to decode.
    """

    after: int = 0
    wait_seconds: float = 0.0
    exact: bool = False
    before: Held | None = None

    @property
    def blocking(self) -> Mapping[str, str]:
        """Consul's parameters for it, the wait a little shorter at random."""
        if self.after <= 0 or self.wait_seconds <= 0:
            return {}
        wait = self.wait_seconds * (1 - _WAIT_JITTER * random.random())  # noqa: S311 - spreads load, hides nothing
        return {"index": str(self.after), "wait": f"{max(1, round(wait * 1000))}{MILLISECONDS}"}


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
            Library(Http(self._transport, options, consistency, on_request=on_request), options.datacenter)
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
        return self._read(_kv(key, datacenter), kv_answer, Terms(after, wait_seconds, exact))

    def read_prefix(
        self, prefix: str, terms: Terms, *, datacenter: str | None = None, most_bytes: int | None = None
    ) -> Answer:
        """Return all keys that start with *prefix*; as `read_key` otherwise. The empty one is the whole store's.

        Raises:
            TooMuchError: The answer is longer than *most_bytes*; the rest of it was not read.
        """
        with at_most(most_bytes):
            return self._read(
                lambda library, blocking: read_folder(library.http, prefix, datacenter, blocking, before=terms.before),
                folder_answer,
                terms,
            )

    def list_keys(self, prefix: str, *, datacenter: str | None = None, most_bytes: int) -> Names:
        """Return the names of all keys that start with *prefix*, without blocking; raises as `read_prefix`."""
        with at_most(most_bytes):
            reply = self._library.kv.get(prefix, keys=True, dc=datacenter)
        try:
            return names_of(reply)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise not_consul(self._transport.server, "unknown content") from None

    def read_keys(self, keys: Sequence[str], *, datacenter: str | None = None, exact: bool = False) -> Answer:
        """Return those of up to 64 keys that are there and may be read, in one request and without blocking.

        Why one is left out is known to who asks for it alone. The index is that of the newest of them, 0 where none is
        there. Raises as `read_key`.
        """
        return self._read(lambda library, _: read_keys(library.http, keys, datacenter), keys_answer, Terms(exact=exact))

    def read_catalog(
        self, subject: Subject, *, after: int = 0, wait_seconds: float = 0.0, exact: bool = False
    ) -> Answer:
        """Return what the catalogue lists; as `read_key` otherwise. What has no index has index 0.

        Raises:
            SourceDeniedError: Also where it lists nothing because the token may see nothing of it.
        """
        answer = self._read(subject.ask, items_reader(subject), Terms(after, wait_seconds, exact))
        if answer.may_hide and not answer.items:
            # Consul shortens these lists without a refusal. Something of the kind that may be seen shows that nothing
            # being left was not the ACLs' doing.
            widest = subject.widest
            if widest == subject or not self._read(widest.ask, items_reader(widest), Terms(exact=exact)).items:
                raise hidden(self._transport.server, subject.rule, has_token=answer.had_token)
        return answer

    def close(self) -> None:
        """End every read under way at once, and hold no connection any more. Any thread, may be called twice."""
        self._transport.close()

    def _read(self, ask: _Ask, read: Callable[[Reply], Answer], terms: Terms) -> Answer:
        is_stale = not terms.exact and self._options.consistency == "stale"
        answer = self._answer(ask, read, self._exact if terms.exact else self._library, terms.blocking)
        if is_stale and answer.last_contact_seconds > self._options.max_stale_seconds:
            is_stale, answer = False, self._answer(ask, read, self._exact, {})
        if not answer.knows_leader and not is_stale:
            raise without_leader(self._transport.server)
        return answer

    def _answer(
        self, ask: _Ask, read: Callable[[Reply], Answer], library: Library, blocking: Mapping[str, str]
    ) -> Answer:
        reply = ask(library, blocking)
        try:
            return read(reply)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise not_consul(self._transport.server, "unknown content") from None


def _kv(key: str, datacenter: str | None) -> _Ask:
    return lambda library, blocking: library.kv.get(key, dc=datacenter, **blocking)
