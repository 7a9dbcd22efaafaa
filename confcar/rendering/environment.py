"""The Jinja environment of confcar's templates: sandboxed, strict, and unable to change what it is given."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Literal

from jinja2 import BaseLoader, Undefined
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from confcar.config.bundles import Delimiters
from confcar.rendering.documents import plain, to_json
from confcar.rendering.faults import StrictName, TemplateFault
from confcar.rendering.filters import filter_table
from confcar.rendering.pending import PENDING, Pending
from confcar.rendering.positions import PlacedTemplate
from confcar.rendering.values import Dynamic, DynamicText, Entry, Fields, Tree

_LONGEST_REPETITION = 10_000_000
_LARGEST_POWER_BITS = 100_000
_AT_ONCE = frozenset({str, int, float, bool})
_CONTAINERS = (list, tuple, dict)
_FIELDS_FIRST = (Fields, Dynamic, Tree, dict)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How templates are written: what tells one environment from another.

    Attributes:
        delimiters: What stands around variables, blocks and comments.
        newline: The line end of the template, which its output keeps.
    """

    delimiters: Delimiters
    newline: Literal["\n", "\r\n"]

    def fingerprint(self) -> str:
        """Return a text that is equal for equal dialects."""
        return repr((self.delimiters, self.newline))


class StrictEnvironment(ImmutableSandboxedEnvironment):
    """Looks fields up before methods, and refuses what would run away or write the text of a Python object."""

    template_class = PlacedTemplate
    intercepted_binops = frozenset({"*", "**"})

    def __init__(self, dialect: Dialect, *, loader: BaseLoader, functions: Mapping[str, Callable[..., object]]) -> None:
        marks = dialect.delimiters
        super().__init__(
            block_start_string=marks.block[0],
            block_end_string=marks.block[1],
            variable_start_string=marks.variable[0],
            variable_end_string=marks.variable[1],
            comment_start_string=marks.comment[0],
            comment_end_string=marks.comment[1],
            newline_sequence=dialect.newline,
            keep_trailing_newline=True,
            undefined=StrictName,
            finalize=printable,
            loader=loader,
            cache_size=-1,
            auto_reload=False,
        )
        self.filters = filter_table()
        self.policies["json.dumps_function"] = _dump_for_html
        self.globals.pop("lipsum", None)  # random text would be a change at each render
        self.globals.update(functions)
        self._own = frozenset(functions.values())

    def call(self, context: Context, function: object, /, *args: object, **options: object) -> object:
        """Call a function of confcar's without Jinja's questions about it, which take longer than most of the calls."""
        if type(function) is not MethodType or function not in self._own:
            return super().call(context, function, *args, **options)
        options.pop("_loop_vars", None)
        options.pop("_block_vars", None)
        return function(*args, **options)

    def getattr(self, obj: object, attribute: str) -> object:
        """Return the item of a mapping before its attribute; of a secret, never the attribute."""
        if obj is PENDING or (isinstance(obj, DynamicText) and not hasattr(str, attribute)):
            return obj
        if isinstance(obj, _FIELDS_FIRST):
            try:
                return obj[attribute]
            except KeyError:
                if isinstance(obj, Fields):
                    return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: object, argument: object) -> object:
        """Return an item; of a mapping, never an attribute in its place."""
        if obj is PENDING or argument is PENDING:
            return PENDING
        if isinstance(obj, _FIELDS_FIRST):
            try:
                return obj[argument]  # type: ignore[index] # whatever the template asks for
            except (KeyError, TypeError):
                return self.undefined(obj=obj, name=argument if isinstance(argument, str) else None)
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """Refuse results that no config file needs and no machine holds."""
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            too_large = left.bit_length() * abs(right) > _LARGEST_POWER_BITS
        else:
            too_large = operator == "*" and _repetition(left, right) > _LONGEST_REPETITION
        if too_large:
            message = "the result is too large"
            raise TemplateFault(message)
        return super().call_binop(context, operator, left, right)


def _repetition(left: object, right: object) -> int:
    if isinstance(right, str | list | tuple):
        left, right = right, left
    return len(left) * right if isinstance(left, str | list | tuple) and isinstance(right, int) else 0


def printable(value: object) -> object:
    """Return *value*, which the template writes into the file, where its text is what somebody can have meant.

    Raises:
        TemplateFault: It is a function, an iterator, bytes, or holds mappings that only look like data.
    """
    if type(value) in _AT_ONCE or isinstance(value, Undefined | Pending):
        return value
    if callable(value):
        message = "a function would be written, not its result; are the () missing?"
        raise TemplateFault(message)
    if isinstance(value, Generator | bytes):
        message = "an iterator or bytes would be written; use join, list or to_json"
        raise TemplateFault(message)
    if isinstance(value, _CONTAINERS):
        _check_items(value)
    return value


def _check_items(container: Iterable[object]) -> None:
    """Fail as the item itself would: the text of a list shows `repr` of its items, which hides what is wrong."""
    for item in container.values() if isinstance(container, dict) else container:
        if isinstance(item, Fields | Dynamic | Tree | Entry | Undefined):
            str(item)
        elif isinstance(item, _CONTAINERS):
            _check_items(item)


def _dump_for_html(value: object, **options: object) -> str:
    """Serve Jinja's own `tojson`, so that it takes what confcar's functions give."""
    indent, sort_keys = options.get("indent"), options.get("sort_keys", True)
    return to_json(plain(value), indent if isinstance(indent, int) else None, sort_keys=bool(sort_keys))
