"""All sources together: one follower for each, and who wants what of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence

from confcar.errors import SourceUnavailableError
from confcar.model import Dependency
from confcar.status import Status
from confcar.store import Listener, Store, View
from confcar.watchers.base import LeasingWatcher, Watcher
from confcar.watchers.follow import JOIN_SECONDS, Follower
from confcar.watchers.lease_use import LeaseUse
from confcar.watchers.reading_round import ReadingRound


class Following:
    """Keeps in the store who wants what, and tells each source's follower its share. Thread-safe."""

    def __init__(self, watchers: Sequence[Watcher], *, store: Store, status: Status) -> None:
        self._store = store
        self._status = status
        self._followers = {watcher.name: self._follower(watcher) for watcher in watchers}
        self._leasing = {watcher.name: watcher for watcher in watchers if isinstance(watcher, LeasingWatcher)}
        self._use = LeaseUse()
        self._lock = threading.Lock()

    def want(self, reader: str, dependencies: frozenset[Dependency], listener: Listener) -> None:
        """Replace what *reader* wants; *listener* is called when something of it changed. Does not block."""
        if not dependencies:
            self._use.forget(reader)
        with self._lock:
            self._share(self._store.subscribe(reader, dependencies, listener))

    def take(self, reader: str) -> tuple[frozenset[Dependency], View]:
        """Return what changed for *reader* since its last call, and what is known of all that it wants."""
        changed, view = self._store.take(reader)
        if self._leasing:
            self._use.taken(reader, view)
        return changed, view

    def lease_ends(self, reader: str) -> Mapping[Dependency, float]:
        """Return when the leases end of what *reader* took last, in seconds since the epoch, where that has moved."""
        return self._store.lease_ends(reader)

    def published(self, reader: str) -> None:
        """Note that what *reader* took last is published: from now on its primary may use it."""
        self._use.published(reader)

    def settled(self, reader: str) -> None:
        """Note that *reader*'s primary has acknowledged what was published last, and so uses nothing older."""
        if self._use.settled(reader):
            in_use = self._use.values()
            for watcher in self._leasing.values():
                watcher.retain(in_use)

    def replace(self, watchers: Sequence[Watcher], *, removed: frozenset[str]) -> None:
        """Follow other sources: *watchers* begin, in place of those of the same name, and *removed* end.

        All others go on undisturbed. What was read from a source that is replaced is forgotten, because another place
        may hold something else. Blocks for a moment while what ends does.
        """
        new = {watcher.name: self._follower(watcher) for watcher in watchers}
        ending = [self._followers[name] for name in self._followers if name in new or name in removed]
        for follower in ending:
            follower.stop()
        with self._lock:
            kept = {name: follower for name, follower in self._followers.items() if name not in removed}
            self._followers = kept | new
            self._leasing = {name: each for name, each in self._leasing.items() if name not in {*removed, *new}}
            self._leasing |= {each.name: each for each in watchers if isinstance(each, LeasingWatcher)}
            self._store.forget_source(removed | new.keys())
            self._share(self._store.wanted)
        _join(ending)

    def read_all(self, until: float) -> dict[str, Exception]:
        """Read everything that is followed anew, now, and return the sources that failed to answer all, and why.

        Blocks at the longest until the monotonic clock shows *until*.
        """
        with self._lock:
            rounds = {name: (follower, ReadingRound()) for name, follower in self._followers.items()}
        for follower, round_ in rounds.values():
            follower.read_all(round_)
        late = [name for name, (_, round_) in rounds.items() if not round_.wait(until)]
        failed: dict[str, Exception] = {each.source: error for each, error in self._store.failures.items()}
        return failed | {name: SourceUnavailableError(f"source {name} has not answered in time") for name in late}

    def close(self) -> None:
        """End all following; blocks for a moment."""
        for follower in self._followers.values():
            follower.stop()
        _join(self._followers.values())

    def _follower(self, watcher: Watcher) -> Follower:
        return Follower(watcher, store=self._store, status=self._status)

    def _share(self, wanted: Iterable[Dependency]) -> None:
        shares: Mapping[str, set[Dependency]] = {name: set() for name in self._followers}
        for dependency in wanted:
            # A reader that was not told yet may still want something of a source that is gone.
            if dependency.source in shares:
                shares[dependency.source].add(dependency)
        for name, share in shares.items():
            self._followers[name].follow(frozenset(share))


def _join(followers: Iterable[Follower]) -> None:
    until = time.monotonic() + JOIN_SECONDS
    for follower in followers:
        follower.join(until)
