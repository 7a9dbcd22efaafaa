"""A verify on a clock that only waiting moves: when it holds, when it gives up, what cuts it short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from confcar.errors import EndpointRefusedError, VerifyFailedError
from confcar.model import Change
from confcar.pipeline.verifying import Verification
from tests.fakes.clock import FakeClock

_START = 100.0
_CHANGE = Change("web", 7, Path("/shared/web"))


class World:
    """A primary that is well at times, and a bundle's thread that waits."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.asked_at: list[float] = []
        self.limits: list[float] = []
        self.is_well: Callable[[float], bool] = lambda _: True
        self.takes_seconds = 0.0
        self.stops_at = float("inf")
        self.bug: Exception | None = None

    def attempt(self, change: Change, *, timeout_seconds: float) -> None:
        assert change is _CHANGE
        self.asked_at.append(self.clock.now - _START)
        self.limits.append(timeout_seconds)
        self.clock.now += min(self.takes_seconds, timeout_seconds)
        if self.bug is not None:
            raise self.bug
        if not self.is_well(self.asked_at[-1]):
            message = f"unwell at {self.asked_at[-1]:g}"
            raise EndpointRefusedError(message)

    def pause(self, seconds: float) -> bool:
        assert seconds >= 0.0
        self.clock.now += seconds
        return self.clock.now < self.stops_at

    def verify(self, *, within: float = 10.0, stable_for: float = 1.0) -> bool:
        verification = Verification(self, within_seconds=within, stable_for_seconds=stable_for, clock=self.clock)
        return verification.run(_CHANGE, self.pause)

    @property
    def elapsed(self) -> float:
        return self.clock.now - _START


@pytest.fixture
def world() -> World:
    return World()


def test_a_primary_that_is_well_all_the_time_holds_after_the_stable_time(world: World) -> None:
    assert world.verify()
    assert world.elapsed == pytest.approx(1.0)
    assert world.asked_at == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])


def test_without_a_stable_time_one_success_is_enough(world: World) -> None:
    assert world.verify(stable_for=0.0)
    assert world.asked_at == [0.0]


def test_a_primary_that_needs_a_while_holds_once_it_was_well_for_long_enough(world: World) -> None:
    world.is_well = lambda at: at >= 4.0
    assert world.verify()
    assert world.elapsed == pytest.approx(5.0)


def test_a_primary_that_falls_over_starts_its_time_anew(world: World) -> None:
    world.is_well = lambda at: at < 0.9 or at >= 2.0
    assert world.verify()
    assert world.elapsed == pytest.approx(3.0)


def test_a_primary_that_is_never_well_fails_as_soon_as_it_cannot_hold_any_more(world: World) -> None:
    world.is_well = lambda _: False
    with pytest.raises(VerifyFailedError, match=r"verify did not hold for 1 s within 10 s: unwell at 9"):
        world.verify()
    assert world.elapsed == pytest.approx(9.0)


def test_a_primary_that_falls_over_again_and_again_fails_with_what_it_said_last(world: World) -> None:
    world.is_well = lambda at: at % 1.0 != 0.5
    with pytest.raises(VerifyFailedError, match=r"unwell at [89]\.5"):
        world.verify()
    assert world.elapsed <= 10.0


def test_a_probe_gets_no_more_time_than_is_left(world: World) -> None:
    world.takes_seconds = 60.0
    world.is_well = lambda _: False
    with pytest.raises(VerifyFailedError):
        world.verify(within=4.0)
    assert world.limits == [4.0]
    assert world.elapsed == pytest.approx(4.0)


def test_a_last_probe_that_is_cut_off_does_not_hide_what_the_primary_said_before(world: World) -> None:
    def is_well(at: float) -> bool:
        world.takes_seconds = 60.0 if at >= 3.0 else 0.0
        return False

    world.is_well = is_well
    with pytest.raises(VerifyFailedError, match=r"unwell at 3$"):
        world.verify(within=6.0)
    assert world.asked_at[-1] > 3.0


def test_a_probe_that_succeeds_too_late_does_not_hold(world: World) -> None:
    world.takes_seconds = 3.5
    with pytest.raises(VerifyFailedError, match="the probe took too long"):
        world.verify(within=4.0, stable_for=3.9)


def test_a_stop_leaves_it_open(world: World) -> None:
    world.stops_at = _START + 0.5
    assert world.verify() is False
    assert world.elapsed == pytest.approx(0.5)


def test_a_bug_in_a_probe_counts_as_a_failure_and_its_text_is_told_to_nobody(world: World) -> None:
    world.bug = KeyError("s3cret-value")
    with pytest.raises(VerifyFailedError, match="unexpected KeyError in the probe, see the log"):
        world.verify()
