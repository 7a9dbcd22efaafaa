"""The Consul source: KV and catalogue by blocking queries, by the book.

An index is only ever used to block, and never 0; one that goes back is made sure of by the leader and starts over, and
so does every failure. An answer that says nothing new is not asked for again at once: a key that is not there wakes its
query at every write anywhere. What a listing does not show is absent only where ACLs cannot have hidden it, and gone
only where `consul_guard` believes it. Transport, token and errors are `clients.consul`'s; which query answers what is
`consul_plan`'s and `consul_catalog`'s.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

from confcar.clients.cancellation import Cancellations
from confcar.clients.consul import ConsulClient, Terms
from confcar.clients.consul_answer import Answer
from confcar.clients.consul_catalog import Subject
from confcar.config.sources import ConsulOptions
from confcar.errors import SourceDeniedError, SourceUnavailableError
from confcar.log import fields
from confcar.model import Dependency, Kind, Reading, Snapshot, Version
from confcar.status import Status
from confcar.watchers.base import Polled, Query
from confcar.watchers.consul_catalog import (
    CATALOG_KINDS,
    UNWATCHED_SECONDS,
    datacenter_of,
    listing_of,
    plan_catalog,
    subject_of,
)
from confcar.watchers.consul_guard import EmptyGuard, is_nothing
from confcar.watchers.consul_plan import BatchQuery, ListQuery, RefusedQuery, path_fault, reading_of
from confcar.watchers.consul_seen import DENIED_AGAIN_SECONDS, Seen, content_of, differing, terms_after
from confcar.watchers.consul_store import StoreQuery, StoreReader, UnfitError

# Each is a thread, and Consul closes what is above 200 from one address.
_MOST_BLOCKING = 190
# From here on two queries are polled at the same time: below, a connection is too dear for that.
_CONNECTIONS_FOR_TWO_POLLERS = 8
_LEAST_SECONDS_BETWEEN_SAME_ANSWERS = 0.1
_POLL_SECONDS = 1.0
# Ceiling on what polling may cost the server and this machine, whatever the templates read.
_MOST_POLLS_PER_SECOND = 100
# Of one batch.
_MOST_REFUSED_PER_SECOND = 10
_REFUSED_AGAIN_SECONDS = 3600.0
# A blocking query that says nothing new before this part of its wait is over did not wait for it.
_EARLY = 0.5
_log = logging.getLogger(__name__)


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

    kinds: frozenset[Kind] = CATALOG_KINDS | {"key", "ls", "tree"}

    def __init__(
        self, name: str, options: ConsulOptions, *, status: Status, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.max_polling = 2 if options.max_connections >= _CONNECTIONS_FOR_TWO_POLLERS else 1
        self.max_blocking = min(options.max_connections - self.max_polling, _MOST_BLOCKING)
        self._clock = clock
        self._poll_seconds = _POLL_SECONDS
        self._is_stale = options.consistency == "stale"
        self._client = ConsulClient(
            name,
            options,
            on_request=partial(status.count, "source_requests_total", name),
            on_connections=lambda count: status.update_source(name, connections=count),
        )
        self._store = StoreReader(self._client, clock=clock)
        self._under_way = Cancellations()
        self._status = status
        self._guard = EmptyGuard(is_on=options.empty_guard, on_trouble=self._note_trouble)

    def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
        """Return one query per folder and list, and for keys as many as it takes; see `consul_plan`."""
        listed = frozenset(each for each in wanted if each.kind in CATALOG_KINDS)
        queries = plan_catalog(listed)
        queries |= self._store.plan(wanted - listed, most_blocking=self.max_blocking - len(queries))
        self._guard.plan(queries)
        self._poll_seconds = max(_POLL_SECONDS, self._count_polled(queries) / _MOST_POLLS_PER_SECOND)
        return queries

    def _count_polled(self, queries: Collection[Query]) -> int:
        blocking = sum(not isinstance(query, Polled) for query in queries)
        return len(queries) - min(blocking, self.max_blocking)

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
        with self._under_way.cancellable(query) as cancellation:
            try:
                return self._fetch(query, dependencies, after, wait_seconds)
            except SourceUnavailableError:
                if not cancellation.is_cancelled:
                    self._guard.cut_off(query)
                raise

    def _fetch(
        self, query: Query, dependencies: frozenset[Dependency], after: Version | None, wait_seconds: float
    ) -> Snapshot:
        if isinstance(query, RefusedQuery):
            faults = {each: fault for each in dependencies if (fault := path_fault(each)) is not None}
            return Snapshot(query, {}, _REFUSED_AGAIN_SECONDS, faults)
        if isinstance(query, ListQuery):
            return self._store.list_names(query)
        seen = after if isinstance(after, Seen) else None
        started = self._clock()
        try:
            terms = terms_after(seen, wait_seconds)
            if self._is_stale and seen is None and self._guard.took_over(query, dependencies):
                # A server that is behind must not show what another query has left behind already.
                terms = Terms(exact=True)
            answer = self._ask(query, dependencies, terms)
            is_early = self._clock() - started < terms.wait_seconds * _EARLY
            if is_early and seen is not None and 0 < seen.index == answer.index:
                # A server that has restored a snapshot, or is about to end, lets its queries go with what they knew. On
                # the old index it would block on, whatever is written, until the new one has come that far.
                answer = self._ask(query, dependencies, Terms(before=seen.held))
            if self._guard.went_back(query, _comparable_index(answer)):
                # It came from a server that is behind; or Consul was restored or replaced, and its index is another
                # count, on which nothing may be built. The leader knows.
                seen, answer = None, self._ask(query, dependencies, Terms(exact=True))
        except UnfitError as error:
            folders = [each for each in dependencies if each.kind != "key"] if error.denied else []
            failures: dict[Dependency, Exception] = {each: error.denied for each in folders if error.denied}
            return Snapshot(None, {}, DENIED_AGAIN_SECONDS, failures, plans_again=True)
        return self._snapshot(query, dependencies, answer, seen, is_polled=wait_seconds <= 0)

    def interrupt(self, query: Query) -> None:
        """End what is asked for a query at once; its connection with it, since the server cannot be told to stop."""
        self._under_way.interrupt(query)

    def close(self) -> None:
        """End every fetch under way at once, and hold no connection any more."""
        self._client.close()

    def look(self, query: Query, dependencies: frozenset[Dependency]) -> tuple[int, bool]:
        """See `Witness`."""
        try:
            answer = self._ask(query, dependencies, Terms(exact=True))
        except UnfitError as error:
            if error.denied is not None:
                raise error.denied from None
            return 0, True  # it holds more than is read at once
        return answer.index, not all(is_nothing(_reading_of(each, answer)) for each in dependencies)

    def is_known(self, dependency: Dependency) -> bool:
        """See `Witness`."""
        if dependency.kind != "service":
            return False
        return bool(self._client.read_catalog(subject_of(dependency).widest, exact=True).items)

    def _note_trouble(self, trouble: str | None) -> None:
        self._status.source_in_trouble(self.name, trouble)
        if trouble is None:
            _log.info("source has its data again", extra=fields(source=self.name))
        else:
            _log.warning("source lost its data, last data kept", extra=fields(source=self.name, error=trouble))

    def _ask(self, query: Query, dependencies: frozenset[Dependency], terms: Terms) -> Answer:
        if isinstance(query, Subject):
            after, wait = terms.after, terms.wait_seconds
            return self._client.read_catalog(query, after=after, wait_seconds=wait, exact=terms.exact)
        assert isinstance(query, StoreQuery)
        return self._store.read(query, dependencies, terms)

    def _snapshot(
        self, query: Query, dependencies: frozenset[Dependency], answer: Answer, seen: Seen | None, *, is_polled: bool
    ) -> Snapshot:
        now, content = self._clock(), content_of(answer, seen)
        rest = 0.0
        if seen is not None and content == seen.content:
            rest = max(0.0, seen.settled_at + _LEAST_SECONDS_BETWEEN_SAME_ANSWERS - now)
        again = max(rest, self._pause_after(query)) if is_polled or answer.index == 0 else rest or None
        version = Seen(answer.index, content, answer.held, is_complete=True, settled_at=now + rest)
        if seen is not None and seen.is_complete and (answer.index, content) == (seen.index, seen.content):
            return Snapshot(version, {}, again)
        asked = differing(dependencies, answer) if seen is not None and seen.is_complete else dependencies
        readings, failures = self._readings(asked, answer)
        has_more = any(each not in asked and each.path in answer.entries for each in dependencies)
        held = self._guard.judge(query, _comparable_index(answer), readings, self, has_more=has_more)
        if isinstance(query, BatchQuery):
            # Each refused key is asked for alone once more with the next answer.
            again = max(again or 0.0, len(failures) / _MOST_REFUSED_PER_SECOND)
        plans_again = self._store.learn(query, dependencies, answer, hides=bool(failures))
        readings = {each: reading for each, reading in readings.items() if each not in held}
        failures |= held
        return Snapshot(replace(version, is_complete=not failures), readings, again, failures, plans_again=plans_again)

    def _readings(
        self, dependencies: frozenset[Dependency], answer: Answer
    ) -> tuple[dict[Dependency, Reading], dict[Dependency, Exception]]:
        readings = {each: _reading_of(each, answer) for each in dependencies}
        failures: dict[Dependency, Exception] = {}
        if answer.may_hide:
            stored = (each for each in dependencies if each.kind not in CATALOG_KINDS)
            for each in [each for each in stored if is_nothing(readings[each])]:
                try:
                    readings[each] = self._confirm(each, readings[each])
                except SourceDeniedError as error:
                    del readings[each]
                    failures[each] = error
        return readings, failures

    def _confirm(self, dependency: Dependency, reading: Reading) -> Reading:
        """Ask for the one key: that is refused where a listing is only shortened."""
        if dependency.kind == "key":
            return self._read_key(dependency)
        # Any name shows whether the whole store may be read; a folder's own is as good as any inside it.
        name = f"{dependency.path}/" if dependency.path else self.name
        self._client.read_key(name, datacenter=datacenter_of(dependency))
        return reading

    def _read_key(self, dependency: Dependency) -> Reading:
        answer = self._client.read_key(dependency.path, datacenter=datacenter_of(dependency))
        return reading_of(dependency, answer.entries)

    def _pause_after(self, query: Query) -> float:
        is_unwatched = isinstance(query, Subject) and query.kind == "datacenters"
        return max(self._poll_seconds, UNWATCHED_SECONDS if is_unwatched else 0.0)


def _comparable_index(answer: Answer) -> int:
    return 0 if answer.is_streamed else answer.index


def _reading_of(dependency: Dependency, answer: Answer) -> Reading:
    if dependency.kind in CATALOG_KINDS:
        return listing_of(dependency, answer.items)
    return reading_of(dependency, answer.entries)
