"""What engines of a real OpenBao issue: certificates, static roles, leased KV, transit; each by its own clock."""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from confcar.errors import SourceDataError
from confcar.model import BY_READING, Dependency
from tests.integration.issuing import Database, database_engine, pki_engine
from tests.integration.sidecar import run_confcar
from tests.integration.vault_following import Followed, watcher_of
from tests.servers.openbao import OpenBaoServer
from tests.servers.postgres import PostgresServer
from tests.waiting import wait_until

pytestmark = pytest.mark.servers


def issue(path: str, **params: str | int | bool) -> Dependency:
    return Dependency("vault", "issue", path, tuple(sorted(params.items())))


def read(path: str) -> Dependency:
    return Dependency("vault", "issue", path, BY_READING)


def field(followed: Followed, dependency: Dependency, name: str) -> object:
    value = followed.value(dependency)
    return value.get(name) if isinstance(value, Mapping) else None


@pytest.fixture
def database(openbao: OpenBaoServer, postgres: PostgresServer) -> Iterator[Database]:
    with database_engine(openbao, postgres) as made:
        yield made


def test_certificate_is_replaced_near_the_end_of_its_own_dates(openbao: OpenBaoServer) -> None:
    with pki_engine(openbao, ttl="6s") as pki:
        web = issue(f"{pki}/issue/web", common_name="a.example")
        with Followed(openbao.address, web, token=openbao.token, refresh="1h") as followed:
            wait_until(lambda: field(followed, web, "certificate"))
            first = followed.answer(web).reading
            wait_until(lambda: followed.answer(web).reading != first, timeout=20)

            assert first is not None
            assert isinstance(first.value, Mapping)
            assert first.leased_until == first.value["expiration"]
            assert field(followed, web, "serial_number") != first.value["serial_number"]


def test_certificate_key_and_chain_of_three_files_are_of_one_answer(openbao: OpenBaoServer, tmp_path: Path) -> None:
    with pki_engine(openbao) as pki:
        call = f"issue('{pki}/issue/web', common_name='a.example', alt_names=['b.example', 'c.example'])"
        files = {"cert.pem": "certificate", "key.pem": "private_key", "ca.pem": "issuing_ca"}
        templates = [
            {"content": f"{{{{ {call}.{name} }}}}\n", "destination": destination, "format": "pem"}
            for destination, name in files.items()
        ]
        config = tmp_path / "confcar.yaml"
        config.write_text(
            str(
                {
                    "sources": {"vault": {"type": "vault", "address": openbao.address}},
                    "bundles": {"web": {"directory": str(tmp_path / "web"), "templates": templates}},
                }
            )
        )
        ended = run_confcar("once", "-c", config, environ={"VAULT_TOKEN": openbao.token})
        assert ended.returncode == 0, ended.stderr
        context = ssl.create_default_context(cafile=tmp_path / "web" / "ca.pem")
        context.load_cert_chain(tmp_path / "web" / "cert.pem", tmp_path / "web" / "key.pem")  # fails for another key

        assert len(openbao.call("LIST", f"{pki}/certs").json["data"]["keys"]) == 2  # the authority's, and this one


def test_ssh_certificate_is_replaced_near_the_end_of_its_own_dates(openbao: OpenBaoServer) -> None:
    mount = f"ssh-{uuid.uuid4().hex[:8]}"
    openbao.mount(mount, "ssh")
    openbao.write(f"{mount}/config/ca", {"generate_signing_key": True})
    role = {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "*", "default_user": "app"}
    openbao.write(f"{mount}/roles/web", {**role, "ttl": "4s", "not_before_duration": "1s"})
    for key_type in ("ed25519", "ec", "rsa"):
        host = issue(f"{mount}/issue/web", key_type=key_type)
        with Followed(openbao.address, host, token=openbao.token, refresh="1h") as followed:
            wait_until(lambda: field(followed, host, "signed_key"))  # noqa: B023 - at once
            first = followed.answer(host).reading
            assert first is not None
            assert first.leased_until == pytest.approx(time.time() + 4, abs=3)
            wait_until(lambda: followed.answer(host).reading != first, timeout=20)  # noqa: B023 - at once
    openbao.unmount(mount)


