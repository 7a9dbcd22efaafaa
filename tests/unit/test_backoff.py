"""Back-off."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcar.backoff import Backoff


class Highest(random.Random):
    """Takes as much off as the jitter allows, short of nothing."""

    def random(self) -> float:
        return 1.0 - 2**-53


def test_delays_double_up_to_the_cap() -> None:
    backoff = Backoff(0.5, 5.0, jitter=0.0)
    assert [backoff.next_seconds() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_success_starts_over() -> None:
    backoff = Backoff(0.5, 5.0, jitter=0.0)
    assert [backoff.next_seconds(), backoff.next_seconds()] == [0.5, 1.0]
    backoff.reset()
    assert (backoff.attempts, backoff.next_seconds()) == (0, 0.5)


def test_jitter_takes_at_most_its_share_off() -> None:
    backoff = Backoff(1.0, 64.0)
    for step in range(200):
        full = min(64.0, 2.0**step)
        assert 0.75 * full <= backoff.next_seconds() <= full


def test_two_instances_do_not_fail_in_step() -> None:
    one, two = Backoff(1.0, 60.0), Backoff(1.0, 60.0)
    assert [one.next_seconds() for _ in range(8)] != [two.next_seconds() for _ in range(8)]


@given(
    first=st.floats(0.001, 10.0),
    cap=st.floats(10.0, 3600.0),
    jitter=st.floats(0.0, 1.0),
    attempts=st.integers(0, 10**9),
)
def test_delay_is_above_zero_and_within_the_cap_after_any_number_of_failures(
    first: float, cap: float, jitter: float, attempts: int
) -> None:
    backoff = Backoff(first, cap, jitter, attempts=attempts, random=Highest())
    assert 0 < backoff.next_seconds() <= cap


@pytest.mark.parametrize(
    ("at_least", "delay"),
    [
        pytest.param(None, 1.0, id="nothing asked"),
        pytest.param(0.0, 1.0, id="zero"),
        pytest.param(0.2, 1.0, id="less than the delay"),
        pytest.param(30.0, 30.0, id="more than the cap"),
    ],
)
def test_what_the_other_side_asked_for_is_a_floor(at_least: float | None, delay: float) -> None:
    assert Backoff(1.0, 5.0, jitter=0.0).next_seconds(at_least) == delay
