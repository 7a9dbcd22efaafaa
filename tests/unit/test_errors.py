"""The tree of errors: exit codes and retries are part of the contract."""

from __future__ import annotations

import pytest

from confcar import errors
from confcar.errors import ConfcarError, ConfigError, SourceUnavailableError

TREE = {
    "ConfcarError": (1, False),
    "ConfigError": (2, False),
    "SourceError": (3, False),
    "SourceUnavailableError": (3, True),
    "SourceDeniedError": (3, False),
    "SourceDataError": (3, False),
    "RenderError": (4, False),
    "TemplateError": (4, False),
    "MissingDataError": (4, True),
    "CheckRefusedError": (5, False),
    "PublishError": (6, True),
    "NothingOlderError": (1, False),
    "LockedError": (6, False),
    "ReloadError": (7, True),
    "PrimaryNotFoundError": (7, True),
    "EndpointRefusedError": (7, True),
    "VerifyFailedError": (7, True),
}


def all_errors() -> dict[str, type[ConfcarError]]:
    return {
        name: found
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, ConfcarError)
    }


def test_every_error_is_in_the_table() -> None:
    assert set(all_errors()) == set(TREE)


@pytest.mark.parametrize("name", TREE)
def test_exit_code_and_retry_are_pinned(name: str) -> None:
    found = all_errors()[name]
    assert issubclass(found, ConfcarError)
    assert (found.exit_code, found.retryable) == TREE[name]


def test_config_error_keeps_its_problems_apart_and_prints_one_per_line() -> None:
    error = ConfigError("a.yaml:1:2: x: wrong", "a.yaml:3:4: y: wrong")
    assert error.problems == ("a.yaml:1:2: x: wrong", "a.yaml:3:4: y: wrong")
    assert str(error) == "a.yaml:1:2: x: wrong\na.yaml:3:4: y: wrong"


def test_unavailable_source_remembers_what_it_asked_for() -> None:
    assert SourceUnavailableError("busy", retry_after_seconds=3.0).retry_after_seconds == 3.0
    assert SourceUnavailableError("busy").retry_after_seconds is None
