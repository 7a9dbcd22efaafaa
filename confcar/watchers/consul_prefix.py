"""What Consul's folders hold, as far as it was learned, and whether following one as a whole is worth its cost.

One query on a prefix costs one connection for any number of keys, and with each change of any of them an answer with
all of them. Measured against a Consul on the same machine, from a write to the whole answer: 1,000 keys 3 to 9 ms,
10,000 keys 20 to 100 ms and 3 MB. So a prefix is followed where it holds little, or little beyond what is read, and
never where it holds far more. What is followed is given up only well beyond the bounds it was taken up within, so that
a folder at the bound does not flap between the two.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

LEAST_SHARED = 4
"""Fewer keys have a query each: as many connections, and no answer with what nobody reads."""

# At any share of what is read.
_CHEAP_KEYS, _CHEAP_BYTES = 64, 256 * 1024
# Up to here a good deal may be held beyond what is read; above, the answer itself is what costs.
_SMALL_KEYS = 1_000
_MOST_TIMES_WANTED_SMALL, _MOST_TIMES_WANTED_LARGE, _MOST_TIMES_NEEDED_BYTES = 16, 2, 8
_MOST_KEYS, _MOST_BYTES = 8_000, 3 * 1024 * 1024
# How far beyond these bounds what is followed may grow.
_SLACK = 1.5
_LISTED_AGAIN_SECONDS, _REFUSED_AGAIN_SECONDS = 600.0, 60.0
# Listings that found too much cost the server some 30 ms for 100,000 keys: so many within the time above.
_MOST_COSTLY_LISTINGS = 8

MOST_LISTED_BYTES = 512 * 1024
"""Longest list of names that is read: some 20,000."""

MOST_FOLLOWED_BYTES = int(_MOST_BYTES * _SLACK * 1.5)
"""Longest answer of a followed prefix that is read."""

Place = tuple[str | None, str]
"""A datacenter, None for the source's own, and a prefix."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one prefix held when it was looked at.

    Attributes:
        keys: How many, infinite where it was more than is listed.
        learned_at: Monotonic seconds.
        size_bytes: Length of the whole answer; 0 as long as only names were listed.
        needed_bytes: About how much of that is for keys that are read.
        is_refused: Whether it may not be listed, or a listing hides what is wanted.
    """

    keys: float
    learned_at: float
    size_bytes: int = 0
    needed_bytes: int = 0
    is_refused: bool = False

    def is_worth_following(self, wanted: int, *, is_followed: bool) -> bool:
        """Whether one query for all costs less than one for each of the *wanted* keys."""
        slack = _SLACK if is_followed else 1.0
        if self.is_refused or self.keys > _MOST_KEYS * slack or self.size_bytes > _MOST_BYTES * slack:
            return False
        most_keys = max(
            _CHEAP_KEYS, min(_SMALL_KEYS, wanted * _MOST_TIMES_WANTED_SMALL), wanted * _MOST_TIMES_WANTED_LARGE
        )
        most_bytes = max(_CHEAP_BYTES, self.needed_bytes * _MOST_TIMES_NEEDED_BYTES)
        return self.keys <= most_keys * slack and self.size_bytes <= most_bytes * slack

    def is_otherwise(self, keys: int, size_bytes: int) -> bool:
        """Whether an answer is enough unlike this to be noted."""
        return self.is_refused or not (
            self.keys * 0.95 <= keys <= self.keys * 1.05
            and self.size_bytes * 0.95 <= size_bytes <= self.size_bytes * 1.05
        )

    @property
    def again_in_seconds(self) -> float:
        """How long this may be relied on where the prefix is not followed."""
        return _REFUSED_AGAIN_SECONDS if self.is_refused else _LISTED_AGAIN_SECONDS


class Prefixes:
    """What was learned of the prefixes of one Consul's keys. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._holdings: dict[Place, Holding] = {}
        self._followed: frozenset[Place] = frozenset()
        self._waiting: Mapping[Place, Collection[str]] = {}
        self._costly: list[float] = []

    def note_plan(self, followed: Collection[Place], waiting: Mapping[Place, Collection[str]]) -> None:
        """Note what the newest plan follows as a whole, and which keys would profit where it has something listed."""
        with self._lock:
            self._followed, self._waiting = frozenset(followed), waiting

    def waiting_for(self, place: Place) -> Collection[str]:
        """Return the keys for whose sake the newest plan has a prefix listed."""
        with self._lock:
            return self._waiting.get(place, ())

    def find(self, place: Place) -> Holding | None:
        """Return what is known of a prefix, None where it was not looked at."""
        with self._lock:
            return self._holdings.get(place)

    def is_followed(self, place: Place) -> bool:
        """Whether the newest plan follows it as a whole."""
        return place in self._followed

    def is_worth_following(self, place: Place, wanted: int) -> bool | None:
        """Whether to follow a prefix for so many keys; None where it has to be listed first."""
        with self._lock:
            holding = self._holdings.get(place)
            if holding is not None:
                return holding.is_worth_following(wanted, is_followed=place in self._followed)
            now = self._clock()
            self._costly = [at for at in self._costly if now - at < _LISTED_AGAIN_SECONDS]
            return False if len(self._costly) >= _MOST_COSTLY_LISTINGS else None

    def note_names(self, place: Place, keys: int) -> None:
        """Note how many keys were listed. What it weighed stands, unless it shrank to less than half."""
        with self._lock:
            before = self._holdings.get(place)
            if before is None or before.is_refused or keys < before.keys / 2:
                before = Holding(keys, 0.0)
            self._holdings[place] = replace(before, keys=keys, learned_at=self._clock())

    def note_answer(self, place: Place, *, keys: int, size_bytes: int, needed_bytes: int) -> None:
        """Note what an answer with everything held."""
        with self._lock:
            self._holdings[place] = Holding(keys, self._clock(), size_bytes, needed_bytes)

    def note_too_much(self, place: Place) -> None:
        """Note that it holds more than is read at once."""
        with self._lock:
            now = self._clock()
            self._holdings[place] = Holding(math.inf, now)
            self._costly.append(now)

    def note_refused(self, place: Place) -> None:
        """Note that it may not be listed, or not all of what is wanted shows in a listing."""
        with self._lock:
            self._holdings[place] = Holding(0, self._clock(), is_refused=True)
