"""A ceiling on how many requests a client makes per second, over all its threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable


class Pace:
    """Hands out turns: in any window of a second never more than *per_second*. Thread-safe.

    A burst within the ceiling waits for nothing, so that the first reads of many secrets go out side by side.

    Args:
        per_second: Above 0; below 1 it is one turn in so many seconds.
        clock: Monotonic seconds.
    """

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._turns = max(1, int(per_second))
        self._window_seconds = self._turns / per_second
        self._clock = clock
        self._taken: deque[float] = deque(maxlen=self._turns)
        self._changed = threading.Condition()
        self._is_closed = False

    def take_turn(self) -> bool:
        """Block until a request may be made; False at once where `close` was or is called."""
        with self._changed:
            while not self._is_closed:
                now = self._clock()
                left = self._taken[0] + self._window_seconds - now if len(self._taken) == self._turns else 0.0
                if left <= 0:
                    self._taken.append(now)
                    return True
                self._changed.wait(left)
            return False

    def close(self) -> None:
        """Let all that wait go, empty-handed. May be called twice, any thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
