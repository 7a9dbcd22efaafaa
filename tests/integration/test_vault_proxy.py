"""A real OpenBao behind an HTTP proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.errors import SourceUnavailableError
from tests.integration.vault_following import read, want, watcher_of
from tests.servers.http_proxy import HttpProxy
from tests.servers.openbao_tls import TlsOpenBaoServer


@pytest.fixture(scope="module")
def bao(openbao_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsOpenBaoServer]:
    with TlsOpenBaoServer(tmp_path_factory.mktemp("openbao"), openbao_program) as server:
        server.put_kv("app", {"a": "1"})
        yield server


def test_https_goes_through_a_tunnel_and_the_proxy_sees_nothing_of_it(bao: TlsOpenBaoServer) -> None:
    with HttpProxy("confcar:pass%word") as proxy:
        url = f"http://confcar:pass%25word@127.0.0.1:{proxy.port}"
        options = {"proxy": url, "tls": {"ca_file": bao.ca_file}, "token": bao.token}
        with watcher_of(bao.tls_address, **options) as watcher:
            assert read(watcher, want("secret/app")).value == {"a": "1"}

    assert set(proxy.asked) == {f"CONNECT 127.0.0.1:{bao.tls_port}"}
    assert not [line for line in proxy.seen if line.startswith("x-vault")]


def test_http_is_passed_on_by_the_proxy(bao: TlsOpenBaoServer) -> None:
    with HttpProxy() as proxy:
        options = {"proxy": f"http://127.0.0.1:{proxy.port}", "token": bao.token}
        with watcher_of(bao.address, **options) as watcher:
            assert read(watcher, want("secret/app")).value == {"a": "1"}

    assert f"GET {bao.address}/v1/secret/data/app" in proxy.asked


def test_proxy_that_refuses_is_named_without_its_password(bao: TlsOpenBaoServer) -> None:
    with HttpProxy("confcar:password") as proxy:
        url = f"http://confcar:another-one@127.0.0.1:{proxy.port}"
        options = {"proxy": url, "tls": {"ca_file": bao.ca_file}, "token": bao.token}
        with watcher_of(bao.tls_address, **options) as watcher:
            match = f"cannot reach Vault at {bao.tls_address}.*127.0.0.1:{proxy.port}: the proxy answers 407"
            with pytest.raises(SourceUnavailableError, match=match) as caught:
                read(watcher, want("secret/app"))
        assert "another-one" not in str(caught.value)


def test_proxy_that_is_not_there_is_told_from_the_server(bao: TlsOpenBaoServer) -> None:
    with HttpProxy() as proxy:
        pass
    options = {"proxy": f"http://127.0.0.1:{proxy.port}", "tls": {"ca_file": bao.ca_file}, "token": bao.token}
    with (
        watcher_of(bao.tls_address, **options) as watcher,
        pytest.raises(SourceUnavailableError, match=f"127.0.0.1:{proxy.port}: cannot connect"),
    ):
        read(watcher, want("secret/app"))
