"""Which queries to Consul answer what the templates read, and what an answer means for each of them.

One query per folder that is asked for; whatever lies inside it is answered with it, by the outermost where several do.
Other keys share a query where `consul_sharing` finds that worth it, and else have one each as long as there are
connections; the rest is read in turn, many keys at a time. No I/O: what a plan builds on was learned by fetches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from confcar.errors import SourceDataError
from confcar.model import ABSENT, Dependency, Reading
from confcar.watchers.base import Polled, Query
from confcar.watchers.consul_catalog import datacenter_of
from confcar.watchers.consul_prefix import Place, Prefixes
from confcar.watchers.consul_sharing import share_keys

MOST_IN_BATCH = 64
"""Consul refuses a transaction with more."""


@dataclass(frozen=True, slots=True)
class KeyQuery:
    """One key."""

    path: str
    datacenter: str | None = None


@dataclass(frozen=True, slots=True)
class FolderQuery:
    """Everything below a path, at any depth; the empty path is the whole store."""

    path: str
    datacenter: str | None = None

    @property
    def prefix(self) -> str:
        """What all keys in it start with."""
        return f"{self.path}/" if self.path else ""


@dataclass(frozen=True, slots=True)
class PrefixQuery:
    """Everything that starts with a string which is no folder."""

    prefix: str
    datacenter: str | None = None


@dataclass(frozen=True, slots=True)
class BatchQuery(Polled):
    """Keys for which there is no connection to wait on, up to MOST_IN_BATCH in one request."""

    number: int
    datacenter: str | None = None


@dataclass(frozen=True, slots=True)
class ListQuery(Polled):
    """The names that start with a prefix: whether following it is worth it. Answers no dependency by itself.

    Those that wait for what comes of it are its own in the plan, so that they are in trouble where it is.
    """

    prefix: str
    datacenter: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedQuery(Polled):
    """What cannot be asked for. It is answered without the server."""


Plan = dict[Query, frozenset[Dependency]]


def plan_queries(wanted: frozenset[Dependency], prefixes: Prefixes, *, most_blocking: int) -> Plan:
    """Return which query answers which dependencies, each dependency exactly once.

    Args:
        wanted: What the templates read of the KV store.
        prefixes: What is known of it.
        most_blocking: How many queries may block; what is beyond that goes into batches.
    """
    planner = _Planner(prefixes)
    refused = {each for each in wanted if path_fault(each)}
    by_datacenter: dict[str | None, set[Dependency]] = {}
    for each in wanted - refused:
        by_datacenter.setdefault(datacenter_of(each), set()).add(each)
    for datacenter in sorted(by_datacenter, key=str):
        planner.share(by_datacenter[datacenter], datacenter)
    planner.single_out(most_blocking)
    plan = {query: frozenset(share) for query, share in planner.shares.items()}
    prefixes.note_plan([place for query in plan if (place := place_of(query)) is not None], planner.waiting)
    if refused:
        plan[RefusedQuery()] = frozenset(refused)
    return plan


class _Planner:
    """A plan being made; *single* holds what has no query yet."""

    def __init__(self, prefixes: Prefixes) -> None:
        self.shares: dict[Query, set[Dependency]] = {}
        self.single: list[tuple[str | None, str, set[Dependency]]] = []
        self.waiting: dict[Place, Collection[str]] = {}
        self._prefixes = prefixes

    def share(self, wanted: Collection[Dependency], datacenter: str | None) -> None:
        """Plan what one query answers together, of one datacenter."""
        keys = self._place_in_folders(wanted, datacenter)
        sharing = share_keys(keys, self._prefixes, datacenter)
        for prefix, paths in sharing.followed.items():
            whole = FolderQuery(prefix[:-1], datacenter) if prefix.endswith("/") else PrefixQuery(prefix, datacenter)
            self.shares.setdefault(whole, set()).update(*(keys[path] for path in paths))
        for prefix, paths in sharing.unknown.items():
            self.shares[ListQuery(prefix, datacenter)] = set().union(*(keys[path] for path in paths))
        for prefix in sharing.listed_again:
            self.shares[ListQuery(prefix, datacenter)] = set()
        for prefix, paths in (sharing.unknown | sharing.listed_again).items():
            self.waiting[datacenter, prefix] = paths
        self.single += [(datacenter, path, keys[path]) for path in sorted(sharing.single)]

    def _place_in_folders(self, wanted: Collection[Dependency], datacenter: str | None) -> dict[str, set[Dependency]]:
        """Give everything inside a folder that is asked for to its query; return the other keys, by path."""
        folders = {each.path for each in wanted if each.kind != "key"}
        keys: dict[str, set[Dependency]] = {}
        for each in wanted:
            outer = next((folder for folder in _folders_around(each) if folder in folders), None)
            query = FolderQuery(outer, datacenter) if outer is not None else None
            if query is not None and (each.kind != "key" or not _is_refused(query, self._prefixes)):
                self.shares.setdefault(query, set()).add(each)
            else:
                keys.setdefault(each.path, set()).add(each)
        return keys

    def single_out(self, most_blocking: int) -> None:
        """Give each single key a query that blocks, as long as there are so many in all; then batches."""
        left = max(0, most_blocking - sum(not isinstance(query, Polled) for query in self.shares))
        for datacenter, path, dependencies in self.single[:left]:
            self.shares[KeyQuery(path, datacenter)] = dependencies
        counts: Counter[str | None] = Counter()
        for datacenter, _, dependencies in self.single[left:]:
            number = counts[datacenter] // MOST_IN_BATCH
            counts[datacenter] += 1
            self.shares.setdefault(BatchQuery(number, datacenter), set()).update(dependencies)


def _is_refused(query: FolderQuery, prefixes: Prefixes) -> bool:
    holding = prefixes.find((query.datacenter, query.prefix))
    return holding is not None and holding.is_refused


def place_of(query: Query) -> Place | None:
    """Return where a query that answers everything below a prefix looks; None for any other."""
    return (query.datacenter, query.prefix) if isinstance(query, FolderQuery | PrefixQuery) else None


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
