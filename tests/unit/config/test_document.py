"""Reading the file: what is no document, where things stand, and the words of YAML 1.2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from confcar.config.document import Location, read_document
from confcar.errors import ConfigError
from tests.unit.config.workbench import BUNDLE, Workbench

_KEYS = st.text("abcdefgh-_", min_size=1, max_size=4)
_TREES = st.dictionaries(
    _KEYS,
    st.recursive(
        st.integers(0, 99) | st.booleans() | st.text("xyz ${}'\"\n", max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
        max_leaves=12,
    ),
    min_size=1,
    max_size=4,
)


def _locations(value: object, location: Location = ()) -> list[Location]:
    below: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [found for part, item in below for found in [(*location, part), *_locations(item, (*location, part))]]


@given(tree=_TREES, is_json=st.booleans())
def test_every_key_and_item_has_its_place(
    tmp_path_factory: pytest.TempPathFactory,
    tree: dict[str, object],
    is_json: bool,  # noqa: FBT001 - hypothesis passes by name
) -> None:
    path = tmp_path_factory.mktemp("doc") / ("c.json" if is_json else "c.yaml")
    text = json.dumps(tree, indent=2) if is_json else yaml.safe_dump(tree)
    path.write_text(text)
    document = read_document(path)
    lines = text.splitlines()
    assert document.data == tree
    assert set(document.places) == set(_locations(tree))
    for location, (line, column) in document.places.items():
        if isinstance(key := location[-1], str):
            assert column is not None
            assert lines[line - 1][column - 1 :].lstrip("\"'? ").startswith(key)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "c.yaml: empty; a config has sources and bundles", id="empty"),
        pytest.param("# only this\n", "c.yaml: empty; a config has sources and bundles", id="comment"),
        pytest.param("- a\n", "c.yaml:1:1: a config is a mapping with the keys sources and bundles", id="list"),
        pytest.param("a: [1\nb: 2\n", "c.yaml:2:2: not YAML: did not find expected ',' or ']'", id="syntax"),
        pytest.param(
            "log:\n\tlevel: info\n", "c.yaml:2:1: not YAML: found character that cannot start any token", id="tab"
        ),
        pytest.param("a: !secret b\n", "c.yaml:1:4: !secret: a tag that is not one of YAML's own", id="tag"),
        pytest.param("a: &a [*a]\n", "c.yaml:1:4: an alias to what it stands in", id="alias-to-itself"),
        pytest.param("a: 1\n---\nb: 2\n", "c.yaml:2:1: not YAML: but found another document", id="two-documents"),
        pytest.param(b"a: b\n\xff\n", "c.yaml: not UTF-8 at byte 5", id="not-utf-8"),
        pytest.param("a: \x01\n", "c.yaml: not YAML: it holds a character that may not stand in a file", id="control"),
    ],
)
def test_what_is_no_document(bench: Workbench, text: str | bytes, problem: str) -> None:
    assert bench.problems(text) == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "c.json:1:1: not JSON: Expecting value"),
        ('{"a": 1,\n "b" 2}', "c.json:2:6: not JSON: Expecting ':' delimiter"),
        ("[1]", "c.json:1:1: a config is a mapping with the keys sources and bundles"),
        ('{"a":' + "[" * 100_000, "c.json: nested too deeply"),
    ],
    ids=["empty", "syntax", "list", "deep"],
)
def test_what_is_no_json(bench: Workbench, text: str, problem: str) -> None:
    assert bench.problems(text, name="c.json") == [problem]


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot read the config: No such file or directory"):
        read_document(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot read the config: Is a directory"):
        read_document(tmp_path)


def test_json_faults_have_line_and_column(bench: Workbench) -> None:
    web = {"directory": "out", "templates": [{"content": "x", "destination": "a", "mode": 640}]}
    text = json.dumps({"bundles": {"web": web}}, indent=2)
    line = 1 + next(number for number, each in enumerate(text.splitlines()) if "mode" in each)
    hint = 'quote the mode: "0640"; without quotes it is read as a number'
    assert bench.problems(text, name="c.json") == [f"c.json:{line}:11: bundles.web.templates.0.mode: {hint}"]


def test_toml_faults_have_a_line(bench: Workbench) -> None:
    text = """\
[bundles.web]
directory = "out"
kep = 1

[[bundles.web.templates]]
content = '''
a = 1
[not.a.table]
'''
destination = "a"
mode = 640
"""
    assert bench.problems(text, name="c.toml") == [
        "c.toml:3: bundles.web.kep: unknown key; did you mean keep?",
        'c.toml:11: bundles.web.templates.0.mode: quote the mode: "0640"; without quotes it is read as a number',
    ]


def test_toml_syntax_is_located(bench: Workbench) -> None:
    found = bench.problems("[bundles.web]\ndirectory = out\n", name="c.toml")
    assert found == ["c.toml:2:13: not TOML: Invalid value"]


def test_toml_says_the_same_as_yaml(bench: Workbench) -> None:
    text = '[bundles.web]\ndirectory = "out"\ntemplates = [{content = "hello", destination = "a"}]\n'
    assert bench.load(text, name="c.toml").settings == bench.load(BUNDLE).settings


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "y", "2024-01-01", "12:30:00", "1_000"])
def test_word_of_yaml_1_1_is_text(bench: Workbench, word: str) -> None:
    template = bench.load(BUNDLE.replace("hello", word)).settings.bundles["web"].templates[0]
    assert template.content == word


def test_second_of_two_equal_keys_is_located(bench: Workbench) -> None:
    text = BUNDLE + "log: {level: info}\nlog: {level: error}\n"
    assert bench.problems(text) == ["c.yaml:7:1: the key log stands here twice"]
    assert bench.problems('{"log": {},\n "log": {}}', name="c.json")[-1] == "c.json:2:2: the key log stands here twice"


def test_merged_keys_keep_the_place_where_they_stand(bench: Workbench) -> None:
    text = """\
bundles:
  web: &web
    directory: out
    splya: 1s
    templates: &all
      - {content: hello, destination: a}
  api:
    <<: *web
    directory: other
"""
    assert bench.problems(text) == [
        "c.yaml:4:5: bundles.web.splya: unknown key; did you mean splay?",
        "c.yaml:4:5: bundles.api.splya: unknown key; did you mean splay?",
    ]
    bundles = bench.load(text.replace("    splya: 1s\n", "")).settings.bundles
    assert bundles["api"].directory == bench.folder / "other"
    assert bundles["api"].templates == bundles["web"].templates
