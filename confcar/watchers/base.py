"""What a watcher is: the whole contract a new source has to fulfil.

A watcher plans and fetches; it never loops, retries, sleeps, compares or renders. The loop around it, with back-off,
jitter, connection ceiling and stopping, is `follow`, written once for all sources.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Protocol, runtime_checkable

from confcar.model import Dependency, Kind, Snapshot, Version

Hurry = Callable[[frozenset[Dependency]], None]
"""Makes whatever answers these dependencies due at once. Does not block; any thread."""

Query = Hashable
"""What one fetch asks for, e.g. one Consul key or one folder. Equal queries are the same request."""


class Polled:
    """Base of queries that never block, and so never take one of the connections that may."""

    __slots__ = ()


class Watcher(Protocol):
    """Follows one configured source.

    Attributes:
        name: The source's name in the config; used in logs and metrics.
        kinds: The template functions that this source can serve.
        max_blocking: How many fetches may block at the same time, each on a connection of its own; at least 0. Queries
            beyond it are polled in turn, and so are those that are `Polled`.
        max_polling: How many fetches may run side by side for the queries that do not block; at least 1.
    """

    name: str
    kinds: frozenset[Kind]
    max_blocking: int
    max_polling: int

    def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
        """Return which queries answer the wanted dependencies, each dependency exactly once.

        Quick and without I/O; the same again as long as nothing was learned by a fetch. Called from one thread at a
        time, whenever what the templates read changes and after a snapshot with `plans_again`. A query that stands in
        two plans in a row goes on undisturbed; what another query answers in the next plan keeps its last reading until
        that one has answered. A query may have no dependencies: it is fetched for what is learned by it.
        """
        ...

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        """Return the newest snapshot of a query.

        Blocks for at most about *wait_seconds* (a little jitter and a client-side deadline above it) while nothing
        changed since *after*; returns the same version then. Called from several threads, for one query from one.

        Args:
            query: One of the plan's.
            dependencies: Those of the plan for it.
            after: Version of the last snapshot seen, or None for the first read, after a failure, and when
                *dependencies* changed.
            wait_seconds: Upper bound for blocking. 0 returns at once, with `again_in_seconds` as a hint.

        Raises:
            SourceUnavailableError: The source cannot be reached or answered 5xx or 429; worth a retry.
            SourceDeniedError: The credentials may not read it; a retry helps only after somebody changed a policy.
            SourceDataError: The answer cannot be used.
        """
        ...

    def interrupt(self, query: Query) -> None:
        """End the fetch of a query at once, where one is under way: nobody wants its answer any more. Any thread.

        Does not block; that fetch may return or raise whatever it likes.
        """
        ...

    def close(self) -> None:
        """End every fetch under way at once, and hold no connection any more. May be called twice, by any thread."""
        ...


@runtime_checkable
class LeasingWatcher(Watcher, Protocol):
    """A watcher of a source whose answers can die, before they are due again or while a primary still uses them."""

    def hurry_by(self, hurry: Hurry) -> None:
        """Call *hurry* from now on with what has to be fetched at once. Called once, before the first fetch."""
        ...

    def retain(self, in_use: Iterable[object]) -> None:
        """Let go of what was superseded, but for those readings whose values are among *in_use*, by identity.

        Called by any thread whenever a primary has acknowledged something; does not block.
        """
        ...
