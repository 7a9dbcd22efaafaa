"""Filters that make numbers, times and mappings of what a source holds. No error of theirs shows a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from confcar.rendering.faults import TemplateFault, demand_defined, text_of_value

_TRUE = frozenset({"true", "yes", "on", "y", "t", "1"})
_FALSE = frozenset({"false", "no", "off", "n", "f", "0"})
_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 1000


def to_bool(value: object) -> bool:
    """Turn true, yes, on, y, t, 1 and their opposites, in any case, into true and false; anything else is an error."""
    word = text_of_value(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    message = "to_bool: neither a word for true nor one for false"
    raise TemplateFault(message)


def to_int(value: object) -> int:
    """Turn a text into a whole number; anything else is an error, never 0."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    word = text_of_value(value).strip()
    if not _INTEGER.fullmatch(word) or len(word) > _LONGEST_NUMBER:
        message = "to_int: not a whole number"
        raise TemplateFault(message)
    return int(word)


def to_float(value: object) -> float:
    """Turn a text into a number with a fraction; anything else is an error, never 0."""
    word = text_of_value(value).strip()
    if not _FLOAT.fullmatch(word):
        message = "to_float: not a number"
        raise TemplateFault(message)
    return float(word)


def format_time(value: object, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    """Write a moment, given as seconds since 1970 or as RFC 3339, in UTC by the codes of strftime."""
    word = text_of_value(value).strip()
    try:
        if _FLOAT.fullmatch(word):
            moment = datetime.fromtimestamp(float(word), UTC)
        else:
            moment = datetime.fromisoformat(word)
            moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        return moment.strftime(form)
    except (ValueError, OverflowError, OSError) as error:
        message = "format_time: neither seconds since 1970 nor a time of RFC 3339"
        raise TemplateFault(message) from error


def combine(value: object, *others: object, recursive: bool = False) -> dict[object, object]:
    """Merge mappings; what comes later wins. With *recursive* mappings in them are merged as well."""
    result: dict[object, object] = {}
    for mapping in (value, *others):
        demand_defined(mapping)
        if not isinstance(mapping, Mapping):
            message = "combine: only mappings can be merged"
            raise TemplateFault(message)
        for key, item in mapping.items():
            before = result.get(key)
            is_deep = recursive and isinstance(before, Mapping) and isinstance(item, Mapping)
            result[key] = combine(before, item, recursive=True) if is_deep else item
    return result


def explode(value: object) -> dict[str, object]:
    """Turn paths and their values, as `tree` gives them, into mappings within mappings."""
    demand_defined(value)
    if not isinstance(value, Mapping):
        message = "explode: only a mapping of paths can be taken apart"
        raise TemplateFault(message)
    result: dict[str, object] = {}
    for path, item in value.items():
        *folders, name = str(path).split("/")
        here = _folder(result, folders)
        if here is None or isinstance(here.get(name), dict):
            message = "explode: a path is a value and the folder of others"
            raise TemplateFault(message)
        here[name] = item
    return result


def _folder(root: dict[str, object], names: Iterable[str]) -> dict[str, object] | None:
    """Return the mapping at *names*, made where it is missing; None where a value stands in the way."""
    here = root
    for name in names:
        below = here.setdefault(name, {})
        if not isinstance(below, dict):
            return None
        here = below
    return here
