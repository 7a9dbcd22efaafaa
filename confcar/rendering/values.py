"""What template functions give: secrets and instances by field, folders by path, entries of a folder.

Immutable views of what the store holds. None of them shows its values in `repr`, and none can be written into a file as
a whole: a file that holds the text of a Python object is a mistake that should be seen at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn

from confcar.rendering.faults import TemplateFault


def text_of(value: object, path: str) -> str:
    """Return the text of a key, a file or an entry.

    Raises:
        TemplateFault: The bytes are not UTF-8; says how to get them all the same.
    """
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            message = f"the value of '{path}' is not UTF-8 text; key('{path}', binary=true) gives it as base64"
            raise TemplateFault(message) from error
    return str(value)


class _View:
    """Base of what a template may look into but not write as a whole."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __str__(self) -> NoReturn:
        raise TemplateFault(_AS_A_WHOLE)


_AS_A_WHOLE = "a mapping or an entry cannot be written as a whole; name one of its fields, or use to_json or to_yaml"


class Fields(_View, Mapping[str, object]):
    """The fields of a secret or of an item of a list; `x.items` is the field of that name, in nested ones too."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> object:
        return _wrapped(self._values[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Dynamic(_View, Mapping[str, object]):
    """The fields of something that a preview does not create: whatever is asked for is the text `<dynamic>`."""

    __slots__ = ()

    def __getitem__(self, name: str) -> DynamicText:
        return DynamicText(_DYNAMIC)

    def __iter__(self) -> Iterator[str]:
        return iter((_DYNAMIC,))

    def __len__(self) -> int:
        return 1


class DynamicText(str):
    """One field of it: text, and a list of one such text where the template goes over it."""

    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        return iter((self,))


_DYNAMIC = "<dynamic>"


def views_of(values: Iterable[object]) -> list[object]:
    """Return what a template may have of a list: names as they are, mappings by their fields."""
    return [_wrapped(value) for value in values]


def _wrapped(value: object) -> object:
    if isinstance(value, Mapping):
        return Fields(value)
    return views_of(value) if isinstance(value, list | tuple) else value


class Tree(_View, Mapping[str, object]):
    """What lies below a prefix: relative path to text, sorted. A value is decoded when it is asked for."""

    __slots__ = ("_prefix", "_values")

    def __init__(self, prefix: str, values: Mapping[str, object]) -> None:
        self._prefix = prefix
        self._values = values

    def __getitem__(self, path: str) -> str:
        return text_of(self._values[path], join_path(self._prefix, path))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def entries(self) -> Iterator[Entry]:
        """Yield what lies below as entries, whose values are decoded when they are asked for."""
        return (Entry(self._prefix, path, value) for path, value in self._values.items())


class Entry(_View):
    """What lies below a prefix: a direct child, or of a tree anything.

    Attributes:
        key: Its name below the prefix; of an entry of a tree, its path there.
        path: Its full path, which `key` takes.
    """

    __slots__ = ("_value", "key", "path")

    def __init__(self, prefix: str, key: str, value: object) -> None:
        self.key = key
        self.path = join_path(prefix, key)
        self._value = value

    @property
    def value(self) -> str:
        """Its text, decoded when it is asked for."""
        return text_of(self._value, self.path)


def mark_of(entry: Entry) -> str:
    """Return a text that is equal for entries of equal path and value, whether that can be decoded or not."""
    return repr((entry.path, entry._value))  # noqa: SLF001 - of the class above


def join_path(prefix: str, path: str) -> str:
    """Return the full path of *path* below *prefix*, which may be empty."""
    return f"{prefix}/{path}" if prefix else path
