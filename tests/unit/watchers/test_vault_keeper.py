"""The token's keeper on a clock of the test's own: renewals, replacements, and what failures cost in requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcar.errors import SourceUnavailableError
from tests.fakes.vault_api import VaultApi, running_vault
from tests.unit.watchers.vault_world import LOGIN, LOOKUP, RENEW, Kept, ttl_shown
from tests.waiting import wait_until


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with running_vault() as api:
        yield api


@pytest.fixture
def kept(api: VaultApi, tmp_path: Path) -> Iterator[Kept]:
    made = Kept(api, tmp_path)
    yield made
    made.close()


def test_token_is_renewed_again_and_again_without_a_login(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper()
    keeper.token()
    kept.tend_until(keeper, 1000.0 + 700.0)

    assert (api.logins, api.count(RENEW)) == (1, 9)
    assert {asked.body["increment"] for asked in api.asked if asked.path == RENEW} == {100}
    assert 0 < ttl_shown(kept) <= 100


def test_token_near_its_max_ttl_is_replaced_before_it_ends(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper()
    keeper.token()
    api.auth["lease_duration"] = 30
    kept.tend_until(keeper, 1000.0 + 70.0)
    assert api.count(RENEW) == 0
    kept.tend_until(keeper, 1000.0 + 75.0)
    api.auth["lease_duration"] = 100
    kept.tend_until(keeper, 1000.0 + 100.0)

    assert (api.logins, api.count(RENEW)) == (2, 1)
    assert keeper.token().value == "login-token-2"


@pytest.mark.parametrize(
    "auth",
    [pytest.param({"renewable": False}, id="not renewable"), pytest.param({"token_type": "batch"}, id="batch")],
)
def test_token_that_cannot_be_renewed_is_replaced_at_80_to_90_percent(
    api: VaultApi, kept: Kept, auth: dict[str, object]
) -> None:
    api.auth.update(auth)
    keeper = kept.keeper()
    keeper.token()
    kept.tend_until(keeper, 1079.0)
    assert api.logins == 1
    kept.tend_until(keeper, 1091.0)

    assert (api.logins, api.count(RENEW)) == (2, 0)


def test_renewal_refused_as_a_policy_is_not_tried_again(api: VaultApi, kept: Kept) -> None:
    api.denied.add(RENEW)
    keeper = kept.keeper()
    keeper.token()
    kept.tend_until(keeper, 1079.0)
    assert (api.logins, api.count(RENEW), api.count(LOOKUP)) == (1, 1, 1)
    kept.tend_until(keeper, 1091.0)

    assert (api.logins, api.count(RENEW)) == (2, 1)


def test_renewal_refused_because_the_token_is_dead_logs_in_at_once(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper()
    keeper.token()
    api.tokens.clear()
    kept.tend_until(keeper, 1075.0)

    assert (api.logins, keeper.token().value) == (2, "login-token-2")


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param((500, {"errors": ["oops"]}), id="500"),
        pytest.param((503, {"errors": ["Vault is sealed"]}), id="sealed"),
        pytest.param((412, {}), id="412"),
        pytest.param((200, {"auth": {"lease_duration": "many"}}), id="nonsense"),
        pytest.param((200, b"<html>"), id="a proxy's page"),
    ],
)
def test_renewal_that_fails_is_tried_again_while_the_token_lives(
    api: VaultApi, kept: Kept, failure: tuple[int, Any]
) -> None:
    keeper = kept.keeper()
    keeper.token()
    api.script(RENEW, *failure, times=3)
    kept.tend_until(keeper, 1090.0)

    assert api.count(RENEW) == 4
    assert api.logins == 1


def test_failing_renewals_back_off(api: VaultApi, kept: Kept) -> None:
    api.auth["lease_duration"] = 3600
    keeper = kept.keeper()
    keeper.token()
    api.script(RENEW, 500, times=1000)
    kept.tend_until(keeper, 1000.0 + 3600.0 * 0.79)

    assert 5 <= api.count(RENEW) <= 14


def test_server_away_over_the_end_of_a_token_costs_one_request_per_step(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper()
    keeper.token()
    api.script(RENEW, 503, times=1000)
    api.script(LOGIN, 503, times=1000)
    api.asked.clear()
    kept.tend_until(keeper, 1100.0)
    in_its_life = len(api.asked)
    for _ in range(600):
        kept.now += 0.1
        with pytest.raises(SourceUnavailableError):
            keeper.token()

    assert in_its_life <= 15
    assert len(api.asked) - in_its_life <= 9  # 60 s at steps of 7.5 to 10 s


def test_token_from_outside_is_renewed_up_to_its_full_life(api: VaultApi, kept: Kept) -> None:
    api.add_token("outside", ttl=50, creation_ttl=100)
    keeper = kept.keeper("token", token="outside\n")
    keeper.token()
    kept.tend_until(keeper, 1040.0)

    assert [asked.body for asked in api.asked if asked.path == RENEW] == [{"increment": 100}]


def test_root_token_is_never_renewed_and_shows_no_ttl(api: VaultApi, kept: Kept) -> None:
    api.add_token("outside")
    keeper = kept.keeper("token", token="outside")
    keeper.token()
    kept.tend_until(keeper, 1000.0 + 90_000)

    assert len(api.asked) == 1
    assert kept.status.copy().gauges == {}


def test_life_of_the_token_is_shown_and_counts_down(kept: Kept) -> None:
    keeper = kept.keeper()
    keeper.token()
    kept.now += 40.0
    keeper.tend()

    assert ttl_shown(kept) == 60.0
    assert kept.status.copy().sources["vault"].details == (("token_ttl_seconds", 60.0),)


def test_close_ends_the_thread_and_those_who_wait_for_a_login(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper()
    keeper.token()
    thread = threading.Thread(target=keeper.run, name="confcar-vault-token")
    thread.start()
    wait_until(lambda: kept.status.copy().gauges)
    keeper.close()
    thread.join(1.0)

    assert not thread.is_alive()
    with pytest.raises(SourceUnavailableError, match="no longer followed"):
        keeper.token()
