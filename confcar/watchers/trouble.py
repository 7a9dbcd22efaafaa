"""What of one source cannot be read now, and whether the source itself is away.

Plain bookkeeping without lock or thread: all of it is guarded by the follower's lock.
"""

from __future__ import annotations

from collections.abc import Iterable

from confcar.errors import SourceError, SourceUnavailableError
from confcar.model import Snapshot
from confcar.watchers.tasks import Task


class Trouble:
    """The tasks of one source that fail."""

    def __init__(self) -> None:
        self._failing: set[Task] = set()
        self._is_down = False

    def note_failure(self, task: Task, error: SourceError, tasks: Iterable[Task]) -> tuple[bool, bool]:
        """Take note, and return whether that is news, and whether nothing of the source can be read any more.

        Args:
            task: What failed.
            error: Why.
            tasks: All of the source.
        """
        text, is_unavailable = str(error), isinstance(error, SourceUnavailableError)
        is_other = all(each.failure != text for each in (task, *self._failing))
        is_news = not self._failing or (is_other and not is_unavailable)
        task.note_failure(text, is_unavailable=is_unavailable)
        self._is_down = self._is_down or is_unavailable
        self._failing.add(task)
        # What answers no dependency is fetched for what is learned by it, and may not be due for long.
        return is_news, is_unavailable or all(each.is_no_use for each in tasks if each.dependencies)

    def note_success(self, task: Task, snapshot: Snapshot) -> tuple[bool, bool]:
        """Take note, and return whether the source was away until now, and whether this was the last that failed.

        Args:
            task: What succeeded.
            snapshot: What it gave.
        """
        task.note_success(snapshot.readings)
        has_asked = snapshot.has_asked
        was_down = self._is_down and has_asked
        self._is_down = self._is_down and not has_asked
        was_failing = bool(self._failing)
        self._failing.discard(task)
        return was_down, has_asked and was_failing and not self._failing

    def forget(self, tasks: Iterable[Task]) -> None:
        """Take no more notice of tasks that nobody wants any more."""
        self._failing.difference_update(tasks)
