"""Turns pydantic's findings into lines for people: where, which key, what is wrong, what was probably meant.

pydantic's `loc` names union members and the list around a single item; neither stands in the file, so both are left out
of the place and of the path.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from confcar.config.document import Location

_WORDS_OF_YAML_1_1 = {"yes", "no", "on", "off", "y", "n"}
_MESSAGES = {
    "missing": "is required",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "path_type": "must be a path",
    "too_short": "must not be empty",
}
_NOTHING = object()
_WITH_CONTEXT = {
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "string_pattern_mismatch": "must look like {pattern}",
}


def located_errors(
    error: ValidationError, data: dict[str, Any], model: type[BaseModel], place: Callable[[Location], str]
) -> list[str]:
    """Return one line per fault, `place: path: message`, each fault once, in the order of the file.

    Args:
        error: What validation raised.
        data: What was validated.
        model: The model it was validated by; knows which keys there are.
        place: Says where a value stands, `file:line:column` or `environment VARIABLE`.
    """
    lines = []
    for found in error.errors(include_url=False, include_input=True):
        location = way(found["loc"], data)
        if found["type"] == "missing":
            location = (*location, found["loc"][-1])
        is_key = found["loc"][-1:] == ("[key]",)
        name = ".".join(str(part) for part in location) or "config"
        text = _key_message() if is_key else _message(found, model)
        lines.append(f"{place(location)}: {name}: {text}")
    return list(dict.fromkeys(lines))


def way(loc: tuple[str | int, ...], data: Any) -> Location:  # noqa: ANN401 - whatever was validated
    """Return *loc* as a way through *data*: without union members and without the list around a single item."""
    location: Location = ()
    for part in loc:
        below = _item(data, part)
        if below is not _NOTHING:
            location, data = (*location, part), below
    return location


def _item(data: Any, part: str | int) -> Any:  # noqa: ANN401 - whatever was validated
    if isinstance(data, dict):
        return data.get(part, _NOTHING)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return _NOTHING


def _message(found: ErrorDetails, model: type[BaseModel]) -> str:
    """Return what is wrong in words; whatever has no words of ours keeps pydantic's, which hold no input."""
    kind, context = found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(found["loc"], model)
    if kind in {"bool_type", "bool_parsing"}:
        given = found["input"]
        is_word = isinstance(given, str) and given.lower() in _WORDS_OF_YAML_1_1
        return f"must be true or false{f'; {given} is a word in YAML 1.2' if is_word else ''}"
    if kind == "union_tag_not_found":
        return f"{_bare(context['discriminator'])} is required: {_choices(found['loc'], model)}"
    template = _WITH_CONTEXT.get(kind)
    if template is not None:
        return template.format_map({name: _bare(str(value)) for name, value in context.items()})
    return _MESSAGES.get(kind, found["msg"][:1].lower() + found["msg"][1:])


def _bare(text: str) -> str:
    return text.replace("'", "")


def _key_message() -> str:
    return "a name is made of small letters, digits and -"


def _unknown_key(loc: tuple[str | int, ...], model: type[BaseModel]) -> str:
    key = str(loc[-1])
    known = sorted({name for member in _types_at(loc[:-1], model) for name in _keys(member)})
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f"unknown key; did you mean {close[0]}?"
    return f"unknown key; there is {', '.join(known)}"


def _choices(loc: tuple[str | int, ...], model: type[BaseModel]) -> str:
    tags = [tag for member in _types_at(loc, model) for tag in _tags(member)]
    return " or ".join(dict.fromkeys(tags))


def _types_at(loc: tuple[str | int, ...], model: type[BaseModel]) -> list[Any]:
    """Return what the model allows at *loc*, unions taken apart."""
    members: list[Any] = [model]
    for part in loc:
        below = [found for member in members for found in _below(member, part)]
        # No way down: the part names a member of a union, which is chosen by its tag.
        members = below or [member for member in members if part in _tags(member)] or members
    return members


def _below(member: Any, part: str | int) -> Iterator[Any]:  # noqa: ANN401 - any annotation
    if isinstance(member, type) and issubclass(member, BaseModel):
        for name, info in member.model_fields.items():
            if part == (info.alias or name):
                yield from _members(info.annotation)
    elif get_origin(member) is dict:
        yield from _members(get_args(member)[1])
    elif get_origin(member) is list and isinstance(part, int):
        yield from _members(get_args(member)[0])


def _members(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - any annotation
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _keys(member: Any) -> Iterator[str]:  # noqa: ANN401 - any annotation
    if isinstance(member, type) and issubclass(member, BaseModel):
        yield from (info.alias or name for name, info in member.model_fields.items() if not info.exclude)


def _tags(member: Any) -> list[str]:  # noqa: ANN401 - any annotation
    if not (isinstance(member, type) and issubclass(member, BaseModel)):
        return []
    literals = [info.annotation for info in member.model_fields.values() if get_origin(info.annotation) is Literal]
    return [str(value) for literal in literals[:1] for value in get_args(literal)]
