"""What a document or a folder looks like once it is read: mappings, lists and leaves, and the questions asked of them.

One shape for YAML, JSON, TOML, .env and folders, so that the template functions mean the same on each. A leaf keeps
what was written beside its native value. Nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from confcar.errors import SourceDataError
from confcar.yaml12 import Native

# Aliases in YAML can make a small document expand without end; this is far above any that people write.
_MAX_NODES = 250_000


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value.

    Attributes:
        content: The bytes as written: `1.10`, `yes`, empty where nothing is written; a file's bytes exactly.
        value: The native value, where the format has types.
        file: Where the leaf is a file whose native value is its text: its path, for messages. Else empty.
    """

    content: bytes
    value: Native = None
    file: str = ""


Node = Leaf | dict[str, "Node"] | list["Node"]


def find(node: Node, segments: tuple[str, ...]) -> Node | None:
    """Return what lies at a path, lists by their index from 0, or None.

    A key that itself holds a `/` is found too, after the nested one of the same path.
    """
    if not segments:
        return node
    if isinstance(node, list):
        index = segments[0]
        is_index = index.isascii() and index.isdigit() and str(int(index[:9])) == index and int(index) < len(node)
        return find(node[int(index)], segments[1:]) if is_index else None
    if isinstance(node, dict):
        for count in range(1, len(segments) + 1):
            child = node.get("/".join(segments[:count]))
            found = None if child is None else find(child, segments[count:])
            if found is not None:
                return found
    return None


def direct_leaves(node: Node) -> dict[str, bytes]:
    """Return the leaves that are direct children, sorted by name; mappings and lists are left out."""
    children = sorted(_children(node))
    return {name: child.content for name, child in children if isinstance(child, Leaf) and "/" not in name}


def all_leaves(node: Node) -> dict[str, bytes]:
    """Return all leaves below a node by their relative path, sorted.

    Raises:
        SourceDataError: Aliases make it expand beyond reason, or two leaves have the same path.
    """
    found: dict[str, bytes] = {}
    for path, below in _walk(node):
        if isinstance(below, Leaf):
            if path in found:
                raise SourceDataError(f"{path} stands for two values, a nested one and a key with a slash in its name")
            found[path] = below.content
    return dict(sorted(found.items()))


def native(node: Node) -> object:
    """Return the plain Python value: dict, list, str, int, float, bool or None.

    Raises:
        SourceDataError: Aliases make it expand beyond reason, or a file in it is not UTF-8.
    """
    for _ in _walk(node):
        pass  # only to know that it ends
    return _native(node)


def _native(node: Node) -> object:
    if isinstance(node, dict):
        return {name: _native(child) for name, child in node.items()}
    if isinstance(node, list):
        return [_native(child) for child in node]
    if not node.file:
        return node.value
    try:
        return node.content.decode()
    except UnicodeDecodeError:
        raise SourceDataError(f"{node.file} is not UTF-8; a secret holds text only") from None


def secret_names(node: dict[str, Node]) -> tuple[str, ...]:
    """Return what can be read as secrets below a mapping, sorted, as Vault lists it.

    A mapping that holds a value is a secret; one that holds nothing but mappings is a folder, its name ending with `/`.
    Values beside them are fields of this mapping and not listed.
    """
    names = []
    for name, child in node.items():
        if isinstance(child, dict):
            is_folder = bool(child) and all(isinstance(below, dict) for below in child.values())
            names.append(f"{name}/" if is_folder else name)
    return tuple(sorted(names))


def _children(node: Node) -> Iterator[tuple[str, Node]]:
    if isinstance(node, dict):
        yield from ((name, child) for name, child in node.items() if name)
    elif isinstance(node, list):
        yield from ((str(index), child) for index, child in enumerate(node))


def _walk(node: Node) -> Iterator[tuple[str, Node]]:
    """Yield all that lies below a node with its relative path, each time it is reached."""
    pending = [("", node)]
    count = 0
    while pending:
        prefix, parent = pending.pop()
        for name, child in _children(parent):
            count += 1
            if count > _MAX_NODES:
                raise SourceDataError(f"more than {_MAX_NODES} values; an alias may expand without end")
            path = prefix + name
            yield path, child
            if not isinstance(child, Leaf):
                pending.append((f"{path}/", child))
