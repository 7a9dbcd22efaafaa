"""Every login method against a real OpenBao; LDAP and certificates with real peers, Kubernetes with a fake API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from confcar.errors import SourceDeniedError
from tests.fakes.signed_tokens import Signer
from tests.fakes.token_review import running_token_reviews
from tests.integration.vault_following import Followed, read, want, watcher_of
from tests.servers.fault_proxy import FaultProxy
from tests.servers.ldap import PEOPLE, LdapServer
from tests.servers.openbao import OpenBaoServer
from tests.servers.openbao_tls import TlsOpenBaoServer
from tests.waiting import wait_until

PASSWORD = " s3cret wörd "


@pytest.fixture
def policy(openbao: OpenBaoServer, kv_mount: str) -> str:
    """Give a policy that may read the test's mount, which has `app`."""
    openbao.create_policy(kv_mount, f'path "{kv_mount}/*" {{ capabilities = ["read", "list"] }}')
    openbao.put_kv("app", {"a": "1"}, mount=kv_mount)
    return kv_mount


@pytest.fixture(scope="module")
def tls_openbao(openbao_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsOpenBaoServer]:
    with TlsOpenBaoServer(tmp_path_factory.mktemp("openbao-tls"), openbao_program) as server:
        server.enable_auth("cert", "cert")
        server.create_policy("reader", 'path "secret/*" { capabilities = ["read"] }')
        server.put_kv("app", {"a": "1"})
        yield server


def test_role_without_a_secret_id_at_a_nested_mount(openbao: OpenBaoServer, policy: str) -> None:
    mount = f"{policy}/roles"
    bound = {"bind_secret_id": False, "token_bound_cidrs": ["127.0.0.1/32"]}
    openbao.enable_auth(mount, "approle")
    openbao.write(f"auth/{mount}/role/web", {"token_policies": [policy], **bound})
    role_id = openbao.read(f"auth/{mount}/role/web/role-id")["role_id"]
    with watcher_of(openbao.address, auth={"method": "approle", "mount": mount, "role_id": role_id}) as watcher:
        assert read(watcher, want(f"{policy}/app")).value == {"a": "1"}


@pytest.mark.parametrize("mount", ["userpass", "team/people"])
def test_user_name_and_password(openbao: OpenBaoServer, policy: str, tmp_path: Path, mount: str) -> None:
    mount = f"{policy}/{mount}"
    openbao.enable_auth(mount, "userpass")
    openbao.write(f"auth/{mount}/users/alice", {"password": PASSWORD, "token_policies": [policy]})
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    auth = {"method": "userpass", "mount": mount, "username": "alice", "password_file": file}
    with watcher_of(openbao.address, auth=auth) as watcher:
        assert read(watcher, want(f"{policy}/app")).value == {"a": "1"}


def test_wrong_password_is_denied_without_being_shown_and_a_new_one_is_used_at_once(
    openbao: OpenBaoServer, policy: str, tmp_path: Path
) -> None:
    openbao.enable_auth(policy, "userpass")
    openbao.write(f"auth/{policy}/users/alice", {"password": PASSWORD, "token_policies": [policy]})
    file = tmp_path / "password"
    file.write_text("a-wrong-password")
    auth = {"method": "userpass", "mount": policy, "username": "alice", "password_file": file}
    with watcher_of(openbao.address, auth=auth) as watcher:
        with pytest.raises(SourceDeniedError, match=f"userpass login of alice at auth/{policy}") as caught:
            read(watcher, want(f"{policy}/app"))
        assert "a-wrong" not in str(caught.value)
        file.write_text(PASSWORD)
        assert read(watcher, want(f"{policy}/app")).value == {"a": "1"}


def test_ldap_user(openbao: OpenBaoServer, policy: str, tmp_path: Path) -> None:
    if "ldap" not in openbao.read("sys/plugins/catalog")["auth"]:
        pytest.skip("this server has no ldap auth method (OpenBao up to 2.6 and Vault do: set CONFCAR_TEST_BAO)")
    pytest.importorskip("ldaptor", reason="the LDAP server is the package ldaptor")
    with LdapServer(tmp_path / "ldap", {"alice": PASSWORD.strip()}) as ldap:
        openbao.enable_auth(policy, "ldap")
        openbao.write(f"auth/{policy}/config", {"url": ldap.address, "userdn": PEOPLE, "userattr": "uid"})
        openbao.write(f"auth/{policy}/users/alice", {"policies": policy})
        file = tmp_path / "password"
        auth = {"method": "ldap", "mount": policy, "username": "alice", "password_file": file}
        with watcher_of(openbao.address, auth=auth) as watcher:
            file.write_text("wrong")
            with pytest.raises(SourceDeniedError, match=f"ldap login of alice at auth/{policy}"):
                read(watcher, want(f"{policy}/app"))
            file.write_text(PASSWORD.strip())
            assert read(watcher, want(f"{policy}/app")).value == {"a": "1"}