def test_lists_reach_the_server_as_lists(openbao: OpenBaoServer) -> None:
    with pki_engine(openbao) as pki, watcher_of(openbao.address, token=openbao.token) as watcher:
        web = issue(f"{pki}/issue/web", common_name="a.example", alt_names="b.example,c.example")
        watcher.fetch(web, frozenset({web}), after=None, wait_seconds=0)
        assert watcher._dynamic is not None
        (lease,) = watcher._dynamic.leases.held()
        text = str(lease.data["certificate"])
        path = Path(str(openbao.folder), "listed.pem")
        path.write_text(text)
        names = ssl._ssl._test_decode_cert(str(path))["subjectAltName"]  # type: ignore[attr-defined] # of a test only

    assert {name for _, name in names} == {"a.example", "b.example", "c.example"}


def test_parameters_that_make_no_sense_are_pending_with_the_servers_reason(openbao: OpenBaoServer) -> None:
    with pki_engine(openbao) as pki:
        web = issue(f"{pki}/issue/none", common_name="a.example")
        with Followed(openbao.address, web, token=openbao.token) as followed:
            wait_until(lambda: isinstance(followed.answer(web).error, SourceDataError))

            assert "unknown role: none" in str(followed.answer(web).error)


def test_static_role_is_noticed_when_its_password_changes(database: Database) -> None:
    name = f"static_{uuid.uuid4().hex[:8]}"
    with database.postgres.connection() as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE ROLE {name} WITH LOGIN PASSWORD 'first'")
    role = {"db_name": "pg", "username": name, "rotation_period": "5s"}
    database.openbao.write(f"{database.mount}/static-roles/app", role)
    creds = read(f"{database.mount}/static-creds/app")
    with Followed(database.openbao.address, creds, token=database.openbao.token, refresh="1h") as followed:
        for _ in range(2):
            wait_until(lambda: field(followed, creds, "password"))
            password = field(followed, creds, "password")
            assert database.works(name, str(password))
            wait_until(lambda: field(followed, creds, "password") != password, timeout=20)  # noqa: B023 - at once
            assert database.works(name, str(field(followed, creds, "password")))


def test_rotation_by_hand_is_noticed_by_refresh(database: Database) -> None:
    name = f"static_{uuid.uuid4().hex[:8]}"
    with database.postgres.connection() as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE ROLE {name} WITH LOGIN PASSWORD 'first'")
    role = {"db_name": "pg", "username": name, "rotation_period": "1h"}
    database.openbao.write(f"{database.mount}/static-roles/app", role)
    creds = read(f"{database.mount}/static-creds/app")
    with Followed(database.openbao.address, creds, token=database.openbao.token, refresh="300ms") as followed:
        wait_until(lambda: field(followed, creds, "password"))
        password = field(followed, creds, "password")
        database.openbao.write(f"{database.mount}/rotate-role/app")
        wait_until(lambda: field(followed, creds, "password") != password)


def test_transit_encrypts_once_and_decrypts(openbao: OpenBaoServer) -> None:
    mount = f"transit-{uuid.uuid4().hex[:8]}"
    openbao.mount(mount, "transit")
    openbao.write(f"{mount}/keys/app")
    sealed = issue(f"{mount}/encrypt/app", plaintext="c2VjcmV0")
    with Followed(openbao.address, sealed, token=openbao.token, refresh="100ms") as followed:
        wait_until(lambda: field(followed, sealed, "ciphertext"))
        first = field(followed, sealed, "ciphertext")
        opened = issue(f"{mount}/decrypt/app", ciphertext=str(first))
        followed.store.subscribe("test", frozenset({sealed, opened}), lambda: None)
        followed.follower.follow(frozenset({sealed, opened}))
        wait_until(lambda: field(followed, opened, "plaintext") == "c2VjcmV0")

        assert field(followed, sealed, "ciphertext") == first
    openbao.write(f"{mount}/keys/app/config", {"deletion_allowed": True})
    openbao.unmount(mount)


def test_kv_with_leases_is_renewed_and_shows_what_was_written_since(openbao_program: Path, tmp_path: Path) -> None:
    with OpenBaoServer(tmp_path / "leased", openbao_program, leased_kv=True) as server:
        server.write("secret/app", {"a": "1", "ttl": "1h"})
        app = Dependency("vault", "secret", "secret/app")
        with Followed(server.address, app, token=server.token, refresh="500ms") as followed:
            wait_until(lambda: field(followed, app, "a") == "1")
            reading = followed.answer(app).reading
            assert reading is not None
            assert reading.leased_until is not None
            server.write("secret/app", {"a": "2", "ttl": "1h"})
            wait_until(lambda: field(followed, app, "a") == "2", timeout=20)
