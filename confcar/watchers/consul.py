"""The Consul source: KV by blocking queries, by the book.

An index is only ever used to block, and never 0; one that goes back starts over, and so does every failure. An answer
that says nothing new is not asked for again at once: a key that is not there wakes its query at every write anywhere.
What a listing does not show is absent only where ACLs cannot have hidden it. Transport, token and errors are
`clients.consul`'s; which query answers what is `consul_plan`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from confcar.clients.consul import Answer, ConsulClient
from confcar.config.sources import ConsulOptions
from confcar.errors import SourceDeniedError
from confcar.model import Dependency, Kind, Reading, Snapshot, Version
from confcar.status import Status
from confcar.watchers.base import Query
from confcar.watchers.consul_plan import FolderQuery, KeyQuery, RefusedQuery, path_fault, plan_queries, reading_of

# Each is a thread, and Consul closes what is above 200 from one address.
_MOST_BLOCKING = 190
# From here on two queries are polled at the same time: below, a connection is too dear for that.
_CONNECTIONS_FOR_TWO_POLLERS = 8
_LEAST_SECONDS_BETWEEN_SAME_ANSWERS = 0.1
_POLL_SECONDS = 1.0
# Ceiling on what polling may cost the server and this machine, whatever the templates read.
_MOST_POLLS_PER_SECOND = 100
# Policies change without waking a query.
_DENIED_AGAIN_SECONDS = 5.0
_REFUSED_AGAIN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """The version of a Consul snapshot: what the last answer of a query was.

    Attributes:
        index: Consul's, at least 0.
        content: Hash of keys and values.
        is_complete: Whether every dependency had its reading; where not, the next answer is looked at again.
        settled_at: Monotonic time from which on the same content may be answered again.
    """

    index: int
    content: int = field(repr=False)
    is_complete: bool
    settled_at: float = field(compare=False)


class ConsulWatcher:
    """Follows one Consul. See `Watcher` for the members.

    Args:
        name: The source's name in the config.
        options: As configured.
        status: Takes the counts of requests and the number of connections.
        clock: Monotonic seconds.

    Raises:
        ConfigError: The address is no URL.
    """

    kinds: frozenset[Kind] = frozenset({"key", "ls", "tree"})

    def __init__(
        self, name: str, options: ConsulOptions, *, status: Status, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.max_polling = 2 if options.max_connections >= _CONNECTIONS_FOR_TWO_POLLERS else 1
        self.max_blocking = min(options.max_connections - self.max_polling, _MOST_BLOCKING)
        self._clock = clock
        self._poll_seconds = _POLL_SECONDS
        self._client = ConsulClient(
            name,
            options,
            on_request=partial(status.count, "source_requests_total", name),
            on_connections=lambda count: status.update_source(name, connections=count),
        )

    def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
        """Return one query per key and folder; what lies inside a followed folder is the folder's."""
        queries = plan_queries(wanted)
        polled = max(0, len(queries) - self.max_blocking)
        self._poll_seconds = max(_POLL_SECONDS, polled / _MOST_POLLS_PER_SECOND)
        return queries

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        """Return the newest snapshot of a query, blocking while nothing changed since *after*.

        A dependency that cannot be read, while others of the same query can, is among the snapshot's failures.

        Raises:
            SourceUnavailableError: Not reachable, without a leader, overloaded, or not Consul; worth a retry.
            SourceDeniedError: The token may read nothing of it, is unknown, or its file cannot be read.
            SourceDataError: Consul refuses the request for another reason, or redirects.
        """
        if isinstance(query, RefusedQuery):
            faults = {each: fault for each in dependencies if (fault := path_fault(each)) is not None}
            return Snapshot(query, {}, _REFUSED_AGAIN_SECONDS, faults)
        assert isinstance(query, (KeyQuery, FolderQuery))
        seen = after if isinstance(after, _Seen) else None
        try:
            answer = self._ask(query, seen, wait_seconds)
        except SourceDeniedError as error:
            return self._read_singly(dependencies, error)
        if seen is not None and answer.index < seen.index:
            # The server was restored or replaced: its index is another count, on which nothing may be built.
            seen, answer = None, self._ask(query, None, 0.0)
        return self._snapshot(dependencies, answer, seen, is_polled=wait_seconds <= 0)

    def close(self) -> None:
        """End every fetch under way at once, and hold no connection any more."""
        self._client.close()

    def _ask(self, query: KeyQuery | FolderQuery, seen: _Seen | None, wait_seconds: float) -> Answer:
        read = self._client.read_key if isinstance(query, KeyQuery) else self._client.read_folder
        if seen is None:
            return read(query.path)
        wait = wait_seconds if seen.is_complete else min(wait_seconds, _DENIED_AGAIN_SECONDS)
        return read(query.path, after=seen.index, wait_seconds=wait)

    def _snapshot(
        self, dependencies: frozenset[Dependency], answer: Answer, seen: _Seen | None, *, is_polled: bool
    ) -> Snapshot:
        now, content = self._clock(), hash(frozenset(answer.entries.items()))
        rest = 0.0
        if seen is not None and content == seen.content:
            rest = max(0.0, seen.settled_at + _LEAST_SECONDS_BETWEEN_SAME_ANSWERS - now)
        again = max(rest, self._poll_seconds) if is_polled or answer.index == 0 else rest or None
        if seen is not None and seen.is_complete and (answer.index, content) == (seen.index, seen.content):
            return Snapshot(_Seen(answer.index, content, is_complete=True, settled_at=now + rest), {}, again)
        readings, failures = self._readings(dependencies, answer)
        version = _Seen(answer.index, content, is_complete=not failures, settled_at=now + rest)
        return Snapshot(version, readings, again, failures)

    def _readings(
        self, dependencies: frozenset[Dependency], answer: Answer
    ) -> tuple[dict[Dependency, Reading], dict[Dependency, Exception]]:
        readings = {each: reading_of(each, answer.entries) for each in dependencies}
        failures: dict[Dependency, Exception] = {}
        if answer.may_hide:
            for each in [each for each, reading in readings.items() if _is_nothing(reading)]:
                try:
                    readings[each] = self._confirm(each, readings[each])
                except SourceDeniedError as error:
                    del readings[each]
                    failures[each] = error
        return readings, failures

    def _confirm(self, dependency: Dependency, reading: Reading) -> Reading:
        """Ask for the one key: that is refused where a listing is only shortened."""
        if dependency.kind == "key":
            return reading_of(dependency, self._client.read_key(dependency.path).entries)
        # Any name shows whether the whole store may be read; a folder's own is as good as any inside it.
        self._client.read_key(f"{dependency.path}/" if dependency.path else self.name)
        return reading

    def _read_singly(self, dependencies: frozenset[Dependency], error: SourceDeniedError) -> Snapshot:
        """Answer the keys that share a folder's query although the folder itself may not be listed."""
        readings: dict[Dependency, Reading] = {}
        failures: dict[Dependency, Exception] = dict.fromkeys(dependencies, error)
        for each in sorted(dependencies):
            if each.kind == "key" and len(dependencies) > 1:
                try:
                    readings[each] = reading_of(each, self._client.read_key(each.path).entries)
                    del failures[each]
                except SourceDeniedError as own:
                    failures[each] = own
        if not readings:
            raise error
        return Snapshot(None, readings, _DENIED_AGAIN_SECONDS, failures)


def _is_nothing(reading: Reading) -> bool:
    return reading.value is None or reading.value == {}
