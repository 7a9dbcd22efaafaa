"""What a template cannot do, and what it can."""

from __future__ import annotations

import pytest

from confcar.errors import TemplateError
from tests.unit.rendering.workbench import dependency, key, render, secret, text_of

VALUES = {
    secret("s"): {"a": "x", "l": ["y"], "_private": "mine", "__class__": "field"},
    dependency("ls", "l"): {"a": b"1"},
    dependency("tree", "t"): {"a": b"1"},
}


@pytest.mark.parametrize(
    "expression",
    [
        "''.__class__.__mro__[1].__subclasses__()", "''['__class__']", "'' | attr('__class__')", "(1).__class__",
        "key.__globals__", "key.__self__", "key.__func__", "key['__self__']", "key | attr('__self__')",
        "range.__init__",
        "self._TemplateReference__context", "self.__init__.__globals__", "cycler.__init__.__globals__",
        "ls('l')[0]._value", "ls('l')[0]['_value']", "ls('l') | map(attribute='_value') | list", "tree('t')._values",
        "tree('t') | attr('_values')", "'{0._values}'.format(tree('t'))", "'{0.__class__}'.format('')",
        "'{x.__class__}'.format_map({'x': 1})", "secret('s') | attr('_values')", "secret('s')._values",
        "secret('s').l.append('z')", "[1].append(2)", "{}.update(a=1)", "{'a': 1}.pop('a')",
        "namespace.__init__.__globals__", "joiner.__class__", "(ls('l') | list).sort()", "dict.__subclasses__()",
    ],
)  # fmt: skip
def test_sandbox_lets_nobody_out(expression: str) -> None:
    with pytest.raises(TemplateError):
        render("{{ " + expression + " }}", VALUES)


def test_fields_that_look_private_are_fields() -> None:
    assert text_of(render("{{ secret('s')._private }} {{ secret('s').__class__ }}", VALUES)) == "mine field"


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("{{ 'x' * 100000000 }}", id="repetition"),
        pytest.param("{{ 100000000 * [1] }}", id="repetition of a list"),
        pytest.param("{{ 9 ** 99999999 }}", id="power"),
        pytest.param("{% for i in range(1000000) %}{% endfor %}", id="range"),
        pytest.param("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", id="endless macro"),
        pytest.param("{% for i in range(9) %}{{ 'x' * 9000000 }}{% endfor %}", id="huge output"),
    ],
)
def test_template_that_runs_away_is_stopped(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template)


def test_ordinary_arithmetic_works() -> None:
    assert (
        text_of(render("{{ 2 ** 10 }} {{ 3 * 4 }} {{ '-' * 3 }} {{ 2 ** 0.5 > 1 }} {{ 2 ** -1 }}"))
        == "1024 12 --- True 0.5"
    )


def test_text_that_would_differ_at_each_render_is_not_there() -> None:
    with pytest.raises(TemplateError, match="'lipsum' is undefined"):
        render("{{ lipsum() }}")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("{{ {'items': 1}.items }}", "1", id="item before method"),
        pytest.param("{{ {'a': 1}.items() | list | length }}", "1", id="method where there is no item"),
        pytest.param("{{ ({'a': 1}['items']) is defined }}", "False", id="no method for an item"),
        pytest.param("{{ ['b', 'a'] | sort }}", "['a', 'b']", id="lists are written as in Jinja"),
        pytest.param("{{ none }} {{ 1.5 }} {{ true }}", "None 1.5 True", id="scalars"),
        pytest.param("{{ nope | default('d') }} {{ nope is defined }}", "d False", id="undefined where it is allowed"),
        pytest.param("{{ key('a') | tojson }}", '"v"', id="tojson of Jinja"),
    ],
)
def test_language_is_jinjas(template: str, expected: str) -> None:
    assert text_of(render(template, {key("a"): "v"})) == expected
