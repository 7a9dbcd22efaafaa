"""Which templates are executed after a change, and what is followed."""

from __future__ import annotations

import pytest

from confcar.config.bundles import TemplateOptions
from confcar.errors import TemplateError
from confcar.model import RenderedFile
from confcar.rendering.renderer import Renderer
from tests.unit.rendering.workbench import CATALOG, inline, key, renderer_for, secret, view_of


def test_only_templates_that_read_what_was_touched_are_executed() -> None:
    renderer = renderer_for(inline("{{ key('a') }}", "{{ key('b') }}", "{{ key('a') }}{{ key('b') }}"))
    assert renderer.render(view_of({key("a"): "1", key("b"): "1"}), None).rendered == 3
    rendering = renderer.render(view_of({key("a"): "2", key("b"): "1"}), frozenset({key("a")}))
    assert rendering.rendered == 2
    assert [file.content for file in rendering.files] == [b"2", b"1", b"21"]


def test_nothing_touched_executes_nothing_and_keeps_the_files() -> None:
    renderer = renderer_for(inline("{{ key('a') }}"))
    before = renderer.render(view_of({key("a"): "1"}), None)
    after = renderer.render({}, frozenset())
    assert (after.rendered, after.files) == (0, before.files)


def test_touched_nothing_in_particular_executes_all() -> None:
    renderer = renderer_for(inline("a", "b"))
    assert [renderer.render({}, None).rendered for _ in range(2)] == [2, 2]


def test_template_that_was_not_complete_is_executed_again() -> None:
    renderer = renderer_for(inline("{{ key('a') }}", "{{ key('b') }}"))
    assert renderer.render(view_of({key("b"): "1"}), None).rendered == 2
    rendering = renderer.render(view_of({key("a"): "1", key("b"): "1"}), frozenset())
    assert (rendering.rendered, rendering.missing, len(rendering.files)) == (1, (), 2)


def test_dynamic_dependency_that_is_not_read_any_more_is_dropped() -> None:
    renderer = renderer_for(inline("{{ key('x/' ~ key('ptr')) }}"))
    values = {key("ptr"): "1", key("x/1"): "one", key("x/2"): "two"}
    renderer.render(view_of(values), None)
    assert renderer.dependencies == {key("ptr"), key("x/1")}
    rendering = renderer.render(view_of({**values, key("ptr"): "2"}), frozenset({key("ptr")}))
    assert rendering.files[0].content == b"two"
    assert renderer.dependencies == {key("ptr"), key("x/2")}
    assert renderer.render(view_of({**values, key("ptr"): "2"}), frozenset({key("x/1")})).rendered == 0


def test_static_dependency_stays_while_its_branch_is_not_taken() -> None:
    renderer = renderer_for(inline("{% if key('on') == '1' %}{{ key('a') }}{% endif %}"))
    renderer.render(view_of({key("on"): "0"}), None)
    assert renderer.dependencies == {key("on"), key("a")}


def test_what_was_read_last_is_followed_on_while_the_render_waits() -> None:
    renderer = renderer_for(inline("{{ key('x/' ~ secret('s').ptr) }}"))
    renderer.render(view_of({secret("s"): {"ptr": "1"}, key("x/1"): "one"}), None)
    assert renderer.render(view_of({secret("s"): None}), frozenset({secret("s")})).missing
    assert renderer.dependencies == {secret("s"), key("x/1")}


def test_one_failing_template_does_not_hide_what_the_others_read() -> None:
    renderer = renderer_for(inline("{{ 1 / (key('n') | int) }}", "{{ key('x/' ~ key('p')) }}", "{{ nope }}"))
    values = view_of({key("n"): "0", key("p"): "q"})
    with pytest.raises(TemplateError) as caught:
        renderer.render(values, None)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["content of file-0", "content of file-2"]
    assert key("x/q") in renderer.dependencies


def test_failed_template_recovers_when_its_data_changes() -> None:
    renderer = renderer_for(inline("{{ 1 // (key('n') | int) }}"))
    with pytest.raises(TemplateError):
        renderer.render(view_of({key("n"): "0"}), None)
    assert renderer.render(view_of({key("n"): "1"}), frozenset({key("n")})).files[0].content == b"1"


def test_file_carries_what_the_config_says() -> None:
    options = TemplateOptions.model_validate(
        {"content": "x", "destination": "d/f", "mode": "0600", "user": "app", "group": "web", "format": "json"}
    )
    (file,) = renderer_for([options]).render({}, None).files
    assert file == RenderedFile("d/f", b"x", mode=0o600, user="app", group="web", format="json", secret=False)


def test_nothing_is_followed_before_compile() -> None:
    from pathlib import Path

    from confcar.log import Redactor

    renderer = Renderer(
        inline("{{ key('a') }}"), catalog=CATALOG, config_directory=Path("/"), redactor=Redactor(), environ={}
    )
    assert renderer.dependencies == frozenset()
    renderer.compile()
    assert renderer.dependencies == {key("a")}
