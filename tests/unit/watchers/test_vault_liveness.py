"""A token that nobody uses is asked after; who listens hears of a new one, and whether the old one died."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.errors import SourceDeniedError
from confcar.watchers.vault_token import Token
from tests.fakes.vault_api import SECRET_ID, VaultApi, running_vault
from tests.unit.watchers.vault_world import LOGIN, LOOKUP, RENEW, Kept

CHECK_SECONDS = 4.0
REVOKE = "auth/token/revoke-self"


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with running_vault() as api:
        api.auth["lease_duration"] = 3600
        yield api


@pytest.fixture
def kept(api: VaultApi, tmp_path: Path) -> Iterator[Kept]:
    made = Kept(api, tmp_path)
    yield made
    made.close()


def test_unused_token_is_asked_after_within_the_time_configured(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper(check_seconds=CHECK_SECONDS)
    keeper.token()
    kept.tend_until(keeper, 1000.0 + 120.0)

    assert 30 <= api.count(LOOKUP) <= 41
    assert (api.logins, api.count(RENEW)) == (1, 0)


def test_token_in_use_is_not_asked_after(api: VaultApi, kept: Kept) -> None:
    api.secrets["kv/app"] = {"a": 1}
    keeper = kept.keeper(check_seconds=CHECK_SECONDS)
    for second in range(60):
        kept.client.call("GET", "kv/app", token=keeper.token().value)
        kept.tend_until(keeper, 1000.0 + second + 1)

    assert api.count(LOOKUP) == 0


def test_refused_request_is_no_sign_of_life(api: VaultApi, kept: Kept) -> None:
    api.denied.add("kv/app")
    keeper = kept.keeper(check_seconds=CHECK_SECONDS)
    for second in range(8):
        kept.client.call("GET", "kv/app", token=keeper.token().value)
        kept.tend_until(keeper, 1000.0 + second + 1)

    assert api.count(LOOKUP) >= 1


def test_revoked_token_is_replaced_although_nobody_uses_it(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper(check_seconds=CHECK_SECONDS)
    keeper.token()
    kept.tend_until(keeper, 1010.0)
    del api.tokens["login-token-1"]
    kept.tend_until(keeper, 1010.0 + CHECK_SECONDS + 0.1)

    assert api.logins == 2
    assert kept.heard == [("login-token-1", False), ("login-token-2", True)]
    kept.tend_until(keeper, 1200.0)
    assert api.logins == 2


def test_token_that_may_not_look_itself_up_costs_one_needless_login(api: VaultApi, kept: Kept) -> None:
    api.denied.add(LOOKUP)
    keeper = kept.keeper(check_seconds=CHECK_SECONDS)
    keeper.token()
    kept.tend_until(keeper, 1000.0 + 1800.0)

    assert api.logins == 2
    assert api.count(LOOKUP) <= 3


@pytest.mark.parametrize("seconds", [0.0, CHECK_SECONDS])
def test_token_of_few_uses_loses_none_to_questions_and_zero_switches_them_off(
    api: VaultApi, kept: Kept, seconds: float
) -> None:
    api.auth["num_uses"] = 5 if seconds else 0
    keeper = kept.keeper(check_seconds=seconds)
    keeper.token()
    kept.tend_until(keeper, 1000.0 + 600.0)

    assert api.count(LOOKUP) == 0


def test_server_in_trouble_is_asked_ever_more_slowly(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper(check_seconds=CHECK_SECONDS)
    keeper.token()
    api.script(LOOKUP, 503, times=1000)
    kept.tend_until(keeper, 1000.0 + 600.0)

    assert 10 <= api.count(LOOKUP) <= 20
    assert api.logins == 1


def test_dead_token_whose_replacement_is_refused_backs_off(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper(check_seconds=CHECK_SECONDS)
    keeper.token()
    api.tokens.clear()
    api.script(LOGIN, 400, {"errors": ["invalid role or secret ID"]}, times=1000)
    kept.tend_until(keeper, 1000.0 + 600.0)

    assert 6 <= api.count(LOGIN) <= 12
    assert api.count(LOOKUP) == 1


def test_keeper_tries_again_by_itself_when_a_credential_file_changes(api: VaultApi, kept: Kept) -> None:
    (kept.folder / "secret-id").write_text("a-wrong-secret-id")
    keeper = kept.keeper()
    for _ in range(8):
        kept.now += 300.0
        with pytest.raises(SourceDeniedError):
            keeper.token()
    (kept.folder / "secret-id").write_text(SECRET_ID)
    kept.tend_until(keeper, kept.now + 2.0)

    assert kept.heard == [("login-token-1", False)]


def test_token_file_is_looked_at_and_its_token_asked_after(api: VaultApi, kept: Kept) -> None:
    for name in ("file-token-1", "file-token-22"):
        api.add_token(name, ttl=36_000)
    keeper = kept.keeper("token_file", check_seconds=CHECK_SECONDS)
    keeper.token()
    kept.tend_until(keeper, 1060.0)
    assert api.count(LOOKUP) >= 15
    (kept.folder / "token").write_text("a-bad-token")
    kept.tend_until(keeper, 1120.0)
    (kept.folder / "token").write_text("file-token-22")
    kept.tend_until(keeper, 1135.0)

    assert kept.heard == [("file-token-1", False), ("file-token-22", False)]
    assert [asked.headers["x-vault-token"] for asked in api.asked].count("a-bad-token") <= 10


def test_planned_replacement_is_heard_of_and_leaves_the_old_token_alive(api: VaultApi, kept: Kept) -> None:
    api.auth.update(lease_duration=100, renewable=False)
    keeper = kept.keeper()
    keeper.token()
    kept.tend_until(keeper, 1095.0)

    assert kept.heard == [("login-token-1", False), ("login-token-2", False)]
    assert "login-token-1" in api.tokens
    assert api.count(REVOKE) == 0


def test_token_that_ran_out_during_an_outage_counts_as_dead(api: VaultApi, kept: Kept) -> None:
    api.auth["lease_duration"] = 100
    keeper = kept.keeper()
    keeper.token()
    kept.now += 500.0
    keeper.token()

    assert kept.heard == [("login-token-1", False), ("login-token-2", True)]


def test_renewal_is_no_new_token(api: VaultApi, kept: Kept) -> None:
    api.auth["lease_duration"] = 100
    keeper = kept.keeper()
    keeper.token()
    kept.tend_until(keeper, 1500.0)

    assert api.count(RENEW) >= 5
    assert kept.heard == [("login-token-1", False)]


def test_listener_that_fails_does_not_cost_the_token(kept: Kept) -> None:
    def fail(_token: Token, _has_died: bool) -> None:  # noqa: FBT001 - the hook's signature
        raise ZeroDivisionError

    keeper = kept.keeper()
    keeper.on_new_token = fail

    assert keeper.token().value == "login-token-1"


def test_listener_may_ask_for_the_token(kept: Kept) -> None:
    keeper = kept.keeper()
    asked: list[str] = []
    keeper.on_new_token = lambda _token, _has_died: asked.append(keeper.token().value)
    keeper.token()

    assert asked == ["login-token-1"]


def test_own_token_is_revoked_at_the_end_and_one_from_outside_is_not(api: VaultApi, kept: Kept) -> None:
    api.add_token("outside")
    own, outside = kept.keeper(), kept.keeper("token", token="outside")
    own.token()
    outside.token()

    assert own.revoke(limit_seconds=1.0)
    assert not outside.revoke(limit_seconds=1.0)
    assert set(api.tokens) == {"outside"}


def test_revocation_that_fails_is_said_and_no_error(
    api: VaultApi, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = kept.keeper()
    assert not keeper.revoke(limit_seconds=1.0)
    keeper.token()
    api.script(REVOKE, 503, {"errors": ["Vault is sealed"]})

    assert not keeper.revoke(limit_seconds=1.0)
    assert "token not revoked" in caplog.text
