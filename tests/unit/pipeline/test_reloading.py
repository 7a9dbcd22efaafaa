"""The reload that a primary is owed: when it is due, what replaces it, what is remembered of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from confcar.bundle_status import ReloadStatus
from confcar.errors import PrimaryNotFoundError, PublishError, ReloadError
from confcar.model import Change
from confcar.pipeline.reloading import OwedReload
from confcar.pipeline.verifying import Verification
from confcar.status import Status
from tests.fakes.clock import FakeClock

# How often a verify of a quarter of a second asks.
_TRIES = 2
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 0.5, 60.0


@dataclass
class ScriptedDelivery:
    """Two steps, each of which fails as often as it was told to."""

    kinds: tuple[str, ...] = ("signal", "http")
    told: list[tuple[int, int]] = field(default_factory=list)
    failures: dict[int, list[Exception]] = field(default_factory=dict)

    def deliver(self, change: Change, step: int, on_step: Callable[[int], None]) -> None:
        for position in range(step, len(self.kinds)):
            if self.failures.get(position):
                raise self.failures[position].pop(0)
            self.told.append((change.generation, position))
            on_step(position + 1)


@dataclass
class Memory:
    """What the next start would know."""

    steps: list[tuple[int, int]] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    error: PublishError | None = None

    def note_step(self, number: int, step: int) -> None:
        self.steps.append((number, step))
        if self.error is not None:
            raise self.error

    def acknowledge(self, number: int) -> None:
        self.acknowledged.append(number)
        if self.error is not None:
            raise self.error


@dataclass
class ScriptedProbe:
    """Says what it was told to say, then that all is well."""

    failures: list[ReloadError] = field(default_factory=list)

    def attempt(self, change: Change, *, timeout_seconds: float) -> None:
        del change, timeout_seconds
        if self.failures:
            raise self.failures.pop(0)


class Bench:
    def __init__(self, *, splay_seconds: float = 0.0, probe: ScriptedProbe | None = None) -> None:
        self.clock, self.delivery, self.memory, self.board = FakeClock(), ScriptedDelivery(), Memory(), Status()
        self.board.add_bundle("web", "/shared/web")
        self.is_stopped = False
        verification = (
            None
            if probe is None
            else Verification(probe, within_seconds=0.25, stable_for_seconds=0.0, clock=self.clock)
        )
        self.owed = OwedReload(
            self.delivery,
            self.memory,
            self.board,
            splay_seconds=splay_seconds,
            verification=verification,
            clock=self.clock,
        )

    def owe(self, generation: int, *, step: int = 0, changed_at: float | None = None) -> None:
        change = Change("web", generation, Path("/shared/web"))
        self.owed.owe(change, changed_at=changed_at, step=step)
        self.owed.show()

    def attempt(self) -> None:
        self.owed.deliver()
        self.owed.verify(self.pause)
        self.owed.conclude()

    def pause(self, seconds: float) -> bool:
        self.clock.now += seconds
        return not self.is_stopped

    def fail(self, *errors: Exception, step: int = 0) -> None:
        self.delivery.failures.setdefault(step, []).extend(errors)

    @property
    def status(self) -> ReloadStatus:
        return self.board.bundle("web").reload

    @property
    def due_in(self) -> float:
        assert self.owed.due_at is not None
        return self.owed.due_at - self.clock.now


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_is_due_while_nothing_is_owed(bench: Bench) -> None:
    assert bench.owed.due_at is None


@pytest.mark.parametrize(
    ("kinds", "is_instant"),
    [
        pytest.param(("signal", "signal"), True, id="signals"),
        pytest.param(("signal", "http"), False, id="http"),
        pytest.param(("command",), False, id="command"),
    ],
)
def test_only_signals_are_delivered_before_anything_is_written_down(
    bench: Bench, kinds: tuple[str, ...], *, is_instant: bool
) -> None:
    bench.delivery.kinds = kinds
    assert bench.owed.is_instant is is_instant


def test_without_splay_a_reload_is_due_at_once(bench: Bench) -> None:
    bench.owe(1)
    assert (bench.due_in, bench.status.pending) == (0.0, True)


def test_with_splay_it_is_due_within_it() -> None:
    delays = set()
    for _ in range(50):
        bench = Bench(splay_seconds=10.0)
        bench.owe(1)
        delays.add(bench.due_in)
    assert len(delays) > 40
    assert all(0.0 <= delay <= 10.0 for delay in delays)


def test_a_delivered_reload_is_acknowledged_and_remembered(bench: Bench) -> None:
    bench.owe(3, changed_at=99.0)
    bench.attempt()
    assert bench.delivery.told == [(3, 0), (3, 1)]
    assert (bench.memory.steps, bench.memory.acknowledged) == ([(3, 1)], [3])
    assert bench.owed.due_at is None
    assert (bench.status.pending, bench.status.acknowledged_generation, bench.status.attempts) == (False, 3, 1)
    assert bench.status.last_successful is True
    assert bench.status.acknowledged_at is not None
    counters = bench.board.copy().counters
    assert counters[("reload_total", "web", "signal", "success")] == 1
    assert counters[("reload_total", "web", "http", "success")] == 1


def test_the_time_from_the_change_to_the_acknowledgement_is_observed(bench: Bench) -> None:
    bench.owe(1, changed_at=97.5)
    bench.attempt()
    assert bench.board.copy().histograms[("change_to_reload_seconds", "web")].total == 2.5


def test_a_reload_of_before_a_restart_is_not_observed(bench: Bench) -> None:
    bench.owe(1, changed_at=None)
    bench.attempt()
    assert bench.board.copy().histograms == {}


def test_a_failed_reload_is_due_again_after_a_growing_back_off(bench: Bench) -> None:
    bench.fail(*[PrimaryNotFoundError("nobody")] * 12)
    bench.owe(1)
    delays = []
    for _ in range(12):
        bench.attempt()
        delays.append(bench.due_in)
        bench.clock.advance(bench.due_in)
    for number, delay in enumerate(delays):
        longest = min(LAST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**number)
        assert 0.75 * longest <= delay <= longest
    assert (bench.status.attempts, bench.status.pending, bench.status.last_error) == (12, True, "nobody")
    assert bench.status.last_successful is False
    assert bench.board.copy().counters[("reload_total", "web", "signal", "failure")] == 12
    bench.attempt()
    assert (bench.status.pending, bench.status.last_error, bench.status.attempts) == (False, None, 13)


def test_a_failed_step_goes_on_from_there(bench: Bench) -> None:
    bench.fail(ReloadError("refused"), step=1)
    bench.owe(1)
    bench.attempt()
    bench.attempt()
    assert bench.delivery.told == [(1, 0), (1, 1)]
    assert bench.board.copy().counters[("reload_total", "web", "http", "failure")] == 1


def test_after_a_restart_it_goes_on_from_the_remembered_step(bench: Bench) -> None:
    bench.owe(7, step=1)
    bench.attempt()
    assert (bench.delivery.told, bench.memory.acknowledged) == ([(7, 1)], [7])


def test_a_step_beyond_those_of_the_config_is_acknowledged_without_telling(bench: Bench) -> None:
    bench.owe(7, step=5)
    bench.attempt()
    assert (bench.delivery.told, bench.memory.acknowledged) == ([], [7])


def test_the_newest_generation_wins_and_starts_at_the_first_step(bench: Bench) -> None:
    bench.fail(ReloadError("refused"), step=1)
    bench.owe(1, changed_at=90.0)
    bench.attempt()
    bench.owe(2, changed_at=99.0)
    assert (bench.due_in, bench.status.attempts, bench.status.last_error) == (0.0, 0, None)
    bench.attempt()
    assert bench.delivery.told == [(1, 0), (2, 0), (2, 1)]
    assert bench.memory.acknowledged == [2]
    assert bench.board.copy().histograms[("change_to_reload_seconds", "web")].total == 10.0, "from the oldest change"


def test_superseded_while_splaying_it_keeps_the_earlier_appointment() -> None:
    bench = Bench(splay_seconds=10.0)
    bench.owe(1)
    due_at = bench.owed.due_at
    bench.clock.advance(bench.due_in / 2)
    bench.owe(2)
    assert bench.owed.due_at == due_at


def test_superseded_during_a_long_back_off_it_does_not_wait_for_its_end() -> None:
    bench = Bench(splay_seconds=2.0)
    bench.fail(*[ReloadError("away")] * 9)
    bench.owe(1)
    for _ in range(9):
        bench.attempt()
    assert bench.due_in > 40.0
    bench.owe(2)
    assert bench.due_in == 2.0


def test_the_back_off_starts_over_for_a_new_generation(bench: Bench) -> None:
    bench.fail(*[ReloadError("away")] * 9)
    bench.owe(1)
    for _ in range(8):
        bench.attempt()
    bench.owe(2)
    bench.attempt()
    assert bench.due_in <= FIRST_BACKOFF_SECONDS


def test_an_unexpected_error_is_tried_again_and_its_text_told_to_nobody(bench: Bench) -> None:
    bench.fail(KeyError("s3cret-value"))
    bench.owe(1)
    bench.attempt()
    assert bench.status.last_error == "unexpected KeyError in the reload, see the log"
    assert bench.due_in > 0
    bench.attempt()
    assert bench.memory.acknowledged == [1]


def test_a_step_that_cannot_be_written_down_does_not_stop_the_delivery(bench: Bench) -> None:
    bench.memory.error = PublishError("no space")
    bench.owe(1)
    with pytest.raises(PublishError):
        bench.attempt()
    assert bench.delivery.told == [(1, 0), (1, 1)]


def test_an_acknowledgement_that_cannot_be_written_down_counts_all_the_same(bench: Bench) -> None:
    bench.memory.error = PublishError("no space")
    bench.owe(1)
    with pytest.raises(PublishError):
        bench.attempt()
    assert (bench.owed.due_at, bench.status.pending) == (None, False)


def test_a_verified_reload_is_acknowledged_and_its_last_step_remembered_before() -> None:
    bench = Bench(probe=ScriptedProbe())
    bench.owe(3)
    bench.attempt()
    assert (bench.memory.steps, bench.memory.acknowledged) == ([(3, 1), (3, 2)], [3])
    assert bench.board.copy().counters[("reload_total", "web", "verify", "success")] == 1
    assert bench.status.last_successful is True


def test_what_does_not_verify_is_not_acknowledged_and_the_primary_is_told_all_of_it_again() -> None:
    bench = Bench(probe=ScriptedProbe([ReloadError("unwell")] * _TRIES))
    bench.owe(3)
    bench.attempt()
    assert "unwell" in str(bench.owed.refusal)
    assert (bench.memory.acknowledged, bench.status.pending, bench.status.last_successful) == ([], True, False)
    assert bench.board.copy().counters[("reload_total", "web", "verify", "failure")] == 1
    assert FIRST_BACKOFF_SECONDS * 0.75 <= bench.due_in <= FIRST_BACKOFF_SECONDS
    bench.attempt()
    assert bench.delivery.told == [(3, 0), (3, 1), (3, 0), (3, 1)]
    assert (bench.owed.refusal, bench.memory.acknowledged) == (None, [3])


def test_a_delivery_that_fails_is_not_verified() -> None:
    bench = Bench(probe=ScriptedProbe([ReloadError("never asked")]))
    bench.fail(ReloadError("refused"))
    bench.owe(3)
    bench.attempt()
    assert bench.owed.refusal is None
    assert bench.status.last_error == "refused"


def test_after_a_restart_with_all_steps_delivered_it_is_only_verified() -> None:
    bench = Bench(probe=ScriptedProbe())
    bench.owe(3, step=2)
    bench.attempt()
    assert (bench.delivery.told, bench.memory.acknowledged) == ([], [3])


def test_a_stop_while_verifying_leaves_it_owed_and_counts_nothing() -> None:
    probe = ScriptedProbe([ReloadError("not yet")])
    bench = Bench()
    bench.is_stopped = True
    verification = Verification(probe, within_seconds=10.0, stable_for_seconds=0.0, clock=bench.clock)
    bench.owed = OwedReload(bench.delivery, bench.memory, bench.board, verification=verification, clock=bench.clock)
    bench.owe(3)
    bench.attempt()
    assert (bench.memory.steps, bench.memory.acknowledged) == ([(3, 1), (3, 2)], [])
    assert (bench.owed.refusal, bench.status.pending, bench.status.attempts) == (None, True, 0)


def test_what_came_back_is_told_at_once_whatever_the_splay() -> None:
    bench = Bench(splay_seconds=60.0, probe=ScriptedProbe([ReloadError("unwell")] * _TRIES))
    bench.owe(3)
    bench.attempt()
    bench.owed.owe(Change("web", 2, Path("/shared/web")), changed_at=None, at_once=True)
    assert (bench.due_in, bench.owed.refusal) == (0.0, None)


def test_a_step_that_is_held_back_is_not_due_until_that_is_over() -> None:
    held: set[int] = set()
    delivery = ScriptedDelivery()
    owed = OwedReload(delivery, Memory(), Status(), clock=FakeClock())
    owed.hold_while(held.__contains__)
    owed.owe(Change("web", 1, Path("/shared/web")), changed_at=None)

    def due_while(*steps: int) -> bool:
        held.clear()
        held.update(steps)
        return owed.deliver_at is not None

    assert (due_while(0), due_while(1), due_while()) == (False, True, True)
    owed.deliver()
    owed.conclude()
    assert not due_while()
    assert delivery.told == [(1, 0), (1, 1)]
