"""What each template function gives, and how it refuses to be misused."""

from __future__ import annotations

from base64 import b64encode

import pytest

from confcar.errors import SourceUnavailableError, TemplateError
from confcar.log import MASK, Redactor
from confcar.model import Dependency, Missing, Reading
from confcar.store import Answer
from tests.unit.rendering.workbench import (
    PASSWORD,
    dependency,
    inline,
    key,
    render,
    renderer_for,
    secret,
    text_of,
    view_of,
)

APP = secret("secret/app")
FIELDS = {"user": "app", "items": 3, "on": True, "nested": {"keys": [{"values": "deep"}]}}
SITES = dependency("ls", "sites")
TREE = dependency("tree", "app")


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        pytest.param("{{ key('a/b') }}", {key("a/b"): "v"}, "v", id="key"),
        pytest.param("{{ key('/a/b/') }}", {key("a/b"): "v"}, "v", id="one slash at each end"),
        pytest.param("{{ key(path='a') }}", {key("a"): "v"}, "v", id="path by name"),
        pytest.param("[{{ key('a') }}]", {key("a"): ""}, "[]", id="an empty value is a value"),
        pytest.param("{{ key('a', default='d') }}", {key("a"): None}, "d", id="default on not found"),
        pytest.param("{{ key('a', default='d') }}", {key("a"): "v"}, "v", id="default not needed"),
        pytest.param("{{ key('a', default=none) is none }}", {key("a"): None}, "True", id="default none"),
        pytest.param(
            "{{ key('a', binary=true) }}", {key("a"): b"\xff\x00"}, b64encode(b"\xff\x00").decode(), id="binary"
        ),
        pytest.param("{{ key_exists('a') }}", {key("a"): "v"}, "True", id="exists"),
        pytest.param("{{ key_exists('a') }}", {key("a"): None}, "False", id="exists not"),
    ],
)
def test_key(template: str, values: dict[Dependency, object], expected: str) -> None:
    assert text_of(render(template, values)) == expected


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        pytest.param(
            "{% for e in ls('sites') %}{{ e.key }}:{{ e.value }}:{{ e.path }} {% endfor %}",
            {SITES: {"b": b"2", "a": b"1"}},
            "a:1:sites/a b:2:sites/b ",
            id="ls is sorted",
        ),
        pytest.param("{{ ls('sites') | length }}", {SITES: {}}, "0", id="ls empty"),
        pytest.param("{{ ls('')[0].path }}", {dependency("ls", ""): {"a": b"1"}}, "a", id="ls everything"),
        pytest.param("{{ ls('/')[0].path }}", {dependency("ls", ""): {"a": b"1"}}, "a", id="ls slash"),
        pytest.param(
            "{{ ls('sites') | map(attribute='key') | join(',') }}",
            {SITES: {"a": b"\xff", "b": b""}},
            "a,b",
            id="names of binary entries",
        ),
        pytest.param(
            "{{ ls('sites') | to_json }}",
            {SITES: {"a": b"1"}},
            '[{"key": "a", "value": "1", "path": "sites/a"}]',
            id="ls to_json",
        ),
        pytest.param("{{ tree('app').items() | list | length }}", {TREE: {"a": b"1"}}, "1", id="tree has methods"),
        pytest.param("{{ tree('app').items }}", {TREE: {"items": b"1"}}, "1", id="tree item before method"),
        pytest.param("{{ tree('app')['x/y'] }}", {TREE: {"x/y": b"1"}}, "1", id="tree by path"),
        pytest.param("{{ tree('app') | list | join(' ') }}", {TREE: {"b": b"", "a/z": b""}}, "a/z b", id="tree sorted"),
    ],
)
def test_folders(template: str, values: dict[Dependency, object], expected: str) -> None:
    assert text_of(render(template, values)) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("{{ secret('secret/app').user }}", "app", id="attribute"),
        pytest.param("{{ secret('secret/app')['user'] }}", "app", id="item"),
        pytest.param("{{ secret('secret/app').items }}", "3", id="a field, not the method"),
        pytest.param("{{ secret('secret/app') | attr('items') }}", "3", id="by the filter attr"),
        pytest.param("{{ secret('secret/app').nested['keys'][0].values }}", "deep", id="nested"),
        pytest.param("{{ 'on' if secret('secret/app').on else 'off' }}", "on", id="native types"),
        pytest.param("{{ secret('secret/app', field='user') }}", "app", id="one field"),
        pytest.param("{{ secret('secret/app') | list | join(' ') }}", "user items on nested", id="names of fields"),
        pytest.param(
            "{% for k, v in secret('secret/app') | items %}{{ k }} {% endfor %}",
            "user items on nested ",
            id="over all fields",
        ),
        pytest.param("{{ secret('secret/app').nested | to_json }}", '{"keys": [{"values": "deep"}]}', id="to_json"),
        pytest.param("{{ secret('secret/app').nope | default('d') }}", "d", id="default of a field"),
        pytest.param("{{ 'user' in secret('secret/app') }}", "True", id="in"),
    ],
)
def test_secret(template: str, expected: str) -> None:
    assert text_of(render(template, {APP: FIELDS})) == expected


