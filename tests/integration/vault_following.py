"""The Vault watcher alone, and followed into a store, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from confcar.config.sources import VaultOptions
from confcar.model import Dependency, Kind, Reading
from confcar.status import Status
from confcar.store import Answer, Store
from confcar.watchers.follow import Follower
from confcar.watchers.vault import VaultWatcher
from tests.waiting import wait_until


def want(path: str, kind: Kind = "secret", version: int | None = None) -> Dependency:
    return Dependency("vault", kind, path, (("version", version),) if version else ())


def options_of(address: str, *, token: str = "", **options: object) -> VaultOptions:
    made = VaultOptions.model_validate({"type": "vault", "address": address, "refresh": "200ms", **options})
    return made.model_copy(update={"token": SecretStr(token)}) if token else made


def approle_of(folder: Path, ids: tuple[str, str], mount: str = "approle") -> dict[str, object]:
    """Write the ids as an operator would and return the `auth` that reads them."""
    for name, value in zip(("role-id", "secret-id"), ids, strict=True):
        (folder / name).write_text(f"{value}\n")
    files = {"role_id_file": folder / "role-id", "secret_id_file": folder / "secret-id"}
    return {"method": "approle", "mount": mount, **files}


@contextmanager
def watcher_of(address: str, **options: object) -> Iterator[VaultWatcher]:
    token = str(options.pop("token", ""))
    watcher = VaultWatcher("vault", options_of(address, token=token, **options), status=Status())
    try:
        yield watcher
    finally:
        watcher.close()


def read(watcher: VaultWatcher, wanted: Dependency) -> Reading:
    return watcher.fetch(wanted, frozenset({wanted}), after=None, wait_seconds=0).readings[wanted]


class Followed:
    """What a reader of the store knows while a follower feeds it."""

    def __init__(self, address: str, *wanted: Dependency, **options: object) -> None:
        self.status, self.store = Status(), Store()
        self.status.add_source("vault", "vault")
        token = str(options.pop("token", ""))
        watcher = VaultWatcher("vault", options_of(address, token=token, **options), status=self.status)
        self.follower = Follower(watcher, store=self.store, status=self.status)
        self.store.subscribe("test", frozenset(wanted), lambda: None)
        self.follower.follow(frozenset(wanted))

    def answer(self, wanted: Dependency) -> Answer:
        return self.store.take("test")[1][wanted]

    def value(self, wanted: Dependency) -> object:
        reading = self.answer(wanted).reading
        return reading.value if reading is not None else "not read yet"

    def wait_for(self, wanted: Dependency, value: object, *, timeout: float = 10.0) -> None:
        wait_until(lambda: self.value(wanted) == value, timeout=timeout)

    @property
    def ttl(self) -> float:
        return self.status.copy().gauges.get(("vault_token_ttl_seconds", "vault"), 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.follower.close()
