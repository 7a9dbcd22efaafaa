"""What a follower has to do: one task for each query, and the queue of those that are polled, by when they are due.

Plain bookkeeping without lock, thread or clock: all of it is guarded by the follower's lock.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from confcar.backoff import Backoff
from confcar.errors import SourceError, SourceUnavailableError
from confcar.model import Dependency, Reading, Snapshot, Version
from confcar.watchers.base import Polled, Query
from confcar.watchers.reading_round import ReadingRound

_POLL_SECONDS = 1.0
_UNAVAILABLE_BACKOFF = (0.25, 10.0)
_REFUSED_BACKOFF = (1.0, 60.0)


@dataclass(eq=False, slots=True)
class Task:
    """One query of the current plan, or what stands in for it while its fetch blocks with an older question.

    Attributes:
        query: What is fetched.
        dependencies: What it has to answer now; a fetch under way may have begun with others.
        name: For liveness.
        is_stand_in: Whether it reads, beside a fetch that blocks, what was added to the query meanwhile.
        is_once: Whether it is not repeated: somebody asked for this one reading.
        is_blocking: Whether it has a thread and a slot of its own.
        is_dropped: Whether nobody wants its answer any more.
        is_queued: Whether it waits in the queue of those that are polled.
        version: What to pass to the next fetch; None to read everything.
        failure: Text of the error of the last fetch, None after a success and before the first.
        points_elsewhere: Whether all that it gives is that something else answers, which is made for each request.
        due_at: When to fetch next, by the follower's clock.
        waits_for_recovery: Whether the first success of another task makes it due at once.
        was_woken: Whether that has happened since its own last success: it does not happen twice.
        is_hurried: Whether its answer is to be read again at once although a fetch is under way.
        stand_ins: Those that stand in for it.
        rounds: Those who wait for the end of its next fetch.
    """

    query: Query
    dependencies: frozenset[Dependency]
    name: str
    is_stand_in: bool = False
    is_once: bool = False
    is_blocking: bool = False
    is_dropped: bool = False
    is_queued: bool = False
    version: Version | None = None
    failure: str | None = None
    points_elsewhere: bool = False
    due_at: float = 0.0
    waits_for_recovery: bool = False
    was_woken: bool = False
    is_hurried: bool = False
    stand_ins: list[Task] = field(default_factory=list)
    rounds: list[ReadingRound] = field(default_factory=list)
    unavailable: Backoff = field(default_factory=lambda: Backoff(*_UNAVAILABLE_BACKOFF))
    refused: Backoff = field(default_factory=lambda: Backoff(*_REFUSED_BACKOFF))

    @property
    def may_block(self) -> bool:
        """Whether it may be given a slot: the failing ones wait out their back-off in the queue first."""
        is_polled = self.is_stand_in or isinstance(self.query, Polled)
        return not (is_polled or self.is_dropped) and self.failure is None

    def stand_in_for(self, added: frozenset[Dependency], *, now: float) -> Task:
        """Return what reads *added*, due now: the stand-in that still waits in the queue, or a new one."""
        found = next((each for each in self.stand_ins if each.is_queued and not each.is_once), None)
        if found is None:
            found = Task(self.query, added, self.name, is_stand_in=True)
            self.stand_ins.append(found)
        else:
            found.dependencies, found.version = found.dependencies | added, None
        found.due_at = now
        return found

    def drop(self) -> None:
        """Note that nobody wants its answer any more, nor those of what stands in for it."""
        self.is_dropped = True
        self.drop_stand_ins()
        for each in self.take_rounds():
            each.note_end()

    def drop_stand_ins(self) -> None:
        """Note that it answers everything itself now."""
        for each in self.stand_ins:
            each.drop()
        self.stand_ins.clear()

    def reading_now(self, now: float, round_: ReadingRound) -> Task:
        """Return the task that reads it next and lets *round_* know: itself, or one beside a fetch that blocks."""
        reader = self
        if self.is_blocking:
            reader = Task(self.query, self.dependencies, self.name, is_stand_in=True, is_once=True)
            self.stand_ins = [*(each for each in self.stand_ins if not each.is_dropped), reader]
        reader.due_at = now
        reader.rounds.append(round_)
        round_.add()
        return reader

    def take_rounds(self) -> list[ReadingRound]:
        """Return those who wait for the fetch that begins now, and forget them."""
        taken, self.rounds = self.rounds, []
        return taken

    def rest_seconds(self, snapshot: Snapshot) -> float:
        """Return how long to wait after an answer before the next fetch."""
        if snapshot.again_in_seconds is not None:
            return snapshot.again_in_seconds
        return 0.0 if self.is_blocking else _POLL_SECONDS

    @property
    def is_no_use(self) -> bool:
        """Whether nothing is read by it now."""
        return self.failure is not None or self.points_elsewhere

    def note_success(self, readings: Mapping[Dependency, Reading]) -> None:
        """Start over with every delay; *readings* are those that are new."""
        self.failure = None
        if readings:
            self.points_elsewhere = all(reading.is_dynamic for reading in readings.values())
        self.waits_for_recovery = self.was_woken = False
        self.unavailable.reset()
        self.refused.reset()

    def wake(self, now: float) -> None:
        """Be due at once where the source was away: another has reached it."""
        if self.waits_for_recovery:
            self.waits_for_recovery, self.was_woken, self.due_at = False, True, now

    def delay_after(self, error: SourceError) -> float:
        """Return how long to wait after an error before the next fetch."""
        backoff = self.unavailable if isinstance(error, SourceUnavailableError) else self.refused
        delay = backoff.next_seconds(getattr(error, "retry_after_seconds", None))
        return min(delay, error.retry_within_seconds or delay)

    def note_failure(self, text: str, *, is_unavailable: bool) -> None:
        """Remember why it failed. Read everything next time: the server may have lost its memory."""
        self.failure = text
        self.version = None
        self.waits_for_recovery = is_unavailable and not self.was_woken


class TaskQueue:
    """Tasks by when they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Task]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, task: Task) -> None:
        """Put a task in by its `due_at`."""
        task.is_queued = True
        heapq.heappush(self._heap, (task.due_at, next(self._order), task))

    def next_due_at(self) -> float | None:
        """Return when the first one is due, None where there is none."""
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Task:
        """Take the first one out; there must be one."""
        task = heapq.heappop(self._heap)[2]
        task.is_queued = False
        return task

    def take(self, fits: Callable[[Task], bool]) -> Task | None:
        """Take out the first one that *fits*, None where none does."""
        found = min((entry for entry in self._heap if fits(entry[2])), default=None)
        if found is None:
            return None
        self._heap.remove(found)
        heapq.heapify(self._heap)
        found[2].is_queued = False
        return found[2]

    def tidy(self) -> None:
        """Forget dropped tasks, and take over each `due_at` that was changed."""
        self._heap = [(task.due_at, order, task) for _, order, task in self._heap if not task.is_dropped]
        heapq.heapify(self._heap)

    def __iter__(self) -> Iterator[Task]:
        return (task for _, _, task in self._heap)
