"""The way into the config: file, references, environment, models, defaults from the environment, cross checks.

Every fault that can be found is reported at once, each with its place. Nothing of a value is ever shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from confcar.config.crosscheck import find_conflicts
from confcar.config.defaults import fill_in
from confcar.config.document import Document, Location, read_document
from confcar.config.environment import Overrides, override
from confcar.config.expand import expand_all
from confcar.config.explain import located_errors, way
from confcar.config.settings import Settings
from confcar.config.types import CONFIG_DIRECTORY
from confcar.errors import ConfigError

_PLACE = re.compile(r":(\d+)")
# What a field says that would take a text only after it is read as YAML: "true", "5", "[a, b]".
_NOT_AS_TEXT = {"bool_type", "int_type", "float_type", "list_type", "tuple_type", "dict_type", "model_type"}


@dataclass(frozen=True, slots=True)
class Config:
    """A config that was found to be right.

    Attributes:
        path: The file, absolute.
        directory: Its folder, where relative paths start.
        settings: What it says.
        warnings: What a person should know, a line each.
    """

    path: Path
    directory: Path
    settings: Settings
    warnings: tuple[str, ...] = ()


def load(path: Path, *, environ: Mapping[str, str]) -> Config:
    """Return the config at *path* with the environment laid over it.

    Raises:
        ConfigError: Anything is wrong; every fault that could be found, with its place.
    """
    shown = read_document(path)
    path = path.absolute()
    problems = _refused_tokens(shown)
    texts: set[Location] = set()
    data = expand_all(
        shown.data,
        environ,
        on_error=lambda location, text: problems.append(f"{shown.place(location)}: {_name(location)}: {text}"),
        on_change=texts.add,
    )
    layers = override(data, environ)
    token = CONFIG_DIRECTORY.set(path.parent)
    try:
        settings = _validate(shown, data, layers, texts, problems)
        if problems or layers.problems:
            raise _all_at_once([*problems, *layers.problems])
        settings = fill_in(settings, environ, lambda location: _place(shown, layers, location))
    finally:
        CONFIG_DIRECTORY.reset(token)
    conflicts = find_conflicts(settings, lambda location: _place(shown, layers, location))
    if conflicts:
        raise ConfigError(*conflicts)
    return Config(path, path.parent, settings, tuple(layers.warnings))


def _validate(  # noqa: PLR0917 - five things that belong to one config, each used by name below
    shown: Document, data: dict[str, Any], layers: Overrides, texts: set[Location], problems: list[str]
) -> Settings:
    try:
        return _settings(data, layers)
    except ValidationError as error:
        if _reread(error, data, layers, texts):
            return _validate(shown, data, layers, texts, problems)
        found = located_errors(error, layers.data, Settings, lambda location: _place(shown, layers, location))
        raise _all_at_once([*problems, *layers.problems, *found]) from None


def _settings(data: dict[str, Any], layers: Overrides) -> Settings:
    sections = {str(location[0]) for location in layers.origins}
    environment = {name: layers.data[name] for name in sections}
    return Settings(document=data, environment=environment)  # type: ignore[call-arg]  # layers, not fields


def _reread(error: ValidationError, data: dict[str, Any], layers: Overrides, texts: set[Location]) -> bool:
    """Read texts from variables as YAML where the field takes no text; return whether there was any to read."""
    is_changed = False
    for found in error.errors(include_url=False, include_context=False):
        location = way(found["loc"], layers.data)
        if found["type"] in _NOT_AS_TEXT and isinstance(found["input"], str):
            if location in layers.origins or location in texts:
                is_changed = _replace(layers.data, location) or is_changed
            if location in texts:
                _replace(data, location)
    return is_changed


def _replace(data: Any, location: Location) -> bool:  # noqa: ANN401 - the config's mapping
    import yaml

    from confcar.config.document import parse_value

    for part in location[:-1]:
        data = data[part]
    try:
        value = parse_value(data[location[-1]])
    except yaml.YAMLError:
        return False
    is_changed = not isinstance(value, str)
    data[location[-1]] = value
    return is_changed


def _refused_tokens(document: Document) -> list[str]:
    sources = document.data.get("sources")
    problems = []
    for name, source in sources.items() if isinstance(sources, dict) else ():
        if isinstance(source, dict) and "token" in source:
            location = ("sources", name, "token")
            variable = {"vault": "VAULT_TOKEN", "consul": "CONSUL_HTTP_TOKEN"}.get(str(source.get("type")), "")
            hint = "auth: {method: token_file, path: ...}" if variable == "VAULT_TOKEN" else "token_file"
            text = f"a token does not belong into the config; use {hint}{f' or {variable}' if variable else ''}"
            problems.append(f"{document.place(location)}: {_name(location)}: {text}")
    return problems


def _place(document: Document, layers: Overrides, location: Location) -> str:
    above = location
    while above:
        if above in layers.origins:
            return f"environment {layers.origins[above]}"
        if above in document.places:
            break
        above = above[:-1]
    return document.place(location)


def _all_at_once(problems: list[str]) -> ConfigError:
    """Return one error with all lines, in the order of the file, those of the environment first."""

    def order(line: str) -> tuple[int, ...]:
        return tuple(int(part) for part in _PLACE.findall(line.partition(": ")[0]))

    return ConfigError(*sorted(problems, key=order))


def _name(location: Location) -> str:
    return ".".join(map(str, location))
