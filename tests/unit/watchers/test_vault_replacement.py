"""A lease is replaced in time: before its own end and before the end of the token that it hangs on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.handover.records import hash_of
from tests.fakes.vault_api import VaultApi
from tests.fakes.vault_engines import Engine
from tests.unit.watchers.certificates import certificate
from tests.unit.watchers.lease_world import (
    CREDS,
    EPOCH,
    LOGIN,
    PATH,
    RENEW,
    Issuing,
    database,
    issue,
    issuing,
)


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with database() as api:
        yield api


@pytest.fixture
def world(api: VaultApi, tmp_path: Path) -> Iterator[Issuing]:
    with issuing(api, tmp_path) as made:
        yield made


def test_fixed_lease_is_replaced_before_its_end_without_a_renewal(api: VaultApi, world: Issuing) -> None:
    api.engines[PATH].renewable = False
    snapshot = world.fetch()
    assert 85 <= (snapshot.again_in_seconds or 0) <= 95

    world.run_until_due()

    assert (api.engines[PATH].made, api.count(RENEW)) == (2, 0)


@pytest.mark.parametrize(
    ("token_renewable", "lease_seconds", "logins"),
    [
        pytest.param(False, 70, 2, id="it would end with the token"),
        pytest.param(False, 10, 1, id="the token outlives it"),
        pytest.param(True, 70, 1, id="the token is renewed"),
    ],
)
def test_lease_is_not_replaced_by_one_that_is_cut_short_by_the_end_of_its_token(
    api: VaultApi,
    tmp_path: Path,
    token_renewable: bool,  # noqa: FBT001 - a table
    lease_seconds: int,
    logins: int,
) -> None:
    api.auth.update(lease_duration=100, renewable=token_renewable)
    api.engines[PATH] = Engine(seconds=lease_seconds, renewable=False)
    with issuing(api, tmp_path) as world:
        world.run_until_due()

        assert (api.engines[PATH].made, api.count(LOGIN)) == (2, logins)
        assert world.leases.held()[0].token_hash == hash_of(f"login-token-{logins}")


def test_login_that_fails_does_not_keep_a_lease_from_being_replaced(api: VaultApi, tmp_path: Path) -> None:
    api.auth.update(lease_duration=100, renewable=False)
    api.engines[PATH] = Engine(seconds=70, renewable=False)
    with issuing(api, tmp_path) as world:
        world.fetch()
        api.script("auth/approle/login", 500, {"errors": ["not now"]})
        world.run_until_due()

        assert (api.engines[PATH].made, api.count(LOGIN)) == (2, 2)


def test_error_of_a_replacement_is_tried_again_and_never_ends_it(api: VaultApi, world: Issuing) -> None:
    api.engines[PATH].renewable = False
    world.fetch()
    world.pass_time(96)
    api.script(PATH, 500, {"errors": ["the database is down"]}, times=3)
    for attempt in range(3):
        assert "the database is down" in str(world.fails())
        assert api.count(PATH) == 2 + attempt

    world.fetch()
    assert world.password() == "password-2"


def test_token_that_died_takes_its_leases_along_and_nothing_else(api: VaultApi, world: Issuing) -> None:
    api.engines["pki/issue/web"] = Engine(seconds=0, data={"certificate": certificate()})
    web = issue("pki/issue/web", common_name="a.example")
    world.fetch()
    world.fetch(web)
    api.kill_token("login-token-1")
    world.pass_time(70)
    world.fetch()

    assert (api.count(LOGIN), api.engines[PATH].made, api.engines["pki/issue/web"].made) == (2, 2, 1)
    assert world.hurried == [frozenset({CREDS})]
    assert api.count(RENEW) == 1


def test_leases_of_a_token_that_is_replaced_as_planned_are_replaced_before_it_ends(
    api: VaultApi, world: Issuing
) -> None:
    api.auth.update(lease_duration=40, renewable=False)
    world.fetch()
    world.pass_time(37)
    world.watcher._keeper.tend()
    assert api.count(LOGIN) == 2
    assert world.hurried == [frozenset({CREDS})]

    snapshot = world.fetch()
    assert 0 < (snapshot.again_in_seconds or 0) <= 1.5  # the old token has 3 seconds left
    assert world.password() == "password-1"
    assert world.reading().leased_until == EPOCH + 1040.0

    world.pass_time(2)
    world.fetch()
    assert world.password() == "password-2"


def test_renewal_does_not_let_a_lease_outlive_the_token_that_it_hangs_on(api: VaultApi, world: Issuing) -> None:
    api.auth.update(lease_duration=400, renewable=False)
    world.fetch()
    while api.count(LOGIN) == 1:
        world.pass_time(1)
        world.watcher._keeper.tend()
        world.fetch()
    world.leases.current(CREDS).clock.renew_at = world.now  # type: ignore[union-attr] # it is there
    renewals = api.count(RENEW)
    while world.password() == "password-1":
        world.fetch()
        assert (world.reading().leased_until or 0) <= EPOCH + 1400 or world.password() == "password-2"
        world.pass_time(1)

    assert api.count(RENEW) == renewals + 1
    assert world.now < 1400
