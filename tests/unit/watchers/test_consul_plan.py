"""Which queries answer what, and what an answer means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcar.model import ABSENT, Dependency, Kind, Reading
from confcar.watchers.consul_plan import FolderQuery, KeyQuery, RefusedQuery, path_fault, plan_queries, reading_of


def _want(kind: Kind, path: str) -> Dependency:
    return Dependency("consul", kind, path)


def _planned(*wanted: Dependency) -> dict[object, set[tuple[str, str]]]:
    plan = plan_queries(frozenset(wanted))
    return {query: {(each.kind, each.path) for each in share} for query, share in plan.items()}


def test_each_key_has_a_query_of_its_own() -> None:
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
    answered = [each for share in plan_queries(dependencies).values() for each in share]
    assert len(answered) == len(dependencies)
    assert frozenset(answered) == dependencies


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
