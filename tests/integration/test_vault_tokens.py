"""Tokens on a real OpenBao: renewed, replaced, revoked, refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from confcar.errors import SourceDeniedError
from tests.integration.vault_following import Followed, approle_of, want
from tests.servers.fault_proxy import FaultProxy
from tests.servers.openbao import OpenBaoServer
from tests.waiting import wait_until

LOGIN = "/auth/[^/]+/login$"
SERVED_AGAIN_WITHIN_SECONDS = 5.0


@pytest.fixture
def policy(openbao: OpenBaoServer, kv_mount: str) -> str:
    """Give a policy that may read and list the test's mount."""
    rules = f'path "{kv_mount}/*" {{ capabilities = ["read", "list"] }}'
    openbao.create_policy(kv_mount, rules)
    return kv_mount


def test_policy_denial_is_told_from_a_dead_token_and_costs_no_login(
    openbao: OpenBaoServer, openbao_proxy: FaultProxy, policy: str, tmp_path: Path
) -> None:
    openbao.put_kv("app", {"a": "1"}, mount=policy)
    openbao.create_policy(policy, f'path "{policy}/data/app" {{ capabilities = ["read"] }}')
    auth = approle_of(tmp_path, openbao.create_approle(policy, [policy]))
    allowed, denied = want(f"{policy}/app"), want(f"{policy}/other")
    with Followed(openbao_proxy.address, allowed, denied, auth=auth) as followed:
        followed.wait_for(allowed, {"a": "1"})
        wait_until(lambda: isinstance(followed.answer(denied).error, SourceDeniedError))
        wait_until(lambda: openbao_proxy.count(f"/{policy}/data/other") >= 4)
        assert f'path "{policy}/data/other"' in str(followed.answer(denied).error)

    assert openbao_proxy.count(LOGIN) == 1
    assert followed.status.copy().sources["vault"].up


def test_approle_token_is_renewed_and_replaced_over_its_max_ttl(
    openbao: OpenBaoServer, openbao_proxy: FaultProxy, policy: str, tmp_path: Path
) -> None:
    openbao.put_kv("app", {"n": 0}, mount=policy)
    ids = openbao.create_approle(policy, [policy], token_ttl="2s", token_max_ttl="5s")
    path = want(f"{policy}/app")
    with Followed(openbao_proxy.address, path, auth=approle_of(tmp_path, ids)) as followed:
        number, until = 0, time.monotonic() + 11.0
        while time.monotonic() < until:
            followed.wait_for(path, {"n": number}, timeout=2.0)
            assert followed.answer(path).error is None
            assert 0 < followed.ttl <= 5
            number += 1
            openbao.put_kv("app", {"n": number}, mount=policy)

    assert openbao_proxy.count("renew-self") >= 4
    assert 2 <= openbao_proxy.count(LOGIN) <= 5
    counters = followed.status.copy().counters
    assert not [labels for labels in counters if labels[2] == "403"]


def test_revoked_token_is_replaced_and_the_secret_served_again(
    openbao: OpenBaoServer, openbao_proxy: FaultProxy, policy: str, tmp_path: Path
) -> None:
    openbao.put_kv("app", {"a": "1"}, mount=policy)
    auth = approle_of(tmp_path, openbao.create_approle(policy, [policy]))
    path = want(f"{policy}/app")
    with Followed(openbao_proxy.address, path, auth=auth) as followed:
        followed.wait_for(path, {"a": "1"})
        openbao.revoke_token(openbao_proxy.seen(f"{policy}/data")[-1].headers["x-vault-token"])
        openbao.put_kv("app", {"a": "2"}, mount=policy)
        followed.wait_for(path, {"a": "2"}, timeout=SERVED_AGAIN_WITHIN_SECONDS)

    assert openbao_proxy.count(LOGIN) == 2


def test_revoked_token_of_a_file_is_replaced_when_the_file_is(
    openbao: OpenBaoServer, policy: str, tmp_path: Path
) -> None:
    openbao.put_kv("app", {"a": "1"}, mount=policy)
    token, path, file = openbao.create_token([policy]), want(f"{policy}/app"), tmp_path / "token"
    file.write_text(f"{token}\n")
    with Followed(openbao.address, path, auth={"method": "token_file", "path": file}) as followed:
        followed.wait_for(path, {"a": "1"})
        openbao.revoke_token(token)
        wait_until(lambda: isinstance(followed.answer(path).error, SourceDeniedError))
        assert followed.value(path) == {"a": "1"}
        assert token not in str(followed.answer(path).error)
        openbao.put_kv("app", {"a": "2"}, mount=policy)
        file.write_text(openbao.create_token([policy]))
        followed.wait_for(path, {"a": "2"}, timeout=SERVED_AGAIN_WITHIN_SECONDS)


def test_token_of_the_environment_is_renewed(openbao: OpenBaoServer, policy: str) -> None:
    openbao.put_kv("app", {"a": "1"}, mount=policy)
    path = want(f"{policy}/app")
    with Followed(openbao.address, path, token=openbao.create_token([policy], ttl="2s")) as followed:
        followed.wait_for(path, {"a": "1"})
        until = time.monotonic() + 5.0
        wait_until(lambda: time.monotonic() > until)
        openbao.put_kv("app", {"a": "2"}, mount=policy)
        followed.wait_for(path, {"a": "2"}, timeout=2.0)


def test_batch_token_is_replaced_and_never_renewed(
    openbao: OpenBaoServer, openbao_proxy: FaultProxy, policy: str, tmp_path: Path
) -> None:
    openbao.put_kv("app", {"a": "1"}, mount=policy)
    ids = openbao.create_approle(policy, [policy], token_type="batch", token_ttl="2s")
    path = want(f"{policy}/app")
    with Followed(openbao_proxy.address, path, auth=approle_of(tmp_path, ids)) as followed:
        followed.wait_for(path, {"a": "1"})
        wait_until(lambda: openbao_proxy.count(LOGIN) >= 3)
        assert followed.answer(path).error is None

    assert openbao_proxy.count("renew-self") == 0


def test_wrong_secret_id_is_denied_without_a_storm_and_a_right_one_is_taken(
    openbao: OpenBaoServer, openbao_proxy: FaultProxy, policy: str, tmp_path: Path
) -> None:
    openbao.put_kv("app", {"a": "1"}, mount=policy)
    role_id, secret_id = openbao.create_approle(policy, [policy])
    paths = [want(f"{policy}/app"), *(want(f"{policy}/none-{n}") for n in range(9))]
    auth = approle_of(tmp_path, (role_id, "00000000-wrong-secret-id"))
    with Followed(openbao_proxy.address, *paths, auth=auth) as followed:
        wait_until(lambda: isinstance(followed.answer(paths[0]).error, SourceDeniedError))
        wait_until(lambda: openbao_proxy.count() >= 3)
        assert openbao_proxy.count() == openbao_proxy.count(LOGIN)
        assert "wrong-secret" not in str(followed.answer(paths[0]).error)
        (tmp_path / "secret-id").write_text(secret_id)
        followed.wait_for(paths[0], {"a": "1"}, timeout=20.0)
