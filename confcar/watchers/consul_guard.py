"""Whether a Consul that shows nothing has lost its data: emptiness is believed unless the whole cluster looks emptied.

An empty list is an everyday value: a folder was deleted, a service has no healthy instance. It is none where the server
came back with an older index, as one that was restored or replaced does, or where all that is read of the source went
empty together. Then the last data stays until something is there again, or a person says that it is to be empty.
Knows no Consul: it is told what was read, and asks through `Witness` whether the rest is still there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from confcar.errors import SourceDataError, SourceDeniedError
from confcar.model import Dependency, Kind, Reading
from confcar.watchers.base import Query

_CURE = (
    "The last data stays. Bring Consul's data back; if it is meant to be gone, set `empty_guard: false` on this source "
    "and have the config read again"
)
_REPLACED = f"Consul has an older index than before, and what was there is empty: it was restored or replaced. {_CURE}"
_EMPTIED = f"all that is read from Consul went empty together. {_CURE}"
_FOLDERS: frozenset[Kind] = frozenset({"ls", "tree"})
# How many other queries are asked, after an outage, whether the server is still the one it was.
_MOST_WITNESSES = 8


class Witness(Protocol):
    """Looks at the source now, without the guard."""

    def look(self, query: Query, dependencies: frozenset[Dependency]) -> tuple[int, bool]:
        """Return the index of a query, and whether any of its dependencies has something.

        Raises:
            SourceError: It cannot be read.
        """
        ...

    def is_known(self, dependency: Dependency) -> bool:
        """Return whether something is registered for it that it does not show, such as an instance that is ill."""
        ...


class EmptyGuard:
    """What a source had, and whether it is believed that it has it no more. Thread-safe; locked never while asking.

    Args:
        is_on: Whether anything is held back at all; the indexes are kept all the same.
        on_trouble: Called with why data is held back, or None when none is any more; only when that changes.
    """

    def __init__(self, *, is_on: bool, on_trouble: Callable[[str | None], None]) -> None:
        self._is_on = is_on
        self._on_trouble = on_trouble
        self._lock = threading.Lock()
        self._indexes: dict[Query, int] = {}
        self._full: dict[Dependency, Query] = {}
        self._held: dict[Dependency, str] = {}
        self._cut_off: set[Query] = set()
        self._trouble: str | None = None

    def plan(self, queries: Mapping[Query, frozenset[Dependency]]) -> None:
        """Forget what is no longer read."""
        asked_by = {dependency: query for query, share in queries.items() for dependency in share}
        with self._lock:
            self._indexes = {query: index for query, index in self._indexes.items() if query in queries}
            self._cut_off &= queries.keys()
            self._full = {each: asked_by[each] for each in self._full if each in asked_by}
            self._held = {each: why for each, why in self._held.items() if each in asked_by}
        self._tell()

    def went_back(self, query: Query, index: int) -> bool:
        """Return whether an index is below the last one of that query; 0 is none that compares."""
        with self._lock:
            return 0 < index < self._indexes.get(query, 0)

    def took_over(self, query: Query, dependencies: frozenset[Dependency]) -> bool:
        """Return whether a query that was never answered yet asks for what another one has read already."""
        with self._lock:
            return query not in self._indexes and any(each in self._full for each in dependencies)

    def cut_off(self, query: Query) -> None:
        """Note that a query got no answer: what it shows next may be another server's."""
        with self._lock:
            self._cut_off.add(query)

    def judge(
        self,
        query: Query,
        index: int,
        readings: Mapping[Dependency, Reading],
        witness: Witness,
        *,
        has_more: bool = False,
    ) -> dict[Dependency, SourceDataError]:
        """Return which of a query's readings must not be taken, each with the reason, and remember the others.

        Args:
            query: What was asked.
            index: Of the answer; 0 where it does not compare with others.
            readings: What the answer says, at least of all that differs from the answer before.
            witness: To ask what else is there.
            has_more: Whether there is something for a dependency that is left out of *readings*.

        Raises:
            SourceUnavailableError: What else the source has cannot be read now.
        """
        empty = {each for each, reading in readings.items() if is_nothing(reading)}
        with self._lock:
            lost = {each for each in empty if each in self._full and each not in self._held}
        why = (
            self._why(query, index, lost, witness, others_here=has_more or len(empty) < len(readings)) if lost else None
        )
        with self._lock:
            self._indexes[query] = index or self._indexes.get(query, 0)
            self._held |= dict.fromkeys(lost, why) if why is not None else {}
            for each in readings:
                if each not in empty:
                    self._full[each] = query
                    self._held.pop(each, None)
                elif each not in self._held:
                    self._full.pop(each, None)
            self._cut_off.discard(query)
            held = {each: SourceDataError(self._held[each]) for each in empty if each in self._held}
        self._tell()
        return held

    def _why(
        self, query: Query, index: int, lost: set[Dependency], witness: Witness, *, others_here: bool
    ) -> str | None:
        """Return why it is not believed that something is gone; None where it is."""
        if not self._is_on:
            return None
        with self._lock:
            was_cut_off = query in self._cut_off
            others: dict[Query, set[Dependency]] = {}
            for each, asked_by in self._full.items():
                if asked_by != query:
                    others.setdefault(asked_by, set()).add(each)
            known = dict(self._indexes)
        if 0 < index < known.get(query, 0):
            return _REPLACED
        # The one that was written last shows best whether the server is another.
        witnesses = sorted(others, key=lambda each: known.get(each, 0), reverse=True)
        is_alive = others_here
        for count, other in enumerate(witnesses):
            if is_alive and not (was_cut_off and count < _MOST_WITNESSES):
                break
            is_back, has_something = _look(witness, other, others[other], known.get(other, 0))
            if is_back:
                return _REPLACED
            is_alive = is_alive or has_something
        if is_alive:
            return None
        everything = lost.union(*others.values())
        # Keys alone are as missing as they look: what reads them waits, and nothing is made of their emptiness.
        is_all = _count_things(everything) > 1 and any(each.kind != "key" for each in everything)
        if not (is_all or was_cut_off):
            return None
        # One list alone went empty over an outage: what is registered and only ill is no loss.
        return None if not is_all and any(map(witness.is_known, lost)) else _EMPTIED

    def _tell(self) -> None:
        with self._lock:
            trouble = max(self._held.values(), default=None)
            if trouble == self._trouble:
                return
            self._trouble = trouble
            self._on_trouble(trouble)


