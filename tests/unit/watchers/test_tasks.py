"""How long a query waits after each failure in a row, as a table."""

from __future__ import annotations

import random

import pytest

from confcar.watchers.tasks import Task


def delays(kind: str, attempts: int) -> list[tuple[float, float]]:
    """Return the shortest and the longest pause after each failure, over many draws."""
    drawn = []
    for number in range(200):
        task = Task("query", frozenset(), "name")
        backoff = getattr(task, kind)
        backoff.random = random.Random(number)
        drawn.append([backoff.next_seconds() for _ in range(attempts)])
    return [(min(each), max(each)) for each in zip(*drawn, strict=True)]


@pytest.mark.parametrize(
    ("kind", "longest"),
    [
        pytest.param("unavailable", [0.25, 0.5, 1, 2, 4, 8, 10, 10, 10], id="no answer, 5xx, 429"),
        pytest.param("refused", [1, 2, 4, 8, 16, 32, 60, 60, 60], id="denied, or not to be used"),
    ],
)
def test_pauses_double_up_to_a_cap_and_are_shortened_by_up_to_a_quarter(kind: str, longest: list[float]) -> None:
    for (low, high), expected in zip(delays(kind, len(longest)), longest, strict=True):
        assert expected * 0.75 <= low < high <= expected


def test_success_starts_every_pause_over() -> None:
    task = Task("query", frozenset(), "name")
    for _ in range(5):
        task.unavailable.next_seconds()
        task.refused.next_seconds()
    task.note_success({})

    assert task.unavailable.next_seconds() <= 0.25
    assert task.refused.next_seconds() <= 1.0
