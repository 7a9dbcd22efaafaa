"""A watcher whose data the test sets, with the semantics of the protocol: it blocks, fails and closes on demand."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping

from confcar.errors import SourceUnavailableError
from confcar.model import Dependency, Kind, Reading, Snapshot, Version
from confcar.watchers.base import Query


class ScriptedWatcher:
    """Holds values by dependency path; one query per dependency, or one for all where *is_coalescing*."""

    def __init__(
        self, name: str = "local", *, max_blocking: int = 8, max_polling: int = 2, is_coalescing: bool = False
    ) -> None:
        self.name = name
        self.kinds: frozenset[Kind] = frozenset({"key", "secret"})
        self.max_blocking = max_blocking
        self.max_polling = max_polling
        self.is_coalescing = is_coalescing
        self.again_in_seconds: float | None = None
        self.fetches: Counter[Query] = Counter()
        self.blocking_now = 0
        self.most_blocking = 0
        self.is_closed = False
        self.interrupted: Counter[Query] = Counter()
        self._values: dict[str, Reading] = {}
        self._errors: dict[str, Callable[[], Exception]] = {}
        self._version = 1
        self._changed = threading.Condition()

    def set(self, **values: bytes | Mapping[str, object] | None) -> None:
        """Set values by path, all in one change; `_` in a name stands for `/`."""
        with self._changed:
            for path, value in values.items():
                self._values[path.replace("_", "/")] = Reading(value)
            self._version += 1
            self._changed.notify_all()

    def grant(self, path: str, value: Mapping[str, object], *, until: float, follows_dead: bool = False) -> None:
        """Set a value that is leased until then, or renew its lease."""
        with self._changed:
            self._values[path] = Reading(value, leased_until=until, follows_dead=follows_dead)
            self._version += 1
            self._changed.notify_all()

    def fail(self, error: Callable[[], Exception] | None, path: str = "*") -> None:
        """Answer *path* (all where `*`) with an error from now on, or no longer where that is None."""
        with self._changed:
            if error is None:
                self._errors.pop(path, None)
            else:
                self._errors[path] = error
            self._version += 1
            self._changed.notify_all()

    def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
        if self.is_coalescing:
            return {"all": wanted} if wanted else {}
        return {dependency: frozenset({dependency}) for dependency in wanted}

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        with self._changed:
            self.fetches[query] += 1
            if after == self._version and wait_seconds:
                self.blocking_now += 1
                self.most_blocking = max(self.most_blocking, self.blocking_now)
                before = self.interrupted[query]
                self._changed.wait_for(
                    lambda: self.is_closed or after != self._version or self.interrupted[query] > before, wait_seconds
                )
                self.blocking_now -= 1
            if self.is_closed:
                message = "closed"
                raise SourceUnavailableError(message)
            for path in ("*", *(dependency.path for dependency in dependencies)):
                if path in self._errors:
                    make_error = self._errors[path]
                    raise make_error()
            if after == self._version:
                return Snapshot(after, {}, self.again_in_seconds)
            readings = {dependency: self._values.get(dependency.path, Reading(None)) for dependency in dependencies}
            return Snapshot(self._version, readings, self.again_in_seconds)

    def reopen(self) -> None:
        """Serve the same data to the next process."""
        with self._changed:
            self.is_closed = False

    def interrupt(self, query: Query) -> None:
        with self._changed:
            self.interrupted[query] += 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()
