"""Which queries to Consul answer what the templates read, and what an answer means for each of them.

One query per key and one per folder; whatever lies inside a folder that is followed anyway is answered by the folder's
query, the outermost where several do. Pure functions: this is the place for any cleverer way to share queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from confcar.errors import SourceDataError
from confcar.model import ABSENT, Dependency, Reading
from confcar.watchers.base import Query


@dataclass(frozen=True, slots=True)
class KeyQuery:
    """One key."""

    path: str


@dataclass(frozen=True, slots=True)
class FolderQuery:
    """Everything below a path, at any depth; the empty path is the whole store."""

    path: str


@dataclass(frozen=True, slots=True)
class RefusedQuery:
    """What cannot be asked for. It is answered without the server."""


def plan_queries(wanted: frozenset[Dependency]) -> dict[Query, frozenset[Dependency]]:
    """Return which query answers which dependencies, each dependency exactly once."""
    refused = {dependency for dependency in wanted if path_fault(dependency)}
    folders = {each.path for each in wanted - refused if each.kind != "key"}
    shares: dict[Query, set[Dependency]] = {}
    for dependency in sorted(wanted - refused):
        query: Query = KeyQuery(dependency.path)
        for outer in _folders_around(dependency):
            if outer in folders:
                query = FolderQuery(outer)
                break
        shares.setdefault(query, set()).add(dependency)
    if refused:
        shares[RefusedQuery()] = refused
    return {query: frozenset(share) for query, share in shares.items()}


def path_fault(dependency: Dependency) -> SourceDataError | None:
    """Return why a path must not be sent, None where it may.

    HTTP clients and Consul's router resolve dots and doubled slashes, so that such a path would read another key, or
    leave the KV store altogether.
    """
    path = dependency.path
    if not path:
        return None if dependency.kind in {"ls", "tree"} else SourceDataError("a key's path is empty")
    if any(segment in {"", ".", ".."} for segment in path.split("/")):
        return SourceDataError(f"path {path!r}: a segment is empty, `.` or `..`")
    if not _is_text(path):
        return SourceDataError(f"path {path!r}: holds a control character, or is no text")
    return None


def reading_of(dependency: Dependency, entries: Mapping[str, bytes]) -> Reading:
    """Return what a query's whole answer says of one of its dependencies."""
    if dependency.kind == "key":
        value = entries.get(dependency.path)
        return ABSENT if value is None else Reading(value)
    start = f"{dependency.path}/" if dependency.path else ""
    found = {key[len(start) :]: value for key, value in entries.items() if key.startswith(start)}
    if dependency.kind == "ls":
        found = {key: value for key, value in found.items() if "/" not in key}
    return Reading(dict(sorted(found.items())))


def _folders_around(dependency: Dependency) -> Iterator[str]:
    """The folders whose query answers it, the outermost first."""
    segments = dependency.path.split("/") if dependency.path else []
    last = len(segments) if dependency.kind == "key" else len(segments) + 1
    for count in range(last):
        yield "/".join(segments[:count])


def _is_text(path: str) -> bool:
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in path):  # noqa: PLR2004 - ASCII, C1
        return False
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
