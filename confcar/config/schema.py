"""The config's JSON Schema, for editors and for checks in other people's CI.

Descriptions are the texts below the fields in the sources of the models. They are read only here: at every start they
would cost more than all the rest of the models.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from confcar.config import settings
from confcar.config.types import Model

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the config file, by the names that the file uses."""
    schema = settings.Settings.model_json_schema(by_alias=True, mode="validation")
    texts = _texts()
    for title, definition in {**schema.get("$defs", {}), "Settings": schema}.items():
        properties = definition.get("properties", {})
        for name in [name for name, found in properties.items() if found.get("writeOnly")]:
            del properties[name]
        for name, found in properties.items():
            text = texts.get((title, name)) or texts.get((title, f"{name}_seconds"))
            if text and "description" not in found:
                found["description"] = text
            _write_default_as_text(found)
            if "patternProperties" in found:
                # Without this a name that does not fit the pattern would be nobody's business.
                found["additionalProperties"] = False
    reload = schema["$defs"]["BundleOptions"]["properties"]["reload"]
    reload["anyOf"] = [{"type": "array", "items": reload.pop("items")}, {"$ref": "#/$defs/ReloadStep"}]
    reload.pop("type")
    return {"$schema": _DIALECT, "title": "confcar", **{key: schema[key] for key in schema if key != "title"}}


def _write_default_as_text(found: dict[str, Any]) -> None:
    """Write a default as people write it where the value is one text to them and a number to the code."""
    default = found.get("default")
    if found.get("type") == "string" and isinstance(default, int | float):
        is_mode = "0640" in found.get("examples", [])
        found["default"] = f"{default:04o}" if is_mode and isinstance(default, int) else f"{default:g}s"


def _texts() -> dict[tuple[str, str], str]:
    """Return the text of each field by its model's name and its own, inherited ones too."""
    models: list[type[BaseModel]] = [settings.Settings, *_below(Model)]
    modules = {module: _descriptions(sys.modules[module]) for module in {model.__module__ for model in models}}
    found: dict[tuple[str, str], str] = {}
    for model in models:
        for base in reversed(model.__mro__):
            own = modules.get(base.__module__, {})
            found |= {(model.__name__, field): text for (name, field), text in own.items() if name == base.__name__}
    return found


def _below(model: type[Model]) -> Iterator[type[Model]]:
    for each in model.__subclasses__():
        yield each
        yield from _below(each)


def _descriptions(module: ModuleType) -> dict[tuple[str, str], str]:
    """Return the text below each field of each class of a module."""
    found: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for field, text in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            ):
                found[node.name, field.target.id] = " ".join(text.value.value.split())
    return found
