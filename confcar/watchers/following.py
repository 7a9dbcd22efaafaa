"""All sources together: one follower for each, and who wants what of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from confcar.model import Dependency
from confcar.status import Status
from confcar.store import Listener, Store, View
from confcar.watchers.base import LeasingWatcher, Watcher
from confcar.watchers.follow import JOIN_SECONDS, Follower
from confcar.watchers.lease_use import LeaseUse


class Following:
    """Keeps in the store who wants what, and tells each source's follower its share. Thread-safe."""

    def __init__(self, watchers: Sequence[Watcher], *, store: Store, status: Status) -> None:
        self._store = store
        self._followers = {watcher.name: Follower(watcher, store=store, status=status) for watcher in watchers}
        self._leasing = {watcher.name: watcher for watcher in watchers if isinstance(watcher, LeasingWatcher)}
        self._use = LeaseUse()
        self._lock = threading.Lock()

    def want(self, reader: str, dependencies: frozenset[Dependency], listener: Listener) -> None:
        """Replace what *reader* wants; *listener* is called when something of it changed. Does not block."""
        if not dependencies:
            self._use.forget(reader)
        with self._lock:
            shares: dict[str, set[Dependency]] = {name: set() for name in self._followers}
            for dependency in self._store.subscribe(reader, dependencies, listener):
                shares[dependency.source].add(dependency)
            for name, share in shares.items():
                self._followers[name].follow(frozenset(share))

    def take(self, reader: str) -> tuple[frozenset[Dependency], View]:
        """Return what changed for *reader* since its last call, and what is known of all that it wants."""
        changed, view = self._store.take(reader)
        if self._leasing:
            self._use.taken(reader, view)
        return changed, view

    def published(self, reader: str) -> None:
        """Note that what *reader* took last is published: from now on its primary may use it."""
        self._use.published(reader)

    def settled(self, reader: str) -> None:
        """Note that *reader*'s primary has acknowledged what was published last, and so uses nothing older."""
        if self._use.settled(reader):
            in_use = self._use.values()
            for watcher in self._leasing.values():
                watcher.retain(in_use)

    def close(self) -> None:
        """End all following; blocks for a moment."""
        for follower in self._followers.values():
            follower.stop()
        until = time.monotonic() + JOIN_SECONDS
        for follower in self._followers.values():
            follower.join(until)
