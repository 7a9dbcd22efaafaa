"""Delivery to several reloaders in order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from confcar.errors import EndpointRefusedError, ReloadError
from confcar.model import Change
from confcar.reloaders.delivery import Delivery


@dataclass
class Scripted:
    """Equal to another one of the same kind, as reloaders made of equal options are."""

    name: str
    told: list[str] = field(compare=False)
    failures: list[ReloadError] = field(default_factory=list, compare=False)

    def reload(self, change: Change) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.told.append(f"{self.name} {change.generation}")


def test_steps_run_in_order_and_each_is_reported(change: Change) -> None:
    told: list[str] = []
    reported: list[int] = []
    delivery = Delivery([Scripted("signal", told), Scripted("http", told), Scripted("command", told)])
    delivery.deliver(change, 0, reported.append)
    assert told == ["signal 7", "http 7", "command 7"]
    assert reported == [1, 2, 3]
    assert delivery.kinds == ("signal", "http", "command")


def test_delivery_goes_on_from_the_step_that_was_reported_last(change: Change) -> None:
    told: list[str] = []
    reported: list[int] = []
    failing = Scripted("http", told, [EndpointRefusedError("no answer")])
    delivery = Delivery([Scripted("signal", told), failing, Scripted("command", told)])
    with pytest.raises(EndpointRefusedError, match=r"^reload step 2 of 3 \(by http\): no answer$"):
        delivery.deliver(change, 0, reported.append)
    assert (told, reported) == (["signal 7"], [1])
    delivery.deliver(change, reported[-1], reported.append)
    assert told == ["signal 7", "http 7", "command 7"], "the first step is not repeated"
    assert reported == [1, 2, 3]


def test_only_step_is_named_without_a_position(change: Change) -> None:
    delivery = Delivery([Scripted("http", [], [EndpointRefusedError("no answer")])])
    with pytest.raises(EndpointRefusedError, match=r"^reload by http: no answer$") as caught:
        delivery.deliver(change, 0, lambda _: None)
    assert isinstance(caught.value.__cause__, EndpointRefusedError)


def test_step_that_the_config_gives_twice_runs_once_and_keeps_its_position(change: Change) -> None:
    told: list[str] = []
    reported: list[int] = []
    steps = [Scripted("signal", told), Scripted("http", told), Scripted("signal", told)]
    Delivery(steps).deliver(change, 0, reported.append)
    assert told == ["signal 7", "http 7"]
    assert reported == [1, 2, 3]


@pytest.mark.parametrize("step", [1, 5])
def test_nothing_is_left_to_do_behind_the_last_step(change: Change, step: int) -> None:
    told: list[str] = []
    Delivery([Scripted("signal", told)]).deliver(change, step, lambda _: None)
    assert told == []


def test_delivery_to_nobody_succeeds(change: Change) -> None:
    reported: list[int] = []
    Delivery([]).deliver(change, 0, reported.append)
    assert reported == []


def test_failure_to_note_a_step_ends_the_delivery(change: Change) -> None:
    told: list[str] = []

    def refuse(_: int) -> None:
        message = "disk full"
        raise OSError(message)

    with pytest.raises(OSError, match="disk full"):
        Delivery([Scripted("signal", told), Scripted("http", told)]).deliver(change, 0, refuse)
    assert told == ["signal 7"]
