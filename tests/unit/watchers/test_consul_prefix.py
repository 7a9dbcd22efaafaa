"""When following a prefix as a whole is worth it, and that it does not flap."""

from __future__ import annotations

import pytest

from confcar.watchers.consul_prefix import Prefixes
from tests.fakes.clock import FakeClock

PLACE = (None, "app/")
MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("held", "wanted", "is_worth_it"),
    [
        pytest.param(60, 4, True, id="little-in-all"),
        pytest.param(1_000, 1_000, True, id="all-of-it-is-wanted"),
        pytest.param(5_000, 5_000, True, id="all-of-much"),
        pytest.param(320, 20, True, id="some-more"),
        pytest.param(1_000, 20, False, id="far-more"),
        pytest.param(100_000, 20, False, id="far-more-by-any-measure"),
        pytest.param(100_000, 100_000, False, id="too-much-to-arrive-with-each-change"),
    ],
)
def test_a_prefix_is_followed_where_it_holds_little_beyond_what_is_wanted(
    held: int, wanted: int, *, is_worth_it: bool
) -> None:
    prefixes = Prefixes(FakeClock())
    prefixes.note_names(PLACE, held)
    assert prefixes.is_worth_following(PLACE, wanted) is is_worth_it


def test_one_that_was_not_looked_at_is_neither() -> None:
    assert Prefixes(FakeClock()).is_worth_following(PLACE, 10) is None


def test_a_followed_prefix_is_given_up_only_well_beyond_the_bound_it_was_taken_up_within() -> None:
    prefixes = Prefixes(FakeClock())
    prefixes.note_names(PLACE, 320)
    assert prefixes.is_worth_following(PLACE, 20)
    prefixes.note_plan([PLACE], {})
    prefixes.note_answer(PLACE, keys=460, size_bytes=46_000, needed_bytes=2_000)
    assert prefixes.is_worth_following(PLACE, 20)
    prefixes.note_answer(PLACE, keys=500, size_bytes=50_000, needed_bytes=2_000)
    assert not prefixes.is_worth_following(PLACE, 20)
    prefixes.note_plan([], {})
    prefixes.note_names(PLACE, 400)
    assert not prefixes.is_worth_following(PLACE, 20), "nor taken up again right below the bound it was given up at"


def test_a_few_large_values_that_nobody_reads_are_not_paid_for() -> None:
    prefixes = Prefixes(FakeClock())
    prefixes.note_names(PLACE, 40)
    assert prefixes.is_worth_following(PLACE, 10)
    prefixes.note_answer(PLACE, keys=40, size_bytes=2 * MEBIBYTE, needed_bytes=1_000)
    assert not prefixes.is_worth_following(PLACE, 10)
    prefixes.note_names(PLACE, 41)
    assert not prefixes.is_worth_following(PLACE, 10), "a listing of names does not show what they weigh"
    prefixes.note_names(PLACE, 12)
    assert prefixes.is_worth_following(PLACE, 10)


def test_what_was_refused_is_looked_at_again_sooner_than_what_is_too_large() -> None:
    prefixes = Prefixes(FakeClock())
    prefixes.note_refused(PLACE)
    refused = prefixes.find(PLACE)
    prefixes.note_too_much(PLACE)
    large = prefixes.find(PLACE)
    assert refused is not None
    assert large is not None
    assert refused.again_in_seconds < large.again_in_seconds
    assert not prefixes.is_worth_following(PLACE, 1_000)


def test_a_store_that_is_large_everywhere_is_not_searched_to_its_end() -> None:
    clock = FakeClock()
    prefixes = Prefixes(clock)
    for number in range(8):
        assert prefixes.is_worth_following((None, f"{number}/"), 10) is None
        prefixes.note_too_much((None, f"{number}/"))
    assert prefixes.is_worth_following((None, "9/"), 10) is False
    clock.advance(601)
    assert prefixes.is_worth_following((None, "9/"), 10) is None
