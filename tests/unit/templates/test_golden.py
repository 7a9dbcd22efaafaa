"""Each template of templates/ gives, on its data from a file source, exactly its golden file."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcar.config.bundles import Format, TemplateOptions
from confcar.config.sources import FileOptions
from confcar.log import Redactor
from confcar.model import Dependency, RenderedFile
from confcar.publishing.checks import check_formats
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.renderer import Renderer
from confcar.status import Status
from confcar.store import Answer
from confcar.watchers.file import FileWatcher

HERE = Path(__file__).parent
TEMPLATES = sorted((HERE.parents[2] / "templates").glob("*.j2"))
FORMATS: dict[str, Format] = {"app.env": "env"}


def rendered(template: Path, data: Path) -> RenderedFile:
    """Return the template's file, read from a file source as confcar reads it."""
    watcher = FileWatcher("local", FileOptions(type="file", path=data), status=Status())
    options = TemplateOptions(source=template, destination=template.stem, format=FORMATS.get(template.stem))
    renderer = Renderer(
        [options],
        catalog=SourceCatalog([("local", watcher.kinds)]),
        config_directory=template.parent,
        redactor=Redactor(),
        environ={},
    )
    try:
        renderer.compile()
        while True:
            wanted: frozenset[Dependency] = renderer.dependencies
            ((query, dependencies),) = watcher.plan(wanted).items()
            snapshot = watcher.fetch(query, dependencies, after=None, wait_seconds=0)
            rendering = renderer.render({one: Answer(reading) for one, reading in snapshot.readings.items()}, None)
            if renderer.dependencies == wanted:
                break
    finally:
        watcher.close()
    assert rendering.missing == ()
    return rendering.files[0]


@pytest.mark.parametrize("template", [pytest.param(path, id=path.stem) for path in TEMPLATES])
def test_template_gives_its_golden_file(template: Path) -> None:
    file = rendered(template, HERE / "data" / f"{template.stem}.yaml")
    assert file.content.decode() == (HERE / "golden" / template.stem).read_text()
    check_formats([file])


@pytest.mark.parametrize("template", [pytest.param(path, id=path.stem) for path in TEMPLATES])
def test_template_begins_with_a_comment_that_names_its_data(template: Path) -> None:
    comment, end, _ = template.read_text().partition("#}")
    assert comment.startswith("{#")
    assert end
    assert "Reads" in comment


def test_every_golden_file_has_its_template() -> None:
    assert {path.name for path in (HERE / "golden").iterdir()} == {path.stem for path in TEMPLATES}
