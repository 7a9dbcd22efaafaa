"""Which queries answer what, and what an answer means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcar.model import ABSENT, Dependency, Kind, Reading
from confcar.watchers.base import Polled
from confcar.watchers.consul_plan import (
    BatchQuery,
    FolderQuery,
    KeyQuery,
    ListQuery,
    Plan,
    PrefixQuery,
    RefusedQuery,
    path_fault,
    plan_queries,
    reading_of,
)
from confcar.watchers.consul_prefix import Prefixes
from tests.fakes.clock import FakeClock


def _want(kind: Kind, path: str) -> Dependency:
    return Dependency("consul", kind, path)


def _plan(*wanted: Dependency, prefixes: Prefixes | None = None, most_blocking: int = 30) -> Plan:
    return plan_queries(frozenset(wanted), prefixes or Prefixes(FakeClock()), most_blocking=most_blocking)


def _planned(*wanted: Dependency) -> dict[object, set[tuple[str, str]]]:
    return {query: {(each.kind, each.path) for each in share} for query, share in _plan(*wanted).items()}


def _keys(folder: str, count: int) -> list[Dependency]:
    return [_want("key", f"{folder}/k{number:04}") for number in range(count)]


def test_a_few_keys_have_a_query_each() -> None:
    assert _planned(_want("key", "a/b"), _want("key", "a/c")) == {
        KeyQuery("a/b"): {("key", "a/b")},
        KeyQuery("a/c"): {("key", "a/c")},
    }


def test_ls_and_tree_of_one_folder_share_a_query() -> None:
    assert _planned(_want("ls", "sites"), _want("tree", "sites")) == {
        FolderQuery("sites"): {("ls", "sites"), ("tree", "sites")}
    }


def test_what_lies_inside_a_followed_folder_is_answered_with_it() -> None:
    wanted = [_want("ls", "a/b"), _want("key", "a/b/c"), _want("key", "a"), _want("key", "ab"), _want("tree", "a")]
    assert _planned(*wanted) == {
        FolderQuery("a"): {("ls", "a/b"), ("key", "a/b/c"), ("tree", "a")},
        KeyQuery("a"): {("key", "a")},
        KeyQuery("ab"): {("key", "ab")},
    }


def test_the_whole_store_answers_everything() -> None:
    wanted = [_want("tree", ""), _want("ls", "x"), _want("key", "a")]
    assert _planned(*wanted) == {FolderQuery(""): {("tree", ""), ("ls", "x"), ("key", "a")}}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../agent/self",
        "a/../b",
        "a/./b",
        "a\x00b",
        "a\nb",
        "\x7f",
        "a\x85",
        "\ud800",
    ],
)
def test_a_path_that_would_read_something_else_is_refused_alone(path: str) -> None:
    bad = _want("key", path)
    assert path_fault(bad) is not None
    assert _planned(bad, _want("key", "fine")) == {
        KeyQuery("fine"): {("key", "fine")},
        RefusedQuery(): {("key", path)},
    }


@pytest.mark.parametrize("path", ["a", "a b/c", "ä/ö", "100%", "a?b", "a#b", "...", "a..b", "%2e%2e/x", "a\\b"])
def test_odd_paths_that_name_one_key_are_asked_for(path: str) -> None:
    assert path_fault(_want("key", path)) is None


@given(st.frozensets(st.tuples(st.sampled_from(["key", "ls", "tree"]), st.text("ab/.", max_size=6)), max_size=12))
def test_each_dependency_is_answered_exactly_once(wanted: frozenset[tuple[Kind, str]]) -> None:
    dependencies = frozenset(_want(kind, path) for kind, path in wanted)
    answered = [each for share in _plan(*dependencies).values() for each in share]
    assert len(answered) == len(dependencies)
    assert frozenset(answered) == dependencies


def _learned(**keys: int) -> Prefixes:
    """Prefixes, written with `_` for `/`, and how many keys each holds."""
    prefixes = Prefixes(FakeClock())
    for name, count in keys.items():
        prefixes.note_names((None, name.replace("_", "/")), count)
    return prefixes


def _sizes(plan: Plan) -> dict[object, int]:
    return {query: len(share) for query, share in plan.items()}


def test_many_keys_of_a_folder_that_is_not_known_wait_for_its_listing() -> None:
    assert _sizes(_plan(*_keys("app", 50))) == {ListQuery("app/"): 50}


def test_a_folder_with_little_else_is_followed_as_a_whole() -> None:
    plan = _plan(*_keys("app", 50), prefixes=_learned(app_=60))
    assert _sizes(plan) == {FolderQuery("app"): 50}


def test_keys_of_many_folders_share_the_folder_around_them() -> None:
    wanted = [_want("key", f"svc/{number:03}/port") for number in range(100)]
    assert _sizes(_plan(*wanted, prefixes=_learned(svc_=300))) == {FolderQuery("svc"): 100}


def test_a_folder_that_holds_far_more_is_never_followed_as_a_whole() -> None:
    held = {"big_": 100_000, "big_k00": 100_000, "big_k000": 1_000, "big_k001": 1_000}
    plan = _plan(*_keys("big", 20), prefixes=_learned(**held))
    assert sum(isinstance(query, KeyQuery | BatchQuery) for query in plan) == 20
    assert not any(isinstance(query, FolderQuery | PrefixQuery) for query in plan)
    assert plan[ListQuery("big/")] == frozenset(), "one that shrinks is to be noticed"


def test_a_part_of_a_large_folder_is_followed_by_a_prefix_that_is_no_folder() -> None:
    plan = _plan(*_keys("big", 100), prefixes=_learned(big_=100_000, big_k00=120))
    assert _sizes(plan)[PrefixQuery("big/k00")] == 100


def test_what_has_no_connection_of_its_own_is_read_in_batches() -> None:
    prefixes = Prefixes(FakeClock())
    prefixes.note_refused((None, "app/"))
    prefixes.note_refused((None, "app/k0"))
    for tens in range(20):
        prefixes.note_refused((None, f"app/k0{tens // 10}"))
        prefixes.note_refused((None, f"app/k0{tens:02}"))
    plan = _plan(*_keys("app", 200), prefixes=prefixes, most_blocking=6)
    assert sum(isinstance(query, KeyQuery) for query in plan) == 6
    assert [len(plan[BatchQuery(number)]) for number in range(4)] == [64, 64, 64, 2]
    assert all(isinstance(query, Polled) for query in plan if not isinstance(query, KeyQuery))


def test_a_key_more_leaves_the_query_of_its_folder_as_it_is() -> None:
    prefixes = _learned(app_=60)
    before = _plan(*_keys("app", 50), prefixes=prefixes)
    after = _plan(*_keys("app", 50), _want("key", "app/x/y"), prefixes=prefixes)
    assert before.keys() == after.keys() == {FolderQuery("app")}


def test_the_root_is_never_followed_for_single_keys() -> None:
    wanted = [_want("key", f"{name}/a") for name in "abcdefgh"]
    assert all(isinstance(query, KeyQuery) for query in _plan(*wanted))


def test_keys_of_another_datacenter_have_queries_of_their_own() -> None:
    elsewhere = [Dependency("consul", "key", f"app/{number}", (("dc", "east"),)) for number in range(10)]
    plan = _plan(*_keys("app", 10), *elsewhere, prefixes=_learned(app_=10))
    assert _sizes(plan) == {FolderQuery("app"): 10, ListQuery("app/", "east"): 10}


@given(st.frozensets(st.text("ab/", min_size=1, max_size=5), max_size=40), st.data())
def test_each_key_is_answered_once_whatever_was_learned(paths: frozenset[str], data: st.DataObject) -> None:
    prefixes = Prefixes(FakeClock())
    wanted = frozenset(_want("key", path) for path in paths)
    for _ in range(4):
        plan = plan_queries(wanted, prefixes, most_blocking=2)
        answered = [each for share in plan.values() for each in share]
        assert sorted(answered) == sorted(wanted)
        assert sum(isinstance(query, KeyQuery) for query in plan) <= 2
        for query in plan:
            if isinstance(query, ListQuery):
                prefixes.note_names((None, query.prefix), data.draw(st.sampled_from([1, 5, 500, 50_000])))


ENTRIES = {"sites/b": b"2", "sites/a": b"1", "sites/sub/c": b"", "sites2/d": b"4", "sites": b"0"}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        pytest.param("key", "sites/a", b"1", id="key"),
        pytest.param("key", "sites/sub/c", b"", id="empty-value-is-a-value"),
        pytest.param("ls", "sites", {"a": b"1", "b": b"2"}, id="ls-has-direct-children"),
        pytest.param("tree", "sites", {"a": b"1", "b": b"2", "sub/c": b""}, id="tree-has-all-below"),
        pytest.param("tree", "sites/sub", {"c": b""}, id="folder-inside"),
        pytest.param("ls", "none", {}, id="empty-folder-is-a-value"),
        pytest.param("ls", "", {"sites": b"0"}, id="ls-of-everything"),
    ],
)
def test_a_reading_is_cut_from_the_answer(kind: Kind, path: str, value: object) -> None:
    reading = reading_of(_want(kind, path), ENTRIES)
    assert reading == Reading(value)  # type: ignore[arg-type]  # the table's values are of several types
    if isinstance(reading.value, dict):
        assert list(reading.value) == sorted(reading.value)


def test_a_key_that_is_not_in_the_answer_is_absent() -> None:
    assert reading_of(_want("key", "sites/none"), ENTRIES) == ABSENT
