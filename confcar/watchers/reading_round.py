"""One reading of everything that is followed, begun after somebody asked for it."""

from __future__ import annotations

import threading
import time


class ReadingRound:
    """Counts the fetches that are still to end. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = 0

    def add(self) -> None:
        """Wait for one more fetch."""
        with self._changed:
            self._open += 1

    def note_end(self) -> None:
        """Note that one has ended, whatever came of it, or that nobody wants it any more."""
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def wait(self, until: float) -> bool:
        """Return whether all have ended; blocks for that at the longest until the monotonic clock shows *until*."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == 0, max(0.0, until - time.monotonic()))
