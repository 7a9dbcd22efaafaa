"""Fetches that do not come back in time: whom they hold up, and what their late answer is worth."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from confcar.model import Dependency, Snapshot, Version
from confcar.watchers.base import Query
from tests.fakes.scripted_watcher import ScriptedWatcher
from tests.unit.watchers.following_stage import key, make_stage, threads
from tests.waiting import wait_until


class HeldWatcher(ScriptedWatcher):
    """Answers the first query with the values of when it began, but only after it was let go."""

    def __init__(self) -> None:
        super().__init__(is_coalescing=True)
        self.plan_name = "first"
        self.began, self.go = threading.Event(), threading.Event()

    def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
        return {self.plan_name: wanted} if wanted else {}

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        snapshot = super().fetch(query, dependencies, after=after, wait_seconds=wait_seconds)
        if query == "first":
            self.began.set()
            self.go.wait(5.0)
        return snapshot


def test_an_answer_to_a_dropped_query_never_covers_a_newer_one() -> None:
    watcher = HeldWatcher()
    stage = make_stage(watcher)
    watcher.set(a=b"old")
    stage.want("a")
    wait_until(watcher.began.is_set)
    watcher.set(a=b"new")
    watcher.plan_name = "second"
    stage.want("a", "b")
    wait_until(lambda: stage.value("a") == b"new")
    watcher.go.set()
    wait_until(lambda: len(threads()) == 1)
    assert stage.value("a") == b"new"
    stage.following.close()


class DeafWatcher(ScriptedWatcher):
    """Does not hear `close`, and does not answer *path* until it is let go."""

    def __init__(self, path: str, *, max_blocking: int = 8) -> None:
        super().__init__(max_blocking=max_blocking)
        self._path = path
        self.go = threading.Event()

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        if key(self._path) in dependencies:
            self.fetches[query] += 1
            self.go.wait(10.0)
        return super().fetch(query, dependencies, after=after, wait_seconds=wait_seconds)


def test_a_poll_that_takes_long_does_not_hold_up_what_is_wanted_later() -> None:
    watcher = DeafWatcher("a", max_blocking=0)
    stage = make_stage(watcher)
    watcher.set(b=b"1")
    stage.want("a")
    wait_until(lambda: watcher.fetches[key("a")] == 1)
    stage.want("a", "b")
    wait_until(lambda: stage.value("b") == b"1")
    assert stage.value("a") is None
    watcher.go.set()
    stage.following.close()


def test_close_does_not_wait_for_a_fetch_that_hangs() -> None:
    watcher = DeafWatcher("a")
    stage = make_stage(watcher)
    stage.want("a")
    wait_until(lambda: watcher.fetches[key("a")] == 1)
    began = time.monotonic()
    stage.following.close()
    assert time.monotonic() - began < 1.5
    watcher.go.set()
