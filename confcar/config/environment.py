"""Environment variables that override the config: `CONFCAR_BUNDLES__WEB__TEMPLATES__0__MODE`.

Two underscores go one level down; `_` in a source's or bundle's name stands for `-`; a number indexes a list, the first
one beyond its end adds an item. A variable of no known section only warns: Kubernetes sets `CONFCAR_PORT` and the like
for a service that is named so.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confcar.config.document import Location

PREFIX = "CONFCAR_"
_SECTIONS = {"sources", "bundles", "primary", "admin", "log", "pid_file"}
_NAMED = {"sources", "bundles"}
# Below it stand the names of variables, whose case counts.
_VARIABLES = ("primary", "environment")
# The command line's own variables: one for each option.
_OPTIONS = {"CONFIG", "BUNDLE", "TIMEOUT", "SHOW_SECRETS", "LIVE", "READY", "KEEP", "WATCH", "JSON"}


@dataclass(slots=True)
class Overrides:
    """The config with the environment laid over it.

    Attributes:
        data: The whole, a copy.
        origins: Which variable each overridden value came from, by its way.
        problems: Variables that lead nowhere, a line each.
        warnings: Variables that are none of confcar's, a line each.
    """

    data: dict[str, Any]
    origins: dict[Location, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def override(data: Mapping[str, Any], environ: Mapping[str, str]) -> Overrides:
    """Return *data* with every override of *environ* put in, as text."""
    result = Overrides(copy.deepcopy(dict(data)))
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        parts = variable.removeprefix(PREFIX).split("__")
        if variable.removeprefix(PREFIX) in _OPTIONS:
            continue
        if parts[0].lower() not in _SECTIONS:
            result.warnings.append(f"the variable {variable} names nothing in the config and is not used")
            continue
        try:
            location = _put(result.data, parts, environ[variable])
        except _NowhereError as error:
            result.problems.append(f"environment {variable}: {error}")
        else:
            result.origins[location] = variable
    return result


class _NowhereError(Exception):
    pass


def _put(data: dict[str, Any], parts: list[str], value: str) -> Location:
    location: Location = ()
    holder: Any = data
    for depth, part in enumerate(parts):
        is_last = depth == len(parts) - 1
        if not part:
            message = "there is nothing between two pairs of underscores"
            raise _NowhereError(message)
        key = _key(holder, part, is_named=depth == 1 and location[0] in _NAMED, keeps_case=location == _VARIABLES)
        location = (*location, key)
        if is_last:
            _set(holder, key, value)
        else:
            holder = _descend(holder, key, parts[depth + 1])
    return location


def _key(holder: Any, part: str, *, is_named: bool, keeps_case: bool) -> str | int:  # noqa: ANN401 - mapping or list
    if isinstance(holder, list):
        if not part.isdigit() or int(part) > len(holder):
            message = f"{part} is not an index of a list of {len(holder)}"
            raise _NowhereError(message)
        return int(part)
    lower = part.lower()
    for key in holder:
        if key.lower().replace("-", "_") == lower:
            return str(key)
    if keeps_case:
        return part
    return lower.replace("_", "-") if is_named else lower


def _descend(holder: Any, key: str | int, next_part: str) -> Any:  # noqa: ANN401 - the same
    empty: Any = [] if next_part.isdigit() else {}
    if isinstance(key, int):
        if key == len(holder):
            holder.append(empty)
        found = holder[key]
    else:
        if holder.get(key) is None:
            # Missing, or a section that is there without anything in it.
            holder[key] = empty
        found = holder[key]
    if isinstance(found, dict) and next_part.isdigit() and found:
        # One item written without a list, such as a single reload step.
        found = [found]
        holder[key] = found
    if not isinstance(found, dict | list):
        message = f"{key} is a single value, there is nothing below it"
        raise _NowhereError(message)
    return found


def _set(holder: Any, key: str | int, value: str) -> None:  # noqa: ANN401 - the same
    if isinstance(key, int) and key == len(holder):
        holder.append(value)
    else:
        holder[key] = value
