"""The examples with their lines for production, on real servers: what they are there for, not only that they load."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.integration.examples import FOLDER, in_production, programs_of
from tests.integration.issuing import database_engine
from tests.integration.sidecar import Sidecar, run_confcar
from tests.scenarios.certificates import rotate_under_load
from tests.servers.api import request as ask
from tests.servers.consul import ConsulServer
from tests.servers.installed import installed
from tests.servers.nginx import NginxServer
from tests.servers.openbao import OpenBaoServer
from tests.servers.postgres import PostgresServer
from tests.servers.process import Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]
CONSUL, VAULT = "http://127.0.0.1:8500", "http://127.0.0.1:8200"  # as the examples name them
ROTATIONS = 3


@pytest.fixture(scope="module")
def example_consul(consul_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulServer]:
    """Give a Consul whose keys are those of the examples."""
    with ConsulServer(tmp_path_factory.mktemp("example-consul"), consul_program) as server:
        yield server


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the keys of a document as Consul holds them."""
    found: dict[str, str] = {}
    for name, value in document.items():
        found |= flat(value, f"{prefix}{name}/") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


@pytest.mark.parametrize("name", ["batch-job", "caddy-http", "java-app", "node-app", "prometheus-http"])
def test_consul_gives_the_files_that_the_laptop_gave(
    name: str, example_consul: ConsulServer, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    text = (FOLDER / name / "data.yaml").read_text()
    example_consul.delete("", recurse=True)  # the examples share names
    example_consul.put_many(flat(yaml.load(text, Loader=yaml.BaseLoader)))  # noqa: S506 - it makes texts only
    production = in_production(name, tmp_path / "production", {CONSUL: example_consul.address})
    published: list[dict[str, bytes]] = []
    for config in (FOLDER / name / "confcar.yaml", production):
        out = tmp_path / f"out-{len(published)}"
        environ = {**programs_of(name, request), "SHARED_DIRECTORY": str(out), "HOME": str(tmp_path)}
        ended = run_confcar("once", "-c", config, environ=environ)
        assert ended.returncode == 0, ended.stderr
        published.append({path.name: path.read_bytes() for path in (out / "..data").iterdir()})
    assert published[0] == published[1]
    assert len(published[0]) >= 1


class Balancer(Server):
    """A HAProxy that reads the example's two files."""

    def command(self) -> Sequence[str | Path]:
        files = [self.folder / "shared" / name for name in ("haproxy.cfg", "backend.cfg")]
        return [self.program, "-W", "-p", self.folder / "haproxy.pid", "-f", files[0], "-f", files[1]]

    def is_ready(self) -> bool:
        return ask("GET", self.address).status > 0

    def answers(self) -> set[str]:
        """Return what some requests are answered with: a text, or the status of a failure."""
        found = [ask("GET", self.address) for _ in range(6)]
        return {answer.text if answer.status == 200 else str(answer.status) for answer in found}


def test_haproxy_passes_on_to_the_healthy_instances_of_the_catalogue(
    own_consul: ConsulServer, nginx_program: Path, tmp_path: Path
) -> None:
    balancer = Balancer(tmp_path / "balancer", installed("haproxy"))
    balancer.folder.rmdir()
    balancer.choose_ports()
    config = in_production("haproxy-consul", balancer.folder, {CONSUL: own_consul.address, "500ms": "10ms"})
    environ = {
        "HAPROXY": str(balancer.program),
        "HAPROXY_PORT": str(balancer.port),
        "RUN_DIRECTORY": str(balancer.folder),
    }
    with ExitStack() as stack:
        instances = [NginxServer(tmp_path / name, nginx_program) for name in ("one", "two")]
        for each in instances:
            each.serve_text(each.folder.name)
            stack.enter_context(each)
            own_consul.register(each.folder.name, "web", Address="127.0.0.1", Port=each.port, ID=each.folder.name)
        assert run_confcar("once", "-c", config, environ=environ).returncode == 0
        stack.enter_context(balancer)
        stack.enter_context(Sidecar(config, environ=environ))
        wait_until(lambda: balancer.answers() == {"one", "two"}, timeout=30.0)
        own_consul.register("one", "web", Address="127.0.0.1", Port=instances[0].port, ID="one", status="critical")
        wait_until(lambda: balancer.answers() == {"two"}, timeout=30.0)
        own_consul.deregister("two")
        wait_until(lambda: balancer.answers() == {"503"}, timeout=30.0)


def test_nginx_refuses_nobody_while_its_certificate_is_replaced(
    openbao: OpenBaoServer, nginx_program: Path, tmp_path: Path
) -> None:
    seen = rotate_under_load(tmp_path, nginx_program, openbao, ttl="8s", rotations=ROTATIONS, seconds=0)
    assert seen.failures == ()
    assert seen.certificates > ROTATIONS
    assert seen.serials >= seen.certificates
    assert seen.requests > seen.certificates


@pytest.mark.soak
def test_nginx_refuses_nobody_in_a_minute_of_requests(
    openbao: OpenBaoServer, nginx_program: Path, tmp_path: Path
) -> None:
    seen = rotate_under_load(tmp_path, nginx_program, openbao, ttl="20s", rotations=ROTATIONS, seconds=60)
    assert seen.failures == ()
    assert seen.certificates > ROTATIONS


def test_program_changes_its_database_user_before_the_old_one_ends(
    openbao: OpenBaoServer, postgres: PostgresServer, tmp_path: Path
) -> None:
    folder = tmp_path / "example"
    environ = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "RUN_DIRECTORY": str(folder)}
    with database_engine(openbao, postgres, ttl="4s", max_ttl="12s") as database:
        config = in_production("python-db", folder, {VAULT: openbao.address})
        template = folder / "db.json.j2"
        template.write_text(template.read_text().replace("database/creds/app", database.path))
        tokens = {"VAULT_TOKEN": openbao.token}
        ended = run_confcar("once", "-c", config, environ={**environ, **tokens})
        assert ended.returncode == 0, ended.stderr
        with (folder / "app.log").open("wb") as log:
            app = subprocess.Popen([sys.executable, "app.py"], cwd=folder, env=dict(os.environ), stdout=log, stderr=log)
        try:
            wait_until((folder / "app.pid").exists, timeout=30.0)
            with Sidecar(config, environ={**environ, **tokens}):
                wait_until(lambda: logins(folder) >= 3 or app.poll() is not None, timeout=120.0)
        finally:
            psutil.Process(app.pid).terminate()
            code = app.wait(20)
        log_text = (folder / "app.log").read_text()
        assert (code, "Traceback" in log_text) == (0, False), log_text
        users = [line.rpartition(" ")[2] for line in log_text.splitlines()]
        assert len(set(users)) == len(users)
        assert all(user.startswith(database.mount) for user in users)


