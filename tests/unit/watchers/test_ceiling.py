"""How many queries may block where the server has less room than the options allow."""

from __future__ import annotations

from confcar.watchers.ceiling import Ceiling


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_those_that_are_polled_keep_room_of_their_own() -> None:
    ceiling = Ceiling(30, reserve=2, clock=_Clock())
    assert ceiling.most == 30
    ceiling.lower(served=6)
    assert ceiling.most == 4


def test_it_never_rises_while_the_server_is_crowded() -> None:
    ceiling = Ceiling(30, reserve=2, clock=_Clock())
    ceiling.lower(served=6)
    ceiling.lower(served=20)
    assert ceiling.most == 4
    ceiling.lower(served=1)
    assert ceiling.most == 0


def test_after_a_while_it_is_tried_again() -> None:
    clock = _Clock()
    ceiling = Ceiling(30, reserve=2, clock=clock)
    ceiling.lower(served=6)
    clock.now = 3600.0
    assert ceiling.most == 30
