"""The Vault source: a KV v2 secret on the server in this process, and KV v2 and v1 on a real one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from confcar.config.sources import VaultOptions
from confcar.model import Dependency, Reading
from confcar.status import Status
from confcar.watchers.vault import VaultWatcher
from tests.fakes.vault_api import VaultApi, running_vault
from tests.servers.fault_proxy import FaultProxy
from tests.servers.openbao import OpenBaoServer


class _SecretHarness:
    mount = "secret"

    def __init__(self, address: str, token: str) -> None:
        options = VaultOptions(type="vault", address=address).model_copy(update={"token": SecretStr(token)})
        self.watcher = VaultWatcher("vault", options, status=Status())

    def dependency(self, path: str) -> Dependency:
        return Dependency("vault", "secret", f"{self.mount}/{path}")

    def text(self, reading: Reading) -> str:
        assert isinstance(reading.value, Mapping)
        text = reading.value["text"]
        assert isinstance(text, str)
        return text


class FakeHarness(_SecretHarness):
    """On the fake, which is told how to fail."""

    def __init__(self, server: VaultApi) -> None:
        server.add_kv(self.mount, 2)
        server.add_token("contract-token", ttl=1000)
        super().__init__(server.address, "contract-token")
        self._server = server

    def set(self, **values: str) -> None:
        for path, text in values.items():
            self._server.put(f"{self.mount}/data/{path}", {"text": text})

    def remove(self, path: str) -> None:
        del self._server.secrets[f"{self.mount}/data/{path}"]

    def take_away(self) -> None:
        self._server.is_sealed = True

    def bring_back(self) -> None:
        self._server.is_sealed = False

    def deny(self) -> None:
        self._server.denied = set(self._server.secrets)

    def allow(self) -> None:
        self._server.denied = set()


class RealHarness(_SecretHarness):
    """On a real one, through a proxy that can take it away, with a policy that decides."""

    def __init__(self, server: OpenBaoServer, proxy: FaultProxy, version: int) -> None:
        self.mount = self._policy = f"contract-{uuid.uuid4().hex[:12]}"
        self._server = server
        self._proxy = proxy
        self._data = f"{self.mount}/data" if version > 1 else self.mount
        server.mount(self.mount, "kv", options={"version": str(version)})
        self.allow()
        super().__init__(proxy.address, server.create_token([self._policy]))

    def set(self, **values: str) -> None:
        for path, text in values.items():
            data = {"text": text}
            self._server.write(f"{self._data}/{path}", data if self._data == self.mount else {"data": data})

    def remove(self, path: str) -> None:
        self._server.delete(f"{self._data}/{path}")

    def take_away(self) -> None:
        self._proxy.refuse()

    def bring_back(self) -> None:
        self._proxy.heal()

    def deny(self) -> None:
        self._server.create_policy(self._policy, f'path "{self.mount}/elsewhere" {{ capabilities = ["read"] }}')

    def allow(self) -> None:
        self._server.create_policy(self._policy, f'path "{self._data}/*" {{ capabilities = ["read"] }}')

    def close(self) -> None:
        """Take everything off the shared server again."""
        self.watcher.close()
        self._server.unmount(self.mount)
        self._server.delete(f"sys/policies/acl/{self._policy}")


@contextmanager
def _on_the_fake(_: pytest.FixtureRequest) -> Iterator[FakeHarness]:
    with running_vault() as server:
        harness = FakeHarness(server)
        try:
            yield harness
        finally:
            harness.watcher.close()


def _opener(version: int) -> object:
    @contextmanager
    def open_harness(request: pytest.FixtureRequest) -> Iterator[RealHarness]:
        server: OpenBaoServer = request.getfixturevalue("openbao")
        with FaultProxy(server.port) as proxy:
            harness = RealHarness(server, proxy, version)
            try:
                yield harness
            finally:
                harness.close()

    return open_harness


HARNESSES = [
    pytest.param(_on_the_fake, id="vault-fake"),
    pytest.param(_opener(1), id="openbao-kv1", marks=pytest.mark.servers),
    pytest.param(_opener(2), id="openbao-kv2", marks=pytest.mark.servers),
]
