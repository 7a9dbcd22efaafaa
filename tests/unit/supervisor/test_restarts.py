"""When a primary that has ended is started again."""

from __future__ import annotations

import random

import pytest

from confcar.backoff import Backoff
from confcar.supervisor.restarts import Policy, Restarts


@pytest.fixture
def restarts() -> Restarts:
    return Restarts(Backoff(1.0, 8.0, jitter=0.0, random=random.Random(1)), stable_seconds=60.0)


@pytest.mark.parametrize(
    ("policy", "code", "comes_back"),
    [
        pytest.param("never", 1, False, id="never"),
        pytest.param("on-failure", 0, False, id="on-failure-success"),
        pytest.param("on-failure", 1, True, id="on-failure-code"),
        pytest.param("on-failure", 137, True, id="on-failure-signal"),
        pytest.param("always", 0, True, id="always"),
    ],
)
def test_policy(restarts: Restarts, policy: Policy, code: int, comes_back: bool) -> None:  # noqa: FBT001 - a table
    assert (restarts.delay_after(policy, code=code, ran_seconds=1.0) is not None) == comes_back


def test_a_crash_loop_is_slowed_down_to_the_cap(restarts: Restarts) -> None:
    delays = [restarts.delay_after("always", code=1, ran_seconds=0.1) for _ in range(6)]
    assert delays == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_a_stable_run_starts_the_delays_over(restarts: Restarts) -> None:
    for _ in range(4):
        restarts.delay_after("always", code=1, ran_seconds=0.1)
    assert restarts.delay_after("always", code=1, ran_seconds=60.0) == 1.0
