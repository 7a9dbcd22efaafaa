"""Which queries to Consul's catalogue answer what the templates read, and what an answer means for each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from confcar.clients.consul_catalog import Items, Subject
from confcar.model import Dependency, Kind, Reading
from confcar.watchers.base import Query

CATALOG_KINDS: frozenset[Kind] = frozenset({"service", "services", "nodes", "datacenters"})
"""The template functions that the catalogue serves."""
UNWATCHED_SECONDS = 30.0
"""How often that is read for which Consul has no blocking query. A new datacenter is a rare event."""
_PASSING = frozenset({"passing"})


def plan_catalog(wanted: frozenset[Dependency]) -> dict[Query, frozenset[Dependency]]:
    """Return which query answers which dependencies, each exactly once; those that differ only in the state share."""
    shares: dict[Query, set[Dependency]] = {}
    for dependency in sorted(wanted):
        shares.setdefault(subject_of(dependency), set()).add(dependency)
    return {subject: frozenset(share) for subject, share in shares.items()}


def datacenter_of(dependency: Dependency) -> str | None:
    """Return the datacenter that it asks for by itself; None for the source's own."""
    return next(iter(_params(dependency, "dc")), None)


def listing_of(dependency: Dependency, items: Items) -> Reading:
    """Return what a query's whole answer says of one of its dependencies."""
    if dependency.kind != "service":
        return Reading(cast("tuple[str, ...]", tuple(items)))
    states = _states(dependency)
    instances = cast("tuple[Mapping[str, object], ...]", tuple(items))
    return Reading(tuple(instance for instance in instances if instance["status"] in states))


def subject_of(dependency: Dependency) -> Subject:
    """Return what to ask the catalogue for it."""
    return Subject(
        kind=cast("Literal['service', 'services', 'nodes', 'datacenters']", dependency.kind),
        name=dependency.path,
        datacenter=datacenter_of(dependency),
        tags=_params(dependency, "tag"),
        near=next(iter(_params(dependency, "near")), None),
        is_passing=dependency.kind == "service" and _states(dependency) == _PASSING,
    )


def _states(dependency: Dependency) -> frozenset[str]:
    return frozenset(_params(dependency, "status")) or _PASSING


def _params(dependency: Dependency, name: str) -> tuple[str, ...]:
    return tuple(str(value) for each, value in dependency.params if each == name)
