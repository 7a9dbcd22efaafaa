"""What the tests of rendering share: a renderer on plain data, without any source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from confcar.config.bundles import TemplateOptions
from confcar.log import Redactor
from confcar.model import ABSENT, CONFIG_FOLDER, Dependency, Kind, Reading
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.renderer import Renderer, Rendering
from confcar.store import Answer, View

CONSUL_KINDS: frozenset[Kind] = frozenset({"key", "ls", "tree", "service", "services", "nodes", "datacenters"})
VAULT_KINDS: frozenset[Kind] = frozenset({"secret", "secrets", "issue"})
CATALOG = SourceCatalog([("consul", CONSUL_KINDS), ("vault", VAULT_KINDS)])
PASSWORD = "hunter2-hunter2"


def dependency(kind: Kind, path: str, **params: str | int | bool) -> Dependency:
    """Return what the catalog above makes of a call."""
    source = CONFIG_FOLDER if kind == "file" else "consul" if kind in CONSUL_KINDS else "vault"
    return Dependency(source, kind, path, tuple(sorted(params.items())))


def key(path: str) -> Dependency:
    return dependency("key", path)


def secret(path: str) -> Dependency:
    return dependency("secret", path)


def reading(value: object) -> Reading:
    """Return what a source would hold: text as bytes, also in folders; None is a confirmed absence."""
    if value is None:
        return ABSENT
    if isinstance(value, str):
        return Reading(value.encode())
    assert isinstance(value, bytes | Mapping | tuple)
    return Reading(value)


def view_of(values: Mapping[Dependency, object]) -> View:
    return {one: value if isinstance(value, Answer) else Answer(reading(value)) for one, value in values.items()}


def inline(*texts: str) -> list[TemplateOptions]:
    return [TemplateOptions(content=text, destination=f"file-{number}") for number, text in enumerate(texts)]


def from_files(folder: Path, *names: str) -> list[TemplateOptions]:
    return [TemplateOptions(source=folder / name, destination=f"out-{name.replace('/', '-')}") for name in names]


def renderer_for(
    templates: Iterable[TemplateOptions],
    *,
    config_directory: Path = Path("/nonexistent"),
    environ: Mapping[str, str] | None = None,
    redactor: Redactor | None = None,
    bytecode_cache: Path | None = None,
) -> Renderer:
    """Return a compiled renderer."""
    renderer = Renderer(
        list(templates),
        catalog=CATALOG,
        config_directory=config_directory,
        redactor=redactor or Redactor(),
        environ=environ or {},
        bytecode_cache=bytecode_cache,
    )
    renderer.compile()
    return renderer


def render(template: str, values: Mapping[Dependency, object] | None = None, **environ: str) -> Rendering:
    """Render one inline template once."""
    return renderer_for(inline(template), environ=environ).render(view_of(values or {}), None)


def text_of(rendering: Rendering) -> str:
    """Return the text of the only file."""
    assert rendering.missing == ()
    (file,) = rendering.files
    return file.content.decode()


def passes_until_complete(renderer: Renderer, answer: Callable[[Dependency], object]) -> int:
    """Answer after each pass what it asked for; return how many passes it took."""
    known: dict[Dependency, object] = {one: answer(one) for one in renderer.dependencies}
    for number in range(1, 20):
        if not renderer.render(view_of(known), None if number == 1 else frozenset()).missing:
            return number
        known = {one: answer(one) for one in renderer.dependencies}
    message = "never complete"
    raise AssertionError(message)
