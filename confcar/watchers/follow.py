"""The loop that repeats every watcher: block or poll, hand over, back off, recover, stop. Written once for all sources.

A query that may block has a thread and a connection of its own as long as there are slots; all others are polled in
turn by a few threads from one queue ordered by time, and move up as slots get free. While the source is away each query
waits by its own back-off, and the first success wakes the others once.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping

from confcar.errors import SourceError
from confcar.model import Dependency, Snapshot
from confcar.status import Status
from confcar.store import Store
from confcar.watchers.base import LeasingWatcher, Query, Watcher
from confcar.watchers.ceiling import Ceiling
from confcar.watchers.follow_report import FollowReport
from confcar.watchers.reading_round import ReadingRound
from confcar.watchers.tasks import Task, TaskQueue
from confcar.watchers.threads import Threads
from confcar.watchers.trouble import Trouble

# A killed client's blocking query holds its slot in Consul until the wait is over, so it is no longer than this.
WAIT_SECONDS = 50.0
# How long the bundles that wait for a change have the processor to themselves.
_AFTER_CHANGE_SECONDS = 0.005
# How much later than announced a loop may move before liveness doubts it.
_BEAT_SLACK_SECONDS = 30.0
_FETCH_SECONDS = WAIT_SECONDS * 1.2
# For all threads together: a fetch that does not end when its watcher is closed is left behind.
JOIN_SECONDS = 0.8


class Follower:
    """Follows whatever is wanted of one source. Thread-safe; its threads end with `close`.

    Its lock may be held while the store's is taken, never the other way round.
    """

    def __init__(
        self, watcher: Watcher, *, store: Store, status: Status, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watcher = watcher
        self._store = store
        self._report = FollowReport(watcher.name, status)
        self._clock = clock
        self._changed = threading.Condition()
        self._tasks: dict[Query, Task] = {}
        self._queue = TaskQueue()
        self._numbers = itertools.count()
        self._ceiling = Ceiling(watcher.max_blocking, reserve=watcher.max_polling, clock=clock)
        self._blocking = 0
        self._pollers = 0
        self._polling = 0
        self._threads = Threads(watcher.name)
        self._is_closed = False
        self._trouble = Trouble()
        self._wanted: frozenset[Dependency] = frozenset()
        if isinstance(watcher, LeasingWatcher):
            watcher.hurry_by(self.hurry)

    def follow(self, wanted: frozenset[Dependency]) -> None:
        """Follow exactly *wanted* from now on; what was followed already goes on undisturbed. Does not block."""
        with self._changed:
            if wanted == self._wanted or self._is_closed:
                return
            self._follow_plan(self._watcher.plan(wanted))
            self._wanted = wanted

    def hurry(self, dependencies: frozenset[Dependency]) -> None:
        """Fetch at once whatever answers these, and once more where a fetch of it is under way. Does not block."""
        with self._changed:
            for task in self._tasks.values():
                if task.dependencies & dependencies:
                    task.is_hurried, task.due_at = True, self._clock()
            self._queue.tidy()
            self._changed.notify_all()

    def close(self) -> None:
        """End all fetches and threads; blocks for a moment."""
        self.stop()
        self.join(time.monotonic() + JOIN_SECONDS)

    def stop(self) -> None:
        """End all fetches under way and begin no other; `join` waits for the threads."""
        with self._changed:
            self._is_closed = True
            for task in (*self._tasks.values(), *self._queue):
                task.drop()
            self._changed.notify_all()
        self._watcher.close()

    def join(self, until: float) -> None:
        """Wait for the threads, at the longest until the monotonic clock shows *until*."""
        self._threads.join(until)

    def read_all(self, round_: ReadingRound) -> None:
        """Fetch all that is followed once more, now; *round_* hears of the end of each fetch. Does not block."""
        with self._changed:
            for task in () if self._is_closed else tuple(self._tasks.values()):
                reader = task.reading_now(self._clock(), round_)
                if reader is not task:
                    self._enqueue(reader)
            self._queue.tidy()
            self._changed.notify_all()

    def _follow_plan(self, plan: Mapping[Query, frozenset[Dependency]]) -> None:
        for query in self._tasks.keys() - plan.keys():
            task = self._tasks.pop(query)
            self._trouble.forget((task, *task.stand_ins))
            task.drop()
            self._watcher.interrupt(query)
        self._queue.tidy()
        for query, dependencies in plan.items():
            self._follow_query(query, dependencies)
        self._note_polled()
        self._changed.notify_all()

    def _follow_query(self, query: Query, dependencies: frozenset[Dependency]) -> None:
        task = self._tasks.get(query)
        if task is None:
            task = Task(query, dependencies, f"{self._watcher.name} {next(self._numbers)}", due_at=self._clock())
            self._tasks[query] = task
            self._place(task)
            return
        if task.dependencies == dependencies:
            return
        added = dependencies - task.dependencies
        task.dependencies, task.version = dependencies, None
        if added and task.is_blocking:
            # Its fetch may block on for a while with the old question: until it has answered the new one, what was
            # added is polled beside it.
            stand_in = task.stand_in_for(added, now=self._clock())
            if stand_in.is_queued:
                self._queue.tidy()
            else:
                self._enqueue(stand_in)
        elif added:
            task.due_at = self._clock()
            self._queue.tidy()

    def _place(self, task: Task) -> None:
        task.is_blocking = task.may_block and self._blocking < self._ceiling.most
        if task.is_blocking:
            self._blocking += 1
            self._threads.start(lambda: self._block(task))
            self._note_polled()
        else:
            self._enqueue(task)

    def _enqueue(self, task: Task) -> None:
        self._queue.add(task)
        if self._pollers < min(self._watcher.max_polling, len(self._queue) + self._polling):
            self._pollers += 1
            self._threads.start(self._poll)
        self._changed.notify_all()

    def _block(self, task: Task | None) -> None:
        """Repeat one query that blocks until it is dropped from the plan, then give the slot to one that is polled."""
        while task is not None:
            while not (self._is_over(task) or self._gives_way(task)):
                self._report.beat(task.name, _FETCH_SECONDS + _BEAT_SLACK_SECONDS)
                self._step(task, WAIT_SECONDS)
                self._rest(task)
            self._report.beat(task.name, None)
            task = self._next_blocking()

    def _gives_way(self, task: Task) -> bool:
        """Poll a query from now on that blocks beyond what the server has room for."""
        with self._changed:
            task.is_blocking = self._blocking <= self._ceiling.most
            if not task.is_blocking:
                self._enqueue(task)
                self._note_polled()
            return not task.is_blocking

    def _rest(self, task: Task) -> None:
        with self._changed:
            while (left := task.due_at - self._clock()) > 0 and not self._is_over(task):
                self._report.beat(task.name, left + _BEAT_SLACK_SECONDS)
                self._changed.wait(left)

    def _next_blocking(self) -> Task | None:
        with self._changed:
            has_room = not self._is_closed and self._blocking <= self._ceiling.most
            task = self._queue.take(lambda each: each.may_block) if has_room else None
            if task is None:
                self._blocking -= 1
                return None
            task.is_blocking = True
            self._note_polled()
            return task

    def _poll(self) -> None:
        """Take the next query that is due, again and again."""
        name = threading.current_thread().name
        while (task := self._next_due(name)) is not None:
            self._report.beat(name, _FETCH_SECONDS + _BEAT_SLACK_SECONDS)
            self._step(task, 0.0)
            with self._changed:
                self._polling -= 1
                if self._is_over(task):
                    continue
                self._place(task)
        self._report.beat(name, None)

    def _next_due(self, poller: str) -> Task | None:
        with self._changed:
            while not self._is_closed:
                due_at = self._queue.next_due_at()
                left = None if due_at is None else due_at - self._clock()
                if left is not None and left <= 0:
                    self._polling += 1
                    return self._queue.pop()
                self._report.beat(poller, None if left is None else left + _BEAT_SLACK_SECONDS)
                self._changed.wait(left)
            return None

    def _is_over(self, task: Task) -> bool:
        return self._is_closed or task.is_dropped

    def _note_polled(self) -> None:
        if self._watcher.max_blocking:
            self._report.polled(sum(len(each.dependencies) for each in self._tasks.values() if not each.is_blocking))

    def _step(self, task: Task, wait_seconds: float) -> None:
        """Fetch once, hand over, and note when the same query is due again."""
        with self._changed:
            dependencies, after, rounds = task.dependencies, task.version, task.take_rounds()
            task.is_hurried = False
        try:
            wait_seconds = 0.0 if rounds else wait_seconds
            snapshot = self._watcher.fetch(task.query, dependencies, after=after, wait_seconds=wait_seconds)
            self._answered(task, dependencies, snapshot)
        except SourceError as error:
            self._failed(task, dependencies, error)
        except Exception as error:  # noqa: BLE001 - no error, not even one of our own making, may end the following
            if not self._is_over(task):
                self._report.failed_unexpectedly()
            unexpected = SourceError(f"unexpected {type(error).__name__} in the watcher, see the log")
            self._failed(task, dependencies, unexpected)
        with self._changed:
            if task.rounds:  # somebody asked while it was fetched already: that one was not theirs
                task.due_at = self._clock()
            if task.is_once:
                self._trouble.forget((task,))
                task.drop()
        for each in rounds:
            each.note_end()

    def _answered(self, task: Task, dependencies: frozenset[Dependency], snapshot: Snapshot) -> None:
        # Dropping a task and taking its answer exclude each other: an old answer never covers a newer one.
        with self._changed:
            if self._is_over(task):
                return
            is_same_question = task.dependencies == dependencies
            task.version = snapshot.version if is_same_question else None
            is_back = self._note_success(task, snapshot)
            changed = self._store.put(snapshot.readings)
            self._store.fail(snapshot.failures)
            if is_same_question:
                self._trouble.forget(task.stand_ins)
                task.drop_stand_ins()
            rest = task.rest_seconds(snapshot) if is_same_question and not task.is_hurried else 0.0
            task.due_at = self._clock() + rest
            if snapshot.plans_again:
                self._follow_plan(self._watcher.plan(self._wanted))
        if changed:
            # The bundles that wait for it have the processor first: the board can wait, their primaries do.
            time.sleep(_AFTER_CHANGE_SECONDS)
        self._report.answered(dependencies, snapshot, is_back=is_back)

    def _note_success(self, task: Task, snapshot: Snapshot) -> bool:
        """Wake the others where the source was away, and return whether nothing is failing any more."""
        was_down, is_back = self._trouble.note_success(task, snapshot)
        if was_down:
            for each in (*self._tasks.values(), *self._queue):
                each.wake(self._clock())
            self._queue.tidy()
            self._changed.notify_all()
        return is_back

    def _failed(self, task: Task, dependencies: frozenset[Dependency], error: SourceError) -> None:
        with self._changed:
            if self._is_over(task):
                return
            is_news, is_no_use = self._trouble.note_failure(task, error, self._tasks.values())
            self._store.fail(dict.fromkeys(dependencies, error))
            task.due_at = self._clock() + task.delay_after(error)
            if error.is_crowded:
                self._ceiling.lower(sum(each.is_blocking and each.failure is None for each in self._tasks.values()))
        self._report.failed(str(error), is_no_use=is_no_use, is_news=is_news)
