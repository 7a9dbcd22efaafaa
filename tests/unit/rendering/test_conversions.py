"""Filters that make numbers, times and mappings: edges and errors that the examples in the docs do not show."""

from __future__ import annotations

import pytest

from confcar.errors import TemplateError
from confcar.rendering.filters import filter_table
from confcar.rendering.pending import PENDING
from tests.unit.rendering.workbench import dependency, key, render, text_of

TREE = dependency("tree", "t")


@pytest.mark.parametrize(
    ("template", "output"),
    [
        ("{{ ' 42\n' | to_int + 1 }}", "43"),
        ("{{ 42 | to_int }}", "42"),
        ("{{ '-7' | to_int }} {{ '+7' | to_int }} {{ '007' | to_int }}", "-7 7 7"),
        ("{{ '1.5' | to_float * 2 }} {{ '.5' | to_float }} {{ '1e3' | to_float }}", "3.0 0.5 1000.0"),
        ("{{ 0 | format_time }}", "1970-01-01T00:00:00Z"),
        ("{{ '2026-11-27T10:00:00+02:00' | format_time('%H:%M') }}", "08:00"),
        ("{{ '2026-11-27T10:00:00' | format_time('%H:%M') }}", "10:00"),
        ("{{ {'a': {'b': 1, 'c': 1}} | combine({'a': {'b': 2}}) | to_json }}", '{"a": {"b": 2}}'),
        (
            "{{ {'a': {'b': 1, 'c': 1}} | combine({'a': {'b': 2}}, {'d': 3}, recursive=true) | to_json }}",
            '{"a": {"b": 2, "c": 1}, "d": 3}',
        ),
        ("{{ ['', '/a/', '/b/', '', 'c/'] | path_join }}", "/a/b/c"),
        ("{{ [] | path_join }}", ""),
        ("{{ 'ä?/' | url_quote }}", "%C3%A4%3F%2F"),
        ("{{ '???' | b64encode(urlsafe=true) }} {{ '???' | b64encode }}", "Pz8_ Pz8/"),
    ],
)
def test_gives(template: str, output: str) -> None:
    assert text_of(render(template)) == output


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ 'secret' | to_int }}", "to_int: not a whole number"),
        ("{{ '' | to_int }}", "to_int: not a whole number"),
        ("{{ '1.5' | to_int }}", "to_int: not a whole number"),
        ("{{ true | to_int }}", "to_int: not a whole number"),
        ("{{ '1_000' | to_int }}", "to_int: not a whole number"),
        ("{{ ('9' * 5000) | to_int }}", "to_int: not a whole number"),
        ("{{ 'nan' | to_float }}", "to_float: not a number"),
        ("{{ 'secret' | format_time }}", "format_time: neither seconds since 1970 nor a time of RFC 3339"),
        ("{{ '1e300' | format_time }}", "format_time: neither seconds since 1970 nor a time of RFC 3339"),
        ("{{ 'secret' | combine({}) }}", "combine: only mappings can be merged"),
        ("{{ {} | combine('secret') }}", "combine: only mappings can be merged"),
        ("{{ 'secret' | explode }}", "explode: only a mapping of paths can be taken apart"),
        ("{{ 'a' | path_join }}", "path_join: takes a list of parts"),
        ("{{ 'a' | hmac_sha256(nope) }}", "'nope' is undefined"),
        ("{{ nope | to_int }}", "'nope' is undefined"),
        ("{{ nope | combine({}) }}", "'nope' is undefined"),
    ],
)
def test_refuses_without_showing_the_value(template: str, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(template)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value).partition(" in {{")[0]


def test_tree_is_taken_apart_in_any_order() -> None:
    values = {TREE: {"b/c/d": b"1", "a": b"2", "b/e": b"3"}}
    assert text_of(render("{{ (tree('t') | explode).b.c.d }}", values)) == "1"
    assert text_of(render("{{ tree('t') | explode | to_json(sort_keys=true) }}", values)) == (
        '{"a": "2", "b": {"c": {"d": "1"}, "e": "3"}}'
    )


@pytest.mark.parametrize("paths", [["a", "a/b"], ["a/b", "a"]])
def test_path_that_is_a_value_and_a_folder_is_refused(paths: list[str]) -> None:
    with pytest.raises(TemplateError, match="explode: a path is a value and the folder of others"):
        render("{{ tree('t') | explode | to_json }}", {TREE: dict.fromkeys(paths, b"")})


@pytest.mark.parametrize("name", ["to_int", "to_float", "format_time", "combine", "explode", "path_join", "url_quote"])
def test_data_that_is_not_there_yet_is_passed_on(name: str) -> None:
    assert filter_table()[name](PENDING) is PENDING


def test_text_made_of_missing_data_is_pending_and_no_error() -> None:
    found = render("{{ ('1' ~ key('n')) | to_int }}")
    assert [one.path for one in found.missing] == ["n"]
    assert text_of(render("{{ ('1' ~ key('n')) | to_int }}", {key("n"): "2"})) == "12"


@pytest.mark.parametrize(
    ("template", "output"),
    [
        ("{{ 'pre-x'.removeprefix('pre-') }}{{ 'x.txt'.removesuffix('.txt') }}", "xx"),
        ("{{ dict('a:1,b:2' | split(',') | map('split', ':')) | to_json }}", '{"a": "1", "b": "2"}'),
        ("{{ ['a', 'b'] | reject('in', ['a', 'b', 'c']) | list == [] }}", "True"),
        ("{{ ['a', 'd'] | reject('in', ['a', 'b', 'c']) | list == [] }}", "False"),
        ("{% if ['x', 'b'] | select('in', ['a', 'b']) | list %}any{% endif %}", "any"),
        ("{{ 'a\nb' | indent(4, first=true) }}", "    a\n    b"),
        ("{% if 'abc' | regex_search('^a') %}yes{% endif %}", "yes"),
        ("{{ [3, 1] | min }} {{ [3, 1] | max }} {{ 7 // 2 }} {{ 7 % 2 }}", "1 3 3 1"),
    ],
)
def test_ways_that_the_docs_give_for_what_other_tools_have(template: str, output: str) -> None:
    assert text_of(render(template)) == output
