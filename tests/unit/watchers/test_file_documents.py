"""Documents: what is written, what it means natively, and where it is wrong."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcar.errors import SourceDataError
from confcar.watchers.documents import document_suffix, parse_document
from confcar.watchers.nodes import Leaf, Node, all_leaves, find, native


def parse(text: str | bytes, suffix: str = ".yaml") -> Node:
    content = text.encode() if isinstance(text, str) else text
    return parse_document(content, suffix=suffix, shown=f"/data/app{suffix}")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        pytest.param("1.10", 1.1, id="float"),
        pytest.param("yes", "yes", id="yes is a word"),
        pytest.param("off", "off", id="off is a word"),
        pytest.param("true", True, id="bool"),
        pytest.param("False", False, id="bool with a capital"),
        pytest.param("0x1F", 31, id="hexadecimal"),
        pytest.param("0o17", 15, id="octal"),
        pytest.param("017", 17, id="leading zero is decimal"),
        pytest.param("1_000", "1_000", id="underscore is text"),
        pytest.param("12:30:45", "12:30:45", id="no sexagesimal numbers"),
        pytest.param("2024-01-01", "2024-01-01", id="no dates"),
        pytest.param("~", None, id="tilde"),
        pytest.param("null", None, id="null"),
        pytest.param("", None, id="nothing"),
        pytest.param("1e3", 1000.0, id="exponent"),
        pytest.param("-.inf", -math.inf, id="infinity"),
        pytest.param("=", "=", id="equals sign"),
    ],
)
def test_yaml_scalar_keeps_its_text_beside_its_value(written: str, value: object) -> None:
    node = parse(f"a: {written}\n")
    assert all_leaves(node) == {"a": written.encode()}
    found = native(node)
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "leaves"),
    [
        pytest.param('a: "1.10"', {"a": b"1.10"}, id="quotes are not the value"),
        pytest.param("a: |\n  x\n  y\n", {"a": b"x\ny\n"}, id="block"),
        pytest.param("1: x\ntrue: y", {"1": b"x", "true": b"y"}, id="keys are text"),
        pytest.param("a: [p, {q: r}]", {"a/0": b"p", "a/1/q": b"r"}, id="lists by index"),
        pytest.param(
            "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", {"a/p": b"1", "a/q": b"2", "b/p": b"1", "b/q": b"3"}, id="merge"
        ),
        pytest.param("a: &x 1\nb: *x", {"a": b"1", "b": b"1"}, id="alias"),
        pytest.param("a: !!str 5", {"a": b"5"}, id="standard tag"),
        pytest.param("# only a comment", {}, id="comment only"),
        pytest.param(b"\xef\xbb\xbfa: 1", {"a": b"1"}, id="byte order mark"),
        pytest.param(" \n", {}, id="empty"),
    ],
)
def test_yaml_document_is_read(text: str | bytes, leaves: dict[str, bytes]) -> None:
    assert all_leaves(parse(text)) == leaves


@pytest.mark.parametrize(
    ("suffix", "text", "leaves", "value"),
    [
        pytest.param(
            ".json",
            '{"a": 1.10, "b": [true, null, "x"], "c": {"d": 1e5}}',
            {"a": b"1.10", "b/0": b"true", "b/1": b"null", "b/2": b"x", "c/d": b"1e5"},
            {"a": 1.1, "b": [True, None, "x"], "c": {"d": 100000.0}},
            id="json",
        ),
        pytest.param(
            ".toml",
            "a = 0x1F\nb = 1_000\nc = 1.10\nd = 1979-05-27 07:32:00\ne = true\n",
            {"a": b"0x1F", "b": b"1_000", "c": b"1.10", "d": b"1979-05-27 07:32:00", "e": b"true"},
            {"a": 31, "b": 1000, "c": 1.1, "d": "1979-05-27 07:32:00", "e": True},
            id="toml",
        ),
        pytest.param(
            ".toml",
            '[g.h]\ni = +1\n[g]\nj = [1, false]\nk = "x"\n[[l]]\nm = {n = 1}\n',
            {"g/h/i": b"+1", "g/j/0": b"1", "g/j/1": b"false", "g/k": b"x", "l/0/m/n": b"1"},
            {"g": {"h": {"i": 1}, "j": [1, False], "k": "x"}, "l": [{"m": {"n": 1}}]},
            id="toml tables",
        ),
        pytest.param(
            ".env",
            '# c\nexport A=1\nB = two words # c\nC="x\\ny # $D" # c\nD=\'raw\\n\'\nE=\nF=a#b\nG="l1\nl2"\r\nA=2\n',
            {"A": b"2", "B": b"two words", "C": b"x\ny # $D", "D": b"raw\\n", "E": b"", "F": b"a#b", "G": b"l1\nl2"},
            {"A": "2", "B": "two words", "C": "x\ny # $D", "D": "raw\\n", "E": "", "F": "a#b", "G": "l1\nl2"},
            id="env",
        ),
    ],
)
def test_other_formats_keep_text_beside_value(
    suffix: str, text: str, leaves: dict[str, bytes], value: dict[str, object]
) -> None:
    node = parse(text, suffix)
    assert all_leaves(node) == leaves
    assert native(node) == value


SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    ("suffix", "text", "place"),
    [
        pytest.param(".yaml", f"a: 1\nb: [{SECRET}", ":3:1:", id="unclosed list"),
        pytest.param(".yaml", f"a: *{SECRET}", ":1:4:", id="unknown alias"),
        pytest.param(".yaml", f"a: !{SECRET} x", ":1:4:", id="foreign tag"),
        pytest.param(".yaml", f"a: {SECRET}\nb: 1\na: 2", ":3:1: the same key twice", id="duplicate key"),
        pytest.param(
            ".yaml", f"a: {SECRET}\n---\nb: 1", ":2:1: not valid YAML: more than one document", id="two documents"
        ),
        pytest.param(".yaml", "a: &x [*x]", ":1:4: an alias to what it stands in", id="recursive alias"),
        pytest.param(".yaml", f"? [{SECRET}]\n: 1", ":1:3:", id="key that is a list"),
        pytest.param(".yaml", f"a: !!int {SECRET}", ":1:4:", id="not what its tag says"),
        pytest.param(".yaml", f"a: é{SECRET}\n b\x01: x", ":2:3:", id="control character"),
        pytest.param(".yaml", "[" * 5000, "", id="nested too deeply"),
        pytest.param(
            ".yaml", f"a: {SECRET}\nb: \udcff".encode("utf-8", "surrogateescape"), ":2:4: not UTF-8", id="not utf-8"
        ),
        pytest.param(".json", f'{{"a": "{SECRET}" x}}', ":1:24: not valid JSON: Expecting ',' delimiter", id="json"),
        pytest.param(".json", f'{{"a": "\\x{SECRET}"}}', ":1:8: not valid JSON: Invalid \\escape", id="json escape"),
        pytest.param(".json", f'{{"a": "{SECRET}", "a": 1}}', ": the key 'a' stands twice", id="json duplicate key"),
        pytest.param(".json", "[" * 100_000, ": nested too deeply", id="json nested too deeply"),
        pytest.param(".json", '{"a": ' + "9" * 5000 + "}", ": a number is too long", id="json long number"),
        pytest.param(".json", '"\\ud800"', ": a string with half", id="json lone surrogate"),
        pytest.param(".toml", f"a = 1\nb = {SECRET}", ":2:", id="toml"),
        pytest.param(".toml", f'a = "{SECRET}"\na = 2', ":2:", id="toml duplicate key"),
        pytest.param(".env", f"A=1\n  {SECRET}", ":2:3: expected NAME=value", id="env"),
        pytest.param(".env", f'A="{SECRET}', ":1:3: a quote that is not closed", id="env unclosed quote"),
        pytest.param(".env", f'A="{SECRET}" {SECRET}', ":1:19: something follows", id="env rest"),
    ],
)
def test_broken_document_says_where_and_not_what(suffix: str, text: str | bytes, place: str) -> None:
    with pytest.raises(SourceDataError) as caught:
        parse(text, suffix)
    assert str(caught.value).startswith(f"/data/app{suffix}{place}")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert SECRET not in "".join(map(str, caught.value.args))


def test_aliases_that_expand_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    node = parse("\n".join(lines))
    with pytest.raises(SourceDataError, match="more than"):
        all_leaves(node)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        pytest.param("a/b", b"nested", id="nested"),
        pytest.param("c/d/e", b"slash", id="key with a slash"),
        pytest.param("l/1", b"two", id="list index"),
        pytest.param("l/2", None, id="index past the end"),
        pytest.param("l/01", None, id="index with a leading zero"),
        pytest.param("l/-1", None, id="negative index"),
        pytest.param("l/²", None, id="a digit that is no index"),
        pytest.param("a/b/c", None, id="below a value"),
        pytest.param("x", None, id="unknown"),
    ],
)
def test_path_finds_a_value(path: str, content: bytes | None) -> None:
    node = parse('a: {b: nested}\n"c/d": {e: slash}\nl: [one, two]')
    found = find(node, tuple(path.split("/")))
    assert (found.content if isinstance(found, Leaf) else found) == content


def test_key_with_a_slash_beside_the_nested_one_is_refused_in_a_listing() -> None:
    with pytest.raises(SourceDataError, match="a/b stands for two values"):
        all_leaves(parse('a: {b: 1}\n"a/b": 2'))


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        pytest.param("app.yml", ".yml", id="yml"),
        pytest.param(".env", ".env", id="bare env"),
        pytest.param(".env.local", ".env", id="env with an ending"),
        pytest.param("prod.env", ".env", id="env"),
        pytest.param(".json", None, id="a name that is only an ending"),
        pytest.param("nginx.conf", None, id="no document"),
    ],
)
def test_name_says_the_format(name: str, suffix: str | None) -> None:
    assert document_suffix(name) == suffix


@given(st.text())
def test_any_text_is_read_or_refused_as_env(text: str) -> None:
    """No input may raise anything but SourceDataError, or hang."""
    try:
        node = parse(text.encode("utf-8", "replace"), ".env")
    except SourceDataError:
        return
    assert isinstance(node, dict)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_json_comes_back_as_it_was(value: object) -> None:
    assert native(parse(json.dumps({"v": value}), ".json")) == {"v": value}