@pytest.mark.parametrize("role", ["web", None])
def test_json_web_token(openbao: OpenBaoServer, policy: str, tmp_path: Path, role: str | None) -> None:
    signer = Signer()
    openbao.enable_auth(policy, "jwt")
    config = {"jwt_validation_pubkeys": [signer.public_key], "default_role": "web"}
    openbao.write(f"auth/{policy}/config", config)
    rules = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": [policy]}
    openbao.write(f"auth/{policy}/role/web", rules)
    file = tmp_path / "jwt"
    auth = {"method": "jwt", "mount": policy, "token_file": file, **({"role": role} if role else {})}
    with watcher_of(openbao.address, auth=auth) as watcher:
        file.write_text(signer.sign({"sub": "web", "aud": "another"}))
        with pytest.raises(SourceDeniedError, match=f"the jwt login at auth/{policy}"):
            read(watcher, want(f"{policy}/app"))
        file.write_text(f"{signer.sign({'sub': 'web', 'aud': 'vault'})}\n")
        assert read(watcher, want(f"{policy}/app")).value == {"a": "1"}


def test_service_account_whose_token_rotates_without_a_login(
    openbao: OpenBaoServer, openbao_proxy: FaultProxy, policy: str, tmp_path: Path
) -> None:
    signer, account = Signer(), {"namespace": "prod", "serviceaccount": {"name": "web", "uid": "u1"}}

    def service_account_token(number: int) -> str:
        claims = {"sub": "system:serviceaccount:prod:web", "kubernetes.io": account, "jti": str(number)}
        return signer.sign(claims)

    with running_token_reviews() as reviews:
        openbao.enable_auth(policy, "kubernetes")
        host = f"http://127.0.0.1:{reviews.port}"
        ca = trustme.CA().cert_pem.bytes().decode()
        config = {"kubernetes_host": host, "kubernetes_ca_cert": ca, "disable_local_ca_jwt": True}
        openbao.write(f"auth/{policy}/config", config)
        bound = {"bound_service_account_names": ["web"], "bound_service_account_namespaces": ["prod"]}
        openbao.write(f"auth/{policy}/role/web", {**bound, "token_policies": [policy]})
        tokens = [service_account_token(number) for number in range(3)]
        reviews.accounts = dict.fromkeys(tokens[:2], "prod:web:u1")
        file, path = tmp_path / "token", want(f"{policy}/app")
        file.write_text(tokens[2])
        auth = {"method": "kubernetes", "mount": policy, "role": "web", "token_file": file}
        with Followed(openbao_proxy.address, path, auth=auth) as followed:
            wait_until(lambda: isinstance(followed.answer(path).error, SourceDeniedError))
            file.write_text(tokens[0])
            followed.wait_for(path, {"a": "1"}, timeout=20.0)
            file.write_text(tokens[1])
            openbao.put_kv("app", {"a": "2"}, mount=policy)
            followed.wait_for(path, {"a": "2"})
            assert reviews.asked.count(tokens[0]) == 1
            assert tokens[1] not in reviews.asked
            openbao.revoke_token(openbao_proxy.seen(f"{policy}/data")[-1].headers["x-vault-token"])
            wait_until(lambda: tokens[1] in reviews.asked)


def test_client_certificate_that_is_replaced_logs_in_anew(tls_openbao: TlsOpenBaoServer, tmp_path: Path) -> None:
    role = {"certificate": tls_openbao.ca_file.read_text(), "token_policies": ["reader"]}
    tls_openbao.write("auth/cert/certs/web", {**role, "allowed_common_names": ["web"]})
    tls_openbao.write_client_certificate(tmp_path, "stranger")
    tls = {
        "ca_file": tls_openbao.ca_file,
        "cert_file": tmp_path / "client.pem",
        "key_file": tmp_path / "client-key.pem",
    }
    path = want("secret/app")
    with Followed(tls_openbao.tls_address, path, tls=tls, auth={"method": "cert", "name": "web"}) as followed:
        wait_until(lambda: isinstance(followed.answer(path).error, SourceDeniedError))
        tls_openbao.write_client_certificate(tmp_path, "web")
        followed.wait_for(path, {"a": "1"}, timeout=20.0)
        accessors = "auth/token/accessors?list=true"
        before = set(tls_openbao.read(accessors)["keys"])
        tls_openbao.write_client_certificate(tmp_path, "web")
        wait_until(lambda: set(tls_openbao.read(accessors)["keys"]) - before)


def test_server_name_other_than_the_address(tls_openbao: TlsOpenBaoServer) -> None:
    tls = {"ca_file": tls_openbao.ca_file, "server_name": "vault.example.org"}
    with watcher_of(tls_openbao.tls_address, tls=tls, token=tls_openbao.token) as watcher:
        assert read(watcher, want("secret/app")).value == {"a": "1"}


def test_login_and_reads_in_a_namespace(openbao: OpenBaoServer, policy: str, tmp_path: Path) -> None:
    namespace = f"team-{policy}"
    openbao.write(f"sys/namespaces/{namespace}")
    openbao.write(f"{namespace}/sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    openbao.write(f"{namespace}/kv/app", {"in": "namespace"})
    openbao.write(f"{namespace}/sys/policies/acl/reader", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    openbao.write(f"{namespace}/sys/auth/userpass", {"type": "userpass"})
    openbao.write(f"{namespace}/auth/userpass/users/alice", {"password": PASSWORD, "token_policies": ["reader"]})
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    auth = {"method": "userpass", "username": "alice", "password_file": file}
    with watcher_of(openbao.address, auth=auth, namespace=namespace) as watcher:
        assert read(watcher, want("kv/app")).value == {"in": "namespace"}
