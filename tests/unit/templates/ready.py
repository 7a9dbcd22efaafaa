"""The ready templates, rendered from a file source as confcar does it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from confcar.config.bundles import TemplateOptions
from confcar.config.sources import FileOptions
from confcar.log import Redactor
from confcar.model import Dependency, RenderedFile
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.renderer import Renderer
from confcar.status import Status
from confcar.store import Answer
from confcar.watchers.file import FileWatcher

HERE = Path(__file__).parent
DATA = HERE / "data"
TEMPLATES = sorted((HERE.parents[2] / "templates").glob("*.j2"))
TLS_SET = "tls-set.pem"
# What each template's header says about how to publish it.
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "app.env": {"format": "env"},
    "envoy-clusters.yaml": {"format": "yaml"},
    "pgbouncer.ini": {"format": "ini"},
    "prometheus.yml": {"format": "yaml"},
    TLS_SET: {
        "format": "pem",
        "for_each": "{{ ['fullchain', 'chain', 'key'] }}",
        "destination": f"{TLS_SET}/{{{{ item }}}}.pem",
    },
}


def template_for(name: str) -> Path:
    """Return the template of the file *name*."""
    return next(path for path in TEMPLATES if path.stem == name)


def rendered(template: Path, data: Path | None = None) -> dict[str, RenderedFile]:
    """Return the template's files by destination; *data* is a document, by default the one beside this module."""
    data = data or DATA / f"{template.stem}.yaml"
    watcher = FileWatcher("local", FileOptions(type="file", path=data), status=Status())
    given = {"source": template, "destination": template.stem, **OPTIONS.get(template.stem, {})}
    renderer = Renderer(
        [TemplateOptions.model_validate(given)],
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
    return {file.destination: file for file in rendering.files}
