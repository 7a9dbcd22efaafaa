"""Where a bundle's thread waits: for changed data, for its own next appointment, or to be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Inbox:
    """Remembers that something changed, when first and when last. Noted from any thread, waited for by one.

    Args:
        clock: Seconds.
        condition: What to wait on; None for one of its own.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, condition: threading.Condition | None = None
    ) -> None:
        self._clock = clock
        self._noted = condition or threading.Condition()
        self._first_at: float | None = None
        self._last_at = 0.0
        self._is_called = False
        self._is_stopped = False
        self._is_woken = False
        self._is_waiting = False

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._is_stopped

    @property
    def has_news(self) -> bool:
        """Whether something was noted that was not taken yet."""
        return self._first_at is not None

    @property
    def is_idle(self) -> bool:
        """Whether its thread waits, and has nothing to wake up for."""
        with self._noted:
            return self._is_waiting and not (self._is_stopped or self._is_called or self._is_woken or self.has_news)

    def note(self) -> None:
        """Note that something changed now."""
        with self._noted:
            self._last_at = self._clock()
            if self._first_at is None:
                self._first_at = self._last_at
            self._noted.notify_all()

    def wake(self) -> None:
        """End the wait of now, or the next one, although nothing changed; settling goes on. Any thread."""
        with self._noted:
            self._is_woken = True
            self._noted.notify_all()

    def call(self) -> None:
        """End the wait of now, or the next one, although nothing changed: somebody asks for something."""
        with self._noted:
            self._is_called = True
            self._noted.notify_all()

    def stop(self) -> None:
        """End every wait from now on."""
        with self._noted:
            self._is_stopped = True
            self._noted.notify_all()

    def wait(self, until: float | None) -> None:
        """Block until something was noted, the clock shows *until* (None: never), or woken, called or stopped."""
        with self._noted:
            self._is_waiting = True
            while not (self._is_stopped or self._is_called or self._is_woken or self.has_news):
                left = None if until is None else until - self._clock()
                if left is not None and left <= 0:
                    break
                self._noted.wait(left)
            self._is_woken = False
            self._is_waiting = False

    def pause(self, seconds: float) -> bool:
        """Block for *seconds*, whatever is noted meanwhile; return whether to go on: False, at once, where stopped."""
        until = self._clock() + seconds
        with self._noted:
            while not self._is_stopped:
                left = until - self._clock()
                if left <= 0:
                    return True
                self._noted.wait(left)
            return False

    def settle(self, *, quiet_seconds: float, max_seconds: float) -> None:
        """Block until nothing was noted for *quiet_seconds*, at most *max_seconds* after the first note.

        Ends early when called or stopped.
        """
        with self._noted:
            while self._first_at is not None and not (self._is_stopped or self._is_called):
                now = self._clock()
                left = min(self._last_at + quiet_seconds, self._first_at + max_seconds) - now
                if left <= 0:
                    return
                self._noted.wait(left)

    def answer(self) -> None:
        """Forget the calls until now."""
        with self._noted:
            self._is_called = False

    def take(self) -> float | None:
        """Forget what was noted and return when it was first noted, by the inbox's clock; None where nothing was."""
        with self._noted:
            first_at, self._first_at = self._first_at, None
            return first_at