def test_program_starts_with_what_consul_and_vault_hold_and_anew_where_it_changes(
    example_consul: ConsulServer, openbao: OpenBaoServer, kv_mount: str, tmp_path: Path
) -> None:
    example_consul.delete("", recurse=True)
    example_consul.put_many({"app/GREETING": "good day", "app/WORKERS": "3"})
    openbao.put_kv("db", {"user": "shop", "password": "first"}, mount=kv_mount)
    changes = {CONSUL: example_consul.address, VAULT: openbao.address, "secret/db": f"{kv_mount}/db"}
    config = in_production("dotenv", tmp_path / "example", changes)
    environ = {
        "CONFCAR_SOURCES__VAULT__REFRESH": "200ms",
        "RUN_DIRECTORY": str(config.parent),
        "VAULT_TOKEN": openbao.token,
    }
    with Sidecar(config, environ=environ) as sidecar:
        wait_until(lambda: len(starts(sidecar)) == 1, timeout=30.0)
        openbao.put_kv("db", {"user": "shop", "password": "second"}, mount=kv_mount)
        wait_until(lambda: len(starts(sidecar)) == 2, timeout=30.0)
        example_consul.put("app/WORKERS", "5")
        wait_until(lambda: len(starts(sidecar)) == 3, timeout=30.0)
    assert starts(sidecar) == [
        "app: good day, 3 workers, postgres as shop:first@db.internal/shop, token: none",
        "app: good day, 3 workers, postgres as shop:second@db.internal/shop, token: none",
        "app: good day, 5 workers, postgres as shop:second@db.internal/shop, token: none",
    ]


def starts(sidecar: Sidecar) -> list[str]:
    return [line for line in sidecar.log().splitlines() if line.startswith("app: ")]


def logins(folder: Path) -> int:
    return (folder / "app.log").read_text().count("logged in as")
