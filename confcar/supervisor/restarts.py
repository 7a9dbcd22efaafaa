"""Whether and when a primary that has ended by itself is started again."""

from __future__ import annotations

from typing import Literal

from confcar.backoff import Backoff

Policy = Literal["never", "on-failure", "always"]
# Long enough to tell a primary that works from one that fails on its config, and dies after its own retries.
STABLE_SECONDS = 60.0


class Restarts:
    """Delays of the starts after failures. Used by one thread.

    Args:
        backoff: Where the delays come from.
        stable_seconds: After a run of this length the delays start over.
    """

    def __init__(self, backoff: Backoff | None = None, *, stable_seconds: float = STABLE_SECONDS) -> None:
        self._backoff = backoff or Backoff(1.0, 60.0)
        self._stable_seconds = stable_seconds

    def delay_after(self, policy: Policy, *, code: int, ran_seconds: float) -> float | None:
        """Return how long to wait before the next start; None where there is none.

        Args:
            policy: As the config has it now.
            code: What it ended with, 0 for a success.
            ran_seconds: How long it ran, 0 where it could not be started.
        """
        if policy == "never" or (policy == "on-failure" and code == 0):
            return None
        if ran_seconds >= self._stable_seconds:
            self._backoff.reset()
        return self._backoff.next_seconds()
