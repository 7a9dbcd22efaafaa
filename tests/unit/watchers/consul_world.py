"""What the tests of the Consul watcher share: a fake server, a watcher on it, and one step of the following."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr

from confcar.config.sources import ConsulOptions
from confcar.model import Dependency, Kind, Snapshot, Version
from confcar.status import Status
from confcar.watchers.base import Query
from confcar.watchers.consul import ConsulWatcher
from tests.fakes.consul_api import FakeConsul

TOKEN = "7f4a1f0e-0000-4444-8888-5ecre7t0ken0"


def want(kind: Kind, path: str) -> Dependency:
    """Return a dependency on the source `consul`."""
    return Dependency("consul", kind, path)


def options_for(address: str, **options: object) -> ConsulOptions:
    """Return the options of a source with a token."""
    secret = {} if "token_file" in options else {"token": SecretStr(TOKEN)}
    return ConsulOptions.model_validate({"type": "consul", "address": address} | secret | options)


@dataclass
class World:
    """A watcher and the server it follows."""

    server: FakeConsul
    watcher: ConsulWatcher
    status: Status = field(repr=False)

    def query_for(self, *wanted: Dependency) -> Query:
        """Return the one query that answers all of these."""
        (query,) = self.watcher.plan(frozenset(wanted))
        return query

    def fetch(self, *wanted: Dependency, after: Version | None = None, wait_seconds: float = 0.0) -> Snapshot:
        """Fetch what answers these."""
        query = self.query_for(*wanted)
        return self.watcher.fetch(query, frozenset(wanted), after=after, wait_seconds=wait_seconds)

    def value(self, wanted: Dependency) -> object:
        """Return what is read now."""
        return self.fetch(wanted).readings[wanted].value


@contextmanager
def world(**options: object) -> Iterator[World]:
    """Give a fake server and a watcher on it."""
    with FakeConsul() as server:
        status = Status()
        status.add_source("consul", "consul")
        watcher = ConsulWatcher("consul", options_for(server.address, **options), status=status)
        try:
            yield World(server, watcher, status)
        finally:
            watcher.close()
