"""A Vault watcher on the fake server, whose time passes when the test says so."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from confcar.config.sources import VaultOptions
from confcar.errors import SourceError
from confcar.handover.handover import Handover, Life
from confcar.model import BY_READING, Dependency, Reading, Snapshot
from confcar.status import Status
from confcar.watchers.vault import VaultWatcher
from confcar.watchers.vault_clocks import Clocks
from confcar.watchers.vault_leases import Leases
from tests.fakes.vault_api import ROLE_ID, SECRET_ID, VaultApi, running_vault
from tests.fakes.vault_engines import Engine

CREDS = Dependency("vault", "issue", "database/creds/web", BY_READING)
RENEW, LOOKUP, REVOKE = "sys/leases/renew", "sys/leases/lookup", "sys/leases/revoke"
EPOCH = 1_800_000_000.0
LOGIN, LOOKUP_SELF = "auth/approle/login", "auth/token/lookup-self"
PATH = CREDS.path
# What tells the dates where the certificate itself cannot be read.
DATES = {"certificate": "not one", "expiration": int(EPOCH + 11_000), "not_before": int(EPOCH + 970)}


class Issuing:
    """One watcher; `fetch` is what the loop around it would do, `pass_time` what a clock would."""

    def __init__(self, api: VaultApi, folder: Path, *, life: Life = "run", token: str = "", **options: object) -> None:
        self.api = api
        self.now = 1000.0
        self.status = Status()
        self.status.add_source("vault", "vault")
        (folder / "secret-id").write_text(SECRET_ID)
        auth: object = {"method": "approle", "role_id": ROLE_ID, "secret_id_file": folder / "secret-id"}
        if token:
            auth = {"method": "token"}
        made = VaultOptions.model_validate(
            {"type": "vault", "address": api.address, "auth": auth, "refresh": "1h", "token_check": "0s", **options}
        )
        if token:
            made = made.model_copy(update={"token": SecretStr(token)})
        clocks = Clocks(lambda: self.now, lambda: EPOCH + self.now, random.Random(7))
        handover = Handover(folder / "handover" / "handover.json", life=life, sources=["vault"])
        self.watcher = VaultWatcher("vault", made, status=self.status, handover=handover, clocks=clocks)
        self.hurried: list[frozenset[Dependency]] = []
        self.watcher.hurry_by(self.hurried.append)
        self._versions: dict[Dependency, object] = {}
        self._readings: dict[Dependency, Reading] = {}

    @property
    def leases(self) -> Leases:
        """What the watcher holds."""
        assert self.watcher._dynamic is not None, "nothing dynamic was read"
        return self.watcher._dynamic.leases

    def fetch(self, dependency: Dependency = CREDS) -> Snapshot:
        snapshot = self.watcher.fetch(
            dependency, frozenset({dependency}), after=self._versions.get(dependency), wait_seconds=0
        )
        self._versions[dependency] = snapshot.version
        self._readings.update(snapshot.readings)
        return snapshot

    def fails(self, dependency: Dependency = CREDS) -> SourceError:
        """Fetch and return the error that it has to raise."""
        try:
            self.fetch(dependency)
        except SourceError as error:
            return error
        message = "it did not fail"
        raise AssertionError(message)

    def reading(self, dependency: Dependency = CREDS) -> Reading:
        """Return what is known after the fetches so far."""
        return self._readings[dependency]

    def password(self, dependency: Dependency = CREDS) -> object:
        value = self.reading(dependency).value
        assert isinstance(value, Mapping)
        return value["password"]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def run_until_due(self, dependency: Dependency = CREDS) -> Snapshot:
        """Fetch, let the time pass that it asks for, and fetch again."""
        self.pass_time(self.fetch(dependency).again_in_seconds or 0.0)
        return self.fetch(dependency)


@contextmanager
def issuing(api: VaultApi, folder: Path, **options: object) -> Iterator[Issuing]:
    made = Issuing(api, folder, **options)  # type: ignore[arg-type] # as given
    try:
        yield made
    finally:
        made.watcher.close()


def issue(path: str, **params: str | int | bool) -> Dependency:
    return Dependency("vault", "issue", path, tuple(sorted(params.items())))


def renewed(api: VaultApi) -> list[int]:
    """Return the numbers of the leases that renewals asked for."""
    return [int(asked.body["lease_id"].rpartition("-")[2]) for asked in api.asked if asked.path == RENEW]


@contextmanager
def database() -> Iterator[VaultApi]:
    """A server that issues `CREDS`, with tokens that outlive them."""
    with running_vault() as api:
        api.auth["lease_duration"] = 1_000_000
        api.engines[PATH] = Engine()
        yield api
