"""The verify of a reload: what acknowledges it, what has the primary told again, what cuts it short."""

from __future__ import annotations

from pathlib import Path

from confcar.errors import ReloadError
from confcar.model import Change
from confcar.pipeline.reloading import OwedReload
from confcar.pipeline.verifying import Verification
from tests.unit.pipeline.reload_bench import (
    FIRST_BACKOFF_SECONDS,
    TRIES,
    Bench,
    ScriptedProbe,
)


def test_a_verified_reload_is_acknowledged_and_its_last_step_remembered_before() -> None:
    bench = Bench(probe=ScriptedProbe())
    bench.owe(3)
    bench.attempt()
    assert (bench.memory.steps, bench.memory.acknowledged) == ([(3, 1), (3, 2)], [3])
    assert bench.board.copy().counters[("reload_total", "web", "verify", "success")] == 1
    assert bench.status.last_successful is True


def test_what_does_not_verify_is_not_acknowledged_and_the_primary_is_told_all_of_it_again() -> None:
    bench = Bench(probe=ScriptedProbe([ReloadError("unwell")] * TRIES))
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
    bench = Bench(splay_seconds=60.0, probe=ScriptedProbe([ReloadError("unwell")] * TRIES))
    bench.owe(3)
    bench.attempt()
    bench.owed.owe(Change("web", 2, Path("/shared/web")), changed_at=None, at_once=True)
    assert (bench.due_in, bench.owed.refusal) == (0.0, None)
