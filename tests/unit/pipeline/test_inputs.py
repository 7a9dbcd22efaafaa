"""What counts as other data, for what was refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from confcar.errors import SourceUnavailableError
from confcar.model import Dependency, Reading, RenderedFile
from confcar.pipeline.inputs import digest_inputs
from confcar.store import Answer

_KEY = Dependency("local", "key", "name")
_SECRET = Dependency("vault", "secret", "database/creds/web")
_PLAIN = RenderedFile("a", b"one")
_LEASED = RenderedFile("b", b"user-1", leased_until=500.0)
_VIEW = {
    _KEY: Answer(Reading(b"one")),
    _SECRET: Answer(Reading({"username": "user-1", "password": "p1"}, leased_until=500.0)),
}


def digest(
    *files: RenderedFile, view: dict[Dependency, Answer] | None = None, templates: str = "t", settings: str = "s"
) -> str:
    return digest_inputs(files, _VIEW if view is None else view, templates=templates, settings=settings)


def test_the_same_data_gives_the_same_digest_whatever_the_order() -> None:
    view = dict(reversed(_VIEW.items()))
    view[_SECRET] = Answer(Reading({"password": "p1", "username": "user-1"}, leased_until=500.0))
    assert digest(_PLAIN, _LEASED) == digest(_LEASED, _PLAIN, view=view)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(_PLAIN, content=b"two"), id="content"),
        pytest.param(replace(_PLAIN, mode=0o600), id="mode"),
        pytest.param(replace(_PLAIN, user="app"), id="user"),
        pytest.param(replace(_PLAIN, destination="c"), id="destination"),
    ],
)
def test_a_file_without_leased_values_counts_by_all_that_it_is(other: RenderedFile) -> None:
    assert digest(_PLAIN) != digest(other)


def test_a_renewed_credential_is_no_other_data() -> None:
    renewed = replace(_LEASED, content=b"user-2", leased_until=900.0)
    view = {**_VIEW, _SECRET: Answer(Reading({"username": "user-2", "password": "p2"}, leased_until=900.0))}
    assert digest(_PLAIN, _LEASED) == digest(_PLAIN, renewed, view=view)


@pytest.mark.parametrize(
    "value", [pytest.param(b"two", id="other"), pytest.param(None, id="gone"), pytest.param(b"", id="empty")]
)
def test_what_else_a_template_with_leased_values_reads_counts(value: bytes | None) -> None:
    assert digest(_LEASED) != digest(_LEASED, view={**_VIEW, _KEY: Answer(Reading(value))})


def test_the_templates_of_files_with_leased_values_count() -> None:
    assert digest(_LEASED, templates="t") != digest(_LEASED, templates="u")
    assert digest(_PLAIN, templates="t") == digest(_PLAIN, templates="u"), "its content says all"


def test_how_it_is_verified_counts() -> None:
    assert digest(_PLAIN, settings="s") != digest(_PLAIN, settings="t")


def test_an_outage_of_a_source_is_no_other_data() -> None:
    away = {**_VIEW, _KEY: Answer(Reading(b"one"), SourceUnavailableError("away"))}
    assert digest(_LEASED) == digest(_LEASED, view=away)


def test_numbers_and_their_texts_are_not_the_same() -> None:
    first, second = ({_KEY: Answer(Reading({"n": value}))} for value in (1, "1"))
    assert digest(_LEASED, view=first) != digest(_LEASED, view=second)
