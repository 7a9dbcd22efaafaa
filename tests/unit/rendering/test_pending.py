"""Data that is not there: what waits, what it says, and what the placeholder stands."""

from __future__ import annotations

import operator
from collections.abc import Callable

import pytest

from confcar.errors import SourceDeniedError, TemplateError
from confcar.model import Dependency, Missing, Reading
from confcar.rendering.pending import MARK, PENDING
from confcar.store import UNANSWERED, Answer
from tests.unit.rendering.workbench import (
    dependency,
    inline,
    key,
    passes_until_complete,
    render,
    renderer_for,
    secret,
    view_of,
)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(None, "not found", id="absent"),
        pytest.param(Answer(Reading(None, "deleted")), "deleted", id="absent with a note"),
        pytest.param(UNANSWERED, "not read yet", id="unanswered"),
        pytest.param(Answer(None, SourceDeniedError("may not read a")), "may not read a", id="error"),
    ],
)
def test_reason_says_why_data_is_missing(answer: object, reason: str) -> None:
    rendering = render("\n\n{{ key('a') }}", {key("a"): answer})
    assert rendering.missing == (Missing("content of file-0", 3, "key", "a", "consul", reason),)
    assert rendering.files == ()


@pytest.mark.parametrize(
    "call",
    [
        "key('a')",
        "key_exists('a')",
        "ls('a')",
        "tree('a')",
        "secret('a')",
        "secret('a').b.c",
        "secrets('a')",
        "file('a')",
    ],
)
def test_every_function_waits_for_its_answer(call: str) -> None:
    (missing,) = render(f"{{{{ {call} }}}}").missing
    assert (missing.function, missing.path, missing.line) == (call.partition("(")[0], "a", 1)


@pytest.mark.parametrize(
    "template",
    [
        "{{ x.a.b['c'][0](1, k=2) }}", "{{ x + 1 - 2 * 3 }}{{ 1 + x }}{{ 7 // x }}{{ x ** 2 }}{{ -x }}{{ 2 * x }}",
        "{{ x | to_json }}{{ [x] | to_json }}{{ {'a': x} | to_yaml }}{{ {'a': x} | to_toml }}{{ [x] | tojson }}",
        "{% for a, b in x.items() %}{{ a }}{% else %}none{% endfor %}", "{{ x | from_json | b64decode | quote }}",
        "{% for i in range(x) %}{% endfor %}{{ 'a' if x == 1 else 'b' }}{{ x < 3 }}{{ 'a' in x }}{{ x in ['a'] }}",
        "{{ x | int + 1 }}{{ x | length }}{{ x | upper }}{{ x | sort | first | default('d') }}{{ 'a' | indent(x) }}",
        "{{ [x, 'b'] | join(',') | sha256 }}{{ x ~ 'a' }}{{ '%s' % x }}{{ '%s' | format(x) }}{{ '{}'.format(x) }}",
        "{% set a, b = x %}{{ a }}", "{{ {}[x] }}{{ 'abc'[x] }}{{ [1, 2][x] }}", "{% include x %}", "{{ dict(**x) }}",
        "{{ x | map(attribute='a') | list }}{{ x is none }}{{ x is mapping }}{{ x | dictsort }}{{ x[1:2] }}",
        "{{ x | regex_search('a', group=1) }}{{ 'a' | regex_replace(x, 'b') }}{{ 'a' | to_bool }}", "{{ nope }}",
    ],
)  # fmt: skip
def test_placeholder_gives_way_everywhere(template: str) -> None:
    rendering = render("{% set x = secret('s') %}" + template)
    assert [one.path for one in rendering.missing] == ["s"]
    assert rendering.files == ()


@pytest.mark.parametrize(
    "operation",
    [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow],
)
def test_placeholder_survives_arithmetic_from_both_sides(operation: Callable[[object, object], object]) -> None:
    assert operation(PENDING, 2) is PENDING
    assert operation(2, PENDING) is PENDING


def test_placeholder_is_visible_in_every_text() -> None:
    assert f"{PENDING}|{PENDING!r}|{PENDING:>10}|{PENDING}".upper().strip().count(MARK) == 4
    assert (len(PENDING), bool(PENDING), list(PENDING), float(PENDING), hash(PENDING)) == (0, False, [], 0.0, 0)


def test_error_after_missing_data_counts_as_missing() -> None:
    assert [one.path for one in render("{{ key('a') }}{{ 1 / 0 }}").missing] == ["a"]


