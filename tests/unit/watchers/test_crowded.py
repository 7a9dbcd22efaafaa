"""A server that has room for fewer at the same time than the options allow."""

from __future__ import annotations

import threading

from confcar.errors import SourceUnavailableError
from confcar.model import Dependency, Snapshot, Version
from confcar.watchers.base import Query
from tests.fakes.scripted_watcher import ScriptedWatcher
from tests.unit.watchers.following_stage import make_stage
from tests.waiting import wait_until

_ROOM = 4


class _CrowdedWatcher(ScriptedWatcher):
    """Refuses whoever comes while so many are served; those that block are served as long as they do."""

    def __init__(self) -> None:
        super().__init__(max_blocking=20, max_polling=1)
        self.again_in_seconds = 0.01
        self._room = threading.Semaphore(_ROOM)

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        if not self._room.acquire(blocking=False):
            error = SourceUnavailableError("too many")
            error.is_crowded = True
            raise error
        try:
            return super().fetch(query, dependencies, after=after, wait_seconds=wait_seconds)
        finally:
            self._room.release()


def test_those_that_block_make_room_for_those_that_are_polled() -> None:
    watcher = _CrowdedWatcher()
    paths = "abcdefghij"
    watcher.set(**dict.fromkeys(paths, b"1"))
    stage = make_stage(watcher)
    stage.want(*paths)
    try:
        wait_until(lambda: stage.status.copy().sources["local"].up is False)
        watcher.set(**dict.fromkeys(paths, b"2"))
        wait_until(lambda: all(stage.value(path) == b"2" for path in paths), timeout=30)
        wait_until(lambda: stage.status.copy().sources["local"].polled > len(paths) - _ROOM)
        wait_until(lambda: watcher.blocking_now < _ROOM)
        watcher.set(**dict.fromkeys(paths, b"3"))
        wait_until(lambda: all(stage.value(path) == b"3" for path in paths), timeout=30)
        wait_until(lambda: stage.status.copy().sources["local"].up)
    finally:
        stage.following.close()
