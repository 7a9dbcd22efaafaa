"""What is remembered of failed logins: the error and when to try again, so that trouble costs one request per step."""

from __future__ import annotations

import math
import random

from confcar.backoff import Backoff
from confcar.errors import SourceError, SourceUnavailableError

_UNAVAILABLE_BACKOFF = (1.0, 10.0)
# Wrong credentials do not get right by asking often, and servers lock users out for that.
_REFUSED_BACKOFF = (1.0, 300.0)


class LoginAttempts:
    """The failures since the last login that worked. Not thread-safe: its owner's lock guards it.

    Attributes:
        retry_at: When the next login may be tried, in monotonic seconds; minus infinity for at once.
    """

    def __init__(self, jitter: random.Random) -> None:
        self._unavailable = Backoff(*_UNAVAILABLE_BACKOFF, random=jitter)
        self._refused = Backoff(*_REFUSED_BACKOFF, random=jitter)
        self._failure: SourceError | None = None
        self.retry_at = -math.inf

    @property
    def has_failed(self) -> bool:
        """Whether the last login failed."""
        return self._failure is not None

    def failed(self, error: SourceError, *, now: float) -> bool:
        """Remember one more failure; returns whether it differs from the one before."""
        is_news = str(self._failure) != str(error)
        backoff = self._unavailable if isinstance(error, SourceUnavailableError) else self._refused
        self._failure = error
        self.retry_at = now + backoff.next_seconds(getattr(error, "retry_after_seconds", None))
        return is_news

    def succeeded(self) -> None:
        """Forget all failures."""
        self._failure, self.retry_at = None, -math.inf
        self._unavailable.reset()
        self._refused.reset()

    def standing_failure(self, now: float) -> SourceError | None:
        """Return what to raise in place of another login, or None where one may be tried.

        It is a new one each time: the traceback of a raised error grows with every thread that raises it.
        """
        failure = self._failure
        if failure is None or now >= self.retry_at:
            return None
        if isinstance(failure, SourceUnavailableError):
            return SourceUnavailableError(str(failure), retry_after_seconds=self.retry_at - now)
        return type(failure)(str(failure))
