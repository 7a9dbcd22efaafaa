"""Documents: YAML, JSON, TOML and .env, read into nodes that keep each value as written beside its native one.

The format is taken from the file's name. A document that cannot be read is an error that says file, line and column and
never what stands there: a parser's own words are used only where they are fixed phrases.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from confcar.errors import SourceDataError
from confcar.watchers.nodes import Leaf, Node

if TYPE_CHECKING:  # tomlkit takes 30 ms to import, and only a TOML document needs it
    from tomlkit.items import Item

SUFFIXES = (".yaml", ".yml", ".json", ".toml", ".env")
"""What the name of a document ends with."""


def document_suffix(name: str) -> str | None:
    """Return which of SUFFIXES says what format a file of this name has; None where it is no document.

    `.env` and `.env.local` are .env files too.
    """
    if name == ".env" or name.startswith(".env."):
        return ".env"
    if not name.endswith(SUFFIXES) or name in SUFFIXES:
        return None
    return name[name.rindex(".") :]


def parse_document(content: bytes, *, suffix: str, shown: str) -> Node:
    """Return what a document says; one in which nothing is written is an empty mapping.

    Args:
        content: The document.
        suffix: One of SUFFIXES.
        shown: The file's path, for messages.

    Raises:
        SourceDataError: It does not parse, with `file:line:column` and never with content.
    """
    text = _decode(content, shown)
    if not text.strip():
        return {}
    try:
        return _parser(suffix)(text, shown)
    except RecursionError:
        raise SourceDataError(f"{shown}: nested too deeply") from None


def _parser(suffix: str) -> Callable[[str, str], Node]:
    if suffix in {".yaml", ".yml"}:
        from confcar.watchers.yaml_document import parse_yaml

        return parse_yaml
    if suffix == ".env":
        from confcar.watchers.env_document import parse_env

        return parse_env
    return _parse_json if suffix == ".json" else _parse_toml


def _decode(content: bytes, shown: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise SourceDataError(f"{shown}:{line}:{column}: not UTF-8") from None


def _parse_json(text: str, shown: str) -> Node:
    try:
        return _json_node(
            json.loads(
                text,
                parse_int=lambda written: Leaf(written.encode(), int(written)),
                parse_float=lambda written: Leaf(written.encode(), float(written)),
                parse_constant=lambda written: Leaf(written.encode(), float(written)),
                object_pairs_hook=lambda pairs: _json_mapping(pairs, shown),
            )
        )
    except json.JSONDecodeError as error:
        # What follows a colon in its message is taken from the document.
        problem = error.msg.partition(":")[0].partition(" at")[0]
        raise SourceDataError(f"{shown}:{error.lineno}:{error.colno}: not valid JSON: {problem}") from None
    except UnicodeEncodeError:
        raise SourceDataError(f"{shown}: a string with half a surrogate pair, which is no text") from None
    except ValueError:  # an integer of more digits than Python converts
        raise SourceDataError(f"{shown}: a number is too long") from None


def _json_mapping(pairs: list[tuple[str, object]], shown: str) -> dict[str, Node]:
    mapping: dict[str, Node] = {}
    for name, value in pairs:
        if name in mapping:
            raise SourceDataError(f"{shown}: the key {name!r} stands twice in one object")
        mapping[name] = _json_node(value)
    return mapping


def _json_node(value: object) -> Node:
    if isinstance(value, Leaf | dict):
        return value
    if isinstance(value, list):
        return [_json_node(child) for child in value]
    if isinstance(value, str):
        return Leaf(value.encode(), value)
    return Leaf(json.dumps(value).encode(), value if isinstance(value, bool) else None)


def _parse_toml(text: str, shown: str) -> Node:
    import tomlkit
    from tomlkit.exceptions import ParseError, TOMLKitError

    try:
        return _toml_node(tomlkit.parse(text))
    except ParseError as error:
        # tomlkit counts columns from 0, and its messages hold what stands there.
        raise SourceDataError(f"{shown}:{error.line}:{error.col + 1}: not valid TOML") from None
    except TOMLKitError as error:
        raise SourceDataError(f"{shown}: not valid TOML ({type(error).__name__})") from None


def _toml_node(value: object) -> Node:
    if isinstance(value, dict):
        return {str(name): _toml_node(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_toml_node(child) for child in value]
    if isinstance(value, bool):  # tomlkit hands plain booleans out of tables
        return Leaf(b"true" if value else b"false", value)
    return _toml_leaf(value)  # type: ignore[arg-type]  # everything else is an Item


def _toml_leaf(item: Item) -> Leaf:
    value = item.unwrap()
    if isinstance(value, str):
        return Leaf(value.encode(), value)
    written = item.as_string()
    # Dates and times have no native form that JSON knows: they stay as they are written.
    return Leaf(written.encode(), value if isinstance(value, bool | int | float) else written)
