"""When a bundle tries again although nothing changed: each kind of failure has a back-off of its own."""

from __future__ import annotations

from collections.abc import Callable

from confcar.backoff import Backoff
from confcar.errors import CheckRefusedError, ConfcarError

_REFUSED_BACKOFF = (1.0, 300.0)
_PUBLISH_BACKOFF = (1.0, 60.0)
_UNWRITTEN_BACKOFF = (1.0, 60.0)


class Retries:
    """The next pass that needs no news. Used by the bundle's thread.

    Attributes:
        due_at: When it is, by the clock; None: none.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # The first pass needs no news: it takes the directory and begins to follow.
        self.due_at: float | None = clock()
        self._refused = Backoff(*_REFUSED_BACKOFF)
        self._unpublished = Backoff(*_PUBLISH_BACKOFF)
        self._unwritten = Backoff(*_UNWRITTEN_BACKOFF)

    @property
    def is_due(self) -> bool:
        """Whether it is time."""
        return self.due_at is not None and self.due_at <= self._clock()

    def begin(self) -> None:
        """Note that a pass begins: what was due is done by it."""
        self.due_at = None

    def after(self, error: ConfcarError) -> None:
        """Try again after a pass that failed."""
        backoff = self._refused if isinstance(error, CheckRefusedError) else self._unpublished
        self.due_at = self._clock() + backoff.next_seconds()

    def after_unwritten(self) -> None:
        """Try again to write down what is known, at the latest when the next pass is due."""
        again_at = self._clock() + self._unwritten.next_seconds()
        self.due_at = again_at if self.due_at is None else min(self.due_at, again_at)

    def written(self) -> None:
        """Note that all is written down."""
        self._unwritten.reset()

    def reset(self) -> None:
        """Start over with the delays of passes that fail."""
        self._refused.reset()
        self._unpublished.reset()
