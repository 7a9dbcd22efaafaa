"""The config file as data plus the place of every key and item: the same for YAML, JSON and TOML.

YAML and JSON places are line and column, TOML's the line. Duplicate keys are faults in all three.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confcar.config.toml_lines import key_lines
from confcar.errors import ConfigError
from confcar.yaml12 import MERGE, STANDARD, core_schema_loader, native_scalar

Location = tuple[str | int, ...]
"""The way to a value: keys of mappings and indexes of lists."""
_TOML_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed config file.

    Attributes:
        shown: Its path, as messages name it.
        data: The top-level mapping.
        places: Line and, where it is known, column of every key and list item; both from 1.
        repeated: A line for each key that stands twice in one mapping; the first of them is in `data`.
    """

    shown: str
    data: dict[str, Any]
    places: Mapping[Location, tuple[int, int | None]] = field(default_factory=dict)
    repeated: tuple[str, ...] = ()

    def place(self, location: Location) -> str:
        """Return `file:line:column` of the value at *location*, or of the nearest one above it that has a place."""
        while location:
            if location in self.places:
                line, column = self.places[location]
                return f"{self.shown}:{line}" if column is None else f"{self.shown}:{line}:{column}"
            location = location[:-1]
        return self.shown


def read_document(path: Path) -> Document:
    """Return the config file at *path*, parsed by its suffix: `.toml`, `.json`, anything else YAML.

    Raises:
        ConfigError: Not there, not readable, not UTF-8, or not what its suffix says; with the place of the fault.
    """
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the config: {error.strerror}") from error
    parse = {".toml": _parse_toml, ".json": _parse_json}.get(path.suffix, _parse_yaml)
    try:
        return parse(str(path), text)
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error


def parse_value(text: str) -> Any:  # noqa: ANN401 - whatever the text means
    """Return what a text from a variable means as YAML; the text itself where it is no more than that.

    Raises:
        yaml.YAMLError: It is no YAML.
    """
    import yaml

    root = yaml.compose(text, Loader=core_schema_loader())
    return text if root is None else _Builder("").build(root, ())


def _parse_toml(shown: str, text: str) -> Document:
    import tomllib

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _TOML_PLACE.search(str(error))
        place = f":{found.group(1)}:{found.group(2)}" if found and found.group(1) else f":{text.count(chr(10)) + 1}"
        raise ConfigError(f"{shown}{place}: not TOML: {_TOML_PLACE.sub('', str(error))}") from error
    return Document(shown, data, {location: (line, None) for location, line in key_lines(text).items()})


def _parse_json(shown: str, text: str) -> Document:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{shown}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    # JSON is YAML, and the YAML reader keeps places.
    return _parse_yaml(shown, text)


def _parse_yaml(shown: str, text: str) -> Document:
    import yaml

    try:
        root = yaml.compose(text, Loader=core_schema_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        raise ConfigError(f"{shown}{place}: not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{shown}: not YAML: it holds a character that may not stand in a file") from error
    if root is None:
        raise ConfigError(f"{shown}: empty; a config has sources and bundles")
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{shown}:1:1: a config is a mapping with the keys sources and bundles")
    builder = _Builder(shown)
    data = builder.build(root, ())
    if builder.problems:
        raise ConfigError(*builder.problems)
    return Document(shown, data, builder.places, tuple(builder.repeated))


class _Builder:
    """Turns composed nodes into data and notes where each key stood."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._open: set[int] = set()
        self.places: dict[Location, tuple[int, int | None]] = {}
        self.problems: list[str] = []
        self.repeated: list[str] = []

    def build(self, node: Any, location: Location) -> Any:  # noqa: ANN401 - whatever the document holds
        """Return the node's value; faults are noted in *problems*."""
        import yaml

        if id(node) in self._open:
            self._problem(node, "an alias to what it stands in")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, location)
            for index, item in enumerate(node.value):
                self._note((*location, index), item)
            return [self.build(item, (*location, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: Any) -> Any:  # noqa: ANN401 - whatever the scalar means
        if not node.tag.startswith(STANDARD):
            self._problem(node, f"{node.tag}: a tag that is not one of YAML's own")
            return None
        try:
            return native_scalar(node.value, node.tag)
        except (ValueError, KeyError):
            self._problem(node, f"the value is no {node.tag.removeprefix(STANDARD)}")
            return None

    def _mapping(self, node: Any, location: Location) -> dict[str, Any]:  # noqa: ANN401 - PyYAML's node
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == MERGE:
                for source in value.value if isinstance(value.value, list) and value.id == "sequence" else [value]:
                    found = self.build(source, location)
                    merged = {**found, **merged} if isinstance(found, dict) else merged
            elif not isinstance(key.value, str):
                self._problem(key, "a key is plain text")
            elif key.value in own:
                self.repeated.append(self._line(key, f"the key {key.value} stands here twice"))
            else:
                self._note((*location, key.value), key)
                own[key.value] = self.build(value, (*location, key.value))
        return {**merged, **own}

    def _note(self, location: Location, node: Any) -> None:  # noqa: ANN401 - PyYAML's node
        self.places[location] = (node.start_mark.line + 1, node.start_mark.column + 1)

    def _problem(self, node: Any, text: str) -> None:  # noqa: ANN401 - PyYAML's node
        self.problems.append(self._line(node, text))

    def _line(self, node: Any, text: str) -> str:  # noqa: ANN401 - PyYAML's node
        mark = node.start_mark
        return f"{self._shown}:{mark.line + 1}:{mark.column + 1}: {text}"
