"""The way into the config: file, references, environment, models, defaults from the environment, cross checks.

Every fault that can be found is reported at once, each with its place. Nothing of a value is ever shown.
"""

from __future__ import annotations

import copy
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

# Each round takes at least one more part away; a config needs three or four.
_MAX_ROUNDS = 12


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
    texts: set[Location] = set()
    unset: dict[Location, str] = {}
    data = expand_all(shown.data, environ, on_error=unset.__setitem__, on_change=texts.add)
    layers = override(data, environ)
    problems = [*shown.repeated, *_refused_tokens(shown), *layers.problems]
    problems += [
        f"{shown.place(location)}: {_name(location)}: {text}"
        for location, text in unset.items()
        # What the environment overrides needs no value in the file.
        if not any(location[: len(origin)] == origin for origin in layers.origins)
    ]
    token = CONFIG_DIRECTORY.set(path.parent)
    try:
        settings = _checked(shown, data, layers, texts=texts, environ=environ, problems=problems)
    finally:
        CONFIG_DIRECTORY.reset(token)
    return Config(path, path.parent, settings, tuple(layers.warnings))


def _checked(
    shown: Document,
    data: dict[str, Any],
    layers: Overrides,
    *,
    texts: set[Location],
    environ: Mapping[str, str],
    problems: list[str],
) -> Settings:
    def place(location: Location) -> str:
        return _place(shown, layers, location)

    settings: Settings | None
    try:
        settings = _validate(data, layers, texts)
    except ValidationError as error:
        problems = [*problems, *located_errors(error, layers.data, Settings, place)]
        settings = _sound_part(layers.data, error)
    if settings is not None:
        later = find_conflicts(settings, place, has_primary=bool(layers.data.get("primary")))
        try:
            settings = fill_in(settings, environ, place)
        except ConfigError as error:
            later = [*error.problems, *later]
        # What cannot be used at all is not said to be missing as well.
        known = {_place_and_path(line) for line in problems}
        problems = [*problems, *(line for line in later if _place_and_path(line) not in known)]
    if problems or settings is None:
        raise _all_at_once(problems)
    return settings


def _place_and_path(line: str) -> str:
    return ": ".join(line.split(": ", 2)[:2])


def _validate(data: dict[str, Any], layers: Overrides, texts: set[Location]) -> Settings:
    try:
        return _settings(data, layers)
    except ValidationError as error:
        if _reread(error, data, layers, texts):
            return _validate(data, layers, texts)
        raise


def _sound_part(data: dict[str, Any], error: ValidationError) -> Settings | None:
    """Return what is left without the faulty parts, so that faults between the others are told too; None: nothing.

    A source is left out whole: without its login, say, it would mean another one.
    """
    rest = copy.deepcopy(data)
    for _ in range(_MAX_ROUNDS):
        found = [way(each["loc"], rest) for each in error.errors(include_url=False, include_context=False)]
        for location in found:
            _leave_out(rest, location[:2] if location[:1] == ("sources",) else location)
        try:
            return Settings(document=rest)  # type: ignore[call-arg]  # a layer, not a field
        except ValidationError as again:
            error = again
    return None


def _leave_out(data: dict[str, Any], location: Location) -> None:
    """Remove the key at *location*, or the nearest above it: list items stay, their numbers stand in messages."""
    while location:
        holder: Any = data
        for part in location[:-1]:
            holder = holder.get(part) if isinstance(holder, dict) else holder[int(part)] if holder else None
        if isinstance(holder, dict) and location[-1] in holder:
            del holder[location[-1]]
            return
        location = location[:-1]


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
