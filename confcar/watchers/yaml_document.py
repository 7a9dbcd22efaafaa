"""YAML documents by the core schema of YAML 1.2: `yes`, `no`, `on`, `off` and dates are strings.

PyYAML composes the tree of nodes in C and keeps each scalar as written; what is native is decided on top of that, so
that neither loses the other. Anchors, aliases and merge keys (`<<`) work.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from confcar.errors import SourceDataError
from confcar.watchers.nodes import Leaf, Node
from confcar.yaml12 import MERGE, STANDARD, Native, core_schema_loader, native_scalar

_TEXT = STANDARD + "str"


def parse_yaml(text: str, shown: str) -> Node:
    """Return what a YAML document says; `{}` where it holds nothing but comments.

    Args:
        text: The document.
        shown: The file's path, for messages.

    Raises:
        SourceDataError: Not YAML, more than one document, a key twice, a key that is no scalar, an alias to itself, or
            a tag that is not YAML's own; with `file:line:column`.
    """
    try:
        root = yaml.compose(text, Loader=core_schema_loader())
    except yaml.MarkedYAMLError as error:
        # The problem is one of the parser's fixed phrases; its context and snippet are the document's.
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        raise SourceDataError(f"{shown}{place}: not valid YAML: {_phrase(error)}") from None
    except yaml.YAMLError as error:
        place = _place_of(text, getattr(error, "position", None))
        raise SourceDataError(f"{shown}{place}: not valid YAML: a character that may not stand there") from None
    return {} if root is None else _Converter(shown).convert(root)


def _phrase(error: yaml.MarkedYAMLError) -> str:
    phrase = error.problem or "it cannot be parsed"
    return phrase if error.context is None or "document" not in error.context else "more than one document in the file"


def _place_of(text: str, position: int | None) -> str:
    if position is None:
        return ""
    before = text.encode()[:position].decode(errors="replace")
    return f":{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


class _Converter:
    """Turns composed nodes into ours, each once, however often it is aliased."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._done: dict[int, Node] = {}
        self._open: set[int] = set()

    def convert(self, node: yaml.Node) -> Node:
        """Return the node's value."""
        if isinstance(node, yaml.ScalarNode):
            text = node.value
            return Leaf(text.encode(), text if node.tag == _TEXT else self._native(node))
        done = self._done.get(id(node))
        if done is None:
            done = self._done[id(node)] = self._collection(node)
        return done

    def _collection(self, node: yaml.Node) -> Node:
        if id(node) in self._open:
            raise self._error(node, "an alias to what it stands in")
        self._check_tag(node)
        self._open.add(id(node))
        result: Node
        if isinstance(node, yaml.MappingNode):
            result = self._mapping(node)
        else:
            result = [self.convert(child) for child in node.value]
        self._open.discard(id(node))
        return result

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a key that is a mapping or a list")
            if key.tag == MERGE:
                for name, child in self._merged(value):
                    merged.setdefault(name, child)
                continue
            if key.value in own:
                raise self._error(key, "the same key twice in one mapping")
            own[key.value] = self.convert(value)
        return {**merged, **own} if merged else own

    def _merged(self, node: yaml.Node) -> Iterator[tuple[str, Node]]:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            mapping = self.convert(source)
            if not isinstance(mapping, dict):
                raise self._error(source, "a merge key (<<) takes a mapping or a list of mappings")
            yield from mapping.items()

    def _native(self, node: yaml.ScalarNode) -> Native:
        self._check_tag(node)
        try:
            return native_scalar(node.value, node.tag)
        except (ValueError, KeyError):
            raise self._error(node, f"the value is no !!{node.tag.removeprefix(STANDARD)}") from None

    def _check_tag(self, node: yaml.Node) -> None:
        if not node.tag.startswith(STANDARD):
            raise self._error(node, "a tag that is not one of YAML's own (!!str, !!int, ...)")

    def _error(self, node: yaml.Node, problem: str) -> SourceDataError:
        mark = node.start_mark
        return SourceDataError(f"{self._shown}:{mark.line + 1}:{mark.column + 1}: {problem}")
