"""What is issued by one process and left to the next one: credentials, a certificate and a ciphertext."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confcar.model import Dependency, Reading
from tests.fakes.vault_api import VaultApi, running_vault
from tests.fakes.vault_engines import Engine
from tests.unit.watchers.lease_world import DATES, PATH, Issuing, issuing

WEB = Dependency("vault", "issue", "pki/issue/web", (("common_name", "a.example"),))
CIPHER = Dependency("vault", "issue", "transit/encrypt/app")
DYNAMIC = Reading(None, is_dynamic=True)


def prepare(api: VaultApi, folder: Path, *dependencies: Dependency) -> Issuing:
    """Issue these in an init container, which then ends."""
    with issuing(api, folder, life="once") as world:
        for dependency in dependencies:
            world.fetch(dependency)
    return world


def made(api: VaultApi) -> list[int]:
    return [api.engines[path].made for path in (PATH, WEB.path, CIPHER.path)]


@contextmanager
def three_engines() -> Iterator[VaultApi]:
    """A server that issues `CREDS`, `WEB` and `CIPHER`, with tokens that outlive them."""
    with running_vault() as api:
        api.auth["lease_duration"] = 1_000_000
        api.engines[PATH] = Engine(seconds=1000)
        api.engines[WEB.path] = Engine(seconds=0, data=DATES)
        api.engines[CIPHER.path] = Engine(seconds=0, data={"ciphertext": "vault:v1:x"})
        yield api
