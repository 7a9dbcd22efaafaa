"""Rendering without publishing: nothing is written, and nothing is waited for that will not come."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from confcar.daemon.preview import Preview, compile_templates, preview, published
from confcar.errors import MissingDataError, SourceUnavailableError, TemplateError
from tests.unit.daemon.place import Place, bundle


def shown(place: Place, *, within: float = 5.0) -> Sequence[Preview]:
    context = place.context()
    return list(preview(context, tuple(context.config.settings.bundles), timeout_seconds=within))


def test_files_are_rendered_and_nothing_is_written(place: Place) -> None:
    before = set(place.folder.rglob("*"))
    (found,) = shown(place)
    assert [file.content for file in found.files] == [b"first"]
    assert set(place.folder.rglob("*")) == before


def test_data_that_is_confirmed_not_to_be_there_is_not_waited_for(place: Place) -> None:
    place.configure(bundles={"web": bundle("web", "{{ key('nothing') }}")})
    began = time.monotonic()
    (found,) = shown(place, within=30.0)
    assert isinstance(found.error, MissingDataError)
    assert time.monotonic() - began < 2.0


def test_a_source_that_does_not_answer_is_waited_for(place: Place) -> None:
    (place.folder / "data.yaml").unlink()
    began = time.monotonic()
    (found,) = shown(place, within=0.3)
    assert isinstance(found.error, SourceUnavailableError)
    assert time.monotonic() - began >= 0.3


def test_data_that_depends_on_data_is_found(place: Place) -> None:
    place.write("name: which\nwhich: deep\n")
    place.configure(bundles={"web": bundle("web", "{{ key(key('name')) }}")})
    (found,) = shown(place)
    assert [file.content for file in found.files] == [b"deep"]


def test_one_bundle_that_has_to_wait_takes_no_time_from_another(place: Place) -> None:
    place.configure(
        sources={"local": {"type": "file", "path": "data.yaml"}, "gone": {"type": "file", "path": "gone.yaml"}},
        bundles={"away": bundle("away", "{{ key('name', source='gone') }}"), "web": bundle("web")},
    )
    away, web = shown(place, within=0.3)
    assert isinstance(away.error, SourceUnavailableError)
    assert [file.content for file in web.files] == [b"first"]


@pytest.mark.parametrize("content", ["{% if %}", "{{ 1 // 0 }}"], ids=["does not compile", "fails"])
def test_a_template_that_cannot_work_is_told_and_the_others_are_shown(place: Place, content: str) -> None:
    place.configure(bundles={"bad": bundle("bad", content), "web": bundle("web")})
    bad, web = shown(place)
    assert isinstance(bad.error, TemplateError)
    assert web.error is None


def test_all_templates_that_do_not_compile_are_told_without_any_source(place: Place) -> None:
    (place.folder / "data.yaml").unlink()
    place.configure(bundles={"a": bundle("a", "{% if %}"), "b": bundle("b", "{{ nope("), "web": bundle("web")})
    assert len(compile_templates(place.context())) == 2


def test_nothing_published_is_empty(place: Place) -> None:
    assert published(place.context(), "web") == {}


def test_the_primarys_variables_are_compiled_with_the_templates(place: Place) -> None:
    place.configure(primary={"command": ["app"], "environment": {"DB_URL": "{{ key('db') "}})
    (error,) = compile_templates(place.context())
    assert str(error).startswith("content of primary.environment.DB_URL:1: ")
