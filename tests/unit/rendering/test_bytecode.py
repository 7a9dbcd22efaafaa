"""Compiled templates on disk."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from confcar.config.bundles import Delimiters, TemplateOptions
from tests.unit.rendering.workbench import from_files, inline, key, renderer_for, text_of, view_of


def test_second_start_takes_compiled_templates_and_finds_the_same(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (tmp_path / "main").write_text("{{ key('a') }}\n{{ nope }}")
    for _ in range(2):
        renderer = renderer_for(from_files(tmp_path, "main"), config_directory=tmp_path, bytecode_cache=cache)
        assert renderer.dependencies == {key("a")}
        (missing,) = renderer.render({}, None).missing
        assert (missing.template, missing.line) == ("main", 1)
        assert len(list(cache.iterdir())) == 1
    assert cache.stat().st_mode & 0o777 == 0o700


def test_same_source_with_other_delimiters_is_compiled_anew(tmp_path: Path) -> None:
    for marks, expected in ((Delimiters(), "1[[ 1 ]]"), (Delimiters(variable=("[[", "]]")), "{{ 1 }}1")):
        options = TemplateOptions(content="{{ 1 }}[[ 1 ]]", destination="f", delimiters=marks)
        renderer = renderer_for([options], bytecode_cache=tmp_path / "cache")
        assert text_of(renderer.render({}, None)) == expected


def test_changed_template_is_compiled_anew(tmp_path: Path) -> None:
    for text in ("old", "new"):
        (tmp_path / "main").write_text(text)
        renderer = renderer_for(from_files(tmp_path, "main"), bytecode_cache=tmp_path / "cache")
        assert text_of(renderer.render({}, None)) == text


def test_broken_entry_is_compiled_anew(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    renderer_for(inline("{{ key('a') }}"), bytecode_cache=cache)
    for entry in cache.iterdir():
        entry.write_bytes(entry.read_bytes()[:60])
    renderer = renderer_for(inline("{{ key('a') }}"), bytecode_cache=cache)
    assert text_of(renderer.render(view_of({key("a"): "1"}), None)) == "1"


def test_folder_that_others_can_write_to_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    with caplog.at_level(logging.WARNING, logger="confcar"):
        renderer_for(inline("a"), bytecode_cache=cache)
    assert list(cache.iterdir()) == []
    assert "bytecode cache not used" in caplog.text


def test_folder_that_cannot_be_made_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    renderer = renderer_for(inline("a"), bytecode_cache=tmp_path / "file" / "cache")
    assert text_of(renderer.render({}, None)) == "a"
