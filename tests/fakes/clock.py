"""Time that passes only where it is waited for: a clock, and a condition that moves it and lets things happen."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable


class FakeClock:
    """Call it for the seconds it shows; starts at 100."""

    def __init__(self) -> None:
        self.now = 100.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def __call__(self) -> float:
        return self.now

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do *action* once somebody has waited for this long."""
        heapq.heappush(self._events, (self.now + seconds, next(self._order), action))

    def advance(self, seconds: float | None) -> None:
        """Go on by *seconds*, at most to the next event, which then happens; None: to that."""
        until = None if seconds is None else self.now + seconds
        if self._events and (until is None or self._events[0][0] <= until):
            self.now, _, action = heapq.heappop(self._events)
            action()
            return
        assert until is not None, "it would wait for ever"
        self.now = until


class FakeCondition(threading.Condition):
    """A condition for one thread, whose waiting moves a clock."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass."""
        self._clock.advance(timeout)
        return True
