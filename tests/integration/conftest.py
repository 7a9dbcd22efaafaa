"""The real servers as fixtures, started once per test process, and a corner of their own in them for each test.

Where a program cannot be had, its tests are skipped with the reason; in CI, and with CONFCAR_TEST_REQUIRE_SERVERS=1,
they fail instead. A test that pauses, kills or restarts a server takes one of the `own_…` ones.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.servers.build import source_of
from tests.servers.caddy import CaddyServer
from tests.servers.consul import ConsulServer
from tests.servers.fault_proxy import FaultProxy
from tests.servers.image import Image, ImageUnavailableError, find_image
from tests.servers.nginx import NginxServer
from tests.servers.obtain import UnavailableError, find_program
from tests.servers.openbao import OpenBaoServer
from tests.servers.postgres import PostgresServer

_AT_START = dict(os.environ)  # before any test's is scrubbed


def _program(name: str) -> Path:
    try:
        return find_program(name, _AT_START).path
    except UnavailableError as error:
        _go_without(str(error))


@pytest.fixture(scope="session")
def module_sources() -> Callable[[str], Path]:
    """Return what gives the folder of a Go module's source, documentation included, by `path@vVERSION`."""

    def folder(module: str) -> Path:
        return source_of(module, _AT_START) or _go_without(f"no source of {module}: there is no Go, or no network")

    return folder


def _go_without(reason: str) -> NoReturn:
    if _AT_START.get("CI") or _AT_START.get("CONFCAR_TEST_REQUIRE_SERVERS"):
        pytest.fail(f"{reason} (servers are required here)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def consul_program() -> Path:
    """Return the Consul to run."""
    return _program("consul")


@pytest.fixture(scope="session")
def openbao_program() -> Path:
    """Return the OpenBao or Vault to run."""
    return _program("bao")


@pytest.fixture(scope="session")
def nginx_program() -> Path:
    """Return the nginx to run."""
    return _program("nginx")


@pytest.fixture(scope="session")
def caddy_program() -> Path:
    """Return the Caddy to run."""
    return _program("caddy")


@pytest.fixture(scope="session")
def postgres_program() -> Path:
    """Return the PostgreSQL to run."""
    return _program("postgres")


@pytest.fixture(scope="session")
def compose_program() -> Path:
    """Return the Compose Specification's own loader."""
    return _program("compose-go")


@pytest.fixture(scope="session")
def kustomize_program() -> Path:
    """Return the kustomize to run."""
    return _program("kustomize")


@pytest.fixture(scope="session")
def consul_template_program() -> Path:
    """Return the consul-template to compare with."""
    return _program("consul-template")


@pytest.fixture(scope="session")
def confd_program() -> Path:
    """Return the confd to compare with."""
    return _program("confd")


@pytest.fixture(scope="session")
def image() -> Image:
    """Return the container image of this checkout; it is built where that was not done yet, which takes minutes."""
    try:
        return find_image(_AT_START)
    except ImageUnavailableError as error:
        _go_without(str(error))


@pytest.fixture(scope="session")
def consul(consul_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulServer]:
    """Give the shared Consul; write below `kv_prefix` only."""
    with ConsulServer(tmp_path_factory.mktemp("consul"), consul_program) as server:
        yield server


@pytest.fixture(scope="session")
def consul_acl(consul_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulServer]:
    """Give a shared Consul that denies everything without a token."""
    with ConsulServer(tmp_path_factory.mktemp("consul-acl"), consul_program, acl=True) as server:
        yield server


@pytest.fixture(scope="session")
def openbao(openbao_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBaoServer]:
    """Give the shared OpenBao; write to `kv_mount` only, and name policies and roles uniquely."""
    with OpenBaoServer(tmp_path_factory.mktemp("openbao"), openbao_program) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(postgres_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Give the shared PostgreSQL."""
    with PostgresServer(tmp_path_factory.mktemp("postgres"), postgres_program) as server:
        yield server


@pytest.fixture
def own_consul(consul_program: Path, tmp_path: Path) -> Iterator[ConsulServer]:
    """Give a Consul of the test's own, which keeps its data when it is killed."""
    with ConsulServer(tmp_path / "consul", consul_program, durable=True) as server:
        yield server


@pytest.fixture
def own_openbao(openbao_program: Path, tmp_path: Path) -> Iterator[OpenBaoServer]:
    """Give an OpenBao of the test's own, which keeps its data when it is killed."""
    with OpenBaoServer(tmp_path / "openbao", openbao_program, durable=True) as server:
        yield server


@pytest.fixture
def nginx(nginx_program: Path, tmp_path: Path) -> Iterator[NginxServer]:
    """Give an nginx that answers `ready`."""
    server = NginxServer(tmp_path / "nginx", nginx_program)
    server.serve_text("ready")
    with server:
        yield server


@pytest.fixture
def caddy(caddy_program: Path, tmp_path: Path) -> Iterator[CaddyServer]:
    """Give a Caddy that answers `ready`."""
    with CaddyServer(tmp_path / "caddy", caddy_program) as server:
        yield server


@pytest.fixture
def consul_proxy(consul: ConsulServer) -> Iterator[FaultProxy]:
    """Give a proxy to the shared Consul that can be told to fail."""
    with FaultProxy(consul.port) as proxy:
        yield proxy


@pytest.fixture
def openbao_proxy(openbao: OpenBaoServer) -> Iterator[FaultProxy]:
    """Give a proxy to the shared OpenBao that can be told to fail."""
    with FaultProxy(openbao.port) as proxy:
        yield proxy


@pytest.fixture
def kv_prefix(consul: ConsulServer) -> Iterator[str]:
    """Give a key prefix in the shared Consul, without a trailing slash, that no other test has."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    yield prefix
    consul.delete(f"{prefix}/", recurse=True)


@pytest.fixture
def kv_mount(openbao: OpenBaoServer) -> Iterator[str]:
    """Give a KV v2 mount in the shared OpenBao that no other test has."""
    path = f"test-{uuid.uuid4().hex[:12]}"
    openbao.mount(path, "kv", options={"version": "2"})
    yield path
    openbao.unmount(path)
