"""The harness itself: each server starts, answers, is paused, killed and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.api import request
from tests.servers.caddy import CaddyServer
from tests.servers.consul import ConsulServer
from tests.servers.nginx import NginxServer
from tests.servers.openbao import OpenBaoServer
from tests.servers.process import Server, ServerError
from tests.waiting import wait_until


def is_silent(server: Server, path: str) -> bool:
    """Return whether the server takes the connection and answers nothing for a while."""
    with pytest.raises(TimeoutError):
        request("GET", server.address + path, timeout_seconds=0.3)
    return True


def test_consul_keeps_what_is_put(consul: ConsulServer, kv_prefix: str) -> None:
    consul.put(f"{kv_prefix}/a b", "first")
    consul.put_many({f"{kv_prefix}/many/{n}": str(n) for n in range(130)})

    assert consul.get(f"{kv_prefix}/a b") == b"first"
    assert consul.get(f"{kv_prefix}/many/129") == b"129"
    assert consul.get(f"{kv_prefix}/none") is None


def test_consul_deletes_a_key_and_a_prefix(consul: ConsulServer, kv_prefix: str) -> None:
    consul.put_many({f"{kv_prefix}/one": "1", f"{kv_prefix}/more/a": "2", f"{kv_prefix}/more/b": "3"})
    consul.delete(f"{kv_prefix}/one")
    consul.delete(f"{kv_prefix}/more/", recurse=True)

    assert [consul.get(f"{kv_prefix}/{key}") for key in ("one", "more/a", "more/b")] == [None, None, None]


def test_consul_transaction_is_all_or_nothing(consul: ConsulServer, kv_prefix: str) -> None:
    set_it = {"KV": {"Verb": "set", "Key": f"{kv_prefix}/set", "Value": ""}}
    fail = {"KV": {"Verb": "get", "Key": f"{kv_prefix}/none"}}

    assert consul.call("PUT", "/v1/txn", [set_it, fail]).status == 409
    assert consul.get(f"{kv_prefix}/set") is None


def test_consul_with_acls_denies_what_no_policy_allows(consul_acl: ConsulServer) -> None:
    consul_acl.put("open/a", "1")
    token = consul_acl.create_token('key_prefix "open/" { policy = "read" }')

    assert consul_acl.call("GET", "/v1/kv/open/a?raw", token=token).text == "1"
    assert consul_acl.call("GET", "/v1/kv/closed/a", token=token).status == 403
    consul_acl.delete_token(token)
    wait_until(lambda: consul_acl.call("GET", "/v1/kv/open/a", token=token).status == 403)


def test_consul_killed_comes_back_with_its_data(own_consul: ConsulServer) -> None:
    own_consul.put("kept", "yes")
    address = own_consul.address
    own_consul.kill()
    with pytest.raises(ConnectionRefusedError):
        own_consul.get("kept")
    own_consul.start()

    assert own_consul.get("kept") == b"yes"
    assert own_consul.address == address


def test_consul_paused_accepts_and_answers_after_it_resumes(own_consul: ConsulServer) -> None:
    own_consul.put("key", "value")
    own_consul.pause()
    assert is_silent(own_consul, "/v1/status/leader")
    own_consul.resume()

    wait_until(lambda: own_consul.call("GET", "/v1/kv/key?consistent").status == 200)


def test_openbao_gives_versions_and_keeps_them_apart(openbao: OpenBaoServer, kv_mount: str) -> None:
    assert openbao.put_kv("app", {"password": "one"}, mount=kv_mount) == 1
    assert openbao.put_kv("app", {"password": "two"}, mount=kv_mount) == 2

    assert openbao.read(f"{kv_mount}/data/app")["data"] == {"password": "two"}
    assert openbao.read(f"{kv_mount}/data/app?version=1")["data"] == {"password": "one"}


def test_openbao_approle_reads_what_its_policy_allows(openbao: OpenBaoServer, kv_mount: str) -> None:
    openbao.put_kv("app", {"a": "1"}, mount=kv_mount)
    openbao.create_policy(kv_mount, f'path "{kv_mount}/data/app" {{ capabilities = ["read"] }}')
    role_id, secret_id = openbao.create_approle(kv_mount, [kv_mount], token_ttl="20s")
    login = openbao.call("POST", "auth/approle/login", {"role_id": role_id, "secret_id": secret_id}, token="").expect(
        200
    )
    token = login.json["auth"]["client_token"]

    assert openbao.call("GET", f"{kv_mount}/data/app", token=token).status == 200
    assert openbao.call("GET", f"{kv_mount}/data/other", token=token).status == 403


def test_openbao_revoked_token_is_refused(openbao: OpenBaoServer) -> None:
    token = openbao.create_token(["default"], ttl="60s")
    assert openbao.call("GET", "auth/token/lookup-self", token=token).status == 200
    openbao.revoke_token(token)

    assert openbao.call("GET", "auth/token/lookup-self", token=token).status == 403


def test_openbao_killed_comes_back_unsealed_with_its_data(own_openbao: OpenBaoServer) -> None:
    own_openbao.put_kv("kept", {"a": "1"})
    own_openbao.kill()
    with pytest.raises(ConnectionRefusedError):
        own_openbao.read("secret/data/kept")
    own_openbao.start()

    assert own_openbao.read("secret/data/kept")["data"] == {"a": "1"}


def test_openbao_sealed_answers_503_until_it_is_unsealed(own_openbao: OpenBaoServer) -> None:
    own_openbao.put_kv("kept", {"a": "1"})
    own_openbao.seal()
    assert own_openbao.call("GET", "secret/data/kept").status == 503
    own_openbao.unseal()

    wait_until(lambda: own_openbao.call("GET", "secret/data/kept").status == 200)


def test_openbao_paused_accepts_and_answers_after_it_resumes(own_openbao: OpenBaoServer) -> None:
    own_openbao.pause()
    assert is_silent(own_openbao, "/v1/sys/health")
    own_openbao.resume()

    wait_until(lambda: own_openbao.call("GET", "sys/health").status == 200)


def test_nginx_serves_the_new_configuration_after_hup(nginx: NginxServer) -> None:
    assert nginx.fetch("/").text == "ready"
    nginx.serve_text("new")
    assert nginx.fetch("/").text == "ready"
    nginx.reload()

    wait_until(lambda: nginx.fetch("/").text == "new")
    assert int(nginx.pid_file.read_text()) == nginx.pid


def test_nginx_serves_files_below_the_tests_folder(nginx: NginxServer, tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("from a file")
    nginx.config_file.write_text(nginx.main_config(f"location / {{ root {tmp_path}; }}"))
    nginx.restart()

    assert nginx.fetch("/page.txt").text == "from a file"


def test_caddy_serves_the_new_configuration_after_load(caddy: CaddyServer) -> None:
    assert caddy.fetch("/").text == "ready"
    assert caddy.load(caddy.main_config("new")).status == 200

    wait_until(lambda: caddy.fetch("/").text == "new")


def test_caddy_refuses_a_wrong_configuration_and_goes_on(caddy: CaddyServer) -> None:
    assert caddy.load({"apps": {"nonsense": {}}}).status == 400
    assert caddy.fetch("/").text == "ready"


def test_server_that_cannot_start_says_why(nginx_program: Path, tmp_path: Path) -> None:
    server = NginxServer(tmp_path / "nginx", nginx_program)
    server.config_file.write_text("no_such_directive on;")

    with pytest.raises(ServerError, match="no_such_directive"):
        server.start()


def test_servers_of_one_test_process_do_not_share_ports(nginx: NginxServer, caddy: CaddyServer) -> None:
    assert len({nginx.port, caddy.port, caddy.admin_port}) == 3
