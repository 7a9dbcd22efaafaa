"""The tables of options on the pages of sources and of reloads have every key of the config's models, and no other."""

from __future__ import annotations

import re

import pytest

from confcar.config.schema import json_schema
from tests.docs.pages import REFERENCE

_CODE = re.compile(r"`([^`]+)`")


def keys(model: str) -> set[str]:
    found: set[str] = set(json_schema()["$defs"][model]["properties"])
    return found


def first_column(page: str, heading: str) -> list[str]:
    """Return the names in the first column of the first table below a heading."""
    text = (REFERENCE / page).read_text().partition(f"{heading}\n")[2]
    rows = re.search(r"^\|[^\n]+\n\|[-|]+\n((?:\|[^\n]+\n)+)", text, re.MULTILINE)
    assert rows, heading
    return [name for row in rows[1].splitlines() for name in _CODE.findall(row.split(" | ")[0])]


@pytest.mark.parametrize(
    ("page", "heading", "model", "elsewhere"),
    [
        pytest.param("file.md", "# The file source", "FileOptions", {"type"}, id="file"),
        pytest.param("consul.md", "## Options", "ConsulOptions", {"type"}, id="consul"),
        pytest.param("vault.md", "## Options", "VaultOptions", {"type"}, id="vault"),
        pytest.param("reload.md", "## `signal`", "ReloadStep", {"http", "command", "timeout"}, id="signal"),
        pytest.param("reload.md", "## `http`", "HttpOptions", set(), id="http"),
        pytest.param("reload.md", "## `verify`", "VerifyOptions", set(), id="verify"),
    ],
)
def test_table_has_every_key_of_the_model_and_no_other(
    page: str, heading: str, model: str, elsewhere: set[str]
) -> None:
    assert set(first_column(page, heading)) == keys(model) - elsewhere


def test_table_of_logins_has_every_method_with_its_keys() -> None:
    table = (REFERENCE / "vault.md").read_text().partition("| `method` | keys |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)
    # What stands in brackets are defaults.
    documented = {method: set(_CODE.findall(re.sub(r"\([^)]*\)", "", cell))) for method, cell in rows}
    models = {
        model["properties"]["method"]["const"]: set(model["properties"]) - {"method", "mount"}
        for name, model in json_schema()["$defs"].items()
        if name.endswith("Auth")
    }
    assert documented == models
