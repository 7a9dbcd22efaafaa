"""`once`, then `run`, then another `run` on a real OpenBao: who logs in, who takes over, who revokes."""

from __future__ import annotations

import json
import stat
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.sidecar import Sidecar, run_confcar
from tests.integration.vault_following import Followed, approle_of, want
from tests.servers.fault_proxy import FaultProxy
from tests.servers.openbao import OpenBaoServer
from tests.waiting import wait_until

LOGIN = "/auth/[^/]+/login$"


class Pod:
    """A folder that an init container and a sidecar share, and a config on it."""

    def __init__(self, folder: Path, openbao: OpenBaoServer, proxy: FaultProxy, mount: str) -> None:
        self.folder, self.openbao, self.proxy, self.mount = folder, openbao, proxy, mount
        openbao.create_policy(mount, f'path "{mount}/*" {{ capabilities = ["read"] }}')
        openbao.put_kv("app", {"password": "the-first-one"}, mount=mount)
        self.ids = openbao.create_approle(mount, [mount], token_ttl="1h")
        self.handover = folder / "shared" / ".confcar" / "handover.json"
        self.config = folder / "confcar.yaml"
        self.auth: dict[str, object] = approle_of(folder, self.ids)
        self.more: dict[str, object] = {}

    def configure(self, **handover: object) -> None:
        source = {"type": "vault", "address": self.proxy.address, "auth": self.auth, "refresh": "200ms", **self.more}
        template = {"content": f"{{{{ secret('{self.mount}/app').password }}}}", "destination": "app.conf"}
        config = {
            "sources": {"vault": source},
            "bundles": {"web": {"directory": str(self.folder / "shared" / "web"), "templates": [template]}},
            "admin": {"listen": "off"},
            "handover": handover or {"path": str(self.handover)},
        }
        self.config.write_text(json.dumps(config, default=str))

    def once(self) -> subprocess.CompletedProcess[str]:
        return run_confcar("once", "-c", self.config, "--timeout", "30s")

    def sidecar(self) -> Sidecar:
        return Sidecar(self.config)

    def text(self) -> str:
        return (self.folder / "shared" / "web" / "app.conf").read_text()

    def wait_for(self, text: str) -> None:
        wait_until(lambda: self.text() == text)

    def token(self) -> str:
        """Return the token that confcar used last."""
        return self.proxy.seen(f"{self.mount}/data")[-1].headers["x-vault-token"]

    def lives(self, token: str) -> bool:
        return self.openbao.call("GET", "auth/token/lookup-self", token=token).status == 200


@pytest.fixture
def pod(tmp_path: Path, openbao: OpenBaoServer, openbao_proxy: FaultProxy, kv_mount: str) -> Pod:
    made = Pod(tmp_path, openbao, openbao_proxy, kv_mount)
    made.configure()
    return made


def test_once_then_run_then_run_again_is_one_login(pod: Pod) -> None:
    assert pod.once().returncode == 0
    token = pod.token()
    assert stat.S_IMODE(pod.handover.stat().st_mode) == 0o600
    for number in range(2):
        with pod.sidecar() as sidecar:
            pod.openbao.put_kv("app", {"password": f"number-{number}"}, mount=pod.mount)
            pod.wait_for(f"number-{number}")
        assert "token taken over" in sidecar.log()
    assert pod.lives(token)
    assert pod.token() == token
    assert pod.proxy.count(LOGIN) == 1


def test_previews_use_the_token_handed_over_and_leave_the_file_as_it_is(pod: Pod) -> None:
    pod.once()
    content = pod.handover.read_bytes()
    for command in (["render", "--show-secrets"], ["diff"], ["check", "--live"]):
        ended = run_confcar(command[0], "-c", pod.config, *command[1:])
        assert ended.returncode == 0, ended.stderr
    assert pod.handover.read_bytes() == content
    assert pod.proxy.count(LOGIN) == 1


def test_preview_without_a_handover_logs_in_and_leaves_nothing(pod: Pod) -> None:
    pod.more = {"revoke_on_exit": True}
    pod.configure()
    assert run_confcar("render", "-c", pod.config).returncode == 0
    assert not pod.handover.exists()
    assert not pod.lives(pod.token())


def test_token_that_died_in_between_is_replaced_and_left_for_the_next(pod: Pod) -> None:
    pod.once()
    pod.openbao.revoke_token(pod.token())
    with pod.sidecar() as sidecar:
        wait_until(lambda: "logged in" in sidecar.log())
        assert "handover ignored" in sidecar.log()
    with pod.sidecar() as sidecar:
        wait_until(lambda: "token taken over" in sidecar.log())
    assert pod.proxy.count(LOGIN) == 2


def test_folder_that_others_can_read_costs_a_login_and_no_start(pod: Pod) -> None:
    folder = pod.folder / "open"
    folder.mkdir(mode=0o755)
    pod.configure(path=str(folder / "handover.json"))
    ended = pod.once()
    assert ended.returncode == 0
    assert "handover not written" in ended.stderr
    assert "0700" in ended.stderr
    assert list(folder.iterdir()) == []
    with pod.sidecar():
        wait_until(lambda: pod.proxy.count(LOGIN) == 2)


