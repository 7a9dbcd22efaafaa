"""What each template function gets from a file source: the rules of paths, once, for documents and folders alike."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

from confcar.errors import SourceDataError
from confcar.model import ABSENT, Dependency, Kind, Reading
from confcar.watchers.nodes import Leaf, Node, all_leaves, direct_leaves, native, secret_names

_ALL_LEVELS = sys.maxsize


class Find(Protocol):
    """Looks up a path in a document or folder."""

    def __call__(self, segments: tuple[str, ...], *, depth: int) -> Node | None:
        """Return what lies at a path with *depth* levels of folders below it, or None."""
        ...


def answer(dependency: Dependency, find: Find) -> Reading:
    """Return what a file source holds for a dependency. `ls` and `tree` of what is not there are empty mappings.

    Raises:
        SourceError: It cannot be read, or is not what the function reads; see `Folder`.
    """
    if any(name == "dc" for name, _ in dependency.params):
        raise SourceDataError(f"{dependency.path}: a file source has no datacenters; leave out dc=")
    try:
        return _ANSWERS[dependency.kind](dependency, find)
    except RecursionError:
        raise SourceDataError(f"what lies at {dependency.path!r} is nested too deeply") from None


def _answer_key(dependency: Dependency, find: Find) -> Reading:
    node = find(_segments(dependency.path), depth=0)
    if node is None:
        return ABSENT
    if isinstance(node, Leaf):
        return Reading(node.content)
    kind = "list" if isinstance(node, list) else "mapping or folder"
    return Reading(None, f"it is a {kind}; name a key in it, or read it all by tree()")


def _answer_ls(dependency: Dependency, find: Find) -> Reading:
    node = find(_segments(dependency.path), depth=1)
    return Reading({} if node is None else direct_leaves(node))


def _answer_tree(dependency: Dependency, find: Find) -> Reading:
    node = find(_segments(dependency.path), depth=_ALL_LEVELS)
    return Reading({} if node is None else all_leaves(node))


def _answer_secret(dependency: Dependency, find: Find) -> Reading:
    if any(name == "version" for name, _ in dependency.params):
        raise SourceDataError(f"{dependency.path}: a file source holds one version of a secret; leave out version=")
    node = _find_secret(dependency.path, find)
    if node is None:
        return ABSENT
    if not isinstance(node, dict):
        raise SourceDataError(f"{dependency.path} is {_kind(node)}, and a secret is a mapping; read it by key()")
    value = native(node)
    assert isinstance(value, dict)
    return Reading(value)


def _answer_secrets(dependency: Dependency, find: Find) -> Reading:
    node = _find_secret(dependency.path, find)
    if node is None:
        return ABSENT
    if not isinstance(node, dict):
        raise SourceDataError(f"{dependency.path} is {_kind(node)}, and secrets() lists a mapping or folder")
    return Reading(secret_names(node))


def _find_secret(path: str, find: Find) -> Node | None:
    """Return what `secret/app` holds, for `secret/data/app` too, which is the same secret in Vault's API.

    A mapping that is really called `data` is found where the shorter path leads nowhere.
    """
    segments = _segments(path)
    if segments[1:2] == ("data",) and len(segments) > 2:  # noqa: PLR2004 - mount, data, path
        node = find(segments[:1] + segments[2:], depth=_ALL_LEVELS)
        if node is not None:
            return node
    return find(segments, depth=_ALL_LEVELS)


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")) if path else ()


def _kind(node: Node) -> str:
    return "a list" if isinstance(node, list) else "a single value"


_ANSWERS: dict[Kind, Callable[[Dependency, Find], Reading]] = {
    "key": _answer_key,
    "ls": _answer_ls,
    "tree": _answer_tree,
    "secret": _answer_secret,
    "secrets": _answer_secrets,
}
FILE_KINDS: frozenset[Kind] = frozenset(_ANSWERS)
"""The template functions that a file source serves."""
