"""Leases from one process to the next on a clock of the test's own, what a preview does with them, and their end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.errors import SourceUnavailableError
from confcar.model import BY_READING, Dependency
from tests.fakes.vault_api import VaultApi
from tests.unit.watchers.lease_heirs import CIPHER, WEB, made, prepare, three_engines
from tests.unit.watchers.lease_world import CREDS, EPOCH, LOGIN, LOOKUP, PATH, RENEW, issuing


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with three_engines() as api:
        yield api


def test_everything_issued_is_taken_over_with_the_token(api: VaultApi, tmp_path: Path) -> None:
    before = prepare(api, tmp_path, CREDS, WEB, CIPHER)
    for _ in range(2):
        with issuing(api, tmp_path) as world:
            for dependency in (CREDS, WEB, CIPHER):
                world.fetch(dependency)
                assert world.reading(dependency) == before.reading(dependency)

    assert made(api) == [1, 1, 1]
    assert api.count(LOGIN) == 1


def test_lease_is_proven_by_a_lookup_and_goes_on_from_where_it_was(api: VaultApi, tmp_path: Path) -> None:
    prepare(api, tmp_path, CREDS)
    with issuing(api, tmp_path) as world:
        world.pass_time(500)
        api.script(LOOKUP, 200, {"data": {"ttl": 500}})
        snapshot = world.fetch()
        assert 120 <= (snapshot.again_in_seconds or 0) <= 200  # two thirds of its life, of which a half is over
        world.pass_time(200)
        world.fetch()

    assert (api.count(RENEW), made(api)[0]) == (1, 1)


def test_lease_that_is_gone_is_not_taken_over(api: VaultApi, tmp_path: Path) -> None:
    prepare(api, tmp_path, CREDS, WEB)
    api.leases.living.clear()
    with issuing(api, tmp_path) as world:
        world.fetch()
        world.fetch(WEB)

    assert made(api)[:2] == [2, 1]


def test_lease_that_has_ended_by_its_clock_is_not_even_looked_up(api: VaultApi, tmp_path: Path) -> None:
    prepare(api, tmp_path, CREDS)
    with issuing(api, tmp_path) as world:
        world.pass_time(1001)
        world.fetch()

    assert (api.count(LOOKUP), made(api)[0]) == (0, 2)


def test_lease_that_was_not_renewed_in_time_is_renewed_and_not_replaced(api: VaultApi, tmp_path: Path) -> None:
    before = prepare(api, tmp_path, CREDS)
    with issuing(api, tmp_path) as world:
        world.pass_time(980)
        api.script(LOOKUP, 200, {"data": {"ttl": 20}})
        assert (world.fetch().again_in_seconds or 0) <= 1
        assert world.reading().value == before.reading().value
        world.pass_time(1)
        world.fetch()
        assert world.reading().leased_until == pytest.approx(EPOCH + world.now + 1000, abs=2)

    assert (api.count(RENEW), made(api)[0]) == (1, 1)


def test_lease_that_cannot_be_renewed_any_more_is_replaced_before_its_end(api: VaultApi, tmp_path: Path) -> None:
    prepare(api, tmp_path, CREDS)
    with issuing(api, tmp_path) as world:
        world.pass_time(980)
        api.script(LOOKUP, 200, {"data": {"ttl": 20}})
        world.fetch()
        api.script(RENEW, 500, {"errors": ["not now"]}, times=2)
        assert (world.fails().retry_within_seconds or 0) <= 10
        world.pass_time(10)
        assert (world.fails().retry_within_seconds or 0) <= 5
        world.pass_time(6)
        world.fetch()

    assert (api.count(RENEW), made(api)[0]) == (2, 2)


def test_certificate_near_its_end_is_replaced(api: VaultApi, tmp_path: Path) -> None:
    prepare(api, tmp_path, WEB)
    with issuing(api, tmp_path) as world:
        world.pass_time(9_700)
        world.fetch(WEB)

    assert made(api)[1] == 2


def test_lease_of_a_token_that_died_is_not_taken_over_and_the_certificate_is(api: VaultApi, tmp_path: Path) -> None:
    prepare(api, tmp_path, CREDS, WEB)
    api.kill_token("login-token-1")
    with issuing(api, tmp_path) as world:
        world.fetch()
        world.fetch(WEB)

    assert made(api)[:2] == [2, 1]
    assert api.count(LOGIN) == 2


@pytest.mark.parametrize(
    ("renewable", "token_lives", "expected"),
    [
        pytest.param(True, True, 1, id="renewable: proven by a renewal"),
        pytest.param(True, False, 2, id="renewable, and gone with its token"),
        pytest.param(False, True, 1, id="fixed: its token is the same"),
        pytest.param(False, False, 2, id="fixed, and its token is another"),
    ],
)
def test_lease_that_may_not_be_looked_up_is_proven_in_another_way(
    api: VaultApi, tmp_path: Path, *, renewable: bool, token_lives: bool, expected: int
) -> None:
    api.engines[PATH].renewable = renewable
    prepare(api, tmp_path, CREDS)
    api.denied = {LOOKUP}
    if not token_lives:
        api.kill_token("login-token-1")
    with issuing(api, tmp_path) as world:
        world.fetch()

    assert made(api)[0] == expected
    assert api.count(RENEW) == int(renewable)


def test_server_that_is_away_at_the_start_costs_no_credential_later(api: VaultApi, tmp_path: Path) -> None:
    prepare(api, tmp_path, CREDS)
    with issuing(api, tmp_path) as world:
        world.fetch(WEB)
        api.script(LOOKUP, 503, times=2)
        for _ in range(2):
            assert isinstance(world.fails(), SourceUnavailableError)
        world.fetch()
    with issuing(api, tmp_path) as world:
        world.fetch()

    assert made(api)[0] == 1


def test_what_nobody_has_asked_for_yet_stays_for_the_next(api: VaultApi, tmp_path: Path) -> None:
    prepare(api, tmp_path, CREDS, WEB)
    with issuing(api, tmp_path) as world:
        world.fetch(WEB)
    with issuing(api, tmp_path) as world:
        world.fetch()

    assert made(api)[:2] == [1, 1]


def test_run_keeps_what_it_leaves_current(api: VaultApi, tmp_path: Path) -> None:
    prepare(api, tmp_path, CREDS)
    with issuing(api, tmp_path) as world:
        world.fetch()
        api.leases.living.clear()
        world.pass_time(710)
        world.fetch()
        assert world.password() == "password-2"
    with issuing(api, tmp_path) as world:
        world.pass_time(720)
        world.fetch()
        assert world.password() == "password-2"


def test_lease_that_met_its_max_ttl_is_not_renewed_by_the_next(api: VaultApi, tmp_path: Path) -> None:
    api.engines[PATH].renewed_seconds = 600
    with issuing(api, tmp_path, life="once") as world:
        world.fetch()
        world.pass_time(700)
        world.fetch()
    with issuing(api, tmp_path) as world:
        world.pass_time(750)
        world.fetch()
        world.pass_time(100)
        world.fetch()

    assert (api.count(RENEW), made(api)[0]) == (1, 1)


def test_other_parameters_are_another_certificate(api: VaultApi, tmp_path: Path) -> None:
    prepare(api, tmp_path, WEB)
    with issuing(api, tmp_path) as world:
        world.fetch(Dependency("vault", "issue", WEB.path, (("common_name", "b.example"),)))

    assert made(api)[1] == 2


def test_what_a_read_does_not_make_is_not_left(api: VaultApi, tmp_path: Path) -> None:
    key = Dependency("vault", "issue", "transit/keys/app", BY_READING)
    api.secrets[key.path] = {"latest_version": 1}
    prepare(api, tmp_path, key)
    api.secrets[key.path] = {"latest_version": 2}
    with issuing(api, tmp_path) as world:
        world.fetch(key)
        assert world.reading(key).value == {"latest_version": 2}
