"""Whether what was compiled still is what lies on disk, and which files that are."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcar.config.bundles import TemplateOptions
from confcar.errors import TemplateError
from confcar.log import Redactor
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.renderer import Renderer


class Templates:
    """A renderer of `main.j2`, which includes `part.j2`, in a folder below the config's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "templates").mkdir()
        self.write("templates/main.j2", "{% include 'part.j2' %}")
        self.write("part.j2", "part")
        options = TemplateOptions(source=folder / "templates" / "main.j2", destination="main")
        self.renderer = Renderer(
            [options], catalog=SourceCatalog([]), config_directory=folder, redactor=Redactor(), environ={}
        )

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)


@pytest.fixture
def templates(tmp_path: Path) -> Templates:
    templates = Templates(tmp_path)
    templates.renderer.compile()
    return templates


def test_what_was_not_compiled_is_not_current(tmp_path: Path) -> None:
    renderer = Templates(tmp_path).renderer
    assert (renderer.is_compiled, renderer.is_current()) == (False, False)


def test_what_was_compiled_is_current_until_a_file_changes(templates: Templates) -> None:
    assert templates.renderer.is_current()
    templates.write("templates/main.j2", "other")
    assert not templates.renderer.is_current()
    templates.renderer.compile()
    assert templates.renderer.is_current()


def test_an_included_file_counts(templates: Templates) -> None:
    templates.write("part.j2", "other")
    assert not templates.renderer.is_current()


def test_a_file_that_is_found_before_the_included_one_counts(templates: Templates) -> None:
    templates.write("templates/part.j2", "nearer")
    assert not templates.renderer.is_current()


@pytest.mark.parametrize("name", ["part.j2", "templates/main.j2"])
def test_a_file_that_is_gone_counts(templates: Templates, name: str) -> None:
    (templates.folder / name).unlink()
    assert not templates.renderer.is_current()


def test_a_volume_that_is_swapped_without_a_change_is_current(tmp_path: Path) -> None:
    for name in ("..one", "..two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.j2").write_text("part")
    (tmp_path / "..data").symlink_to("..one")
    templates = Templates(tmp_path)
    (tmp_path / "part.j2").unlink()
    (tmp_path / "part.j2").symlink_to("..data/part.j2")
    templates.renderer.compile()
    (tmp_path / "new").symlink_to("..two")
    (tmp_path / "new").replace(tmp_path / "..data")
    assert templates.renderer.is_current()
    (tmp_path / "..two" / "part.j2").write_text("other")
    assert not templates.renderer.is_current()


def test_the_files_are_named_as_they_were_found(templates: Templates) -> None:
    assert templates.renderer.files == {
        templates.folder / "templates" / "main.j2",
        templates.folder / "part.j2",
    }


def test_a_broken_file_leaves_what_was_compiled(templates: Templates) -> None:
    templates.write("part.j2", "{% if %}")
    with pytest.raises(TemplateError):
        templates.renderer.compile()
    assert templates.renderer.is_compiled
    assert not templates.renderer.is_current()
