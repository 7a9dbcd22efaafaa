"""The ceiling on requests, on a clock of the test's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from confcar.clients.pace import Pace


@pytest.mark.parametrize(
    ("per_second", "expected"),
    [
        pytest.param(3.0, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0], id="a burst in each window"),
        pytest.param(0.5, [0.0, 2.0, 4.0], id="below one a second"),
        pytest.param(2.5, [0.0, 0.0, 0.8, 0.8, 1.6], id="no whole number"),
    ],
)
def test_turns_stay_under_the_ceiling_in_any_window(per_second: float, expected: list[float]) -> None:
    now = 0.0
    pace = Pace(per_second, clock=lambda: now)
    turns = []
    with ThreadPoolExecutor(1) as pool:
        for moment in expected:
            turn = pool.submit(pace.take_turn)
            if moment > now:
                assert not turn.done()
                now = moment
                with pace._changed:
                    pace._changed.notify_all()
            assert turn.result(2)
            turns.append(now)

    assert turns == expected


def test_close_sends_all_away_without_a_turn() -> None:
    pace = Pace(0.001)
    assert pace.take_turn()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(pace.take_turn) for _ in range(2)]
        pace.close()
        assert [each.result(2) for each in waiting] == [False, False]
    assert not pace.take_turn()
