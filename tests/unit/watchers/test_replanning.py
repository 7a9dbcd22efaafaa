"""What a follower does with a plan that changes: what goes on, what ends, and that nothing is lost between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from confcar.model import Dependency, Snapshot, Version
from confcar.watchers.base import Polled, Query
from tests.fakes.scripted_watcher import ScriptedWatcher
from tests.unit.watchers.following_stage import Stage, key, make_stage, threads
from tests.waiting import wait_until


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = make_stage(ScriptedWatcher())
    yield stage
    stage.following.close()


def test_a_query_that_is_dropped_ends_at_once(stage: Stage) -> None:
    stage.want("a", "b")
    wait_until(lambda: stage.watcher.blocking_now == 2)
    stage.want("b")
    wait_until(lambda: stage.watcher.blocking_now == 1, timeout=2.0)
    assert set(stage.watcher.interrupted) == {key("a")}


def test_polled_queries_never_take_a_slot() -> None:
    @dataclass(frozen=True)
    class Batch(Polled):
        path: str

    class Batching(ScriptedWatcher):
        def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
            return {Batch(each.path): frozenset({each}) for each in wanted}

    watcher = Batching()
    watcher.again_in_seconds = 0.01
    stage = make_stage(watcher)
    watcher.set(a=b"1", b=b"1")
    stage.want("a", "b")
    wait_until(lambda: stage.value("a") == b"1" and stage.value("b") == b"1")
    watcher.set(a=b"2")
    wait_until(lambda: stage.value("a") == b"2")
    assert watcher.most_blocking == 0
    assert stage.status.copy().sources["local"].polled == 2
    stage.following.close()


class LearningWatcher(ScriptedWatcher):
    """Finds out by fetches whether one query for all is better, and says so whenever that changes."""

    def __init__(self) -> None:
        super().__init__()
        self.is_learned = True

    def learn(self, *, is_coalescing: bool) -> None:
        with self._changed:
            self.is_coalescing, self.is_learned = is_coalescing, False
            self._version += 1
            self._changed.notify_all()

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        snapshot = super().fetch(query, dependencies, after=after, wait_seconds=wait_seconds)
        is_news, self.is_learned = not self.is_learned, True
        return replace(snapshot, plans_again=is_news)


def test_what_a_fetch_learned_changes_the_plan_and_loses_no_change() -> None:
    watcher = LearningWatcher()
    stage = make_stage(watcher)
    seen: dict[str, list[int]] = {"a": [], "b": []}

    def note() -> None:
        for path, numbers in seen.items():
            value = stage.value(path)
            if isinstance(value, bytes):
                numbers.append(int(value))

    def is_there(number: int) -> bool:
        note()
        return all(stage.value(path) == b"%d" % number for path in seen)

    stage.want("a", "b")
    for number in range(60):
        watcher.set(a=b"%d" % number, b=b"%d" % number)
        if number % 10 == 5:
            watcher.learn(is_coalescing=number % 20 == 5)
        wait_until(lambda number=number: is_there(number), step=0.001)  # type: ignore[misc]  # bound at once
    assert watcher.fetches["all"]
    assert all(numbers == sorted(numbers) for numbers in seen.values()), "none goes back to what it was before"
    watcher.learn(is_coalescing=True)
    wait_until(lambda: watcher.blocking_now == 1 and len(threads()) <= 3)
    stage.following.close()


def test_queries_that_stand_in_the_new_plan_too_go_on_undisturbed() -> None:
    watcher = LearningWatcher()
    stage = make_stage(watcher)
    stage.want("a", "b")
    wait_until(lambda: watcher.blocking_now == 2)
    watcher.is_learned = False
    stage.want("a", "b", "c")
    wait_until(lambda: watcher.blocking_now == 3 and watcher.is_learned)
    assert (watcher.fetches[key("a")], watcher.fetches[key("b")]) == (2, 2)
    stage.following.close()


def test_what_is_added_again_and_again_is_read_by_one_fetch_beside_the_one_that_blocks() -> None:
    watcher = ScriptedWatcher(is_coalescing=True, max_polling=1)
    stage = make_stage(watcher)
    stage.want("a")
    wait_until(lambda: watcher.blocking_now == 1)
    for count in range(1, 40):
        stage.want(*(f"k{number}" for number in range(count)), "a")
    wait_until(lambda: stage.following.take("web")[1][key("k38")].is_settled)
    assert watcher.fetches["all"] < 40
    stage.following.close()


def test_what_is_added_while_an_earlier_addition_is_polled_is_read_at_once() -> None:
    watcher = ScriptedWatcher(is_coalescing=True, max_polling=1)
    stage = make_stage(watcher)
    stage.want("a")
    wait_until(lambda: watcher.blocking_now == 1)
    for number, path in enumerate("bcd"):
        stage.want("a", *"bcd"[: number + 1])
        wait_until(lambda path=path: stage.following.take("web")[1][key(path)].is_settled, timeout=5.0)  # type: ignore[misc]
    stage.following.close()
