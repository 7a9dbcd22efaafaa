"""A real standby that is told not to pass requests on: it redirects to the active node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from confcar.clients.vault import VaultClient
from confcar.config.sources import VaultOptions
from tests.servers.openbao_cluster import OpenBaoCluster


@pytest.fixture(scope="module")
def cluster(openbao_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBaoCluster]:
    with OpenBaoCluster(tmp_path_factory.mktemp("openbao-cluster"), openbao_program) as server:
        yield server


@contextmanager
def client_of(cluster: OpenBaoCluster, node: int, codes: list[str]) -> Iterator[VaultClient]:
    tls = {"verify": False}
    options = VaultOptions.model_validate({"type": "vault", "address": cluster.node(node), "tls": tls})
    client = VaultClient("vault", options, max_connections=2, on_request=codes.append)
    client._hvac.session.headers["X-Vault-No-Request-Forwarding"] = "true"
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize("node", [1, 2])
def test_write_read_and_lookup_on_a_standby_reach_the_active_node(cluster: OpenBaoCluster, node: int) -> None:
    codes: list[str] = []
    path = f"secret/app-{node}"
    with client_of(cluster, node, codes) as client:
        assert client.call("PUT", path, token=cluster.token, body={"a": "1"}).is_ok
        assert client.call("GET", path, token=cluster.token).section("data") == {"a": "1"}
        assert client.call("GET", "auth/token/lookup-self", token=cluster.token).is_ok
        denied = client.call("GET", "auth/token/lookup-self", token="s.wrong")
        assert denied.is_denied

    assert codes.count("307") == 4
    assert codes[-1] == "403"
