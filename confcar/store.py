"""What the sources hold now: the one place where watchers hand over and bundles read.

The newest reading wins; content is compared, so that a source may announce a change that is none. A reader is woken
when one of its dependencies changed, and takes what changed together with a view of all of them under one lock: no
change can fall between the two, and none is seen half. Thread-safe; no I/O.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from confcar.model import Dependency, Reading

Listener = Callable[[], None]
"""Wakes a reader; called by a watcher's thread under the store's lock, so it notes the call and returns."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one dependency.

    Attributes:
        reading: The last good reading, None before the first. It stays while the source is away.
        error: Why the last attempt failed, None where it succeeded. Never holds a value.
    """

    reading: Reading | None = None
    error: Exception | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the source has been asked at all, whatever came of it."""
        return self.reading is not None or self.error is not None


View = Mapping[Dependency, Answer]
_DEAD = 0.0  # an end that has passed, by any clock
UNANSWERED = Answer()


@dataclass(slots=True)
class _Reader:
    listener: Listener
    wanted: frozenset[Dependency] = frozenset()
    changed: set[Dependency] = field(default_factory=set)
    view: dict[Dependency, Answer] = field(default_factory=dict)
    outdated: set[Dependency] = field(default_factory=set)
    """Where the view is not what is known now: one change costs what changed, not all that is read."""
    ends: dict[Dependency, float] = field(default_factory=dict)
    """When what the reader took last ends, where that has moved since."""


class Store:
    """Answers by dependency, and who reads them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[Dependency, Answer] = {}
        self._readers: dict[str, _Reader] = {}
        self._readers_of: dict[Dependency, set[str]] = {}

    def subscribe(self, name: str, dependencies: frozenset[Dependency], listener: Listener) -> frozenset[Dependency]:
        """Replace what the reader *name* wants and return all that any reader wants now.

        What is known of a newly wanted dependency already counts as a change. What nobody wants any more is forgotten.
        An empty set ends the subscription.
        """
        with self._lock:
            reader = self._readers.setdefault(name, _Reader(listener))
            added, dropped = dependencies - reader.wanted, reader.wanted - dependencies
            reader.wanted, reader.listener = dependencies, listener
            reader.changed -= dropped
            reader.outdated |= added | dropped
            for dependency in dropped:
                self._readers_of[dependency].discard(name)
                if not self._readers_of[dependency]:
                    del self._readers_of[dependency]
                    self._answers.pop(dependency, None)
            for dependency in added:
                self._readers_of.setdefault(dependency, set()).add(name)
            self._tell(dependency for dependency in added if dependency in self._answers)
            if not dependencies:
                del self._readers[name]
            return frozenset(self._readers_of)

    def put(self, readings: Mapping[Dependency, Reading]) -> frozenset[Dependency]:
        """Take over what a source holds now and return what of it differs from before.

        Readings that nobody wants are dropped: they answer a question that was withdrawn in the meantime.
        """
        with self._lock:
            changed = set()
            for dependency, reading in readings.items():
                if dependency not in self._readers_of:
                    continue
                if not _is_same_reading(self._answers.get(dependency, UNANSWERED).reading, reading):
                    changed.add(dependency)
                    if reading.follows_dead:
                        self._note_end(dependency, _DEAD)
                elif reading.leased_until is not None:
                    self._note_end(dependency, reading.leased_until)
                self._note(dependency, Answer(reading))
            self._tell(changed)
            return frozenset(changed)

    def fail(self, failures: Mapping[Dependency, Exception]) -> None:
        """Note that the last attempt to read these failed; their last good readings stay.

        A first answer wakes its readers even though it is a failure, so that they can say what they wait for; so does a
        failure for another reason than before where there is no reading.
        """
        with self._lock:
            changed = set()
            for dependency, error in failures.items():
                if dependency not in self._readers_of:
                    continue
                before = self._answers.get(dependency, UNANSWERED)
                if before.reading is None and str(before.error) != str(error):
                    changed.add(dependency)
                self._note(dependency, Answer(before.reading, error))
            self._tell(changed)

    @property
    def wanted(self) -> frozenset[Dependency]:
        """All that any reader wants now."""
        with self._lock:
            return frozenset(self._readers_of)

    @property
    def failures(self) -> dict[Dependency, Exception]:
        """Everything of which the last attempt to read it failed, and why."""
        with self._lock:
            return {each: answer.error for each, answer in self._answers.items() if answer.error is not None}

    def forget_source(self, names: Collection[str]) -> None:
        """Forget all answers of these sources: another place is read under their names from now on, or none.

        It counts as a change for their readers, who are woken by the first new answer.
        """
        with self._lock:
            for dependency in [each for each in self._answers if each.source in names]:
                del self._answers[dependency]
                for name in self._readers_of[dependency]:
                    self._readers[name].changed.add(dependency)
                    self._readers[name].outdated.add(dependency)

    def take(self, name: str) -> tuple[frozenset[Dependency], View]:
        """Return what changed for the reader since its last call, and what is known of all that it wants.

        A dependency that was never answered is UNANSWERED in the view, which stays as it is until the next call for the
        same reader.
        """
        with self._lock:
            reader = self._readers.get(name)
            if reader is None:
                return frozenset(), {}
            changed, reader.changed = frozenset(reader.changed), set()
            for dependency in reader.outdated:
                reader.ends.pop(dependency, None)
                if dependency in reader.wanted:
                    reader.view[dependency] = self._answers.get(dependency, UNANSWERED)
                else:
                    reader.view.pop(dependency, None)
            reader.outdated.clear()
            return changed, reader.view

    def lease_ends(self, name: str) -> dict[Dependency, float]:
        """Return when the leases end of what the reader took last, in seconds since the epoch, where that has moved.

        A renewal is no change that wakes anybody; where another value took the place of one that had been renewed, it
        is the end of the former that counts until the next `take`.
        """
        with self._lock:
            reader = self._readers.get(name)
            return {} if reader is None else dict(reader.ends)

    def _note_end(self, dependency: Dependency, end: float) -> None:
        for name in self._readers_of[dependency]:
            if dependency not in self._readers[name].changed:
                self._readers[name].ends[dependency] = end

    def _note(self, dependency: Dependency, answer: Answer) -> None:
        self._answers[dependency] = answer
        for name in self._readers_of[dependency]:
            self._readers[name].outdated.add(dependency)

    def _tell(self, changed: Iterable[Dependency]) -> None:
        woken = set()
        for dependency in changed:
            for name in self._readers_of[dependency]:
                self._readers[name].changed.add(dependency)
                woken.add(name)
        for name in woken:
            self._readers[name].listener()


def _is_same_reading(known: Reading | None, new: Reading) -> bool:
    if known is None or (known.note, known.is_dynamic) != (new.note, new.is_dynamic):
        return False
    return _is_same_value(known.value, new.value)


def _is_same_value(known: object, new: object) -> bool:
    """Compare as a template would see it: `1`, `1.0` and `true` are equal in Python, and three texts in a file."""
    if type(known) is not type(new):
        return False
    if isinstance(known, Mapping) and isinstance(new, Mapping):
        return known.keys() == new.keys() and all(_is_same_value(known[key], new[key]) for key in known)
    if isinstance(known, list | tuple) and isinstance(new, list | tuple):
        return len(known) == len(new) and all(map(_is_same_value, known, new))
    return known == new or (known != known and new != new)  # noqa: PLR0124 - not-a-number differs even from itself