def test_revoke_on_exit_revokes_what_run_used_and_not_what_once_hands_over(pod: Pod) -> None:
    pod.more = {"revoke_on_exit": True}
    pod.configure()
    pod.once()
    token = pod.token()
    assert pod.lives(token)
    with pod.sidecar() as sidecar:
        wait_until(lambda: "token taken over" in sidecar.log())
        started = time.monotonic()
        assert sidecar.stop() == 0
    assert time.monotonic() - started < 10.0
    assert not pod.lives(token)
    assert token not in pod.handover.read_text()
    with pod.sidecar():
        wait_until(lambda: pod.proxy.count(LOGIN) == 2)


def test_run_that_ends_before_it_needed_the_token_revokes_it_all_the_same(pod: Pod) -> None:
    pod.once()
    token = pod.token()
    pod.more = {"revoke_on_exit": True}
    pod.configure()
    pod.proxy.delay(60.0, path="lookup-self")
    with pod.sidecar() as sidecar:
        wait_until(lambda: pod.proxy.count("lookup-self"))
        assert sidecar.stop() == 0
    assert not pod.lives(token)


def test_revoke_on_exit_does_not_hold_up_the_end_where_the_server_is_gone(pod: Pod) -> None:
    pod.more = {"revoke_on_exit": True}
    pod.configure()
    with pod.sidecar() as sidecar:
        wait_until(lambda: "logged in" in sidecar.log())
        pod.proxy.black_hole()
        assert sidecar.stop() == 0
    assert "token not revoked" in sidecar.log()
    assert pod.lives(pod.token())


def test_wrapped_secret_id_is_unwrapped_once_for_once_and_run(pod: Pod) -> None:
    path = f"auth/approle/role/{pod.mount}/secret-id"
    wrapped = pod.openbao.call("POST", path, {}, wrap="60s").expect(200).json["wrap_info"]["token"]
    (pod.folder / "secret-id").write_text(wrapped)
    pod.auth = {
        "method": "approle",
        "role_id": pod.ids[0],
        "secret_id_file": pod.folder / "secret-id",
        "wrapped": True,
        "creation_path": path,
    }
    pod.configure()
    denied = run_confcar("render", "-c", pod.config)
    assert denied.returncode == 3
    assert "left to `once` and `run`" in denied.stderr
    ended = pod.once()
    assert ended.returncode == 0, ended.stderr
    with pod.sidecar():
        pod.openbao.put_kv("app", {"password": "the-second-one"}, mount=pod.mount)
        pod.wait_for("the-second-one")
    assert pod.proxy.count("sys/wrapping/unwrap") == 1
    pod.handover.unlink()
    spent = run_confcar("once", "-c", pod.config, "--timeout", "5s")
    assert spent.returncode == 3
    assert "POSSIBLE THEFT" in spent.stderr
    assert wrapped not in spent.stderr


def test_wrapped_secret_id_of_another_role_is_not_unwrapped(pod: Pod) -> None:
    pod.openbao.create_approle(f"{pod.mount}-other", [])
    path = f"auth/approle/role/{pod.mount}-other/secret-id"
    wrapped = pod.openbao.call("POST", path, {}, wrap="60s").expect(200).json["wrap_info"]["token"]
    (pod.folder / "secret-id").write_text(wrapped)
    expected = f"auth/approle/role/{pod.mount}/secret-id"
    pod.auth |= {"wrapped": True, "creation_path": expected}
    pod.configure()
    assert "creation_path" in pod.once().stderr
    assert pod.proxy.count("sys/wrapping/unwrap") == 0
    lookup = pod.openbao.call("POST", "sys/wrapping/lookup", {"token": wrapped})
    assert lookup.expect(200).json["data"]["creation_path"] == path


def test_revoked_token_is_replaced_within_seconds_although_nothing_is_read(
    openbao: OpenBaoServer, openbao_proxy: FaultProxy, kv_mount: str, tmp_path: Path
) -> None:
    openbao.create_policy(kv_mount, f'path "{kv_mount}/*" {{ capabilities = ["read"] }}')
    openbao.put_kv("app", {"a": "1"}, mount=kv_mount)
    auth, path = approle_of(tmp_path, openbao.create_approle(kv_mount, [kv_mount])), want(f"{kv_mount}/app")
    with Followed(openbao_proxy.address, path, auth=auth, refresh="1h") as followed:
        followed.wait_for(path, {"a": "1"})
        openbao.revoke_token(openbao_proxy.seen(f"{kv_mount}/data")[-1].headers["x-vault-token"])
        wait_until(lambda: openbao_proxy.count(LOGIN) == 2, timeout=5.0)
        assert openbao_proxy.count(f"{kv_mount}/data") == 1
