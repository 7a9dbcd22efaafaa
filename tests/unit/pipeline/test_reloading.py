"""The reload that a primary is owed: when it is due, what replaces it, what is remembered of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcar.errors import PrimaryNotFoundError, PublishError, ReloadError
from confcar.model import Change
from confcar.pipeline.reloading import OwedReload
from confcar.status import Status
from tests.fakes.clock import FakeClock
from tests.unit.pipeline.reload_bench import (
    FIRST_BACKOFF_SECONDS,
    LAST_BACKOFF_SECONDS,
    Bench,
    Memory,
    ScriptedDelivery,
)


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
