"""Short ways to templates with `for_each` and to what they give."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from confcar.config.bundles import TemplateOptions
from confcar.errors import TemplateError
from confcar.model import Dependency
from confcar.rendering.renderer import Rendering
from tests.unit.rendering.workbench import dependency, renderer_for, view_of

SITES = dependency("ls", "sites")


def each(
    for_each: str, content: str = "{{ item.value }}", destination: str = "sites/{{ item.key }}.conf"
) -> TemplateOptions:
    return TemplateOptions(content=content, destination=destination, for_each=for_each)


def sites(**values: str) -> dict[str, bytes]:
    return {name: value.encode() for name, value in values.items()}


def texts(rendering: Rendering) -> dict[str, str]:
    assert rendering.missing == ()
    return {file.destination: file.content.decode() for file in rendering.files}


def rendered(options: TemplateOptions, values: Mapping[Dependency, object] | None = None, **environ: str) -> Rendering:
    return renderer_for([options], environ=environ).render(view_of(values or {}), None)


def refusal(options: TemplateOptions, values: Mapping[Dependency, object] | None = None) -> str:
    with pytest.raises(TemplateError) as caught:
        rendered(options, values)
    return str(caught.value)
