"""Exponential back-off with jitter, and nothing else: no clock, no sleeping."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays that double up to a cap, each shortened at random by up to *jitter*.

    Not thread-safe; each loop has its own.

    Attributes:
        first_seconds: The first delay before jitter, above 0.
        cap_seconds: No delay is longer, at least *first_seconds*.
        jitter: Share of the delay that may be taken off at random, 0 to 1; spreads a fleet that failed together.
    """

    first_seconds: float
    cap_seconds: float
    jitter: float = 0.25
    random: random.Random = field(default_factory=random.Random, repr=False)
    attempts: int = 0

    def next_seconds(self, at_least: float | None = None) -> float:
        """Return how long to wait after one more failure; above 0.

        Args:
            at_least: A floor that the other side asked for (`Retry-After`), in seconds; it may exceed the cap.
        """
        # 2**60 of anything is far above every cap: the bound keeps the float finite.
        delay = min(self.cap_seconds, self.first_seconds * 2.0 ** min(self.attempts, 60))
        self.attempts += 1
        delay *= 1 - self.jitter * self.random.random()
        return max(delay, at_least or 0.0)

    def reset(self) -> None:
        """Start over after a success."""
        self.attempts = 0
