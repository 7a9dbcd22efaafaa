"""The tables of docs/reference/config.md, made from the JSON Schema, which is made from the config's models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from confcar.config.schema import json_schema
from tests.docs.pages import table

_DEFINITIONS = "#/$defs/"
_TYPES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping of names",
}


def config_tables() -> str:
    """Return one section with a table per model, each once, by the ways that lead to it in the config."""
    schema = json_schema()
    ways: dict[str, list[str]] = {}
    for name, way in _ways(schema, schema, ""):
        ways.setdefault(name, []).append(way)
    parts = [_section(schema, schema, ["top level"])]
    parts += [_section(schema, schema["$defs"][name], found) for name, found in ways.items()]
    return "\n\n".join(parts)


def config_keys() -> set[str]:
    """Return every key of the config by its whole way, such as `bundles.NAME.wait.quiet`."""
    schema = json_schema()
    found = set(schema["properties"])
    for name, way in _ways(schema, schema, ""):
        found |= {f"{way}.{key}" for key in schema["$defs"][name]["properties"]}
    return found


def _ways(schema: dict[str, Any], model: dict[str, Any], way: str) -> Iterator[tuple[str, str]]:
    """Yield every model below *model* with the way that leads to it."""
    for key, field in model.get("properties", {}).items():
        for name, suffix in _models(field):
            below = f"{way}.{key}{suffix}" if way else f"{key}{suffix}"
            yield name, below
            yield from _ways(schema, schema["$defs"][name], below)


def _models(field: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "$ref" in field:
        yield field["$ref"].removeprefix(_DEFINITIONS), ""
    for member in (*field.get("anyOf", ()), *field.get("oneOf", ())):
        for name, suffix in _models(member):
            if suffix != "[]":  # one or a list of them: the way to the one
                yield name, suffix
    if "items" in field:
        yield from ((name, "[]") for name, _ in _models(field["items"]))
    for named in (field.get("patternProperties") or {}).values():
        yield from ((name, ".NAME") for name, _ in _models(named))
    if isinstance(field.get("additionalProperties"), dict):
        yield from ((name, ".NAME") for name, _ in _models(field["additionalProperties"]))


def _section(schema: dict[str, Any], model: dict[str, Any], ways: list[str]) -> str:
    required = set(model.get("required", ()))
    rows = [_row(schema, key, field, is_required=key in required) for key, field in model["properties"].items()]
    tag = next((f"{key}: {field['const']}" for key, field in model["properties"].items() if "const" in field), "")
    names = ", ".join(f"`{way}`" if way != "top level" else "Top level" for way in dict.fromkeys(ways))
    heading = f"### {names}{f' with `{tag}`' if tag else ''}"
    return f"{heading}\n\n{model['description']}\n\n{table(('key', 'takes', 'default', 'what it is'), rows)}"


def _row(schema: dict[str, Any], key: str, field: dict[str, Any], *, is_required: bool) -> tuple[str, str, str, str]:
    text = field.get("description", "")
    if not text and (names := [name for name, _ in _models(field)]):
        text = schema["$defs"][names[0]]["description"]
    return f"`{key}`", _takes(schema, field), _default(field, is_required=is_required), text


def _takes(schema: dict[str, Any], field: dict[str, Any]) -> str:
    members = [member for member in (*field.get("anyOf", ()), *field.get("oneOf", ())) if member != {"type": "null"}]
    if members:
        return " or ".join(dict.fromkeys(_takes(schema, member) for member in members))
    values = [field["const"]] if "const" in field else field.get("enum", ())
    if values:
        return " or ".join(f"`{value}`" for value in values)
    if "$ref" in field:
        return "mapping"
    if isinstance(field["type"], list):
        return "name or number"
    return _text_type(field) if field["type"] == "string" else _TYPES[field["type"]] + _bounds(field)


def _text_type(field: dict[str, Any]) -> str:
    if field.get("format") == "path":
        return "path"
    examples = field.get("examples", ())
    return "duration" if "250ms" in examples else "mode in quotes" if "0640" in examples else "text"


def _bounds(field: dict[str, Any]) -> str:
    if "exclusiveMinimum" in field:
        return f" above {field['exclusiveMinimum']:g}"
    return f" from {field['minimum']:g}" if "minimum" in field else ""


def _default(field: dict[str, Any], *, is_required: bool) -> str:
    if is_required:
        return "required"
    default = field.get("default")
    if default is None or isinstance(default, dict):
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return f"`[{', '.join(repr(item) for item in default)}]`" if default else "none"
    return f"`{default}`" if default != "" else "empty"
