"""When emptiness is believed, and when the last data stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from confcar.errors import SourceDeniedError, SourceUnavailableError
from confcar.model import ABSENT, Dependency, Reading
from confcar.watchers.base import Query
from confcar.watchers.consul_guard import EmptyGuard
from tests.unit.watchers.consul_world import want

A, B, C, D = want("ls", "a"), want("key", "b"), want("service", "c"), want("key", "d")
FULL, EMPTY = Reading({"x": b"1"}), Reading({})


@dataclass
class Consul:
    """What the guard is told and what it sees when it looks; a query is the path of its dependencies."""

    is_on: bool = True
    holds: dict[Query, tuple[int, bool]] = field(default_factory=dict)
    fault: Exception | None = None
    known: set[Dependency] = field(default_factory=set)
    looked_at: list[Query] = field(default_factory=list)
    troubles: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.guard = EmptyGuard(is_on=self.is_on, on_trouble=self.troubles.append)

    def look(self, query: Query, dependencies: frozenset[Dependency]) -> tuple[int, bool]:
        assert dependencies
        self.looked_at.append(query)
        if self.fault:
            raise self.fault
        return self.holds[query]

    def is_known(self, dependency: Dependency) -> bool:
        return dependency in self.known

    def says(self, index: int, readings: Mapping[Dependency, Reading], *, query: str = "") -> set[Dependency]:
        """Tell of an answer and return what is held back of it."""
        return set(self.guard.judge(query or next(iter(readings)).path, index, readings, self))


def filled(*wanted: Dependency, is_on: bool = True) -> Consul:
    """Return one that had something for each of these at index 100."""
    consul = Consul(is_on=is_on)
    consul.guard.plan({each.path: frozenset({each}) for each in wanted})
    for each in wanted:
        assert not consul.says(100, {each: FULL})
        consul.holds[each.path] = (100, True)
    return consul


def test_a_first_answer_is_believed_whatever_it_is() -> None:
    assert not Consul().says(5, {A: EMPTY, B: ABSENT})


def test_one_list_that_empties_while_others_live_is_a_value() -> None:
    consul = filled(A, B, C)
    assert not consul.says(101, {A: EMPTY})
    assert len(consul.looked_at) == 1
    assert not consul.says(102, {A: EMPTY})
    assert consul.troubles == []


def test_the_only_list_that_empties_is_a_value() -> None:
    assert not filled(A).says(101, {A: EMPTY})


def test_a_list_that_empties_beside_something_in_the_same_answer_is_a_value() -> None:
    consul = Consul()
    consul.says(100, {A: FULL, B: FULL}, query="all")
    assert not consul.says(101, {A: EMPTY, B: FULL}, query="all")
    assert not consul.looked_at


def test_everything_that_empties_in_one_answer_stays() -> None:
    consul = Consul()
    consul.says(100, {A: FULL, B: FULL}, query="all")
    assert consul.says(101, {A: EMPTY, B: ABSENT}, query="all") == {A, B}


def test_everything_that_empties_in_several_answers_stays() -> None:
    consul = filled(A, B, C)
    consul.holds = dict.fromkeys(consul.holds, (101, False))
    assert consul.says(101, {A: EMPTY}) == {A}
    assert consul.says(101, {B: ABSENT}) == {B}
    assert consul.says(101, {C: Reading(())}) == {C}
    assert [bool(trouble) for trouble in consul.troubles] == [True]
    assert "empty_guard: false" in str(consul.troubles[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(want("service", "web"), Dependency("consul", "service", "web", (("tag", "a"),)), id="one service"),
        pytest.param(want("ls", "a"), want("tree", "a"), id="one folder"),
        pytest.param(want("tree", "a"), want("key", "a/b/c"), id="a folder and what is inside"),
        pytest.param(want("tree", ""), want("ls", "a"), id="the whole store and a folder"),
    ],
)
def test_one_thing_that_is_read_in_two_ways_is_one_thing(one: Dependency, other: Dependency) -> None:
    consul = Consul()
    for query, each in (("1", one), ("2", other)):
        consul.says(100, {each: FULL}, query=query)
    consul.holds = {"1": (101, False), "2": (101, False)}
    assert not consul.says(101, {one: EMPTY}, query="1")
    assert not consul.says(101, {other: EMPTY}, query="2")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(want("service", "web"), want("service", "web2"), id="two services"),
        pytest.param(want("ls", "a"), want("key", "b/c"), id="a folder and a key outside"),
        pytest.param(want("ls", "a"), want("ls", "ab"), id="two folders"),
        pytest.param(want("ls", "a"), Dependency("consul", "ls", "a", (("dc", "x"),)), id="two datacenters"),
        pytest.param(want("ls", "a"), want("service", "a"), id="a folder and a service"),
    ],
)
def test_two_things_that_go_together_stay(one: Dependency, other: Dependency) -> None:
    consul = Consul()
    for query, each in (("1", one), ("2", other)):
        consul.says(100, {each: FULL}, query=query)
    consul.holds = {"1": (101, False), "2": (101, False)}
    assert consul.says(101, {one: EMPTY}, query="1") == {one}
    assert consul.says(101, {other: EMPTY}, query="2") == {other}


def test_keys_that_go_together_are_missing() -> None:
    consul = filled(B, D)
    consul.holds = dict.fromkeys(consul.holds, (101, False))
    assert not consul.says(101, {B: ABSENT})
    assert not consul.says(101, {D: ABSENT})
    assert consul.troubles == []


def test_keys_that_go_together_with_the_server_stay() -> None:
    consul = filled(B, D)
    assert consul.says(7, {B: ABSENT}) == {B}
    assert consul.says(7, {D: ABSENT}) == {D}


def test_what_is_held_back_stays_so_until_something_is_there_again() -> None:
    consul = filled(A)
    assert consul.says(50, {A: EMPTY}) == {A}
    assert consul.says(200, {A: EMPTY}) == {A}
    assert not consul.says(201, {A: FULL})
    assert consul.troubles[-1] is None
    assert not consul.says(202, {A: EMPTY})


def test_an_index_that_went_back_makes_emptiness_doubtful_although_others_live() -> None:
    consul = filled(A, B)
    assert consul.says(99, {A: EMPTY}) == {A}
    assert "restored or replaced" in str(consul.troubles[-1])
    assert not consul.says(99, {B: FULL})


def test_an_index_that_does_not_compare_says_nothing() -> None:
    consul = filled(A, B)
    assert not consul.says(0, {A: EMPTY})
    assert not consul.says(100, {A: FULL})
    assert consul.says(99, {A: EMPTY}) == {A}


def test_after_an_outage_the_index_of_another_query_shows_that_the_server_is_another() -> None:
    consul = filled(A, B, C)
    consul.holds["c"] = (12, True)
    consul.guard.cut_off("a")
    assert consul.says(101, {A: EMPTY}) == {A}
    assert consul.looked_at == ["b", "c"]


def test_after_an_outage_one_list_that_empties_while_the_server_is_the_same_is_a_value() -> None:
    consul = filled(A, C)
    consul.guard.cut_off("a")
    assert not consul.says(101, {A: EMPTY})


def test_after_an_outage_the_only_list_is_not_believed_to_be_empty() -> None:
    consul = filled(A)
    consul.guard.cut_off("a")
    assert consul.says(101, {A: EMPTY}) == {A}


def test_after_an_outage_a_service_whose_instances_are_only_ill_is_empty() -> None:
    consul = filled(C)
    consul.known = {C}
    consul.guard.cut_off("c")
    assert not consul.says(101, {C: Reading(())})


def test_an_answer_in_between_ends_the_doubt_of_an_outage() -> None:
    consul = filled(A)
    consul.guard.cut_off("a")
    assert not consul.says(101, {A: FULL})
    assert not consul.says(102, {A: EMPTY})


def test_what_may_not_be_seen_is_no_witness() -> None:
    consul = filled(A, B)
    consul.fault = SourceDeniedError("no")
    assert consul.says(101, {A: EMPTY}) == {A}


def test_where_the_others_cannot_be_asked_nothing_is_decided() -> None:
    consul = filled(A, B)
    consul.fault = SourceUnavailableError("away")
    with pytest.raises(SourceUnavailableError):
        consul.says(101, {A: EMPTY})
    consul.fault = None
    assert not consul.says(101, {A: EMPTY})


def test_turned_off_it_believes_everything() -> None:
    consul = filled(A, is_on=False)
    assert not consul.says(3, {A: EMPTY})
    assert consul.troubles == []


def test_what_is_no_longer_read_is_forgotten_and_troubles_nobody() -> None:
    consul = filled(A, B)
    assert consul.says(50, {A: EMPTY}) == {A}
    consul.guard.plan({"b": frozenset({B})})
    assert consul.troubles[-1] is None
    assert not consul.says(101, {B: ABSENT})


def test_an_empty_text_is_something() -> None:
    consul = filled(A, B)
    assert not consul.says(99, {B: Reading(b"")})
