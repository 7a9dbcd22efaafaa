"""The threads of one follower: numbered, named after the source, and waited for together."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable


class Threads:
    """Starts and joins. `start` under the follower's lock, `join` from any one thread.

    Args:
        source: The source's name.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._numbers = itertools.count()
        self._running: list[threading.Thread] = []

    def start(self, body: Callable[[], None]) -> None:
        """Run *body* in a thread of its own, which does not keep the process alive."""
        self._running = [thread for thread in self._running if thread.is_alive()]
        name = f"confcar-{self._source}-{next(self._numbers)}"
        thread = threading.Thread(target=body, name=name, daemon=True)
        self._running.append(thread)
        thread.start()

    def join(self, until: float) -> None:
        """Wait for all, at the longest until the monotonic clock shows *until*."""
        for thread in self._running:
            thread.join(timeout=max(0.0, until - time.monotonic()))
