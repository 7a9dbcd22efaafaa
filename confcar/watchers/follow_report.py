"""What the following of one source says of itself: on the status board and in the log. Decides nothing.

One line when trouble begins and one for each refused path, not one for each query of a source that is away.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from confcar.log import fields
from confcar.model import Dependency, Snapshot
from confcar.status import Status

_log = logging.getLogger(__name__)


class FollowReport:
    """The voice of one source. Thread-safe."""

    def __init__(self, name: str, status: Status) -> None:
        self._name = name
        self._status = status

    def beat(self, loop: str, due_in_seconds: float | None) -> None:
        """Say that a loop moves, and by when it will say so again; None: it waits for work, or has ended."""
        self._status.beat(loop, due_in_seconds)

    def polled(self, count: int) -> None:
        """Say how much is read in turn for want of connections."""
        self._status.update_source(self._name, polled=count)

    def answered(self, dependencies: Iterable[Dependency], snapshot: Snapshot, *, is_back: bool) -> None:
        """Say that the source answered, if only with refusals."""
        failures = snapshot.failures
        if failures and all(each in failures for each in dependencies):
            self._status.source_failed(self._name, str(next(iter(failures.values()))))
        elif snapshot.has_asked:
            self._status.source_answered(self._name)
        if is_back:
            _log.info("source is back", extra=fields(source=self._name))
        for dependency, error in failures.items():
            _log.debug("cannot read", extra=fields(source=self._name, path=dependency.path, error=str(error)))

    def failed(self, text: str, *, is_no_use: bool, is_news: bool) -> None:
        """Say that a fetch failed.

        Args:
            text: Why.
            is_no_use: Whether nothing at all is read from the source now.
            is_news: Whether that was not said before.
        """
        if is_no_use:
            self._status.source_failed(self._name, text)
        if is_news:
            _log.warning("source failed", extra=fields(source=self._name, error=text))

    def failed_unexpectedly(self) -> None:
        """Log the bug that is being handled, with its frames."""
        _log.exception("unexpected error in a watcher", extra=fields(source=self._name))
