"""The loop that repeats every watcher: block or poll, compare, back off, recover, stop. Written once for all sources.

A query that may block has a thread and a connection of its own as long as there are slots; all others are polled in turn
by a few threads from one queue ordered by time. While the source is away each query waits by its own back-off, and the
first success wakes all others at once.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from confcar.backoff import Backoff
from confcar.errors import SourceError, SourceUnavailableError
from confcar.log import fields
from confcar.model import Dependency, Snapshot, Version
from confcar.status import Status
from confcar.store import Listener, Store, View
from confcar.watchers.base import Query, Watcher

# A killed client's blocking query holds its slot in Consul until the wait is over, so it is no longer than this.
WAIT_SECONDS = 50.0
_POLL_SECONDS = 1.0
_UNAVAILABLE_BACKOFF = (0.25, 10.0)
_REFUSED_BACKOFF = (1.0, 60.0)
# Lets the bundles that wait for a change have the processor before this thread asks for the next one.
_AFTER_CHANGE_SECONDS = 0.005
# How much later than announced a loop may move before liveness doubts it.
_BEAT_SLACK_SECONDS = 30.0
_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Task:
    """One query of the current plan, or a single read of dependencies that were added to a query which blocks."""

    query: Query
    dependencies: frozenset[Dependency]
    name: str
    is_blocking: bool = False
    is_single: bool = False
    is_dropped: bool = False
    version: Version | None = None
    failure: str | None = None
    waits_for_recovery: bool = False
    unavailable: Backoff = field(default_factory=lambda: Backoff(*_UNAVAILABLE_BACKOFF))
    refused: Backoff = field(default_factory=lambda: Backoff(*_REFUSED_BACKOFF))


class Follower:
    """Follows whatever is wanted of one source. Thread-safe; its threads end with `close`."""

    def __init__(
        self, watcher: Watcher, *, store: Store, status: Status, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watcher = watcher
        self._store = store
        self._status = status
        self._clock = clock
        self._changed = threading.Condition()
        self._tasks: dict[Query, _Task] = {}
        self._queue: list[tuple[float, int, _Task]] = []
        self._order = itertools.count()
        self._blocking = 0
        self._pollers = 0
        self._threads: list[threading.Thread] = []
        self._is_closed = False
        self._is_down = False
        self._failing: set[_Task] = set()
        self._wanted: frozenset[Dependency] = frozenset()

    def follow(self, wanted: frozenset[Dependency]) -> None:
        """Follow exactly *wanted* from now on; what was followed already goes on undisturbed. Does not block."""
        with self._changed:
            if wanted == self._wanted or self._is_closed:
                return
            self._wanted = wanted
            plan = self._watcher.plan(wanted)
            for query in self._tasks.keys() - plan.keys():
                task = self._tasks.pop(query)
                task.is_dropped = True
                self._failing.discard(task)
            for query, dependencies in plan.items():
                self._follow_query(query, dependencies)
            polled = sum(not task.is_blocking for task in self._tasks.values())
            self._status.update_source(self._watcher.name, polled=polled if self._watcher.max_blocking else 0)
            self._changed.notify_all()

    def close(self) -> None:
        """End all fetches and threads; blocks for a moment."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._watcher.close()
        for thread in self._threads:
            thread.join(timeout=2.0)

    def _follow_query(self, query: Query, dependencies: frozenset[Dependency]) -> None:
        task = self._tasks.get(query)
        if task is None:
            task = self._tasks[query] = _Task(query, dependencies, f"{self._watcher.name} {next(self._order)}")
            if self._blocking < self._watcher.max_blocking:
                self._blocking += 1
                task.is_blocking = True
                self._start(self._block, task)
            else:
                self._enqueue(task, 0.0)
            return
        added = dependencies - task.dependencies
        task.dependencies = dependencies
        if added:
            # Its fetch may block on for a while with the old set: read what is new at once, beside it.
            task.version = None
            self._enqueue(_Task(query, added, f"{task.name} added", is_single=True), 0.0)

    def _enqueue(self, task: _Task, delay_seconds: float) -> None:
        heapq.heappush(self._queue, (self._clock() + delay_seconds, next(self._order), task))
        if self._pollers < min(self._watcher.max_polling, len(self._queue)):
            self._pollers += 1
            self._start(self._poll, None)
        self._changed.notify_all()

    def _start(self, target: Callable[[_Task | None], None], task: _Task | None) -> None:
        name = f"confcar-{self._watcher.name}-{next(self._order)}"
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=target, args=(task,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _block(self, task: _Task | None) -> None:
        """Repeat one query that blocks, until it is dropped from the plan."""
        assert task is not None
        while not self._is_over(task):
            delay = self._step(task, WAIT_SECONDS)
            self._status.beat(task.name, delay + WAIT_SECONDS * 1.2 + _BEAT_SLACK_SECONDS)
            with self._changed:
                until = self._clock() + delay
                while (left := until - self._clock()) > 0 and not self._is_over(task):
                    self._changed.wait(left)
                    if task.waits_for_recovery and not self._is_down:
                        break
        self._status.beat(task.name, None)
        with self._changed:
            self._blocking -= 1

    def _poll(self, _: _Task | None) -> None:
        """Take the next query that is due, again and again."""
        name = threading.current_thread().name
        while (task := self._next_due(name)) is not None:
            self._status.beat(name, WAIT_SECONDS * 1.2 + _BEAT_SLACK_SECONDS)
            delay = self._step(task, 0.0)
            with self._changed:
                if not (self._is_over(task) or (task.is_single and task.failure is None)):
                    self._enqueue(task, delay)
        self._status.beat(name, None)

    def _next_due(self, poller: str) -> _Task | None:
        with self._changed:
            while not self._is_closed:
                while self._queue and self._is_over(self._queue[0][2]):
                    heapq.heappop(self._queue)
                left = self._queue[0][0] - self._clock() if self._queue else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._queue)[2]
                self._status.beat(poller, (left or 0.0) + _BEAT_SLACK_SECONDS if self._queue else None)
                self._changed.wait(left)
            return None

    def _is_over(self, task: _Task) -> bool:
        return self._is_closed or task.is_dropped

    def _step(self, task: _Task, wait_seconds: float) -> float:
        """Fetch once, hand over, and return how long to wait before the next fetch of the same query."""
        dependencies, after = task.dependencies, task.version
        try:
            snapshot = self._watcher.fetch(task.query, dependencies, after=after, wait_seconds=wait_seconds)
        except SourceError as error:
            return 0.0 if self._is_over(task) else self._failed(task, dependencies, error)
        except Exception as error:  # noqa: BLE001 - no error, not even one of our own making, may end the following
            _log.exception("unexpected error in a watcher", extra=fields(source=self._watcher.name))
            unexpected = SourceError(f"unexpected {type(error).__name__} in the watcher, see the log")
            return 0.0 if self._is_over(task) else self._failed(task, dependencies, unexpected)
        return self._answered(task, dependencies, snapshot)

    def _answered(self, task: _Task, dependencies: frozenset[Dependency], snapshot: Snapshot) -> float:
        with self._changed:
            is_same_question = task.dependencies == dependencies
            task.version = snapshot.version if is_same_question else None
            task.failure = None
            task.waits_for_recovery = False
            if self._is_down:
                self._is_down = False
                self._wake_waiting()
            was_failing = bool(self._failing)
            self._failing.discard(task)
            is_back = was_failing and not self._failing
        task.unavailable.reset()
        task.refused.reset()
        failures = list(snapshot.failures.values())
        if failures and len(failures) == len(dependencies):
            self._status.source_failed(self._watcher.name, str(failures[0]))
        else:
            self._status.source_answered(self._watcher.name)
        if is_back:
            _log.info("source is back", extra=fields(source=self._watcher.name))
        changed = self._store.put(snapshot.readings)
        if snapshot.failures:
            self._note(snapshot.failures)
        if not is_same_question:
            return 0.0
        if snapshot.again_in_seconds is not None:
            return snapshot.again_in_seconds
        if task.is_blocking:
            return _AFTER_CHANGE_SECONDS if changed else 0.0
        return _POLL_SECONDS

    def _failed(self, task: _Task, dependencies: frozenset[Dependency], error: SourceError) -> float:
        text = str(error)
        is_unavailable = isinstance(error, SourceUnavailableError)
        with self._changed:
            is_news, task.failure = task.failure != text, text
            task.version = None
            task.waits_for_recovery = is_unavailable
            self._is_down = self._is_down or is_unavailable
            is_first = not self._failing
            self._failing.add(task)
            is_no_use = is_unavailable or len(self._failing) >= len(self._tasks)
        if is_no_use:
            self._status.source_failed(self._watcher.name, text)
        # One line when trouble begins and one for each refused path, not one for each query of a source that is away.
        if is_first or (is_news and not is_unavailable):
            _log.warning("source failed", extra=fields(source=self._watcher.name, error=text))
        self._store.fail(dict.fromkeys(dependencies, error))
        backoff = task.unavailable if is_unavailable else task.refused
        return backoff.next_seconds(getattr(error, "retry_after_seconds", None))

    def _note(self, failures: Mapping[Dependency, Exception]) -> None:
        self._store.fail(failures)
        for dependency, error in failures.items():
            _log.debug("cannot read", extra=fields(source=dependency.source, path=dependency.path, error=str(error)))

    def _wake_waiting(self) -> None:
        now = self._clock()
        self._queue = [(now if task.waits_for_recovery else due, order, task) for due, order, task in self._queue]
        heapq.heapify(self._queue)
        self._changed.notify_all()


class Following:
    """All sources together: who wants what is kept in the store, and each source's follower is told its share."""

    def __init__(self, watchers: Sequence[Watcher], *, store: Store, status: Status) -> None:
        self._store = store
        self._followers = {watcher.name: Follower(watcher, store=store, status=status) for watcher in watchers}
        self._lock = threading.Lock()

    def want(self, reader: str, dependencies: frozenset[Dependency], listener: Listener) -> None:
        """Replace what *reader* wants; *listener* is called when something of it changed. Does not block."""
        with self._lock:
            shares: dict[str, set[Dependency]] = {name: set() for name in self._followers}
            for dependency in self._store.subscribe(reader, dependencies, listener):
                shares[dependency.source].add(dependency)
            for name, share in shares.items():
                self._followers[name].follow(frozenset(share))

    def take(self, reader: str) -> tuple[frozenset[Dependency], View]:
        """Return what changed for *reader* since its last call, and what is known of all that it wants."""
        return self._store.take(reader)

    def close(self) -> None:
        """End all following."""
        for follower in self._followers.values():
            follower.close()
