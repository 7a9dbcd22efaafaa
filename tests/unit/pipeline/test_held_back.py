"""What is held back, and until when, where leased values are part of it: on a clock of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.errors import PublishError
from confcar.model import RenderedFile
from confcar.pipeline.rollback import Rollback
from confcar.publishing.publisher import Publisher
from tests.fakes.clock import FakeClock

FIRST_SECONDS, LAST_SECONDS = 10.0, 300.0


def leased(user: str, *, until: float | None = None) -> tuple[RenderedFile, ...]:
    return (RenderedFile("a", user.encode(), leased_until=until),)


class World:
    """A bundle whose generation 2, of the inputs `bad`, was taken back."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.publisher = Publisher("web", folder, mode="swap", keep=2, clock=self.clock)
        self.publisher.open()
        self.publish("good", leased("user-1", until=1000.0))
        self.publish("bad", leased("user-2"))

    def publish(self, inputs: str, files: tuple[RenderedFile, ...], *, told: bool = True) -> None:
        self.publisher.publish(self.publisher.stage(files), acknowledged=told, inputs=inputs)
        self.publisher.finish()

    def rollback(self) -> Rollback:
        return Rollback(self.publisher, is_automatic=True, clock=self.clock, wall_clock=self.clock)

    def refuse(self) -> None:
        self.publisher.roll_back(reason="unwell", inputs="", by_hand=False)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.publisher.close()


def test_the_same_files_are_held_back_without_end(world: World) -> None:
    world.refuse()
    rollback = world.rollback()
    assert rollback.holds_back(leased("user-2"), "bad")
    assert rollback.due_at is None


def test_other_inputs_are_not(world: World) -> None:
    world.refuse()
    assert not world.rollback().holds_back(leased("user-2"), "better")


def test_a_renewed_credential_is_tried_after_a_back_off_however_often_it_is_renewed(world: World) -> None:
    world.refuse()
    rollback = world.rollback()
    assert rollback.holds_back(leased("user-3"), "bad")
    due_at = rollback.due_at
    assert due_at is not None
    assert 0.75 * FIRST_SECONDS <= due_at - world.clock.now <= FIRST_SECONDS
    world.clock.now += 5.0
    assert rollback.holds_back(leased("user-4"), "bad")
    assert rollback.due_at == due_at
    world.clock.now = due_at
    assert not rollback.holds_back(leased("user-4"), "bad")


def test_the_back_off_grows_with_each_attempt_over_restarts_too(world: World) -> None:
    delays = []
    for number in range(9):
        if number:
            world.publish("bad", leased(f"user-{number + 2}"), told=False)
        world.refuse()
        rollback = world.rollback()
        assert rollback.holds_back(leased("another"), "bad")
        assert rollback.due_at is not None
        delays.append(rollback.due_at - world.clock.now)
    for number, delay in enumerate(delays):
        longest = min(LAST_SECONDS, FIRST_SECONDS * 2**number)
        assert 0.75 * longest <= delay <= longest


def test_what_was_rolled_back_by_hand_is_held_back_until_the_leases_in_what_came_back_end(world: World) -> None:
    world.rollback().by_hand("bad")
    rollback = world.rollback()
    assert rollback.holds_back(leased("user-9"), "bad")
    assert rollback.due_at == 1000.0
    world.clock.now = 1000.0
    assert not rollback.holds_back(leased("user-9"), "bad"), "nobody is served by credentials that are dead"


def test_without_leases_it_is_held_back_without_end(world: World) -> None:
    world.publish("other", leased("user-3"))
    world.rollback().by_hand("other")
    rollback = world.rollback()
    assert rollback.holds_back(leased("user-9"), "other")
    assert rollback.due_at is None


def test_a_generation_with_dead_leases_is_not_gone_back_to(world: World) -> None:
    world.clock.now = 1001.0
    with pytest.raises(PublishError, match="the leases in older ones have ended"):
        world.rollback().by_hand("")


def test_data_that_changed_ends_what_is_remembered_and_other_data_does_not(world: World) -> None:
    world.refuse()
    rollback = world.rollback()
    rollback.forget_unless("bad")
    assert rollback.refusal is not None
    rollback.release()
    assert rollback.refusal is not None, "it was not by hand"
    rollback.forget_unless("good")
    assert rollback.refusal is None
