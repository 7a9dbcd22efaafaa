"""What the tests of the Consul source share: a watcher on a server, and a reader that a follower feeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from confcar.config.sources import ConsulOptions
from confcar.model import Dependency, Kind
from confcar.status import Status
from confcar.store import Store
from confcar.watchers.consul import ConsulWatcher
from confcar.watchers.follow import Follower


def want(kind: Kind, path: str = "", **params: str) -> Dependency:
    return Dependency("consul", kind, path, tuple(sorted(params.items())))


@contextmanager
def watcher_of(address: str, *, token: str = "", **options: object) -> Iterator[ConsulWatcher]:
    secret = {"token": SecretStr(token)} if token else {}
    made = ConsulOptions.model_validate({"type": "consul", "address": address} | secret | options)
    watcher = ConsulWatcher("consul", made, status=Status())
    try:
        yield watcher
    finally:
        watcher.close()


class Followed:
    """What a reader of the store knows while a follower feeds it."""

    def __init__(self, address: str, *wanted: Dependency, **options: object) -> None:
        self.status, self.store = Status(), Store()
        self.status.add_source("consul", "consul")
        made = ConsulOptions.model_validate({"type": "consul", "address": address} | options)
        watcher = ConsulWatcher("consul", made, status=self.status)
        self.follower = Follower(watcher, store=self.store, status=self.status)
        self.store.subscribe("test", frozenset(wanted), lambda: None)
        self.follower.follow(frozenset(wanted))

    def value(self, wanted: Dependency) -> object:
        reading = self.store.take("test")[1][wanted].reading
        return reading.value if reading is not None else "not read yet"

    def error(self, wanted: Dependency) -> Exception | None:
        return self.store.take("test")[1][wanted].error

    @property
    def requests(self) -> float:
        counters = self.status.copy().counters
        return sum(count for labels, count in counters.items() if labels[0] == "source_requests_total")

    @property
    def is_up(self) -> bool | None:
        return self.status.copy().sources["consul"].up


@contextmanager
def following(address: str, *wanted: Dependency, **options: object) -> Iterator[Followed]:
    followed = Followed(address, *wanted, **options)
    try:
        yield followed
    finally:
        followed.follower.close()