def is_nothing(reading: Reading) -> bool:
    """Return whether a source has nothing there: no key, or an empty list or folder. An empty text is something."""
    return reading.value is None or (not isinstance(reading.value, bytes) and not reading.value)


def _count_things(dependencies: set[Dependency]) -> int:
    """Return how many things they read that can go one without the other.

    A service is one thing however it is selected, and so is a folder with all that is read inside it.
    """
    things: set[tuple[object, ...]] = set()
    folders = {(each.path, _datacenter(each)) for each in dependencies if each.kind in _FOLDERS}
    for each in dependencies:
        place = _datacenter(each)
        if each.kind == "key" or each.kind in _FOLDERS:
            outer = (folder for folder in _folders_around(each) if (folder, place) in folders)
            things.add(("stored", next(outer, each.path), place))
        else:
            things.add((each.kind, each.path, place))
    return len(things)


def _folders_around(dependency: Dependency) -> Iterator[str]:
    segments = dependency.path.split("/") if dependency.path else []
    return ("/".join(segments[:count]) for count in range(len(segments)))


def _datacenter(dependency: Dependency) -> tuple[object, ...]:
    return tuple(value for name, value in dependency.params if name == "dc")


def _look(witness: Witness, query: Query, dependencies: set[Dependency], known: int) -> tuple[bool, bool]:
    try:
        index, has_something = witness.look(query, frozenset(dependencies))
    except SourceDeniedError:
        return False, False  # what may not be seen bears no witness
    return 0 < index < known, has_something
