"""When a token that nobody uses is to be asked after: a revoked one shows itself only where it is used."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable

from confcar.backoff import Backoff
from confcar.clients.vault import VaultClient
from confcar.watchers.vault_proof import TokenProof
from confcar.watchers.vault_token import Token, TokenClock

# Never later than configured, and a fleet that logged in together drifts apart.
_SHARES = (0.75, 1.0)
_MOST_PAUSE_SECONDS = 60.0


class LifeCheck:
    """The clock of those questions. Used by the keeper's thread.

    Args:
        client: Knows when a token was last used with success.
        proof: Knows whether the question can be answered at all.
        seconds: How long a token may go without a success; 0 for any time.
        clock: Monotonic seconds.
        jitter: Spreads the questions.
    """

    def __init__(
        self,
        client: VaultClient,
        proof: TokenProof,
        *,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        jitter: random.Random,
    ) -> None:
        self._client = client
        self._proof = proof
        self._seconds = seconds
        self._clock = clock
        self._jitter = jitter
        self._pauses = Backoff(max(seconds, 1.0), max(seconds, _MOST_PAUSE_SECONDS), random=jitter)
        self._put_off_until = -math.inf
        self._seen: tuple[float, float] = (-math.inf, math.inf)

    def due_at(self, token: Token, life: TokenClock) -> float:
        """Return when to ask; infinite for never: switched off, in vain, or each question costs one of few uses."""
        if self._seconds == 0 or token.uses > 0 or self._proof.is_in_vain:
            return math.inf
        alive_at = max(life.born_at, self._client.last_success(token.value))
        if alive_at != self._seen[0]:
            self._seen = alive_at, alive_at + self._seconds * self._jitter.uniform(*_SHARES)
        return max(self._seen[1], self._put_off_until)

    def succeeded(self) -> None:
        """Note that the question was answered."""
        self._pauses.reset()
        self._put_off_until = -math.inf

    def failed(self, retry_after_seconds: float | None) -> None:
        """Note that it was not, so that a server in trouble is not asked at the same pace."""
        self._put_off_until = self._clock() + self._pauses.next_seconds(retry_after_seconds)
