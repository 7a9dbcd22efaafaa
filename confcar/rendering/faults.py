"""What goes wrong in a template, said without a word of its data.

The texts of Python's and Jinja's errors can hold values (`{}[secret]` names its key), so none of them is ever
shown. What is shown: the place, the source text of the expression, plain words for the class of the error, and an
undefined name only where it stands in the expression anyway. A TemplateFault carries a text that confcar wrote itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from types import TracebackType
from typing import NoReturn

from jinja2 import Environment, TemplateNotFound, TemplateSyntaxError, Undefined, UndefinedError
from jinja2.exceptions import FilterArgumentError, SecurityError, TemplateRuntimeError
from jinja2.runtime import StrictUndefined
from jinja2.utils import missing as _no_object

from confcar.errors import ConfcarError, SourceDataError, TemplateError

_LONGEST_EXCERPT = 160
_ENDS = {"variable_begin": "variable_end", "block_begin": "block_end"}
_MAPPING_METHODS = frozenset({"items", "keys", "values", "get"})
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (SecurityError, "the sandbox does not allow this"),
    (TemplateNotFound, "a template that is included here does not exist"),
    (FilterArgumentError, "a filter got an argument that it cannot use"),
    (TemplateRuntimeError, "this cannot be done in a template"),
    (ZeroDivisionError, "division by zero"),
    (OverflowError, "a number or a range is too large"),
    (RecursionError, "templates or macros call themselves without end, or data is nested too deeply"),
    (MemoryError, "not enough memory"),
    (LookupError, "no such item"),
    (AttributeError, "a value does not have what is asked of it"),
    (UnicodeError, "text that cannot be encoded or decoded"),
    (TypeError, "a value of the wrong type, or wrong arguments"),
    (ValueError, "a value that cannot be used here"),
)


class TemplateFault(Exception):  # noqa: N818 - becomes a TemplateError once template and line are known
    """Something a template does wrong, in words that hold no value of any source."""


class UndefinedNameError(UndefinedError):
    """A name, attribute or item that does not exist was used.

    Attributes:
        name: What was asked for. May come from data: show it only where it stands in the template.
    """

    def __init__(self, name: object, message: str | None = None) -> None:
        super().__init__(message)
        self.name = name


class StrictName(StrictUndefined):
    """What an unknown name gives: an error as soon as it is used for anything but `default` and `is defined`."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: object = _no_object,
        name: str | None = None,
        exc: type[TemplateRuntimeError] = UndefinedError,
    ) -> None:
        super().__init__(hint, obj, name, exc)
        if exc is UndefinedError:
            self._undefined_exception = partial(UndefinedNameError, name)  # type: ignore[assignment] # only ever called

    @property
    def _undefined_message(self) -> str:
        return "undefined"  # Jinja's own text names the item, which may be data


class UnmatchedText(Undefined):
    """What `regex_search` gives where nothing matches: false in a test, an error where it would be written."""

    __slots__ = ()

    def _refuse(self, *_args: object) -> NoReturn:
        message = "regex_search found nothing; test its result, or give it a default"
        raise TemplateFault(message)

    __str__ = __iter__ = __len__ = __eq__ = __ne__ = __contains__ = _refuse
    __hash__ = Undefined.__hash__


def demand_defined(*values: object) -> None:
    """Fail as the template would where one of *values* is undefined."""
    for value in values:
        if isinstance(value, Undefined):
            str(value)


def text_of_value(value: object) -> str:
    """Return the text of what a filter was given; fails where that is undefined."""
    demand_defined(value)
    return str(value)


def explain(error: Exception, *, words: str = "", expression: str = "") -> str:
    """Return what went wrong without any text of a library's error.

    Args:
        error: What the execution of a template raised.
        words: Say this instead of what the class of the error suggests.
        expression: Source text of the expression that failed; empty where it is not known.
    """
    text = words or _in_words(error, expression)
    return f"{text} in {expression}" if expression else text


def _in_words(error: Exception, expression: str) -> str:
    if isinstance(error, TemplateFault | TemplateError | SourceDataError):
        return str(error)
    if isinstance(error, UndefinedNameError):
        return _undefined_in_words(error.name, expression)
    if isinstance(error, ConfcarError):
        return "a source failed"
    return next((words for kind, words in _WORDS if isinstance(error, kind)), f"failed ({type(error).__name__})")


def _undefined_in_words(name: object, expression: str) -> str:
    if not isinstance(name, str) or not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", expression):
        return "a name, field or item that does not exist is used"
    hint = "; to go over all fields use the filter items" if name in _MAPPING_METHODS else ""
    return f"'{name}' is undefined{hint}"


def syntax_message(error: TemplateSyntaxError) -> str:
    """Return what Jinja's parser says: it has seen the template only, never data."""
    return error.message or "syntax error"


def frames_of(traceback: TracebackType | None) -> Iterator[tuple[dict[str, object], int]]:
    """Yield the globals and the current line of each frame that an error went through, outermost first."""
    while traceback is not None:
        yield traceback.tb_frame.f_globals, traceback.tb_lineno
        traceback = traceback.tb_next


def excerpt(environment: Environment, source: str, line: int, *, name: object = None) -> str:
    """Return the source text of the expression that stands in *line*, cut to a readable length.

    Several of one line are all given, unless *name* stands in some of them only. Empty where there is none.
    """
    found = [text for first, last, text in _expressions(environment, source, line) if first <= line <= last]
    if isinstance(name, str):
        found = [text for text in found if name in text] or found
    text = " ".join(" ".join(found).split())
    return text if len(text) <= _LONGEST_EXCERPT else text[: _LONGEST_EXCERPT - 1] + "…"


def _expressions(environment: Environment, source: str, line: int) -> Iterator[tuple[int, int, str]]:
    first, end, parts = 0, "", [""]
    for number, kind, value in environment.lex(source):
        if kind in _ENDS:
            if number > line:
                return
            first, end, parts = number, _ENDS[kind], [value]
        elif end:
            parts.append(value)
            if kind == end:
                yield first, number, "".join(parts)
                end = ""
