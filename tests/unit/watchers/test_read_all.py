"""Reading everything now because somebody asks for it, and following other sources than before."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from confcar.errors import SourceDeniedError, SourceUnavailableError
from confcar.model import Dependency
from confcar.status import Status
from confcar.store import Store
from confcar.watchers.following import Following
from tests.fakes.scripted_watcher import ScriptedWatcher
from tests.waiting import wait_until

_SOON_SECONDS = 10.0


class World:
    """Two sources, `local` that blocks and `remote` that is polled, each with one key."""

    def __init__(self) -> None:
        self.status = Status()
        self.local = ScriptedWatcher("local", max_blocking=1)
        self.remote = ScriptedWatcher("remote", max_blocking=0)
        self.remote.again_in_seconds = 3600.0
        self.following = Following([self.local, self.remote], store=Store(), status=self.status)
        self.wanted = frozenset({Dependency("local", "key", "a"), Dependency("remote", "key", "a")})
        for watcher in (self.local, self.remote):
            self.status.add_source(watcher.name, "scripted")
            watcher.set(a=b"1")
        self.following.want("web", self.wanted, lambda: None)
        wait_until(lambda: self.values() == {"local": b"1", "remote": b"1"})
        wait_until(lambda: self.local.blocking_now == 1)

    def values(self) -> dict[str, object]:
        view = self.following.take("web")[1]
        return {each.source: answer.reading.value for each, answer in view.items() if answer.reading is not None}

    def read_all(self, within: float = _SOON_SECONDS) -> dict[str, Exception]:
        return self.following.read_all(time.monotonic() + within)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.following.close()


def test_each_source_is_read_once_more_before_the_answer_comes(world: World) -> None:
    before = {watcher.name: sum(watcher.fetches.values()) for watcher in (world.local, world.remote)}
    world.remote.set(a=b"2")
    assert world.read_all() == {}
    assert world.values()["remote"] == b"2"
    after = {watcher.name: sum(watcher.fetches.values()) for watcher in (world.local, world.remote)}
    assert {name: after[name] - before[name] for name in after} == {"local": 1, "remote": 1}


def test_a_fetch_that_blocks_goes_on_blocking(world: World) -> None:
    for _ in range(3):
        assert world.read_all() == {}
    assert world.local.blocking_now == 1


def test_the_sources_that_fail_are_named_and_the_last_good_values_stay(world: World) -> None:
    world.remote.fail(lambda: SourceDeniedError("not allowed"))
    assert [(name, str(error)) for name, error in world.read_all().items()] == [("remote", "not allowed")]
    assert world.values() == {"local": b"1", "remote": b"1"}
    world.remote.fail(None)
    assert world.read_all() == {}


def test_a_source_that_does_not_answer_in_time_counts_as_failed(world: World) -> None:
    go = threading.Event()

    def hang() -> Exception:
        go.wait(_SOON_SECONDS)
        return SourceUnavailableError("away")

    world.remote.fail(hang)
    failed = world.read_all(within=1.0)
    go.set()
    assert {name: str(error) for name, error in failed.items()} == {"remote": "source remote has not answered in time"}


def test_who_asks_during_a_fetch_waits_for_the_next_one(world: World) -> None:
    begun, go = threading.Event(), threading.Event()

    def answer_late() -> Exception:
        begun.set()
        go.wait(_SOON_SECONDS)
        return SourceUnavailableError("old")

    world.remote.fail(answer_late)
    first = threading.Thread(target=world.read_all)
    first.start()
    assert begun.wait(_SOON_SECONDS)
    outcome: list[dict[str, Exception]] = []
    second = threading.Thread(target=lambda: outcome.append(world.read_all()))
    second.start()
    wait_until(lambda: any(task.rounds for task in world.following._followers["remote"]._tasks.values()))
    world.remote._errors.clear()  # `fail` would wait for the answer that is under way
    go.set()
    first.join(_SOON_SECONDS)
    second.join(_SOON_SECONDS)
    assert outcome == [{}]


def test_a_stop_ends_the_waiting(world: World) -> None:
    go = threading.Event()

    def hang() -> Exception:
        go.wait(_SOON_SECONDS)
        return SourceUnavailableError("away")

    world.local.fail(hang)
    ended = threading.Event()

    def ask() -> None:
        world.read_all(3600.0)
        ended.set()

    asking = threading.Thread(target=ask)
    asking.start()
    go.set()
    world.following.close()
    assert ended.wait(_SOON_SECONDS)
    asking.join()


def test_replacing_one_source_leaves_the_other_alone(world: World) -> None:
    fetches = sum(world.local.fetches.values())
    new = ScriptedWatcher("remote", max_blocking=0)
    new.set(a=b"other")
    world.following.replace([new], removed=frozenset())
    wait_until(lambda: world.values() == {"local": b"1", "remote": b"other"})
    assert world.remote.is_closed
    assert not world.local.is_closed
    assert sum(world.local.fetches.values()) == fetches


def test_what_was_read_from_a_replaced_source_is_forgotten_while_the_new_one_is_down(world: World) -> None:
    new = ScriptedWatcher("remote", max_blocking=0)
    new.fail(lambda: SourceUnavailableError("down"))
    world.following.replace([new], removed=frozenset())
    wait_until(lambda: world.following.take("web")[1][Dependency("remote", "key", "a")].error is not None)
    assert world.values() == {"local": b"1"}


def test_a_removed_source_ends_although_somebody_still_wants_it(world: World) -> None:
    world.following.replace([], removed=frozenset({"remote"}))
    assert world.remote.is_closed
    assert world.values() == {"local": b"1"}
    world.following.want("web", world.wanted | {Dependency("local", "key", "b")}, lambda: None)
    wait_until(lambda: world.following.take("web")[1][Dependency("local", "key", "b")].reading is not None)
    world.following.want("web", frozenset(), lambda: None)
