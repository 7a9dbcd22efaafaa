"""When to look whether others changed the published files, and what to repair them with."""

from __future__ import annotations

import time
from collections.abc import Callable

from confcar.model import RenderedFile
from confcar.publishing.publisher import Publisher


class DriftWatch:
    """The appointments of one bundle for that, and the files it published last. Used by the bundle's thread only.

    Args:
        publisher: Knows what was published.
        every_seconds: How often to look; 0 for never.
        clock: Seconds.
    """

    def __init__(
        self, publisher: Publisher, *, every_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._publisher = publisher
        self._every_seconds = every_seconds
        self._clock = clock
        self._files: tuple[RenderedFile, ...] | None = None
        self.due_at: float | None = clock() + every_seconds if every_seconds else None
        """When to look next, by the clock; None for never."""

    @property
    def is_due(self) -> bool:
        """Whether it is time to look."""
        return self.due_at is not None and self.due_at <= self._clock()

    def looked(self) -> None:
        """Make the next appointment."""
        if self._every_seconds:
            self.due_at = self._clock() + self._every_seconds

    def remember(self, files: tuple[RenderedFile, ...] | None) -> None:
        """Keep what is published; None where that is an older generation again, which only the disk has."""
        self._files = files

    def files(self) -> tuple[RenderedFile, ...] | None:
        """Return what is published, whatever became of it; None where nobody has it any more."""
        return self._files if self._files is not None else self._publisher.recall()
