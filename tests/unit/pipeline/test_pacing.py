"""A reload that the fleet's rollout holds up: what goes on meanwhile, what it is made with, what a stop leaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from confcar.errors import ReloadError
from confcar.model import Change
from confcar.pipeline.reloading import OwedReload
from confcar.status import Status
from tests.fakes.clock import FakeClock
from tests.unit.pipeline.reload_bench import Memory, ScriptedDelivery
from tests.unit.pipeline.stage import Health, Primary, Stage
from tests.waiting import wait_until


class ScriptedPace:
    """Lets nobody reload until `admit`, or the time; remembers what it was asked."""

    def __init__(self, *, is_admitted: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.on_news: Callable[[], None] = lambda: None
        self.look_again_at: float | None = None
        self.is_admitted = is_admitted
        self.admits_at: float | None = None
        self.is_closed = False
        self.is_asked = threading.Event()
        self.asked: list[float] = []
        self.done_count = 0
        self.clock = clock

    def may_reload(self) -> bool:
        self.asked.append(self.clock())
        self.is_asked.set()
        is_admitted = self.is_admitted or (self.admits_at is not None and self.clock() >= self.admits_at)
        again_at = self.clock() + 600.0 if self.admits_at is None else self.admits_at
        self.look_again_at = None if is_admitted else again_at
        return is_admitted

    def admit(self) -> None:
        self.is_admitted = True
        self.on_news()

    def done(self) -> None:
        self.done_count += 1
        self.look_again_at = None

    def close(self) -> None:
        self.is_closed = True


class Bench:
    def __init__(self, *, splay_seconds: float = 0.0) -> None:
        self.clock, self.delivery, self.memory, board = FakeClock(), ScriptedDelivery(), Memory(), Status()
        board.add_bundle("web", "/shared/web")
        self.pace = ScriptedPace(clock=self.clock)
        self.owed = OwedReload(
            self.delivery, self.memory, board, splay_seconds=splay_seconds, pace=self.pace, clock=self.clock
        )
        self.owed.owe(Change("web", 1, Path("/shared/web")), changed_at=None)

    def attempt(self) -> None:
        assert self.owed.is_due()
        self.owed.deliver()
        self.owed.conclude()
        self.owed.end_turn()


def test_a_slot_is_asked_for_after_the_splay() -> None:
    bench = Bench(splay_seconds=10.0)
    due_at = bench.owed.due_at
    assert due_at is not None
    assert not bench.owed.is_due()
    assert bench.pace.asked == []
    bench.clock.advance(due_at - bench.clock.now)
    assert not bench.owed.is_due()
    assert bench.pace.asked == [due_at]


def test_while_it_waits_it_is_due_when_the_pace_says() -> None:
    bench = Bench()
    bench.pace.admits_at = 160.0
    assert not bench.owed.is_due()
    assert bench.owed.due_at == 160.0
    bench.clock.advance(60.0)
    assert bench.owed.is_due()


def test_the_slot_is_given_back_when_the_reload_is_acknowledged() -> None:
    bench = Bench()
    bench.pace.is_admitted = True
    bench.attempt()
    assert (bench.memory.acknowledged, bench.pace.done_count, bench.owed.due_at) == ([1], 1, None)


def test_the_slot_is_given_back_during_the_back_off_of_a_failed_reload() -> None:
    bench = Bench()
    bench.pace.is_admitted = True
    bench.delivery.failures[1] = [ReloadError("refused")]
    bench.attempt()
    assert (bench.memory.acknowledged, bench.pace.done_count) == ([], 1)
    assert not bench.owed.is_due()
    bench.clock.advance(1.0)
    bench.attempt()
    assert (bench.memory.acknowledged, bench.pace.done_count) == ([1], 2)
    assert bench.delivery.told == [(1, 0), (1, 1)]


def test_the_slot_is_kept_until_what_takes_the_reload_back_was_told() -> None:
    bench = Bench()
    bench.pace.is_admitted = True
    assert bench.owed.is_due()
    bench.owed.deliver()
    bench.owed.conclude()
    bench.owed.owe(Change("web", 0, Path("/shared/web")), changed_at=None, at_once=True)
    bench.owed.end_turn()
    assert bench.pace.done_count == 0
    bench.attempt()
    assert (bench.pace.done_count, bench.owed.due_at) == (1, None)


def test_a_generation_that_does_not_hold_is_taken_back_in_the_same_turn(stage: Stage) -> None:
    primary, pace = Primary(), ScriptedPace(is_admitted=True)
    health = Health(stage.folder / "web" / "0", unwell={"bad"})
    stage.watcher.set(a=b"good")
    stage.start(stage.bundle("{{ key('a') }}", primary=primary, pace=pace, health=health))
    wait_until(lambda: pace.done_count == 1)
    stage.watcher.set(a=b"bad")
    wait_until(lambda: pace.done_count == 2)
    assert [change.generation for change in primary.heard] == [1, 2, 1]
    assert stage.text() == "good"


def test_while_it_waits_the_bundle_publishes_on_and_the_newest_generation_is_reloaded(stage: Stage) -> None:
    primary, pace = Primary(), ScriptedPace()
    stage.watcher.set(a=b"1")
    stage.start(stage.bundle("{{ key('a') }}", primary=primary, pace=pace))
    stage.wait_for_text("1")
    wait_until(pace.is_asked.is_set)
    stage.watcher.set(a=b"2")
    stage.wait_for_text("2")
    stage.watcher.set(a=b"3")
    stage.wait_for_text("3")
    assert primary.heard == []
    pace.admit()
    wait_until(lambda: stage.seen().reload.acknowledged_generation == 3)
    assert [change.generation for change in primary.heard] == [3]
    wait_until(lambda: pace.done_count == 1)


def test_a_stop_while_it_waits_is_immediate_and_the_next_start_owes_the_reload(stage: Stage) -> None:
    primary, pace = Primary(), ScriptedPace()
    stage.watcher.set(a=b"1")
    pipeline = stage.bundle("{{ key('a') }}", primary=primary, pace=pace)
    thread = stage.start(pipeline)
    wait_until(pace.is_asked.is_set)
    pipeline.stop()
    thread.join(5.0)
    assert not thread.is_alive()
    assert (pace.is_closed, primary.heard) == (True, [])
    stage.start(again := stage.bundle("{{ key('a') }}", primary=primary, pace=ScriptedPace(is_admitted=True)))
    wait_until(lambda: stage.seen().reload.acknowledged_generation == 1)
    assert [change.generation for change in primary.heard] == [1]
    again.stop()


def test_waiting_for_a_slot_does_not_hold_up_another_bundle(stage: Stage) -> None:
    stage.watcher.set(a=b"1")
    slow, quick = Primary(), Primary()
    stage.start(stage.bundle("{{ key('a') }}", name="slow", primary=slow, pace=ScriptedPace()))
    stage.start(stage.bundle("{{ key('a') }}", name="quick", primary=quick))
    wait_until(lambda: stage.seen("quick").reload.acknowledged_generation == 1)
    assert len(quick.heard) == 1