def test_version_is_part_of_what_is_read() -> None:
    old = dependency("secret", "secret/app", version=2)
    rendering = render(
        "{{ secret('secret/app').a }}{{ secret('secret/app', version=2).a }}", {APP: {"a": 1}, old: {"a": 2}}
    )
    assert text_of(rendering) == "12"


def test_secrets_lists_names() -> None:
    assert text_of(render("{{ secrets('kv') | join(',') }}", {dependency("secrets", "kv"): ("a", "b/")})) == "a,b/"


def test_file_gives_its_text_with_the_final_newline() -> None:
    assert text_of(render("{{ file('parts/x.txt') }}", {dependency("file", "parts/x.txt"): "a\n"})) == "a\n"


def test_env_reads_the_environment_and_is_no_dependency() -> None:
    rendering = render("{{ env('A') }}{{ env('B', default='d') }}{{ env('C') }}", A="1", C="")
    assert text_of(rendering) == "1d"


def test_other_source_by_name() -> None:
    renderer = renderer_for(inline("{{ key('a', source='consul') }}{{ secret('s', source='vault').x }}"))
    assert renderer.dependencies == {key("a"), secret("s")}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param("{{ key() }}", r"key\(\) takes one plain argument, its path", id="no path"),
        pytest.param("{{ key('a', 'b') }}", "by name it takes default=", id="two plain arguments"),
        pytest.param("{{ key('a', path='b') }}", "takes one plain argument", id="path twice"),
        pytest.param("{{ secret('a', versoin=1) }}", "did you mean 'version'", id="misspelt option"),
        pytest.param("{{ env('A', source='x') }}", "no such option; it takes default=", id="option of another"),
        pytest.param("{{ file('a', default='x') }}", "no such option; it takes none", id="file has none"),
        pytest.param("{{ key(3) }}", r"the path of key\(\) must be text", id="not text"),
        pytest.param("{{ secret('a', version='x') }}", "version must be a number from 1", id="version is text"),
        pytest.param("{{ secret('a', version=true) }}", "version must be a number from 1", id="version is a bool"),
        pytest.param("{{ secret('a', version=0) }}", "version must be a number from 1", id="version 0"),
    ],
)
def test_misuse_with_literals_is_found_before_any_render(template: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        renderer_for(inline("\n" + template))
    assert str(caught.value).startswith("content of file-0:2: ")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param("{{ secret(p, versoin=1) }}", "did you mean 'version'", id="misspelt option"),
        pytest.param("{{ key(p, source='consl') }}", "did you mean 'consul'", id="unknown source"),
        pytest.param("{{ key(p, source='vault') }}", r"vault cannot serve key\(\)", id="source without capability"),
        pytest.param("{{ key(p, binary='x') }}", "binary must be true or false", id="binary"),
        pytest.param("{{ secret(p, field=1) }}", "field must be text", id="field"),
        pytest.param("{{ key(p, source=1) }}", "source must be the name", id="source"),
        pytest.param("{{ key(*[p, p]) }}", "takes one plain argument", id="unpacked list"),
        pytest.param("{{ key(p, **{'x': 1}) }}", "no such option", id="unpacked mapping"),
        pytest.param("{{ key(nope) }}", "'nope' is undefined", id="undefined path"),
        pytest.param("{{ key(p, default=nope) }}", "'nope' is undefined", id="undefined default"),
    ],
)
def test_misuse_is_an_error_with_its_place(template: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        render("{% set p = env('P') %}\n" + template, P="a")
    assert str(caught.value).startswith("content of file-0:2: ")


@pytest.mark.parametrize(
    "call",
    [
        "key('')", "key('/')", "key('a//b')", "key('//a')", "key('a/../b')", "key('./a')", "ls('..')",
        "secret('a/./b')", "key('a\\nb')", "tree('a\\0')", "file('/etc/passwd')", "file('../x')", "file('a/')",
        "file('')", "secrets('')",
    ],
)  # fmt: skip
def test_bad_path_is_an_error(call: str) -> None:
    with pytest.raises(TemplateError, match=r"content of file-0:1: "):
        renderer_for(inline(f"{{{{ {call} }}}}"))


def test_bad_path_made_of_data_is_an_error_that_does_not_show_it() -> None:
    with pytest.raises(TemplateError, match=r"the path of key\(\) is empty or has") as caught:
        render("{{ key('../' ~ secret('s').p) }}", {secret("s"): {"p": PASSWORD}})
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("template", "values"),
    [
        pytest.param("{{ key('a/b') }}", {key("a/b"): b"\xff"}, id="key"),
        pytest.param("{{ ls('a')[0].value }}", {dependency("ls", "a"): {"b": b"\xff"}}, id="ls"),
        pytest.param("{{ tree('a')['b'] }}", {dependency("tree", "a"): {"b": b"\xff"}}, id="tree"),
    ],
)
def test_value_that_is_not_utf8_names_path_and_remedy(template: str, values: dict[Dependency, object]) -> None:
    with pytest.raises(TemplateError, match=r"'a/b' is not UTF-8 text; key\('a/b', binary=true\) gives it as base64"):
        render(template, values)


