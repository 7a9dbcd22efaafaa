"""Includes: where they are looked for, that they cannot lead out, and that a change is taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcar.config.bundles import Delimiters, TemplateOptions
from confcar.errors import TemplateError
from confcar.model import Missing
from tests.unit.rendering.workbench import from_files, inline, key, render, renderer_for, text_of, view_of


def test_own_folder_comes_before_the_configs(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "main").write_text("{% include 'a' %}{% include 'b' %}")
    (tmp_path / "templates" / "a").write_text("own")
    (tmp_path / "a").write_text("config")
    (tmp_path / "b").write_text("+config")
    renderer = renderer_for(from_files(tmp_path, "templates/main"), config_directory=tmp_path)
    assert text_of(renderer.render({}, None)) == "own+config"


def test_inline_template_includes_from_the_configs_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    renderer = renderer_for(inline("{% include 'a' %}"), config_directory=tmp_path)
    assert text_of(renderer.render({}, None)) == "x"


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/hostname", "parts/../../outside", "parts/..", "link", "folder/outside"]
)
@pytest.mark.parametrize("dynamic", [False, True])
def test_include_cannot_lead_out(tmp_path: Path, name: str, *, dynamic: bool) -> None:
    config = tmp_path / "config"
    (config / "parts").mkdir(parents=True)
    (tmp_path / "outside").write_text("stolen")
    (config / "link").symlink_to("../outside")
    (config / "folder").symlink_to("..")
    (config / "main").write_text("{% include env('NAME') %}" if dynamic else f"{{% include '{name}' %}}")
    with pytest.raises(TemplateError, match="main:1: "):
        renderer_for(from_files(config, "main"), config_directory=config, environ={"NAME": name}).render({}, None)


def test_links_of_a_kubernetes_volume_work_over_a_swap(tmp_path: Path) -> None:
    for number in ("1", "2"):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "main").write_text("{% include 'part' %}")
        (tmp_path / f"..{number}" / "part").write_text(number)
    (tmp_path / "..data").symlink_to("..1")
    for name in ("main", "part"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    renderer = renderer_for(from_files(tmp_path, "main"), config_directory=tmp_path)
    assert text_of(renderer.render({}, None)) == "1"
    (tmp_path / "new").symlink_to("..2")
    (tmp_path / "new").rename(tmp_path / "..data")
    renderer.compile()
    assert text_of(renderer.render({}, frozenset())) == "2"


def test_changed_include_is_taken_over_by_compile_only(tmp_path: Path) -> None:
    (tmp_path / "main").write_text("{% include 'part' %}")
    (tmp_path / "part").write_text("old {{ key('a') }}")
    renderer = renderer_for(from_files(tmp_path, "main"), config_directory=tmp_path)
    view = view_of({key("a"): "1", key("b"): "2"})
    (tmp_path / "part").write_text("new {{ key('b') }}")
    assert text_of(renderer.render(view, None)) == "old 1"
    renderer.compile()
    assert text_of(renderer.render(view, frozenset())) == "new 2"
    assert renderer.dependencies == {key("b")}


def test_broken_change_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "main").write_text("fine {{ key('a') }}")
    renderer = renderer_for(from_files(tmp_path, "main"), config_directory=tmp_path)
    (tmp_path / "main").write_text("{% if")
    with pytest.raises(TemplateError, match=r"^main:1: "):
        renderer.compile()
    assert renderer.dependencies == {key("a")}
    assert text_of(renderer.render(view_of({key("a"): "1"}), None)) == "fine 1"


def test_missing_data_in_an_included_template_names_that_template(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "main").write_text("\n{% include 'part' %}")
    (tmp_path / "t" / "part").write_text("\n\n{{ key('a') }}")
    (rendering) = renderer_for(from_files(tmp_path, "t/main"), config_directory=tmp_path).render({}, None)
    assert rendering.missing == (Missing("t/part", 3, "key", "a", "consul", "not read yet"),)


def test_error_in_an_imported_macro_names_that_template(tmp_path: Path) -> None:
    (tmp_path / "main").write_text("{% from 'm' import f %}\n\n{{ f() }}")
    (tmp_path / "m").write_text("{% macro f() %}\n{{ nope }}{% endmacro %}")
    with pytest.raises(TemplateError, match=r"^m:2: 'nope' is undefined in \{\{ nope \}\}"):
        renderer_for(from_files(tmp_path, "main"), config_directory=tmp_path).render({}, None)


def test_syntax_error_in_an_included_template_names_that_template(tmp_path: Path) -> None:
    (tmp_path / "main").write_text("{% include 'part' %}")
    (tmp_path / "part").write_text("\n{{ ! }}")
    with pytest.raises(TemplateError, match=r"^part:2: "):
        renderer_for(from_files(tmp_path, "main"), config_directory=tmp_path)


def test_imported_module_reads_its_data_anew_in_each_render(tmp_path: Path) -> None:
    (tmp_path / "main").write_text("{% import 'm' as m %}{{ m.value }}")
    (tmp_path / "m").write_text("{% set value = key('a') %}")
    renderer = renderer_for(from_files(tmp_path, "main"), config_directory=tmp_path)
    assert text_of(renderer.render(view_of({key("a"): "1"}), None)) == "1"
    assert text_of(renderer.render(view_of({key("a"): "2"}), frozenset({key("a")}))) == "2"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a",
        b"a\n",
        b"a\n\n",
        b"a\r\nb\r\n",
        b"\n\n  x \t\n",
        "ü€\U0001f600\n".encode(),
        b"\xef\xbb\xbfa",
        b"a\x0bb\x0cc",
    ],
)
def test_bytes_of_a_template_are_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "main").write_bytes(content)
    (file,) = renderer_for(from_files(tmp_path, "main"), config_directory=tmp_path).render({}, None).files
    assert file.content == content


def test_bytes_of_a_value_are_kept() -> None:
    value = "a\r\nb\n<&'\">\u2028\t\n\n"
    assert text_of(render("[{{ key('a') }}]", {key("a"): value})) == f"[{value}]"


def test_delimiters_can_be_others() -> None:
    marks = Delimiters(variable=("[[", "]]"), block=("[%", "%]"), comment=("[#", "#]"))
    text = "[# c #][% for i in [1, 2] %][[ key('a') ]]{{ i }}{% x %}[% endfor %]"
    options = TemplateOptions(content=text, destination="f", delimiters=marks)
    renderer = renderer_for([options, *inline("{{ key('a') }}[[ x ]]")])
    files = renderer.render(view_of({key("a"): "1"}), None).files
    assert [file.content for file in files] == [b"1{{ i }}{% x %}" * 2, b"1[[ x ]]"]


def test_error_shows_the_expression_in_its_own_delimiters() -> None:
    options = TemplateOptions(content="\n[[ nope ]]", destination="f", delimiters=Delimiters(variable=("[[", "]]")))
    with pytest.raises(TemplateError, match=r"content of f:2: 'nope' is undefined in \[\[ nope \]\]"):
        renderer_for([options]).render({}, None)
