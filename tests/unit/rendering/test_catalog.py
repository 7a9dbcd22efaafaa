"""Which source serves which function."""

from __future__ import annotations

import pytest

from confcar.errors import TemplateError
from confcar.model import CONFIG_FOLDER
from confcar.rendering.catalog import SourceCatalog

CATALOG = SourceCatalog(
    [
        ("vault", frozenset({"secret", "secrets"})),
        ("local", frozenset({"key", "ls", "tree", "secret", "secrets"})),
        ("consul", frozenset({"key", "ls", "tree"})),
    ]
)


def test_first_source_with_the_capability_serves() -> None:
    assert CATALOG.resolve("key", None) == "local"
    assert CATALOG.resolve("secret", None) == "vault"


def test_named_source_serves() -> None:
    assert CATALOG.resolve("key", "consul") == "consul"


def test_config_folder_serves_files() -> None:
    assert SourceCatalog([]).resolve("file", None) == CONFIG_FOLDER


def test_unknown_name_gets_a_suggestion_and_is_not_repeated() -> None:
    with pytest.raises(TemplateError, match="did you mean 'consul'") as caught:
        CATALOG.resolve("key", "consl")
    assert "consl" not in str(caught.value).replace("consul", "")


def test_source_without_the_capability_is_refused_with_those_that_have_it() -> None:
    with pytest.raises(TemplateError, match=r"vault cannot serve key\(\); these can: local, consul"):
        CATALOG.resolve("key", "vault")


def test_no_source_at_all_says_so() -> None:
    with pytest.raises(TemplateError, match=r"no source in the config serves key\(\)"):
        SourceCatalog([]).resolve("key", None)
