"""What was issued in an init container lives on in the sidecar, and what a preview may do with it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.application import DatabaseApplication
from tests.integration.issuing import Database, database_engine, pki_engine
from tests.integration.sidecar import Sidecar, run_confcar
from tests.integration.vault_following import approle_of
from tests.servers.fault_proxy import FaultProxy
from tests.servers.openbao import OpenBaoServer
from tests.servers.postgres import PostgresServer
from tests.waiting import wait_until

pytestmark = pytest.mark.servers
LOGIN = "/auth/[^/]+/login$"


class Pod:
    """An init container and a sidecar that share a volume, with everything that a server can issue in two files."""

    def __init__(self, folder: Path, proxy: FaultProxy, database: Database, pki: str) -> None:
        self.folder, self.proxy, self.database, self.pki = folder, proxy, database, pki
        self.openbao = database.openbao
        self.kv1, self.kv2 = f"kv1-{uuid.uuid4().hex[:8]}", f"kv2-{uuid.uuid4().hex[:8]}"
        for mount, version in ((self.kv1, "1"), (self.kv2, "2")):
            self.openbao.mount(mount, "kv", options={"version": version})
        self.openbao.write(f"{self.kv1}/app", {"a": "one"})
        self.openbao.put_kv("app", {"a": "two"}, mount=self.kv2)
        read = (f"{self.kv1}/*", f"{self.kv2}/*", database.path)
        rules = "".join(f'path "{path}" {{ capabilities = ["read"] }}\n' for path in read)
        rules += f'path "{pki}/issue/web" {{ capabilities = ["update"] }}\n'
        self.openbao.create_policy(database.mount, rules)
        self.ids = self.openbao.create_approle(database.mount, [database.mount], token_ttl="1h")
        self.config = folder / "confcar.json"
        self.handover = folder / "shared" / ".confcar" / "handover.json"
        self.web = folder / "shared" / "web"

    def configure(self, port: int, **source: object) -> None:
        creds, issued = f"secret('{self.database.path}')", f"issue('{self.pki}/issue/web', common_name='a.example')"
        fields = f"{{'username': {creds}.username, 'password': {creds}.password}}"
        contents = {
            "db.json": f"{{{{ {fields} | to_json }}}}",
            "tls.pem": f"{{{{ {issued}.certificate }}}}\n{{{{ {issued}.private_key }}}}\n",
            "kv.txt": f"{{{{ secret('{self.kv1}/app').a }}}} {{{{ secret('{self.kv2}/app').a }}}}\n",
        }
        auth = approle_of(self.folder, self.ids)
        config = {
            "sources": {"vault": {"type": "vault", "address": self.proxy.address, "auth": auth, **source}},
            "bundles": {
                "web": {
                    "directory": str(self.web),
                    "templates": [{"content": text, "destination": name} for name, text in contents.items()],
                    "reload": [{"http": {"url": f"http://127.0.0.1:{port}/"}}],
                }
            },
            "handover": {"path": str(self.handover)},
            "admin": {"listen": "off"},
        }
        self.config.write_text(json.dumps(config, default=str))

    def confcar(self, *arguments: str) -> str:
        ended = run_confcar(arguments[0], "-c", self.config, *arguments[1:])
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def files(self) -> dict[str, str]:
        return {name: (self.web / name).read_text() for name in ("db.json", "tls.pem", "kv.txt")}

    def counts(self) -> tuple[int, int, int]:
        """Return how many logins, credentials and certificates there were."""
        proxy, creds = self.proxy, f"/v1/{self.database.path}$"
        return proxy.count(LOGIN), proxy.count(creds), proxy.count(f"/v1/{self.pki}/issue/web$")


@pytest.fixture
def database(openbao: OpenBaoServer, postgres: PostgresServer) -> Iterator[Database]:
    with database_engine(openbao, postgres) as made:
        yield made


@pytest.fixture
def pod(tmp_path: Path, openbao_proxy: FaultProxy, database: Database) -> Iterator[Pod]:
    with pki_engine(database.openbao) as pki:
        made = Pod(tmp_path, openbao_proxy, database, pki)
        yield made
        for mount in (made.kv1, made.kv2):
            made.openbao.unmount(mount)


@pytest.fixture
def application(pod: Pod) -> Iterator[DatabaseApplication]:
    with DatabaseApplication(pod.web / "db.json", pod.database.works) as made:
        pod.configure(made.port)
        yield made


def run_until_it_follows(pod: Pod) -> Sidecar:
    """Start the sidecar and return once it has read and compared everything."""
    known = pod.proxy.count(f"/v1/{pod.kv2}/data/app")
    sidecar = Sidecar(pod.config).start(waits=False)
    wait_until(lambda: pod.proxy.count(f"/v1/{pod.kv2}/data/app") > known, timeout=20)
    wait_until(lambda: sidecar.log().count("taken over") >= 2, timeout=20)
    return sidecar


def test_once_then_run_is_one_login_one_set_of_credentials_and_no_reload(
    pod: Pod, application: DatabaseApplication
) -> None:
    pod.confcar("once")
    published = pod.files()
    assert pod.counts() == (1, 1, 1)

    for _ in range(2):
        with run_until_it_follows(pod) as sidecar:
            pod.openbao.put_kv("other", {"a": "nothing that is read"}, mount=pod.kv2)
            sidecar.kill()  # what a killed one held is taken over too

    assert pod.files() == published
    assert pod.counts() == (1, 1, 1)
    assert pod.database.roles_made == 1
    assert application.reloads == 0


def test_lease_that_was_revoked_in_between_is_replaced_and_the_rest_taken_over(
    pod: Pod, application: DatabaseApplication
) -> None:
    pod.confcar("once")
    before = pod.files()
    pod.openbao.write(f"sys/leases/revoke-prefix/{pod.database.mount}")
    with Sidecar(pod.config).start(waits=False):
        wait_until(lambda: application.reloads == 1, timeout=20)
        after = pod.files()

    assert after["db.json"] != before["db.json"]
    assert after["tls.pem"] == before["tls.pem"]
    assert pod.counts() == (1, 2, 1)
    assert application.failures == []


def test_token_that_was_revoked_in_between_costs_a_login_and_the_credentials_but_no_certificate(
    pod: Pod, application: DatabaseApplication
) -> None:
    pod.confcar("once")
    before = pod.files()
    pod.openbao.revoke_token(pod.proxy.seen(f"/v1/{pod.database.path}$")[-1].headers["x-vault-token"])
    with Sidecar(pod.config).start(waits=False):
        wait_until(lambda: application.reloads == 1, timeout=20)

    assert pod.files()["tls.pem"] == before["tls.pem"]
    assert pod.counts() == (2, 2, 1)


def test_previews_show_what_was_handed_over_and_create_nothing(pod: Pod, application: DatabaseApplication) -> None:
    pod.confcar("once")
    content = pod.handover.read_bytes()

    shown = pod.confcar("render", "--show-secrets")
    pod.confcar("diff")
    pod.confcar("check", "--live")

    assert pod.files()["db.json"] in shown
    assert pod.handover.read_bytes() == content
    assert pod.counts() == (1, 1, 1)


def test_previews_without_a_handover_show_what_is_dynamic_and_create_nothing(
    pod: Pod, application: DatabaseApplication
) -> None:
    shown = pod.confcar("render")
    pod.confcar("check", "--live")

    assert '"password": "<dynamic>"' in shown
    assert "<dynamic>\n<dynamic>" in shown
    assert pod.counts() == (2, 0, 0)  # each of them logs in
    assert pod.database.roles_made == 0


def test_live_check_says_which_credential_the_policy_does_not_allow(pod: Pod, application: DatabaseApplication) -> None:
    rules = f'path "{pod.kv1}/*" {{ capabilities = ["read"] }}\npath "{pod.kv2}/*" {{ capabilities = ["read"] }}\n'
    rules += f'path "{pod.database.path}" {{ capabilities = ["read"] }}'
    pod.openbao.create_policy(pod.database.mount, rules)

    ended = run_confcar("check", "--live", "-c", pod.config)

    assert ended.returncode == 3
    assert f'path "{pod.pki}/issue/web" {{ capabilities = ["update"] }}' in ended.stdout + ended.stderr
    assert pod.counts() == (1, 0, 0)


def test_revoke_on_exit_spares_what_once_hands_over(pod: Pod, application: DatabaseApplication) -> None:
    pod.configure(application.port, revoke_on_exit=True)
    pod.confcar("once")
    held = json.loads(pod.files()["db.json"])
    assert pod.database.works(held["username"], held["password"])

    with run_until_it_follows(pod) as sidecar:
        assert sidecar.stop() == 0

    # The server takes the leases of a token away in its own time.
    wait_until(lambda: held["username"] not in pod.database.roles())
