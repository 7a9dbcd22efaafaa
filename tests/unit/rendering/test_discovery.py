"""What is found in the templates before any render."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from confcar.errors import TemplateError
from tests.unit.rendering.workbench import dependency, from_files, inline, key, renderer_for, secret


def found_in(template: str) -> set[str]:
    """Return what is found before any render, as `kind:path`."""
    return {f"{one.kind}:{one.path}" for one in renderer_for(inline(template)).dependencies}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("{{ key('a') }}{{ key_exists('b') }}", {"key:a", "key:b"}, id="plain"),
        pytest.param("{{ secret('a', field='x') }}{{ secret(path='b').c }}", {"secret:a", "secret:b"}, id="by name"),
        pytest.param("{{ key(key('ptr')) }}", {"key:ptr"}, id="inner of nested"),
        pytest.param("{{ key('a', default=key('b')) }}", {"key:a", "key:b"}, id="in a default"),
        pytest.param("{{ (ls('a') | first).key ~ tree('b')['x'] }}", {"ls:a", "tree:b"}, id="in an expression"),
        pytest.param("{# {{ key('a') }} #}{% raw %}{{ key('b') }}{% endraw %}", set(), id="comment and raw"),
        pytest.param("{{ key('a') if env('X') else key('b') }}", {"key:a", "key:b"}, id="ternary"),
        pytest.param(
            "{% if x %}{{ key('a') }}{% elif key('t') %}{{ key('b') }}{% else %}{{ key('c') }}{% endif %}",
            {"key:a", "key:b", "key:c", "key:t"},
            id="branches",
        ),
        pytest.param(
            "{% for e in ls('s') %}{{ key('a') }}{{ key(e.path) }}{% endfor %}", {"ls:s", "key:a"}, id="data loop"
        ),
        pytest.param(
            "{{ file('x/y.txt') }}{{ secrets('kv') }}{{ env('A') }}", {"file:x/y.txt", "secrets:kv"}, id="others"
        ),
    ],
)
def test_literal_calls_are_found(template: str, expected: set[str]) -> None:
    assert found_in(template) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param(
            "{{ key('a/' ~ 'b') }}{{ key('c' + '/d') }}{{ key('e/%s' % 'f') }}",
            {"key:a/b", "key:c/d", "key:e/f"},
            id="folded",
        ),
        pytest.param("{% set p = 'x' %}{{ key(p ~ '/a') }}", {"key:x/a"}, id="set"),
        pytest.param("{% set a, b = 'x', 'y' %}{{ key(a) }}{{ key(b) }}", {"key:x", "key:y"}, id="set of two"),
        pytest.param("{% with p = 'x' %}{{ key(p) }}{% endwith %}", {"key:x"}, id="with"),
        pytest.param("{% for p in ['a', 'b'] %}{{ key(p) }}{% endfor %}", {"key:a", "key:b"}, id="literal loop"),
        pytest.param("{% for i in range(2) %}{{ key('n' ~ i) }}{% endfor %}", {"key:n0", "key:n1"}, id="range"),
        pytest.param(
            "{% for a, b in [('x', 1), ('y', 2)] %}{{ key(a ~ b) }}{% endfor %}",
            {"key:x1", "key:y2"},
            id="pairs stay pairs",
        ),
        pytest.param(
            "{% for s in [{'n': 'a'}] %}{{ key(s.n) }}{{ key(s['n'] ~ '2') }}{% endfor %}",
            {"key:a", "key:a2"},
            id="fields of literals",
        ),
        pytest.param(
            "{% if env('X') %}{% set p = 'a' %}{% else %}{% set p = 'b' %}{% endif %}{{ key(p) }}",
            {"key:a", "key:b"},
            id="set in branches",
        ),
        pytest.param(
            "{{ key('A' | lower) }}{% for p in 'b,c' | split(',') %}{{ key(p) }}{% endfor %}",
            {"key:a", "key:b", "key:c"},
            id="filters",
        ),
        pytest.param("{% set k = key %}{{ k('a') }}", {"key:a"}, id="alias"),
        pytest.param(
            "{% set key = 3 %}{{ key }}{% macro m(secret) %}{{ secret('a') }}{% endmacro %}", set(), id="shadowed"
        ),
        pytest.param("{{ key('a' if env('X') else 'b') }}", {"key:a", "key:b"}, id="ternary argument"),
    ],
)
def test_values_the_template_alone_decides_are_found(template: str, expected: set[str]) -> None:
    assert found_in(template) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param(
            "{% macro m(p, q='d') %}{{ key(p ~ q) }}{% endmacro %}{{ m('a') }}{{ m('b', q='e') }}",
            {"key:ad", "key:be"},
            id="arguments",
        ),
        pytest.param("{% macro m() %}{{ key('a') }}{% endmacro %}", {"key:a"}, id="never called"),
        pytest.param(
            "{% macro i(p) %}{{ key(p) }}{% endmacro %}{% macro o(p) %}{{ i(p ~ '/x') }}{% endmacro %}{{ o('a') }}",
            {"key:a/x"},
            id="macro in macro",
        ),
        pytest.param("{% macro m(p) %}{{ m(p) }}{{ key(p) }}{% endmacro %}{{ m('a') }}", {"key:a"}, id="recursive"),
        pytest.param(
            "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ key('a') }}{% endcall %}",
            {"key:a"},
            id="call block",
        ),
        pytest.param(
            "{% filter upper %}{{ key('a') }}{% endfilter %}{% set t %}{{ key('b') }}{% endset %}",
            {"key:a", "key:b"},
            id="blocks",
        ),
        pytest.param(
            "{% macro a(f) %}{{ f('x') }}{% endmacro %}{% macro b(p) %}{{ key(p) }}{% endmacro %}"
            "{{ a(b) }}{{ a(secret) }}",
            {"key:x", "secret:x"},
            id="functions as arguments",
        ),
    ],
)
def test_macros_are_followed_with_their_arguments(template: str, expected: set[str]) -> None:
    assert found_in(template) == expected


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"main": "{% set p = 'a' %}{% include 'i' %}", "i": "{{ key(p) }}"}, {key("a")}, id="include"),
        pytest.param({"main": "{% include ['x', 'i'] %}", "i": "{{ key('a') }}"}, {key("a")}, id="include of a list"),
        pytest.param({"main": "{% include 'x' ignore missing %}{{ key('a') }}"}, {key("a")}, id="ignore missing"),
        pytest.param({"main": "{% include 'main' %}{{ key('a') }}"}, {key("a")}, id="cycle"),
        pytest.param(
            {
                "main": "{% extends 'p' %}{% block b %}{{ key('a') }}{% endblock %}",
                "p": "{{ key('b') }}{% block b %}{% endblock %}",
            },
            {key("a"), key("b")},
            id="extends",
        ),
        pytest.param(
            {
                "main": "{% from 'm' import one as uno %}{{ uno('a') }}",
                "m": "{% macro one(p) %}{{ secret(p) }}{% endmacro %}",
            },
            {secret("a")},
            id="from import",
        ),
        pytest.param(
            {
                "main": "{% import 'm' as m %}{{ m.one('a') }}{{ key(m.q) }}",
                "m": "{% set q = 'b' %}{% macro one(p) %}{{ key(p) }}{% endmacro %}",
            },
            {key("a"), key("b")},
            id="import",
        ),
        pytest.param(
            {
                "main": "{% for n in ['1', '2'] %}{% include 'i' ~ n %}{% endfor %}",
                "i1": "{{ key('a') }}",
                "i2": "{{ key('b') }}",
            },
            {key("a"), key("b")},
            id="computed name",
        ),
    ],
)
def test_other_templates_are_followed(tmp_path: Path, files: dict[str, str], expected: set[object]) -> None:
    write(tmp_path, files)
    assert renderer_for(from_files(tmp_path, "main"), config_directory=tmp_path).dependencies == expected


def test_version_tells_two_reads_apart() -> None:
    renderer = renderer_for(inline("{{ secret('a', version=2).x }}{{ secret('a').x }}"))
    assert renderer.dependencies == {dependency("secret", "a", version=2), secret("a")}


def test_what_cannot_be_served_is_no_error_before_the_render_gets_there() -> None:
    assert found_in("{% if env('X', default='') %}{{ key('a', source='nope') }}{% endif %}") == set()


def test_misuse_in_an_included_template_names_that_template(tmp_path: Path) -> None:
    write(tmp_path, {"main": "{% include 'parts/i' %}", "parts/i": "\n\n{{ key('a', b=1) }}"})
    with pytest.raises(TemplateError, match=r"^parts/i:3: key\(\) has no such option"):
        renderer_for(from_files(tmp_path, "main"), config_directory=tmp_path)


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(
            "{% for a in range(900) %}{% for b in range(900) %}{{ key('x') }}{% endfor %}{% endfor %}", id="loops"
        ),
        pytest.param(
            "".join(
                f"{{% macro m{n}(p) %}}{{{{ m{n + 1}(p ~ 1) }}}}{{{{ m{n + 1}(p ~ 2) }}}}{{% endmacro %}}"
                for n in range(30)
            )
            + "{{ m0('a') }}{{ key('x') }}",
            id="macros",
        ),
    ],
)
def test_intricate_template_is_given_up_in_time(template: str) -> None:
    assert found_in(template) <= {"key:x"}
