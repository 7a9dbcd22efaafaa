"""Which class follows which type of source. A module is imported only where the config has a source of its type."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from confcar.config.sources import SourceOptions
from confcar.handover.handover import Handover
from confcar.status import Status
from confcar.watchers.base import Watcher

WATCHERS = {
    "vault": "confcar.watchers.vault:VaultWatcher",
    "consul": "confcar.watchers.consul:ConsulWatcher",
    "file": "confcar.watchers.file:FileWatcher",
}


# Sources with logins and leases, which an earlier process may have left.
_TAKING_OVER = frozenset({"vault"})


def create_watcher(name: str, options: SourceOptions, *, status: Status, handover: Handover) -> Watcher:
    """Return the watcher of a configured source. Connects to nothing yet."""
    module, _, attribute = WATCHERS[options.type].partition(":")
    more = {"handover": handover} if options.type in _TAKING_OVER else {}
    return cast("Watcher", getattr(import_module(module), attribute)(name, options, status=status, **more))
