"""The JSON Schema: it takes what `load` takes, and refuses unknown keys."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from confcar.config.schema import json_schema
from tests.unit.config.workbench import BUNDLE

_RICH = (
    """\
sources:
  vault: {type: vault, auth: {method: approle, role_id: a}, refresh: 1m30s, kv_versions: {a: 1}}
  consul: {type: consul, tls: {verify: false}}
"""
    + BUNDLE
    + """\
    reload: {signal: 1, pid_file: p}
    check: {command: [a], timeout: 1s}
  api:
    directory: other
    templates: [{content: x, destination: b, mode: "0600"}]
    reload: [{http: {url: "http://a/", expect: 204}}]
admin: {listen: "off"}
"""
)
_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def _is_type(value: object, name: str) -> bool:
    if name == "null" or isinstance(value, bool):
        return value is None if name == "null" else name == "boolean"
    return isinstance(value, _TYPES[name])  # type: ignore[arg-type]  # a type or a tuple of them


def _accepts(schema: Any, value: Any, root: Any) -> bool:  # noqa: ANN401 - schemas and values of any shape
    """Return whether *schema* takes *value*, as far as the keywords go that ours uses."""
    if "$ref" in schema:
        return _accepts(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root)
    types = schema.get("type", [])
    choices = schema.get("anyOf", schema.get("oneOf"))
    return (
        (not types or any(_is_type(value, each) for each in ([types] if isinstance(types, str) else types)))
        and (choices is None or any(_accepts(each, value, root) for each in choices))
        and ("const" not in schema or value == schema["const"])
        and ("enum" not in schema or value in schema["enum"])
        and not (isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value))
        and (not isinstance(value, dict) or _accepts_mapping(schema, value, root))
        and (not isinstance(value, list) or all(_accepts(schema.get("items", {}), each, root) for each in value))
    )


def _accepts_mapping(schema: Any, value: dict[str, Any], root: Any) -> bool:  # noqa: ANN401 - the same
    if not set(schema.get("required", [])) <= set(value) or len(value) < schema.get("minProperties", 0):
        return False
    for key, item in value.items():
        patterns = [each for pattern, each in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
        below = schema.get("properties", {}).get(key) or next(iter(patterns), schema.get("additionalProperties", {}))
        if below is False or (isinstance(below, dict) and not _accepts(below, item, root)):
            return False
    return True


def test_schema_names_its_dialect_and_title() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "confcar"


def test_good_config_is_accepted() -> None:
    schema = json_schema()
    assert _accepts(schema, yaml.safe_load(_RICH), schema)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("refresh: 1m30s", "refresh: 90", id="duration-without-unit"),
        pytest.param("refresh:", "refesh:", id="unknown-key-in-a-source"),
        pytest.param("directory: out", "dir: out", id="unknown-key-in-a-bundle"),
        pytest.param("  web:", "  We_b:", id="bad-name"),
        pytest.param("signal: 1", "signl: 1", id="unknown-key-in-a-single-step"),
        pytest.param('mode: "0600"', "mode: 600", id="mode-without-quotes"),
        pytest.param("type: consul", "type: consul, token: t", id="token"),
        pytest.param("admin:", "adm:", id="unknown-section"),
    ],
)
def test_bad_config_is_refused(old: str, new: str) -> None:
    schema = json_schema()
    assert _RICH.count(old) == 1
    assert not _accepts(schema, yaml.safe_load(_RICH.replace(old, new)), schema)


def test_fields_are_described_in_the_words_of_the_models() -> None:
    schema = json_schema()
    assert schema["$defs"]["BundleOptions"]["properties"]["directory"]["description"].startswith(
        "Relative destinations"
    )
    assert schema["$defs"]["VaultOptions"]["properties"]["refresh"]["description"].startswith("How often a secret")


@pytest.mark.parametrize(
    ("model", "key", "default"),
    [("VaultOptions", "refresh", "30s"), ("WaitOptions", "quiet", "0.2s"), ("TemplateOptions", "mode", "0640")],
)
def test_defaults_are_shown_as_people_write_them(model: str, key: str, default: str) -> None:
    assert json_schema()["$defs"][model]["properties"][key]["default"] == default


def test_every_key_but_the_ones_that_choose_a_model_is_described() -> None:
    schema = json_schema()
    models = {"top level": schema, **schema["$defs"]}
    assert not [
        f"{model}.{key}"
        for model, definition in models.items()
        for key, found in definition.get("properties", {}).items()
        if not ("description" in found or "const" in found or "$ref" in found)
    ]
