"""What the examples in docs/reference/filters.md do not show: edges and errors."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from collections.abc import Callable

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from confcar.errors import TemplateError
from confcar.rendering import documents, encodings
from confcar.rendering.faults import TemplateFault
from confcar.rendering.filters import OWN_FILTERS, filter_table
from confcar.rendering.pending import PENDING
from confcar.rendering.values import Fields, Tree
from tests.unit.rendering.workbench import render, text_of

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@given(DOCUMENTS)
def test_json_reads_back_what_it_wrote(data: object) -> None:
    assert documents.from_json(documents.to_json(data)) == data


@given(DOCUMENTS)
def test_yaml_reads_back_what_it_wrote_in_both_versions(data: object) -> None:
    text = documents.to_yaml(data)
    assert documents.from_yaml(text) == data
    assert yaml.safe_load(text) == data


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans()))
def test_toml_reads_back_what_it_wrote(data: dict[str, object]) -> None:
    assert documents.from_toml(documents.to_toml(data)) == data


@given(st.text())
def test_base64_reads_back_what_it_wrote(text: str) -> None:
    assert encodings.b64decode(encodings.b64encode(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"), ("off", "off"), ("true", True), ("0640", 640), ("0o17", 15), ("0x1F", 31), ("1e3", 1000.0),
        ("12:30:45", "12:30:45"), ("2001-01-01", "2001-01-01"), ("1_000", "1_000"), ("~", None), ("", None),
        ("-.inf", float("-inf")), ("+12", 12), ("=", "="), ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
    ],
)  # fmt: skip
def test_yaml_is_read_by_the_rules_of_1_2(text: str, expected: object) -> None:
    assert documents.from_yaml(text) == expected


@pytest.mark.parametrize(
    "word", ["yes", "off", "y", "N", "true", "1e3", "012", "08", "0o17", "1_0", "2001-01-01", "~", "", "=", "- a"]
)
def test_word_that_a_reader_could_mistake_is_quoted(word: str) -> None:
    assert documents.to_yaml(word)[0] in "'\""


def test_yaml_writes_lines_as_blocks_and_repeats_instead_of_anchors() -> None:
    shared = ["x"]
    assert documents.to_yaml({"a": "1\n2\n", "b": shared, "c": shared}) == "a: |\n  1\n  2\nb:\n- x\nc:\n- x"


@pytest.mark.parametrize("write", [documents.to_json, documents.to_yaml])
def test_dates_become_text(write: Callable[[object], str]) -> None:
    assert "2001-02-03" in write({"at": dt.date(2001, 2, 3)})


def test_toml_keeps_dates() -> None:
    at = {"at": dt.date(2001, 2, 3), "servers": [{"a": 1}, {"a": 2}]}
    assert tomllib.loads(documents.to_toml(at)) == at


@pytest.mark.parametrize(
    ("write", "read"),
    [
        pytest.param(documents.to_json, json.loads, id="json"),
        pytest.param(documents.to_yaml, yaml.safe_load, id="yaml"),
        pytest.param(documents.to_toml, tomllib.loads, id="toml"),
    ],
)
def test_writers_take_what_the_functions_give(write: Callable[[object], str], read: Callable[[str], object]) -> None:
    secret = Fields({"a": {"b": ["x", {"c": 1}]}, "d": (1, 2)})
    text = write({"secret": secret, "tree": Tree("p", {"k/l": b"v"})})
    assert read(text) == {"secret": {"a": {"b": ["x", {"c": 1}]}, "d": [1, 2]}, "tree": {"k/l": "v"}}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param("{{ {'a': range} | to_json }}", "can be written", id="function"),
        pytest.param("{{ (env('N') | from_json) | to_json }}", "to_json: JSON cannot hold", id="infinity"),
        pytest.param("{{ [1] | to_toml }}", "a TOML document is a mapping", id="toml list"),
        pytest.param("{{ {'a': none} | to_toml }}", "to_toml: TOML cannot hold", id="toml null"),
        pytest.param("{{ '{\"a\": 1,}' | from_json }}", r"not JSON \(line 1, column [89]\)", id="json"),
        pytest.param("{{ '[NaN]' | from_json }}", "not JSON", id="not a number"),
        pytest.param("{{ 'a: [' | from_yaml }}", r"not plain YAML \(line 2, column 1\)", id="yaml"),
        pytest.param("{{ '!!python/name:os.system' | from_yaml }}", "not plain YAML", id="yaml tag"),
        pytest.param("{{ 'a =' | from_toml }}", r"not TOML", id="toml"),
        pytest.param("{{ '%%' | b64decode }}", "b64decode: not base64", id="base64"),
        pytest.param("{{ '/w==' | b64decode }}", "not UTF-8 text", id="base64 of bytes"),
    ],
)
def test_document_that_cannot_be_is_an_error(template: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        render(template, N="1e999")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param("{{ 'a' | regex_search('(') }}", "not a regular expression", id="pattern"),
        pytest.param("{{ 'a' | regex_replace('a', '\\\\1') }}", "names a group", id="replacement"),
        pytest.param("{{ 'a' | regex_search('a', group=3) }}", "does not have this group", id="group"),
        pytest.param("{{ 'a' | regex_search('b') }}", "regex_search found nothing", id="nothing found"),
        pytest.param("{{ 'a' | regex_search('b') ~ 'c' }}", "regex_search found nothing", id="nothing, joined"),
        pytest.param("{{ 'a' | regex_search('a|(b)', group=1) }}", "regex_search found nothing", id="group unmatched"),
        pytest.param("{{ 'a' | split('') }}", "an empty separator", id="split"),
        pytest.param("{{ 'maybe' | to_bool }}", "neither a word for true", id="to_bool"),
        pytest.param("{{ 'a\\0' | quote }}", "a zero byte cannot stand in", id="quote"),
        pytest.param("{{ 'a\\0' | env_quote }}", "a zero byte cannot stand in", id="env_quote"),
    ],
)
def test_text_that_cannot_be_is_an_error(template: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        render(template)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 'AbC' | regex_replace('b', '-', ignorecase=true) }}", "A-C"),
        ("{{ 'aaa' | regex_replace('a', 'b', count=2) }}", "bba"),
        ("{{ 'a\\nb' | regex_findall('^.', multiline=true) | join }}", "ab"),
        ("{{ 'x=1' | regex_search('(?P<v>\\\\d)', group='v') }}", "1"),
        ("{{ ('a' | regex_search('b')) is defined }}", "False"),
        ("{{ 'a' | regex_search('b') or 'c' }}", "c"),
        ("{{ 'a b  c' | split | join(',') }}", "a,b,c"),
        ("{{ 'a,b,c' | split(',', 1) | last }}", "b,c"),
        ("{{ 1 | to_bool }}{{ false | to_bool }}{{ ' YES ' | to_bool }}", "TrueFalseTrue"),
        ("{{ 5 | sha256 == '5' | sha256 }}", "True"),
    ],
)
def test_text_filters(template: str, expected: str) -> None:
    assert text_of(render(template)) == expected


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("", "''"), ("a b", "'a b'"), ("a'b", '"a\'b"'), ("$x`y`\"z\\'", '"\\$x\\`y\\`\\"z\\\\\'"'), ("a\nb", "'a\nb'"),
        ("#x", "'#x'"), ("postgres://u:p@h/d", "postgres://u:p@h/d"),
    ],
)  # fmt: skip
def test_env_quote_is_what_a_shell_reads(value: str, quoted: str) -> None:
    import subprocess

    assert encodings.env_quote(value) == quoted
    script = f'V={quoted}\nprintf %s "$V"'
    shown = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, text=True)
    assert shown.stdout == value


@pytest.mark.parametrize("name", sorted(OWN_FILTERS))
def test_every_filter_gives_way_to_the_placeholder(name: str) -> None:
    assert filter_table()[name](PENDING) is PENDING


@pytest.mark.parametrize("name", sorted(OWN_FILTERS))
def test_every_filter_refuses_an_undefined_name(name: str) -> None:
    arguments = "('a')" if name.startswith(("regex", "hmac")) else ""
    with pytest.raises(TemplateError, match="'nope' is undefined"):
        render("{{ nope | " + name + arguments + " }}")


def test_recursive_document_is_an_error() -> None:
    with pytest.raises(TemplateError, match="nested too deeply"):
        render("{{ '&a [*a]' | from_yaml | to_json }}")


def test_fault_of_a_filter_keeps_the_cause_for_itself() -> None:
    with pytest.raises(TemplateFault) as caught:
        documents.from_json("{secret")
    assert "secret" not in str(caught.value)
