"""Lookups of a lease: how a revocation or a shortening elsewhere is noticed, and what says nothing about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.errors import SourceDeniedError, SourceUnavailableError
from tests.fakes.vault_api import VaultApi
from tests.fakes.vault_engines import Engine
from tests.unit.watchers.lease_world import (
    EPOCH,
    LOGIN,
    LOOKUP,
    PATH,
    RENEW,
    Issuing,
    database,
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


def test_revocation_elsewhere_is_noticed_by_a_lookup(api: VaultApi, tmp_path: Path) -> None:
    api.engines[PATH] = Engine(seconds=1000)
    with issuing(api, tmp_path, refresh="30s") as world:
        for _ in range(4):
            assert 25 <= (world.fetch().again_in_seconds or 0) <= 28.5
            world.pass_time(29)
        world.fetch()
        assert (api.count(LOOKUP), api.engines[PATH].made) == (4, 1)

        api.leases.living.clear()
        world.pass_time(29)
        world.fetch()

        assert (api.count(LOOKUP), api.engines[PATH].made) == (5, 2)
        assert world.password() == "password-2"


def test_reading_says_that_what_was_before_it_was_revoked(api: VaultApi, world: Issuing) -> None:
    world.fetch()
    world.run_until_due()
    assert not world.reading().follows_dead
    api.leases.living.clear()
    world.run_until_due()
    assert (world.password(), world.reading().follows_dead) == ("password-2", True)


def test_lease_that_somebody_shortened_is_replaced_sooner(api: VaultApi, tmp_path: Path) -> None:
    api.engines[PATH] = Engine(seconds=1000)
    with issuing(api, tmp_path, refresh="30s") as world:
        world.fetch()
        api.script(LOOKUP, 200, {"data": {"ttl": 20}})
        world.pass_time(29)
        world.fetch()

        assert world.reading().leased_until == EPOCH + world.now + 20
        world.pass_time(20)
        world.fetch()
        assert api.engines[PATH].made == 2


@pytest.mark.parametrize("life", [6, 12, 30, 100])
def test_servers_that_round_the_rest_of_a_lease_down_shorten_none(api: VaultApi, tmp_path: Path, life: int) -> None:
    with issuing(api, tmp_path, refresh="1s") as world:
        began_at, renewals = world.now, 0
        # OpenBao rounds the moment to the next second first, and then the rest down.
        left = lambda: int(max(0.0, began_at + life - (world.now + 0.5)))  # noqa: E731 - of what changes below
        api.engines[PATH] = Engine(seconds=life, left=left)
        while api.count(RENEW) < 5:
            world.fetch()
            if api.count(RENEW) > renewals:
                began_at, renewals = world.now, api.count(RENEW)
            world.pass_time(0.1)

        assert api.count(LOOKUP) > 5
        assert api.engines[PATH].made == 1


def test_shortened_lease_is_renewed_before_it_is_replaced(api: VaultApi, tmp_path: Path) -> None:
    api.engines[PATH] = Engine(seconds=1000)
    with issuing(api, tmp_path, refresh="30s") as world:
        world.fetch()
        api.script(LOOKUP, 200, {"data": {"ttl": 100}})
        world.pass_time(29)
        snapshot = world.fetch()
        assert (snapshot.again_in_seconds or 0) <= 30
        for _ in range(3):
            world.pass_time(24)
            world.fetch()

        assert (api.count(RENEW), api.engines[PATH].made) == (1, 1)
        assert world.reading().leased_until == pytest.approx(EPOCH + world.now + 1000, abs=30)


def test_policy_that_denies_the_lookup_is_not_asked_again(api: VaultApi, tmp_path: Path) -> None:
    api.engines[PATH] = Engine(seconds=1000)
    api.denied = {LOOKUP}
    with issuing(api, tmp_path, refresh="30s") as world:
        for _ in range(5):
            world.fetch()
            world.pass_time(29)

        assert (api.count(LOOKUP), api.count(LOGIN), api.engines[PATH].made) == (1, 1, 1)


def test_login_that_is_denied_says_nothing_about_lookups(api: VaultApi, tmp_path: Path) -> None:
    api.engines[PATH] = Engine(seconds=1000)
    with issuing(api, tmp_path, refresh="30s") as world:
        world.fetch()
        api.kill_token("login-token-1")
        api.script(LOGIN, 400, {"errors": ["invalid role or secret ID"]})
        world.pass_time(29)
        assert isinstance(world.fails(), SourceDeniedError)
        world.pass_time(10)
        world.fetch()
        assert world.password() == "password-2"

        world.pass_time(29)
        world.fetch()
        assert api.count(LOOKUP) == 2


@pytest.mark.parametrize("status", [503, 429])
def test_lookup_that_gets_no_answer_changes_nothing(api: VaultApi, tmp_path: Path, status: int) -> None:
    api.engines[PATH] = Engine(seconds=1000)
    with issuing(api, tmp_path, refresh="30s") as world:
        world.fetch()
        api.script(LOOKUP, status, times=2)
        world.pass_time(29)
        for attempt in (1, 2):
            assert isinstance(world.fails(), SourceUnavailableError)
            assert api.count(LOOKUP) == attempt
        assert world.fetch().has_asked
        assert api.engines[PATH].made == 1
