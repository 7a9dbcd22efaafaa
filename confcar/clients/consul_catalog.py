"""Consul's catalogue: what is asked of it, and how its answers are read.

Pure: py-consul makes the requests, on the client it is given. What is shown of an item is what a config file needs, in
an order that is the same for the same data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Literal

Items = Sequence[object]
"""Mappings of str to JSON-like values, or names."""
# The worst of an instance's checks is its state, and being in maintenance goes before everything.
_WORST_FIRST = ("maintenance", "critical", "warning", "passing")
_MAINTENANCE = ("_node_maintenance", "_service_maintenance:")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked of the catalogue.

    Attributes:
        kind: `service` the instances of one service, `services` and `nodes` what a datacenter has.
        name: Of the service; empty otherwise.
        datacenter: To ask in; None for the source's own.
        tags: Which an instance must have, all of them.
        near: Node to sort by distance from; None for an order of our own.
        is_passing: Whether Consul leaves out the instances that do not pass all their checks.
    """

    kind: Literal["service", "services", "nodes", "datacenters"]
    name: str = ""
    datacenter: str | None = None
    tags: tuple[str, ...] = ()
    near: str | None = None
    is_passing: bool = False

    @property
    def widest(self) -> Subject:
        """The same without anything that leaves items out."""
        return replace(self, tags=(), is_passing=False)

    @property
    def rule(self) -> str:
        """The ACL rules that show it, as an error names them, without the policy of the last."""
        nodes = 'node_prefix ""'
        return {
            "service": f'{nodes} {{ policy = "read" }} and service "{self.name}"',
            "services": 'service_prefix ""',
        }.get(self.kind, nodes)

    def ask(self, library: Any, blocking: Mapping[str, str]) -> Any:  # noqa: ANN401 - py-consul ships no types
        """Return what py-consul's call for it returns.

        Args:
            library: py-consul's client.
            blocking: `index` and `wait`; empty to be answered at once.
        """
        match self.kind:
            case "service":
                return library.health.service(
                    self.name,
                    passing=self.is_passing or None,
                    tag=list(self.tags) or None,
                    near=self.near,
                    dc=self.datacenter,
                    **blocking,
                )
            case "services":
                return library.catalog.services(dc=self.datacenter, **blocking)
            case "nodes":
                return library.catalog.nodes(dc=self.datacenter, **blocking)
            case "datacenters":
                return library.catalog.datacenters()

    def items_of(self, found: Any) -> Items:  # noqa: ANN401 - JSON
        """Return the items of an answer in the order to show.

        Raises:
            LookupError, TypeError, ValueError, AttributeError: It is not what Consul answers.
        """
        items = _READERS[self.kind](found)
        if self.kind == "service" and self.near is None:
            items.sort(key=itemgetter("node", "id"))
        return tuple(items)


def _instances(found: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return [_instance(entry["Service"], entry["Node"], entry["Checks"] or ()) for entry in found]


def _instance(service: Mapping[str, Any], node: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]) -> object:
    return {
        "id": str(service["ID"]),
        "name": str(service["Service"]),
        # An instance without an address of its own is reached at its node's.
        "address": str(service.get("Address") or node["Address"]),
        "port": int(service.get("Port") or 0),
        "tags": tuple(sorted(service.get("Tags") or ())),
        "meta": _sorted(service.get("Meta")),
        "node": str(node["Node"]),
        "status": min((_state(check) for check in checks), key=_WORST_FIRST.index, default="passing"),
    }


def _state(check: Mapping[str, Any]) -> str:
    if str(check["CheckID"]).startswith(_MAINTENANCE):
        return "maintenance"
    return str(check["Status"]) if check["Status"] in _WORST_FIRST else "critical"


def _services(found: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return [{"name": str(name), "tags": tuple(sorted(tags or ()))} for name, tags in sorted(found.items())]


def _nodes(found: Any) -> list[Any]:  # noqa: ANN401 - JSON
    nodes = [
        {
            "name": str(node["Node"]),
            "id": str(node.get("ID") or ""),
            "address": str(node["Address"]),
            "meta": _sorted(node.get("Meta")),
            "datacenter": str(node.get("Datacenter") or ""),
        }
        for node in found
    ]
    return sorted(nodes, key=itemgetter("name", "id"))


def _sorted(meta: Mapping[str, str] | None) -> Mapping[str, str]:
    return dict(sorted((meta or {}).items()))


_READERS: Mapping[str, Callable[[Any], list[Any]]] = {
    "service": _instances,
    "services": _services,
    "nodes": _nodes,
    # Consul sorts them by distance, which changes without anything having changed.
    "datacenters": lambda found: sorted(map(str, found)),
}
