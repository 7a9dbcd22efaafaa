"""The Consul source: a key or a service of its own, on the server in this process and on a real one with ACLs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from confcar.config.sources import ConsulOptions
from confcar.model import Dependency, Reading
from confcar.status import Status
from confcar.watchers.consul import ConsulWatcher
from tests.fakes.consul_api import FakeConsul
from tests.servers.consul import ConsulServer
from tests.servers.fault_proxy import FaultProxy


class _KeyHarness:
    prefix = ""

    def __init__(self, address: str, **options: object) -> None:
        made = ConsulOptions.model_validate({"type": "consul", "address": address} | options)
        self.watcher = ConsulWatcher("consul", made, status=Status())

    def dependency(self, path: str) -> Dependency:
        return Dependency("consul", "key", self.prefix + path)

    def text(self, reading: Reading) -> str | None:
        assert isinstance(reading.value, bytes)
        return reading.value.decode()


class FakeHarness(_KeyHarness):
    """On the fake, which is told how to fail."""

    def __init__(self, server: FakeConsul) -> None:
        super().__init__(server.address)
        self._server = server

    def set(self, **values: str) -> None:
        for path, text in values.items():
            self._server.put(path, text.encode())

    def remove(self, path: str) -> None:
        self._server.delete(path)

    def take_away(self) -> None:
        self._server.fault = lambda _: b""

    def bring_back(self) -> None:
        self._server.fault = lambda _: None

    def deny(self) -> None:
        self._server.hidden = ("",)

    def allow(self) -> None:
        self._server.hidden = ()


class RealHarness(_KeyHarness):
    """On a real one, through a proxy that can take it away, with a token file whose content decides."""

    def __init__(self, server: ConsulServer, proxy: FaultProxy, token_file: Path) -> None:
        self.prefix = f"contract-{uuid.uuid4().hex[:12]}/"
        self._server = server
        self._proxy = proxy
        self._token_file = token_file
        self._token = server.create_token(f'key_prefix "{self.prefix}" {{ policy = "read" }}')
        self._powerless = server.create_token('key_prefix "elsewhere/" { policy = "read" }')
        self.allow()
        super().__init__(proxy.address, token_file=token_file)

    def set(self, **values: str) -> None:
        self._server.put_many({self.prefix + path: text for path, text in values.items()})

    def remove(self, path: str) -> None:
        self._server.delete(self.prefix + path)

    def take_away(self) -> None:
        self._proxy.refuse()

    def bring_back(self) -> None:
        self._proxy.heal()

    def deny(self) -> None:
        self._token_file.write_text(self._powerless)

    def allow(self) -> None:
        self._token_file.write_text(self._token)


class ServiceHarness(RealHarness):
    """Services on a real one; a value is in the meta data of the only instance."""

    def __init__(self, server: ConsulServer, proxy: FaultProxy, token_file: Path) -> None:
        super().__init__(server, proxy, token_file)
        self.prefix = self.prefix.replace("/", "-")
        rules = f'service_prefix "{self.prefix}" {{ policy = "read" }} node_prefix "" {{ policy = "read" }}'
        self._token = server.create_token(rules)
        self.allow()

    def dependency(self, path: str) -> Dependency:
        return Dependency("consul", "service", self.prefix + path)

    def set(self, **values: str) -> None:
        for path, text in values.items():
            self._server.register(self.prefix + path, self.prefix + path, Meta={"text": text})

    def remove(self, path: str) -> None:
        self._server.deregister(self.prefix + path)

    def text(self, reading: Reading) -> str | None:
        assert isinstance(reading.value, tuple)
        found = [str(each["meta"]["text"]) for each in reading.value if isinstance(each, dict)]
        return found[0] if found else None


@contextmanager
def _on_the_fake(_: pytest.FixtureRequest) -> Iterator[FakeHarness]:
    with FakeConsul() as server:
        harness = FakeHarness(server)
        try:
            yield harness
        finally:
            harness.watcher.close()


@contextmanager
def _on_a_real_one(request: pytest.FixtureRequest, kind: type[RealHarness] = RealHarness) -> Iterator[RealHarness]:
    server: ConsulServer = request.getfixturevalue("consul_acl")
    folder: Path = request.getfixturevalue("tmp_path")
    with FaultProxy(server.port) as proxy:
        harness = kind(server, proxy, folder / "token")
        try:
            yield harness
        finally:
            harness.watcher.close()
            server.delete(harness.prefix, recurse=True)
            for path in ("a", "b", "c"):
                server.deregister(harness.prefix + path)


HARNESSES = [
    pytest.param(_on_the_fake, id="consul-fake"),
    pytest.param(_on_a_real_one, id="consul-real", marks=pytest.mark.servers),
    pytest.param(partial(_on_a_real_one, kind=ServiceHarness), id="consul-service-real", marks=pytest.mark.servers),
]