def test_file_that_is_not_utf8_is_an_error() -> None:
    with pytest.raises(TemplateError, match="the file is not UTF-8 text"):
        render("{{ file('x') }}", {dependency("file", "x"): b"\xff"})


def test_variable_that_is_not_set_is_an_error() -> None:
    with pytest.raises(TemplateError, match=r"not set; set it, or give a default= in \{\{ env\('A'\) \}\}"):
        render("{{ env('A') }}")


def test_default_is_not_used_while_the_source_is_away() -> None:
    away = Answer(None, SourceUnavailableError("consul is away"))
    rendering = render("{{ key('a', default='d') }}", {key("a"): away})
    assert rendering.missing == (Missing("content of file-0", 1, "key", "a", "consul", "consul is away"),)


def test_last_good_reading_is_used_while_the_source_is_away() -> None:
    error = SourceUnavailableError("away")
    values = {key("a"): Answer(Reading(b"old"), error), key("b"): Answer(Reading(None), error)}
    assert text_of(render("{{ key('a') }}{{ key('b', default='d') }}", values)) == "oldd"


def test_what_a_secret_holds_is_taught_to_the_redactor() -> None:
    redactor = Redactor()
    renderer = renderer_for(inline("{{ secret('s').a.b }}"), redactor=redactor)
    rendering = renderer.render(view_of({secret("s"): {"a": {"b": "x"}, "other": [PASSWORD]}}), None)
    assert redactor.mask(f"<{PASSWORD}>") == f"<{MASK}>"
    assert rendering.files[0].secret


def test_only_files_with_secrets_are_marked() -> None:
    renderer = renderer_for(inline("{{ key('a') }}", "{{ secrets('kv') | length }}"))
    rendering = renderer.render(view_of({key("a"): "v", dependency("secrets", "kv"): ("x",)}), None)
    assert [file.secret for file in rendering.files] == [False, True]


def test_path_made_of_a_secret_is_masked_in_what_is_missing() -> None:
    rendering = render("{{ key('users/' ~ secret('s').name) }}", {secret("s"): {"name": PASSWORD}})
    assert [one.path for one in rendering.missing] == [f"users/{MASK}"]
