"""What an error says, and that it never says a value."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from confcar.errors import TemplateError
from confcar.model import Dependency
from tests.unit.rendering.workbench import (
    PASSWORD,
    dependency,
    from_files,
    inline,
    render,
    renderer_for,
    secret,
    view_of,
)

VALUES: dict[Dependency, object] = {
    secret("s"): {
        "pw": PASSWORD,
        "pin": 91827364,
        "list": [PASSWORD],
        "map": {PASSWORD: PASSWORD},
        "json": '{"' + PASSWORD,
        "surrogate": PASSWORD + "\ud800",
    },
    dependency("tree", "t"): {PASSWORD: b"\xff" + PASSWORD.encode()},
}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param("{{ foo.bar }}", "'foo' is undefined in {{ foo.bar }}", id="name"),
        pytest.param("{{ x.nope }}", "'nope' is undefined in {{ x.nope }}", id="field"),
        pytest.param("{{ x['nope'] }}", "'nope' is undefined in {{ x['nope'] }}", id="item"),
        pytest.param("{{ ok }} {{ x.nope }}", "'nope' is undefined in {{ x.nope }}", id="the right one of two"),
        pytest.param("{{ x.keys() }}", "to go over all fields use the filter items in {{ x.keys() }}", id="method"),
        pytest.param("{% for i in nope %}{% endfor %}", "'nope' is undefined in {% for i in nope %}", id="block"),
        pytest.param("{% if x.nope == 'a' %}{% endif %}", "'nope' is undefined in {% if x.nope == 'a' %}", id="test"),
        pytest.param("{{ 1 / 0 }}", "division by zero in {{ 1 / 0 }}", id="division"),
        pytest.param("{{ 1 + x.pw }}", "a value of the wrong type, or wrong arguments in {{ 1 + x.pw }}", id="type"),
        pytest.param("{{ x.pw.upper.__self__ }}", "the sandbox does not allow this in", id="sandbox"),
        pytest.param("{% include x.pw %}", "a template that is included here does not exist in", id="include"),
        pytest.param("{{ x }}", "a mapping or an entry cannot be written as a whole", id="whole secret"),
        pytest.param("{{ x.pw.upper }}", "a function would be written, not its result", id="method unwritten"),
        pytest.param("{{ [x] }}", "cannot be written as a whole", id="list of secrets"),
        pytest.param("{{ [1, 2] | map('string') }}", "use join, list or to_json", id="iterator"),
    ],
)
def test_error_names_template_line_and_expression(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render("{% set x, ok = secret('s'), 1 %}\n" + template, VALUES)
    assert str(caught.value).startswith("content of file-0:2: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "{}[x.pw]", "{'a': 1}[x.pw]", "[][x.pin]", "x[x.pw]", "x.map[x.pin]", "x.pw + 1", "x.pw.nope", "x.pw()",
        "x.pw | from_json", "x.json | from_json", "x.pw ~ ': [' | from_yaml", "'!!python/object:' ~ x.pw | from_yaml",
        "x.pw | from_toml", "x.pw | b64decode", "x.pw | to_bool", "x.pw | to_toml", "{x.pw: none} | to_toml",
        "x.pw | regex_replace('(', '')", "'a' | regex_search('(' ~ x.pw)", "'a' | regex_replace('a', '\\\\9' ~ x.pw)",
        "'a' | regex_search('a', group=x.pw)", "x.pw | round", "x.pw | abs", "x.pw | sum", "x.list | map(x.pw) | list",
        "x.list | select(x.pw) | list", "x.pw | attr(x.pw)", "x.list | sort(attribute=x.pw)", "x.pw | format(1)",
        "'%d' % x.pw", "'%d' | format(x.pw)", "x.pw.format(1)[x.pw]", "('{' ~ x.pw ~ '}').format(1)",
        "'a'.index(x.pw)", "x.list.index(x.pin)", "range(x.pw)", "range(x.pin * 9)", "x.pw * x.pin", "x.pin ** x.pin",
        "env(x.pw)", "key(x.pw, source=x.pw)", "key('a', **{x.pw: 1})", "key(x.pw ~ '/../b')", "file('/' ~ x.pw)",
        "secret('s', field=x.pw ~ 'x')", "secret('s', version=x.pw)", "dict(x.pw)", "namespace(x.pw)", "x.pw is sameas",
        "tree('t')[x.pw]",
        "tree('t') | to_json", "x.surrogate", "x.pw | to_json(indent=[1])", "x.pw.encode('a' ~ x.pw)",
        "cycler()", "x.pw | tojson(indent=x.pw)", "x.pw | urlize(target=1, rel=2)", "x.pw | batch(x.pw) | list",
        "x.pw | wordwrap(x.pw)", "x.pw.__class__", "x.map | dictsort(by=x.pw)", "x.pw.join(1)", "x.pw | filesizeformat",
    ],
)  # fmt: skip
def test_no_error_shows_a_value(expression: str) -> None:
    template = "{% set x = secret('s') %}{{ " + expression + " }}{{ fail_at_last }}"
    with pytest.raises(TemplateError) as caught:
        render(template, VALUES)
    # The whole chain, as a log would print it. The redactor's last net is not what is tested here.
    seen = "".join(traceback.format_exception(caught.value)).replace(expression, "")
    assert "hunter2" not in seen.lower()
    assert "91827364" not in seen
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("template", "line", "message"),
    [
        pytest.param("a\n{{ 1 + }}", 2, "unexpected 'end of print statement'", id="expression"),
        pytest.param("{% if a %}", 1, "Unexpected end of template", id="open block"),
        pytest.param("\n\n{{ 'a' | to_jsn }}", 3, "there is no filter 'to_jsn'; did you mean 'to_json'?", id="filter"),
        pytest.param(
            "{% if 0 %}{{ 1 is odddd }}{% endif %}", 1, "there is no test 'odddd'; did you mean 'odd'?", id="test"
        ),
        pytest.param("{% nope %}", 1, "unknown tag 'nope'", id="tag"),
        pytest.param("\n{% include 'a.j2' %}", 2, "there is no template 'a.j2' beside this one", id="include"),
    ],
)
def test_template_that_does_not_compile_names_place_and_cause(template: str, line: int, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        renderer_for(inline(template))
    assert str(caught.value).startswith(f"content of file-0:{line}: ")
    assert message in str(caught.value)


def test_all_templates_that_do_not_compile_are_named() -> None:
    with pytest.raises(TemplateError) as caught:
        renderer_for(inline("{{", "fine", "{% x %}"))
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["content of file-0", "content of file-2"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param(
            "absent.j2", None, "absent.j2: the template cannot be read: No such file or directory", id="absent"
        ),
        pytest.param("bytes.j2", b"a\xff", r"bytes.j2: the template is not UTF-8 text \(byte 1\)", id="not UTF-8"),
        pytest.param(
            "sub/x.j2", b"\n{{ nope }}", r"sub/x.j2:2: 'nope' is undefined in \{\{ nope \}\}", id="in a folder"
        ),
    ],
)
def test_file_is_named_as_seen_from_the_config(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    (tmp_path / "sub").mkdir()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TemplateError, match=message):
        renderer_for(from_files(tmp_path, name), config_directory=tmp_path).render({}, None)


def test_deeply_nested_template_is_an_error_not_a_crash() -> None:
    deep = "{% for i in [1] %}" * 60 + "{% endfor %}" * 60
    with pytest.raises(TemplateError, match="nested too deeply"):
        renderer_for(inline(deep))


def test_long_expression_is_cut() -> None:
    with pytest.raises(TemplateError) as caught:
        render("{{ nope ~ '" + "x" * 5000 + "' }}")
    assert len(str(caught.value)) < 300


def test_error_in_an_expression_over_several_lines_shows_it_on_one() -> None:
    with pytest.raises(TemplateError, match=r"'nope' is undefined in \{\{ \[ 1, nope \] \| join \}\}"):
        renderer_for(inline("a\n{{ [\n 1,\n nope\n] | join }}")).render(view_of({}), None)
