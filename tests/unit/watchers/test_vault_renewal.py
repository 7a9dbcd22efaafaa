"""The renewal of a lease: when it goes out, what its failures cost, and that what was superseded is renewed too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.errors import SourceUnavailableError
from tests.fakes.vault_api import VaultApi
from tests.unit.watchers.lease_world import (
    EPOCH,
    LOGIN,
    LOOKUP_SELF,
    PATH,
    RENEW,
    Issuing,
    database,
    issuing,
    renewed,
)


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with database() as api:
        yield api


@pytest.fixture
def world(api: VaultApi, tmp_path: Path) -> Iterator[Issuing]:
    with issuing(api, tmp_path) as made:
        yield made


def test_credentials_are_renewed_at_two_thirds_and_live_on(api: VaultApi, world: Issuing) -> None:
    snapshot = world.fetch()
    assert 62 <= (snapshot.again_in_seconds or 0) <= 70
    first = world.reading()

    for _ in range(20):
        world.run_until_due()

    assert (api.engines[PATH].made, api.count(RENEW)) == (1, 20)
    assert first.leased_until == EPOCH + 1100.0
    assert world.reading().value is first.value
    assert world.reading().leased_until == pytest.approx(EPOCH + world.now + 100, abs=2)


def test_renewal_names_lease_and_full_duration_and_goes_out_with_the_token(api: VaultApi, world: Issuing) -> None:
    world.run_until_due()

    asked = next(asked for asked in api.asked if asked.path == RENEW)
    assert asked.method == "PUT"
    assert asked.body == {"lease_id": f"{PATH}/lease-1", "increment": 100}
    assert asked.headers["x-vault-token"] == "login-token-1"


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_failing_renewal_costs_one_request_and_no_new_credential_while_the_lease_lives(
    api: VaultApi, world: Issuing, status: int
) -> None:
    world.fetch()
    api.script(RENEW, status, {"errors": ["not now"]}, times=100)
    world.pass_time(72)
    left = 0.0
    for attempt in range(1, 6):
        error = world.fails()
        assert isinstance(error, SourceUnavailableError)
        left = error.retry_within_seconds or 0.0
        assert 0 < left <= 92 - 72
        assert api.count(RENEW) == attempt
    assert api.engines[PATH].made == 1

    world.pass_time(left + 0.01)
    left = world.fails().retry_within_seconds or 0.0
    assert (api.engines[PATH].made, api.count(RENEW)) == (1, 6)
    assert 0 < left <= 10

    world.pass_time(left + 0.01)
    world.fetch()

    assert (api.engines[PATH].made, api.count(RENEW)) == (2, 6)
    assert world.password() == "password-2"


def test_server_that_is_back_before_the_lease_is_replaced_renews_it(api: VaultApi, world: Issuing) -> None:
    world.fetch()
    api.script(RENEW, 503)
    world.pass_time(72)
    world.pass_time((world.fails().retry_within_seconds or 0.0) + 0.01)  # the next back-off step ends later than that

    snapshot = world.fetch()

    assert (api.engines[PATH].made, api.count(RENEW)) == (1, 2)
    assert 62 <= (snapshot.again_in_seconds or 0) <= 70


def test_renewal_that_works_again_keeps_the_credential(api: VaultApi, world: Issuing) -> None:
    world.fetch()
    api.script(RENEW, 503, times=2)
    world.pass_time(72)
    world.fails()
    world.fails()
    snapshot = world.fetch()

    assert api.engines[PATH].made == 1
    assert 62 <= (snapshot.again_in_seconds or 0) <= 70


def test_retry_after_of_a_renewal_does_not_outlast_the_lease(api: VaultApi, world: Issuing) -> None:
    world.fetch()
    api.script(RENEW, 429, headers={"Retry-After": "600"})
    world.pass_time(72)
    error = world.fails()

    assert isinstance(error, SourceUnavailableError)
    assert error.retry_after_seconds == 600
    assert error.retry_within_seconds is not None
    assert error.retry_within_seconds <= 20


@pytest.mark.parametrize("text", ["lease not found", "lease expired", "invalid lease"])
def test_lease_that_is_gone_at_its_renewal_is_replaced_at_once(api: VaultApi, world: Issuing, text: str) -> None:
    world.fetch()
    api.script(RENEW, 400, {"errors": [text]})
    world.pass_time(72)
    world.fetch()

    assert (api.engines[PATH].made, api.count(RENEW)) == (2, 1)
    assert world.password() == "password-2"


def test_lease_that_turns_out_not_renewable_is_used_for_the_rest_of_its_life(api: VaultApi, world: Issuing) -> None:
    world.fetch()
    api.script(RENEW, 400, {"errors": ["lease is not renewable"]})
    world.pass_time(70)
    snapshot = world.fetch()

    assert (api.engines[PATH].made, snapshot.has_asked) == (1, True)
    assert 15 <= (snapshot.again_in_seconds or 0) <= 30


def test_policy_that_denies_the_renewal_costs_no_login_and_no_credential_before_its_time(
    api: VaultApi, world: Issuing
) -> None:
    world.fetch()
    api.denied = {RENEW}
    world.pass_time(70)
    snapshot = world.fetch()

    assert 15 <= (snapshot.again_in_seconds or 0) <= 30
    assert (api.count(LOGIN), api.count(LOOKUP_SELF), api.engines[PATH].made) == (1, 1, 1)

    world.pass_time(30)
    world.fetch()
    assert (api.engines[PATH].made, api.count(RENEW)) == (2, 1)


def test_engine_that_fails_to_renew_is_asked_again_and_no_new_credential_is_made(api: VaultApi, world: Issuing) -> None:
    world.fetch()
    world.pass_time(70)
    # In these words and with this status OpenBao tells that the database is down.
    said = "failed to renew entry: resp: (*logical.Response)(nil) err: failed to connect to `user=keeper`"
    api.script(RENEW, 400, {"errors": [said]}, times=3)
    for _ in range(3):
        error = world.fails()
        assert isinstance(error, SourceUnavailableError)
        assert 0 < (error.retry_within_seconds or 0) <= 25

    world.fetch()
    assert (api.engines[PATH].made, api.count(RENEW), api.count(LOGIN)) == (1, 4, 1)
    assert world.reading().leased_until == pytest.approx(EPOCH + world.now + 100, abs=2)


def test_lease_with_a_max_ttl_is_renewed_up_to_it_and_then_replaced_in_time(api: VaultApi, world: Issuing) -> None:
    world.fetch()
    api.engines[PATH].renewed_seconds = 60  # 70 + 60: the max ttl is 130
    world.pass_time(70)
    snapshot = world.fetch()
    assert 48 <= (snapshot.again_in_seconds or 0) <= 52

    world.pass_time(53)
    world.fetch()

    assert (api.engines[PATH].made, api.count(RENEW)) == (2, 1)


def test_superseded_credentials_are_renewed_until_nobody_uses_them(api: VaultApi, world: Issuing) -> None:
    world.fetch()
    old = world.reading().value
    api.script(RENEW, 503, times=2)
    world.pass_time(72)
    world.fails()
    world.pass_time(21)
    world.fails()
    world.pass_time(4)
    world.fetch()
    assert world.password() == "password-2"

    world.watcher.retain([old, world.reading().value])
    world.fetch()
    assert renewed(api) == [1, 1, 1]

    world.watcher.retain([world.reading().value])
    world.pass_time(72)
    world.fetch()
    world.fetch()
    assert renewed(api) == [1, 1, 1, 2]


def test_superseded_credentials_that_cannot_be_renewed_disturb_nothing(api: VaultApi, world: Issuing) -> None:
    world.fetch()
    api.script(RENEW, 503, times=9)
    world.pass_time(72)
    world.fails()
    world.pass_time(21)
    world.fails()
    world.pass_time(4)
    for _ in range(5):
        world.fetch()

    assert world.password() == "password-2"
    assert renewed(api) == [1, 1, 1]  # the third one failed too, and waits for its own back-off
