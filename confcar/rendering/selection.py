"""What a call selects among what a source has: another datacenter, instances by tag, distance and state of health."""

from __future__ import annotations

import re
from collections.abc import Mapping

from confcar.rendering.faults import TemplateFault

SELECTING = frozenset({"dc", "near", "tag", "status"})
"""The options that select."""
_ANY = ("passing", "warning", "critical", "maintenance")
# A word by itself may mean more than one state; in a list each word is just that state.
_WORDS = {"any": _ANY, "warning": ("passing", "warning")}
_DEFAULT = ("passing",)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def select(function: str, options: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return the selection as sorted pairs, the same for every way to write the same one.

    An option that is None selects nothing, as one that is not given; so does a status that says what holds anyway.

    Raises:
        TemplateFault: An option is empty, no text, or a state that does not exist.
    """
    pairs = {(name, _text(function, name, options[name])) for name in ("dc", "near") if options.get(name) is not None}
    pairs |= {("tag", tag) for tag in _texts(function, "tag", options.get("tag"))}
    states = _states(function, options.get("status"))
    if states != set(_DEFAULT):
        pairs |= {("status", state) for state in states}
    return tuple(sorted(pairs))


def _states(function: str, value: object) -> set[str]:
    words = _texts(function, "status", value) or list(_DEFAULT)
    if isinstance(value, str):
        words = [word.strip() for word in value.split(",")]
        words = list(_WORDS.get(words[0], words)) if len(words) == 1 else words
    states = {state for word in words for state in (_ANY if word == "any" else (word,))}
    if not states <= set(_ANY):
        message = f"{function}(): status must be any, or of {', '.join(_ANY)}"
        raise TemplateFault(message)
    return states


def _texts(function: str, name: str, value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list | tuple) and value:
        return [_text(function, name, item) for item in value]
    return [_text(function, name, value)]


def _text(function: str, name: str, value: object) -> str:
    if isinstance(value, str) and value and not _CONTROL.search(value):
        return value
    many = " or a list of them" if name in {"tag", "status"} else ""
    message = f"{function}(): {name} must be text that is not empty{many}"
    raise TemplateFault(message)
