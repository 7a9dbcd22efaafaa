"""`${VAR}` and `${VAR:-default}` in the config's string values; `$${` stands for `${`.

Never in a template's `content`, which may be full of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from confcar.config.document import Location

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")


class ExpansionError(Exception):
    """A reference that cannot be expanded; the text says which and what to do."""


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return *text* with its references replaced; what they expand to is not expanded again.

    Raises:
        ExpansionError: A variable is not set and has no default, or a `${` is not a reference.
    """

    def replacement(found: re.Match[str]) -> str:
        if found.group() == "$${":
            return "${"
        name, default = found.group("name"), found.group("default")
        if name is None:
            message = "${ begins a reference such as ${VAR} or ${VAR:-default}; write $${ for the characters themselves"
            raise ExpansionError(message)
        # As in a shell, `:-` also stands in for a variable that is set to nothing.
        value = environ.get(name)
        if value is None or (not value and default is not None):
            value = default
        if value is None:
            message = f"the variable {name} is not set; set it or write ${{{name}:-default}}"
            raise ExpansionError(message)
        return value

    return _REFERENCE.sub(replacement, text)


def expand_all(
    data: Any,  # noqa: ANN401 - whatever the document holds
    environ: Mapping[str, str],
    *,
    on_error: Callable[[Location, str], None],
    on_change: Callable[[Location], None],
) -> Any:  # noqa: ANN401 - the same
    """Return *data* with every string value expanded.

    Args:
        data: The config's top-level mapping.
        environ: Where variables are looked up.
        on_error: Told the way to each value that cannot be expanded, and why.
        on_change: Told the way to each value that held a reference.
    """

    def walk(value: Any, location: Location) -> Any:  # noqa: ANN401 - the same
        if isinstance(value, dict):
            return {key: walk(item, (*location, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, (*location, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value or _is_template(location):
            return value
        on_change(location)
        try:
            return expand(value, environ)
        except ExpansionError as error:
            on_error(location, str(error))
            return value

    return walk(data, ())


def _is_template(location: Location) -> bool:
    return location[:1] == ("bundles",) and location[2:3] == ("templates",) and location[-1] == "content"
