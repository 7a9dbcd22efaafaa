"""Dynamic credentials on a real OpenBao and a real PostgreSQL: an application that never fails, faults in between."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from confcar.errors import SourceDeniedError, SourceUnavailableError
from confcar.model import BY_READING, Dependency
from tests.integration.application import DatabaseApplication
from tests.integration.issuing import Database, database_engine
from tests.integration.sidecar import Sidecar
from tests.integration.vault_following import Followed, approle_of, want
from tests.servers.fault_proxy import FaultProxy
from tests.servers.openbao import OpenBaoServer
from tests.servers.postgres import PostgresServer
from tests.waiting import pause, wait_until

pytestmark = pytest.mark.servers
LOGIN, RENEW = "/auth/[^/]+/login$", "/sys/leases/renew"
SERVED_AGAIN_WITHIN_SECONDS = 5.0


@pytest.fixture
def database(openbao: OpenBaoServer, postgres: PostgresServer) -> Iterator[Database]:
    with database_engine(openbao, postgres) as made:
        openbao.create_policy(made.mount, made.policy())
        yield made


def creds_of(database: Database) -> Dependency:
    return Dependency("vault", "issue", database.path, BY_READING)


def write_config(folder: Path, address: str, database: Database, port: int, **source: object) -> Path:
    """Write a config whose bundle `web` holds the credentials, and that tells the application at a port."""
    role = database.openbao.create_approle(database.mount, [database.mount])
    auth = {name: str(value) for name, value in approle_of(folder, role).items()}
    content = "{{ {'username': secret(path).username, 'password': secret(path).password} | to_json }}"
    config = {
        "sources": {"vault": {"type": "vault", "address": address, "auth": auth, "refresh": "2s", **source}},
        "bundles": {
            "web": {
                "directory": str(folder / "web"),
                "templates": [
                    {
                        "content": f"{{% set path = '{database.path}' %}}{content}",
                        "destination": "db.json",
                        "format": "json",
                    }
                ],
                "reload": [{"http": {"url": f"http://127.0.0.1:{port}/"}}],
            }
        },
    }
    path = folder / "confcar.json"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(
    "seconds", [pytest.param(25, id="25 s"), pytest.param(120, id="2 min", marks=[pytest.mark.soak])]
)
@pytest.mark.timeout(300)
def test_application_stays_connected_although_its_credentials_expire_every_ten_seconds(
    database: Database, openbao_proxy: FaultProxy, tmp_path: Path, seconds: int
) -> None:
    database.make_role("10s", "10s")
    with DatabaseApplication(tmp_path / "web" / "db.json", database.works) as application:
        config = write_config(tmp_path, openbao_proxy.address, database, application.port)
        with Sidecar(config) as sidecar:
            wait_until(lambda: application.queries > 0, timeout=20)
            pause(seconds)
            leases = sidecar.status()["sources"]["vault"]["leases"]
        log = sidecar.log()

    assert application.failures == []
    assert application.queries > seconds
    rotations = application.reloads - 1
    assert rotations >= seconds // 10
    assert database.roles_made == openbao_proxy.count(f"/v1/{database.path}$") == rotations + 1
    assert openbao_proxy.count(LOGIN) == 1
    assert {lease["path"] for lease in leases} == {database.path}
    assert all(0 <= lease["seconds_left"] <= 10 for lease in leases)
    assert log.count('"issued"') == database.roles_made


@pytest.mark.parametrize("seconds", [pytest.param(3, id="3 s"), pytest.param(30, id="30 s", marks=[pytest.mark.soak])])
def test_failing_renewals_cost_one_request_per_step_and_no_credential_and_recover(
    openbao_proxy: FaultProxy, database: Database, seconds: int
) -> None:
    ttl = max(24, seconds * 6)  # what is left for trying is longer than the outage
    database.make_role(f"{ttl}s", "24h")
    token = database.openbao.create_token([database.mount])
    path = creds_of(database)
    with Followed(openbao_proxy.address, path, token=token, refresh="1h") as followed:
        wait_until(lambda: followed.answer(path).reading is not None)
        before = followed.value(path)
        openbao_proxy.answer(500, path=RENEW, body=b'{"errors": ["internal error"]}')
        wait_until(lambda: openbao_proxy.count(RENEW) > 0, timeout=ttl)
        wait_until(lambda: isinstance(followed.answer(path).error, SourceUnavailableError))
        pause(seconds)
        failed = [seen.at for seen in openbao_proxy.seen(RENEW)]
        openbao_proxy.clear()
        wait_until(lambda: followed.answer(path).error is None, timeout=20)

    steps = [0.25 * 2**number * 0.74 for number in range(len(failed))]
    gaps = [later - earlier for earlier, later in pairwise(failed)]
    assert all(gap >= min(step, 7.4) for gap, step in zip(gaps, steps, strict=False)), gaps
    assert followed.value(path) == before
    assert (database.roles_made, openbao_proxy.count(f"/v1/{database.path}$")) == (1, 1)


def test_database_that_is_down_while_leases_are_renewed_costs_no_credential(
    openbao_proxy: FaultProxy, openbao: OpenBaoServer, postgres_program: Path, tmp_path: Path
) -> None:
    with (
        PostgresServer(tmp_path, postgres_program) as postgres,
        database_engine(openbao, postgres, ttl="20s") as database,
    ):
        openbao.create_policy(database.mount, database.policy())
        token = openbao.create_token([database.mount])
        path = creds_of(database)
        with Followed(openbao_proxy.address, path, token=token, refresh="1h") as followed:
            wait_until(lambda: followed.answer(path).reading is not None)
            before = followed.value(path)
            postgres.kill()
            wait_until(lambda: openbao_proxy.count(RENEW) >= 2, timeout=20)
            assert isinstance(followed.answer(path).error, SourceUnavailableError)
            postgres.start()
            wait_until(lambda: followed.answer(path).error is None, timeout=20)

        assert followed.value(path) == before
        assert (database.roles_made, openbao_proxy.count(f"/v1/{database.path}$")) == (1, 1)


def test_old_credentials_live_until_the_primary_has_acknowledged_the_new_ones(
    openbao_proxy: FaultProxy, database: Database, tmp_path: Path
) -> None:
    database.make_role("9s", "24h")
    with DatabaseApplication(tmp_path / "web" / "db.json", database.works) as application:
        config = write_config(tmp_path, openbao_proxy.address, database, application.port)
        with Sidecar(config):
            wait_until(lambda: application.queries > 0)
            old = application.user
            application.refuses = True
            openbao_proxy.answer(500, path=RENEW, body=b'{"errors": ["internal error"]}')
            wait_until(lambda: database.roles_made == 2, timeout=20)
            openbao_proxy.clear()
            pause(12)  # longer than the old one lives without a renewal
            assert (application.user, application.failures) == (old, [])

            application.refuses = False
            wait_until(lambda: application.user != old, timeout=20)
            wait_until(lambda: old not in database.roles(), timeout=20)  # nobody renews it any more

    assert application.failures == []
    assert database.roles_made == 2


def test_revoked_token_costs_its_leases_only_and_they_are_served_again_at_once(
    openbao: OpenBaoServer, openbao_proxy: FaultProxy, database: Database, kv_mount: str, tmp_path: Path
) -> None:
    openbao.put_kv("app", {"a": 1}, mount=kv_mount)
    openbao.create_policy(kv_mount, f'path "{kv_mount}/*" {{ capabilities = ["read"] }}')
    role = openbao.create_approle(database.mount, [database.mount, kv_mount])
    creds, app = creds_of(database), want(f"{kv_mount}/app")
    with Followed(openbao_proxy.address, creds, app, auth=approle_of(tmp_path, role), refresh="1h") as followed:
        wait_until(lambda: followed.answer(creds).reading is not None and followed.answer(app).reading is not None)
        before = followed.value(creds)
        openbao.revoke_token(openbao_proxy.seen(f"/v1/{database.path}$")[-1].headers["x-vault-token"])
        revoked_at = time.monotonic()
        wait_until(lambda: followed.value(creds) != before)
        took = time.monotonic() - revoked_at
        held = followed.value(creds)

    assert took < SERVED_AGAIN_WITHIN_SECONDS
    assert isinstance(held, dict)
    assert database.works(held["username"], held["password"])
    assert (openbao_proxy.count(LOGIN), database.roles_made) == (2, 2)
    assert openbao_proxy.count(f"/{kv_mount}/data/app") == 1


def test_policy_denial_of_a_credential_costs_no_login(
    openbao: OpenBaoServer, openbao_proxy: FaultProxy, database: Database, tmp_path: Path
) -> None:
    openbao.create_policy(database.mount, 'path "elsewhere" { capabilities = ["read"] }')
    role = openbao.create_approle(database.mount, [database.mount])
    path = creds_of(database)
    with Followed(openbao_proxy.address, path, auth=approle_of(tmp_path, role)) as followed:
        wait_until(lambda: isinstance(followed.answer(path).error, SourceDeniedError))
        wait_until(lambda: openbao_proxy.count(f"/v1/{database.path}$") >= 3)
        assert f'path "{database.path}"' in str(followed.answer(path).error)

        openbao.create_policy(database.mount, database.policy())
        wait_until(lambda: followed.answer(path).reading is not None, timeout=20)

    assert (openbao_proxy.count(LOGIN), database.roles_made) == (1, 1)


def test_lease_revoked_by_an_administrator_is_replaced_by_the_next_lookup(
    openbao: OpenBaoServer, openbao_proxy: FaultProxy, database: Database
) -> None:
    token = openbao.create_token([database.mount])
    path = creds_of(database)
    with Followed(openbao_proxy.address, path, token=token, refresh="500ms") as followed:
        wait_until(lambda: openbao_proxy.count("/sys/leases/lookup") >= 2)
        before = followed.value(path)
        openbao.write(f"sys/leases/revoke-prefix/{database.mount}")
        wait_until(lambda: followed.value(path) != before)

    assert database.roles_made == 2


def test_revoke_on_exit_takes_the_roles_away(openbao_proxy: FaultProxy, database: Database, tmp_path: Path) -> None:
    with DatabaseApplication(tmp_path / "web" / "db.json", database.works) as application:
        config = write_config(tmp_path, openbao_proxy.address, database, application.port, revoke_on_exit=True)
        with Sidecar(config) as sidecar:
            wait_until(lambda: application.queries > 0)
            assert len(database.roles()) == 1
            assert sidecar.stop() == 0

    wait_until(lambda: not database.roles())


def test_without_revoke_on_exit_the_roles_live_on(
    openbao_proxy: FaultProxy, database: Database, tmp_path: Path
) -> None:
    with DatabaseApplication(tmp_path / "web" / "db.json", database.works) as application:
        config = write_config(tmp_path, openbao_proxy.address, database, application.port)
        with Sidecar(config) as sidecar:
            wait_until(lambda: application.queries > 0)
            assert sidecar.stop() == 0
        answered = application.queries
        wait_until(lambda: application.queries > answered + 3)

    assert application.failures == []
    assert openbao_proxy.count("/sys/leases/revoke") == 0
