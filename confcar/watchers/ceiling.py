"""How many queries of one source may block at the same time: what its options say, or what the server has room for."""

from __future__ import annotations

from collections.abc import Callable

# Then it is tried again whether there is more room.
_LOWERED_SECONDS = 600.0


class Ceiling:
    """The number of slots. Its calls exclude each other by the follower's lock.

    A query that blocks keeps its connection however long nothing changes. Where a server counts connections, those that
    block first would keep out for ever all that are polled, so some have to give way.

    Args:
        highest: What the watcher allows, at least 0.
        reserve: How many connections those that are polled need, at least 1.
        clock: Monotonic seconds.
    """

    def __init__(self, highest: int, *, reserve: int, clock: Callable[[], float]) -> None:
        self._highest = self._lowered = highest
        self._reserve = reserve
        self._clock = clock
        self._until = 0.0

    @property
    def most(self) -> int:
        """How many may block now, at least 0."""
        return self._highest if self._clock() >= self._until else self._lowered

    def lower(self, served: int) -> None:
        """Note that the server had no room for one more while it served so many that block."""
        self._lowered = max(0, min(self.most, served - self._reserve))
        self._until = self._clock() + _LOWERED_SECONDS
