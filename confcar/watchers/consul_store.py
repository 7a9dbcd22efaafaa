"""Reads Consul's KV store for the queries of a plan, and learns meanwhile which plan would be better.

What is followed as a whole only because keys share it is given up as soon as an answer shows that it is not worth it,
may not be listed, or hides what is wanted: the answer then says that a new plan is due, and keys go their own way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from confcar.clients.consul import ConsulClient, Terms, TooMuchError
from confcar.clients.consul_answer import Answer, Held
from confcar.errors import SourceDataError, SourceDeniedError
from confcar.model import Dependency, Snapshot
from confcar.watchers.base import Query
from confcar.watchers.consul_plan import (
    BatchQuery,
    FolderQuery,
    KeyQuery,
    ListQuery,
    Plan,
    PrefixQuery,
    place_of,
    plan_queries,
)
from confcar.watchers.consul_prefix import MOST_FOLLOWED_BYTES, MOST_LISTED_BYTES, Place, Prefixes
from confcar.watchers.consul_sharing import outline

# Sorts after everything that a key may go on with.
_LAST = "\U0010ffff"
# What Consul sends for a key beside its name and value.
_OBJECT_BYTES = 120
StoreQuery = KeyQuery | FolderQuery | PrefixQuery | BatchQuery


class UnfitError(Exception):
    """A query that only keys share cannot answer them; another plan can.

    Attributes:
        denied: Why it may not be read, where that is the reason.
    """

    def __init__(self, denied: SourceDeniedError | None = None) -> None:
        super().__init__()
        self.denied = denied


class StoreReader:
    """The KV side of one Consul source. Thread-safe."""

    def __init__(self, client: ConsulClient, *, clock: Callable[[], float]) -> None:
        self._client = client
        self._prefixes = Prefixes(clock)

    def plan(self, wanted: frozenset[Dependency], *, most_blocking: int) -> Plan:
        """Return which queries answer *wanted*, at most so many of single keys blocking."""
        return plan_queries(wanted, self._prefixes, most_blocking=most_blocking)

    def read(self, query: StoreQuery, dependencies: frozenset[Dependency], terms: Terms) -> Answer:
        """Return what a query finds now, blocking as *terms* say.

        Raises:
            UnfitError: Keys share it that had better not; that is learned. Make another plan.
            SourceError: As `ConsulClient.read_key`.
        """
        if isinstance(query, KeyQuery):
            return self._client.read_key(
                query.path,
                after=terms.after,
                wait_seconds=terms.wait_seconds,
                datacenter=query.datacenter,
                exact=terms.exact,
            )
        if isinstance(query, BatchQuery):
            paths = sorted(each.path for each in dependencies)
            answer = self._client.read_keys(paths, datacenter=query.datacenter, exact=terms.exact)
            return _compared(answer, terms.before)
        place = query.datacenter, query.prefix
        is_asked_for = any(each.kind != "key" for each in dependencies)
        try:
            most_bytes = None if is_asked_for else MOST_FOLLOWED_BYTES
            return self._client.read_prefix(query.prefix, terms, datacenter=query.datacenter, most_bytes=most_bytes)
        except TooMuchError:
            self._prefixes.note_too_much(place)
            raise UnfitError from None
        except SourceDeniedError as error:
            if all(each.kind != "key" for each in dependencies):
                raise
            self._prefixes.note_refused(place)
            raise UnfitError(error) from None

    def list_names(self, query: ListQuery) -> Snapshot:
        """Learn what is below a prefix, and return when to look again; another plan is due.

        Raises:
            SourceUnavailableError: It cannot be told now; worth a retry.
        """
        place = query.datacenter, query.prefix
        self._list(place, sorted(self._prefixes.waiting_for(place)))
        holding = self._prefixes.find(place)
        again = None if holding is None else holding.again_in_seconds
        # That a prefix may not be listed says nothing of whether anything else may be read.
        is_listed = holding is not None and not holding.is_refused
        return Snapshot(None, {}, again, has_asked=is_listed, plans_again=True)

    def _list(self, place: Place, wanted: Sequence[str]) -> None:
        datacenter, prefix = place
        try:
            names = self._client.list_keys(prefix, datacenter=datacenter, most_bytes=MOST_LISTED_BYTES)
        except TooMuchError:
            self._prefixes.note_too_much(place)
            return
        except (SourceDeniedError, SourceDataError):
            self._prefixes.note_refused(place)
            return
        if names.may_hide and not set(wanted).issubset(names.keys):
            self._prefixes.note_refused(place)
            return
        for below in outline(prefix, wanted):
            count = bisect_left(names.keys, below + _LAST) - bisect_left(names.keys, below)
            self._prefixes.note_names((datacenter, below), count)

    def learn(self, query: Query, dependencies: frozenset[Dependency], answer: Answer, *, hides: bool) -> bool:
        """Take note of what a prefix holds, and return whether another plan is due.

        Args:
            query: What was asked; nothing is learned of a single key.
            dependencies: What reads it.
            answer: All of it.
            hides: Whether something wanted was not in it because the token may not read it.
        """
        place = place_of(query)
        if place is None:
            return False
        keys = [each.path for each in dependencies if each.kind == "key"]
        is_shared_only = len(keys) == len(dependencies)
        before = self._prefixes.find(place)
        if hides and is_shared_only:
            self._prefixes.note_refused(place)
            return True
        size = 0 if answer.held is None else len(answer.held.body)
        if before is None or before.is_otherwise(len(answer.entries), size):
            needed = sum(_sent_bytes(key, answer.entries) for key in keys) if is_shared_only else size
            self._prefixes.note_answer(place, keys=len(answer.entries), size_bytes=size, needed_bytes=needed)
        was_refused = before is not None and before.is_refused
        return was_refused or (is_shared_only and not self._prefixes.is_worth_following(place, len(keys)))


def _sent_bytes(key: str, entries: Mapping[str, bytes]) -> int:
    """Return about how much of an answer is there for one key."""
    return _OBJECT_BYTES + len(key) + len(entries[key]) * 4 // 3 if key in entries else 0


def _compared(answer: Answer, before: Held | None) -> Answer:
    """Return an answer without a body of its own together with what in it differs from the one before."""
    entries = answer.entries
    changed = None if before is None else frozenset(key for key, _ in entries.items() ^ before.entries.items())
    return replace(answer, held=Held(b"", entries, changed))
