"""Every function and filter has an example in the docs, and every example gives what stands beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from confcar.config.bundles import TemplateOptions
from confcar.log import Redactor
from confcar.model import ABSENT, CONFIG_FOLDER, Dependency, Kind, Reading
from confcar.rendering.calls import SIGNATURES
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.filters import OWN_FILTERS
from confcar.rendering.renderer import Renderer
from confcar.store import Answer

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
EXAMPLE = re.compile(r"```jinja\n(.*?)\n```\n```text\n(.*?)\n```", re.DOTALL)
SERVED: frozenset[Kind] = frozenset(get_args(Kind)) - {"file"}
HEADING = re.compile(r"^#{2,3} `(\w+)`$", re.MULTILINE)


def sections(page: str) -> dict[str, str]:
    """Return the text of each function or filter by its name."""
    parts = HEADING.split((REFERENCE / page).read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def examples() -> list[Any]:
    return [
        pytest.param(template, output, id=f"{name}-{number}")
        for page in ("filters.md", "functions.md")
        for name, text in sections(page).items()
        for number, (template, output) in enumerate(EXAMPLE.findall(text), 1)
    ]


def documented_data() -> dict[str, Any]:
    found = re.search(r"```yaml data\n(.*?)```", (REFERENCE / "functions.md").read_text(), re.DOTALL)
    assert found
    data: dict[str, Any] = yaml.safe_load(found[1])
    return data


def reading(kind: str, value: str | list[Any] | dict[str, str]) -> Reading:
    if isinstance(value, str):
        return Reading(value.encode())
    if isinstance(value, list):
        return Reading(tuple(value))
    return Reading({path: text.encode() for path, text in value.items()} if kind in {"ls", "tree"} else value)


def answer(dependency: Dependency, data: dict[str, Any]) -> Answer:
    values = data[dependency.kind]
    held = dependency.path in values
    return Answer(reading(dependency.kind, values[dependency.path]) if held else ABSENT)


@pytest.mark.parametrize(("template", "output"), examples())
def test_example_gives_what_stands_beside_it(template: str, output: str) -> None:
    data = documented_data()
    renderer = Renderer(
        [TemplateOptions(content=template, destination="example")],
        catalog=SourceCatalog([("all", SERVED)]),
        config_directory=REFERENCE,
        redactor=Redactor(),
        environ=data["env"],
    )
    renderer.compile()
    rendering = renderer.render({one: answer(one, data) for one in renderer.dependencies}, None)
    if rendering.missing:  # an argument was data, or something is issued
        rendering = renderer.render({one: answer(one, data) for one in renderer.dependencies}, None)
    assert [file.content.decode() for file in rendering.files] == [output]
    assert {one.source for one in renderer.dependencies} <= {"all", CONFIG_FOLDER}


@pytest.mark.parametrize(
    ("page", "names"),
    [
        pytest.param("filters.md", set(OWN_FILTERS), id="filters"),
        pytest.param("functions.md", set(SIGNATURES), id="functions"),
    ],
)
def test_page_documents_exactly_what_there_is(page: str, names: set[str]) -> None:
    documented = sections(page)
    assert set(documented) == names
    assert all(EXAMPLE.search(text) for text in documented.values())
