"""`for_each`: one template, a file for each item; which of them are rendered again, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcar.config.bundles import Delimiters, TemplateOptions
from confcar.errors import TemplateError
from tests.unit.rendering.for_each_bench import SITES, each, refusal, rendered, sites, texts
from tests.unit.rendering.workbench import (
    dependency,
    inline,
    key,
    passes_until_complete,
    renderer_for,
    secret,
    view_of,
)


def test_each_child_of_a_folder_becomes_a_file() -> None:
    options = each("{{ ls('sites') }}", "{{ item.path }}: {{ item.value }}")
    found = rendered(options, {SITES: sites(b="two", a="one")})
    assert texts(found) == {"sites/a.conf": "sites/a: one", "sites/b.conf": "sites/b: two"}


@pytest.mark.parametrize(
    ("for_each", "content", "files"),
    [
        pytest.param("{{ ['a', 'b'] }}", "{{ item }}", {"a": "a", "b": "b"}, id="list"),
        pytest.param("{{ {'a': 1} }}", "{{ item.value }}", {"a": "1"}, id="mapping"),
        pytest.param("{{ tree('sites') }}", "{{ item.value }}", {"a/x": "one", "b": "two"}, id="tree"),
        pytest.param("{{ secret('apps') }}", "{{ item.key }}", {"a": "a", "b": "b"}, id="fields-of-a-secret"),
        pytest.param("{{ key('names') | split(',') | map('trim') }}", "{{ item }}", {"a": "a", "b": "b"}, id="lazy"),
        pytest.param("{{ secrets('apps') }}", "{{ item }}", {"a": "a", "b": "b"}, id="names-of-secrets"),
        pytest.param("{{ ls('s') | rejectattr('key', 'eq', 'b') }}", "{{ item.value }}", {"a": "1"}, id="without-one"),
        pytest.param("{{ key('json') | from_json }}", "{{ item.x }}", {"a": "1", "b": "2"}, id="documents"),
    ],
)  # fmt: skip
def test_lists_mappings_and_trees_have_items(for_each: str, content: str, files: dict[str, str]) -> None:
    name = "{{ item.key | default(item.name) | default(item) }}"
    values = {
        dependency("tree", "sites"): {"a/x": b"one", "b": b"two"},
        secret("apps"): {"a": "1", "b": "2"},
        dependency("secrets", "apps"): ("a", "b"),
        dependency("ls", "s"): sites(a="1", b="2"),
        key("names"): "a, b",
        key("json"): '[{"name": "a", "x": 1}, {"name": "b", "x": 2}]',
    }
    assert texts(rendered(each(for_each, content, name), values)) == files


def test_nested_values_of_a_mapping_are_there_by_attribute() -> None:
    options = each("{{ {'a': {'port': 80}} }}", "{{ item.value.port }}", "{{ item.key }}")
    assert texts(rendered(options)) == {"a": "80"}


def test_no_items_are_no_files() -> None:
    assert texts(rendered(each("{{ ls('sites') }}"), {SITES: {}})) == {}


def test_items_that_are_not_known_yet_make_the_bundle_pending() -> None:
    renderer = renderer_for([each("{{ ls('sites') }}"), *inline("x")])
    (missing,) = renderer.render({}, None).missing
    assert (missing.template, missing.line) == ("for_each of sites/{{ item.key }}.conf", 1)
    assert (missing.function, missing.path) == ("ls", "sites")


def test_one_item_that_is_pending_makes_the_bundle_pending() -> None:
    renderer = renderer_for([each("{{ ls('sites') }}", "{{ key('app/' ~ item.key) }}")])
    found = renderer.render(view_of({SITES: sites(a="", b=""), key("app/a"): "1"}), None)
    assert found.files == ()
    assert [one.path for one in found.missing] == ["app/b"]
    assert texts(
        renderer.render(view_of({SITES: sites(a="", b=""), key("app/a"): "1", key("app/b"): "2"}), frozenset())
    )


def test_item_that_changed_renders_itself_only() -> None:
    renderer = renderer_for([each("{{ ls('sites') }}"), *inline("x")])
    assert renderer.render(view_of({SITES: sites(a="1", b="1", c="1")}), None).rendered == 4
    found = renderer.render(view_of({SITES: sites(a="1", b="2", c="1")}), frozenset({SITES}))
    assert found.rendered == 1
    assert texts(found) == {"sites/a.conf": "1", "sites/b.conf": "2", "sites/c.conf": "1", "file-0": "x"}


def test_item_that_went_takes_its_file_along_and_what_it_read() -> None:
    renderer = renderer_for([each("{{ ls('sites') }}", "{{ key('app/' ~ item.key) }}")])
    values = {SITES: sites(a="", b=""), key("app/a"): "1", key("app/b"): "2"}
    renderer.render(view_of(values), None)
    assert renderer.dependencies == {SITES, key("app/a"), key("app/b")}
    found = renderer.render(view_of({**values, SITES: sites(b="")}), frozenset({SITES}))
    assert (found.rendered, texts(found)) == (0, {"sites/b.conf": "2"})
    assert renderer.dependencies == {SITES, key("app/b")}


def test_what_one_item_reads_renders_that_item_only() -> None:
    renderer = renderer_for([each("{{ ls('sites') }}", "{{ key('app/' ~ item.key) }}")])
    values = {SITES: sites(a="", b=""), key("app/a"): "1", key("app/b"): "2"}
    renderer.render(view_of(values), None)
    found = renderer.render(view_of({**values, key("app/b"): "3"}), frozenset({key("app/b")}))
    assert (found.rendered, texts(found)["sites/b.conf"]) == (1, "3")


def test_what_all_items_read_renders_all_of_them() -> None:
    renderer = renderer_for([each("{{ ls('sites') }}", "{{ key('all') }}")])
    renderer.render(view_of({SITES: sites(a="", b=""), key("all"): "1"}), None)
    assert renderer.render(view_of({SITES: sites(a="", b=""), key("all"): "2"}), frozenset({key("all")})).rendered == 2


def test_list_with_one_more_in_front_renders_that_one_only() -> None:
    options = each("{{ key('list') | from_json }}", "{{ item.n }}", "{{ item.n }}")
    renderer = renderer_for([options])
    renderer.render(view_of({key("list"): '[{"n": "b"}, {"n": "c"}]'}), None)
    found = renderer.render(view_of({key("list"): '[{"n": "a"}, {"n": "b"}, {"n": "c"}]'}), frozenset({key("list")}))
    assert (found.rendered, list(texts(found))) == (1, ["a", "b", "c"])


def test_value_that_only_equals_another_is_a_change() -> None:
    renderer = renderer_for([each("{{ key('m') | from_json }}", "{{ item.value | to_json }}", "{{ item.key }}")])
    renderer.render(view_of({key("m"): '{"a": 1}'}), None)
    assert texts(renderer.render(view_of({key("m"): '{"a": true}'}), frozenset({key("m")}))) == {"a": "true"}


def test_change_while_the_items_are_unknown_is_rendered_once_they_are() -> None:
    renderer = renderer_for([each("{{ tree(key('where')) }}", "{{ key('all') }}", "{{ item.key }}")])
    below = dependency("tree", "s")
    values = {key("where"): "s", below: {"a": b""}, key("all"): "1"}
    renderer.render(view_of(values), None)
    assert renderer.render(view_of({**values, key("where"): None}), frozenset({key("where")})).missing
    assert below in renderer.dependencies
    values[key("all")] = "2"
    assert renderer.render(view_of({**values, key("where"): None}), frozenset({key("all")})).missing
    assert texts(renderer.render(view_of(values), frozenset({key("where")}))) == {"a": "2"}


def test_everything_is_found_in_one_pass_where_the_items_stand_in_the_config() -> None:
    options = each("{{ ['a', 'b'] }}", "{{ key('app/' ~ item) }}", "{{ secret('n/' ~ item).name }}")
    renderer = renderer_for([options])
    assert renderer.dependencies == {key("app/a"), key("app/b"), secret("n/a"), secret("n/b")}
    assert passes_until_complete(renderer, lambda one: {"name": one.path} if one.kind == "secret" else one.path) == 1


def test_passes_are_the_depth_of_nesting_and_not_the_number_of_items() -> None:
    renderer = renderer_for([each("{{ ls('sites') }}", "{{ key('app/' ~ item.key) }}{{ key('all') }}")])
    assert renderer.dependencies == {SITES, key("all")}
    many = {f"s{number}": b"" for number in range(50)}
    assert passes_until_complete(renderer, lambda one: many if one.kind == "ls" else "x") == 2


def test_item_is_seen_in_included_templates(tmp_path: Path) -> None:
    (tmp_path / "main.j2").write_text("{% include 'part.j2' %}{% macro m() %}({{ item }}){% endmacro %}{{ m() }}")
    (tmp_path / "part.j2").write_text("<{{ item }}>")
    options = TemplateOptions(source=tmp_path / "main.j2", destination="{{ item }}", for_each="{{ ['a', 'b'] }}")
    renderer = renderer_for([options], config_directory=tmp_path)
    assert texts(renderer.render({}, None)) == {"a": "<a>(a)", "b": "<b>(b)"}


def test_item_is_no_name_outside_of_for_each() -> None:
    with pytest.raises(TemplateError, match="'item' is undefined"):
        renderer_for(inline("{{ item }}")).render({}, None)


def test_options_of_the_template_hold_for_each_file() -> None:
    options = TemplateOptions.model_validate(
        {"content": "{}", "destination": "{{ item }}", "for_each": "{{ ['a', 'b'] }}"}
        | {"mode": "0600", "user": "app", "group": "web", "format": "json"}
    )
    files = rendered(options).files
    assert {(one.mode, one.user, one.group, one.format) for one in files} == {(0o600, "app", "web", "json")}
    assert len(files) == 2


def test_delimiters_hold_for_all_three() -> None:
    options = TemplateOptions(
        content="{{ [[ item ]] }}",
        for_each="[[ ['a'] ]]",
        destination="{{[[ item ]]}}",
        delimiters=Delimiters(variable=("[[", "]]"), block=("[%", "%]"), comment=("[#", "#]")),
    )
    assert texts(rendered(options)) == {"{{a}}": "{{ a }}"}


def test_file_is_secret_where_its_items_or_its_name_came_from_a_secret() -> None:
    by_items = each("{{ secret('s').names }}", "x", "{{ item }}")
    by_name = each("{{ ['a'] }}", "x", "{{ item }}-{{ secret('s').n }}")
    plain = each("{{ ['a'] }}", "x", "{{ item }}")
    values = {secret("s"): {"names": ["a"], "n": "1"}}
    assert [rendered(one, values).files[0].secret for one in (by_items, by_name, plain)] == [True, True, False]


@pytest.mark.parametrize("options", [each("{{ ['a'] }}", "{{ item }}", "{{ item }}")])
def test_compiled_again_it_gives_the_same_and_follows_on(options: TemplateOptions) -> None:
    renderer = renderer_for([each("{{ ls('sites') }}", "{{ key('app/' ~ item.key) }}"), options])
    values = {SITES: sites(a=""), key("app/a"): "1"}
    before = texts(renderer.render(view_of(values), None))
    renderer.compile()
    assert renderer.dependencies == {SITES, key("app/a")}
    assert texts(renderer.render(view_of(values), frozenset())) == before
    assert texts(renderer.render(view_of({SITES: {}}), frozenset({SITES}))) == {"a": "a"}
    assert renderer.dependencies == {SITES}


def test_entry_that_is_not_text_is_an_error_only_where_it_is_written() -> None:
    values = {SITES: {"a": b"\xff"}}
    assert list(texts(rendered(each("{{ ls('sites') }}", "x"), values))) == ["sites/a.conf"]
    assert "is not UTF-8 text" in refusal(each("{{ ls('sites') }}"), values)
