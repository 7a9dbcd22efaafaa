"""A reader of secrets on the fake server."""

from __future__ import annotations

from confcar.clients.vault import VaultClient
from confcar.config.sources import VaultOptions
from confcar.model import Dependency, Kind, Reading
from confcar.watchers.vault_kv import SecretReader
from confcar.watchers.vault_mounts import Mounts
from tests.fakes.vault_api import VaultApi

TOKEN = "a-token-of-the-test"


class Reader:
    """A SecretReader on the fake."""

    def __init__(self, api: VaultApi, **options: object) -> None:
        made = VaultOptions.model_validate({"type": "vault", "address": api.address, **options})
        self.client = VaultClient("vault", made, max_connections=2, on_request=lambda _: None)
        mounts = Mounts(self.client, namespace=made.namespace, kv_versions=made.kv_versions)
        self._reader = SecretReader(self.client, mounts)

    def read(self, path: str, *, kind: Kind = "secret", version: int | None = None) -> Reading:
        params = (("version", version),) if version is not None else ()
        return self._reader.read(Dependency("vault", kind, path, params), token=TOKEN).reading