def test_error_before_missing_data_is_an_error() -> None:
    with pytest.raises(TemplateError, match="division by zero"):
        render("{{ 1 / 0 }}{{ key('a') }}")


def test_everything_missing_is_listed_once_over_all_templates() -> None:
    renderer = renderer_for(inline("{{ key('b') }}{{ key('b') }}\n{{ key('b') }}", "{{ secret('a').x }}"))
    missing = renderer.render({}, None).missing
    assert [(one.template, one.line, one.path) for one in missing] == [
        ("content of file-0", 1, "b"),
        ("content of file-0", 2, "b"),
        ("content of file-1", 1, "a"),
    ]


def test_branch_not_taken_does_not_make_the_render_wait() -> None:
    template = "{% if key('tls') == 'on' %}{{ key('cert') }}{% endif %}ok"
    renderer = renderer_for(inline(template))
    assert renderer.dependencies == {key("tls"), key("cert")}
    rendering = renderer.render(view_of({key("tls"): "off"}), None)
    assert (rendering.missing, rendering.files[0].content) == ((), b"ok")


def test_path_that_depends_on_missing_data_is_not_asked_for() -> None:
    template = """
{{ key('dyn/' ~ key('ptr')) }}{{ key(key('ptr') | upper) }}{{ key('%s/x' % key('ptr')) }}
{{ key('a', source=key('ptr')) }}{{ key([key('ptr'), 'b'] | join('/')) }}{{ key(key('ptr') | b64encode) }}
"""
    renderer = renderer_for(inline(template))
    renderer.render({}, None)
    assert renderer.dependencies == {key("ptr")}


@pytest.mark.parametrize(
    ("template", "depth"),
    [
        pytest.param("{{ key('a') }}", 0, id="literal"),
        pytest.param("{{ key(key('a')) }}", 1, id="one level"),
        pytest.param("{{ key(key(key('a'))) }}", 2, id="two levels"),
        pytest.param("{% set p = env('P') %}{{ key(key(key(p))) }}", 3, id="three levels"),
        pytest.param(
            "{% for e in ls('s') %}{% for f in ls(e.path) %}{{ key(key(f.path)) }}{% endfor %}{% endfor %}",
            3,
            id="loops",
        ),
    ],
)
def test_passes_are_depth_plus_one(template: str, depth: int) -> None:
    def answer(one: Dependency) -> object:
        if one.kind == "ls":
            return {f"{one.path}{number}": b"x" for number in range(5)}
        return one.path + "x"

    assert passes_until_complete(renderer_for(inline(template), environ={"P": "p"}), answer) == depth + 1


def test_control_sequence_of_the_placeholder_in_real_data_is_an_error_not_a_wait() -> None:
    with pytest.raises(TemplateError, match="control characters"):
        render("{{ key(key('a')) }}", {key("a"): f"x{MARK}"})


def test_data_that_is_gone_makes_the_render_pending_again() -> None:
    renderer = renderer_for(inline("{{ secret('s').a }}"))
    assert renderer.render(view_of({secret("s"): {"a": 1}}), None).missing == ()
    assert renderer.render(view_of({secret("s"): None}), frozenset({secret("s")})).missing != ()


def test_empty_folder_is_a_value_and_an_absent_one_is_not() -> None:
    template = "[{{ ls('a') | length }}{{ tree('a') | length }}]"
    empty = render(template, {dependency("ls", "a"): {}, dependency("tree", "a"): {}})
    assert empty.files[0].content == b"[00]"
    assert len(render(template, {dependency("ls", "a"): None, dependency("tree", "a"): None}).missing) == 2


def test_line_is_the_calls_own_inside_macros_and_loops() -> None:
    template = """{% macro one(p) %}

{{ key(p) }}{% endmacro %}
{% for p in ['a', 'b'] %}
  {{ one(p) }}
{% endfor %}
{{ key('c') }} {{ key('d') }}"""
    missing = render(template).missing
    assert {(one.line, one.path) for one in missing} == {(3, "a"), (3, "b"), (7, "c"), (7, "d")}


def test_line_of_an_expression_over_several_lines_is_one_of_its_lines() -> None:
    (missing,) = render("a\n{{ [\n  key('c'),\n  'x'] | join }}\nb").missing
    assert 2 <= missing.line <= 4
