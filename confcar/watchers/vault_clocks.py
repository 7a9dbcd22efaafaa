"""What a Vault source goes by: its clocks, and when something without an end is read again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_POLL_SHARES = (0.85, 0.95)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Monotonic seconds, seconds since the epoch, and what spreads a fleet."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    jitter: random.Random = field(default_factory=random.Random)


def poll_seconds(refresh_seconds: float, *, jitter: random.Random) -> float:
    """Return when to read something without an end again: never later than `refresh`, and a fleet drifts apart."""
    return refresh_seconds * jitter.uniform(*_POLL_SHARES)
