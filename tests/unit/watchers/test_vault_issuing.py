"""What is issued: asked for once, kept until its own end, read again where it has none, refused with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.errors import SourceDataError, SourceDeniedError
from confcar.model import ABSENT, Dependency
from tests.fakes.vault_api import VaultApi
from tests.fakes.vault_engines import Engine
from tests.unit.watchers.lease_world import (
    CREDS,
    DATES,
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


def test_credentials_are_issued_once_however_often_they_are_fetched(api: VaultApi, world: Issuing) -> None:
    first, again = world.fetch(), world.fetch()

    assert (first.has_asked, again.has_asked) == (True, False)
    assert again.readings == {}
    assert api.engines[PATH].made == 1


def test_certificate_is_kept_without_any_request_until_its_time(api: VaultApi, world: Issuing) -> None:
    path = "pki/issue/web"
    api.engines[path] = Engine(seconds=0, data=DATES)
    web = issue(path, common_name="a.example")
    world.fetch(web)
    requests = len(api.asked)
    for _ in range(8):
        world.pass_time(1000)
        assert not world.fetch(web).has_asked
    assert len(api.asked) == requests
    assert world.reading(web).leased_until == pytest.approx(EPOCH + 11_000, abs=1)

    world.pass_time(1500)
    world.fetch(web)
    assert api.engines[path].made == 2
    assert api.asked[-1].body == {"common_name": "a.example"}


def test_static_role_is_read_until_its_password_really_differs(api: VaultApi, world: Issuing) -> None:
    creds = Dependency("vault", "issue", "database/static-creds/app", CREDS.params)
    rotation = {"rotation_period": 60, "last_vault_rotation": "then"}

    def serve(password: str, ttl: int) -> None:
        api.secrets[creds.path] = {"password": password, "ttl": ttl, **rotation}

    serve("one", 10)
    assert 10.5 <= (world.fetch(creds).again_in_seconds or 0) <= 11.5
    first = world.reading(creds)
    world.pass_time(11)
    for ttl in (0, 0, 60, 59):  # counted anew before it was changed
        serve("one", ttl)
        snapshot = world.fetch(creds)
        assert 1 <= (snapshot.again_in_seconds or 0) <= 5
        assert world.reading(creds).value is first.value
        world.pass_time(5)
    serve("two", 40)
    snapshot = world.fetch(creds)

    assert world.password(creds) == "two"
    assert 40.5 <= (snapshot.again_in_seconds or 0) <= 41.5


def test_static_role_in_rotation_is_published_as_it_is_and_read_again_soon(api: VaultApi, world: Issuing) -> None:
    creds = Dependency("vault", "issue", "database/static-creds/app", CREDS.params)
    api.secrets[creds.path] = {"password": "one", "ttl": 0, "rotation_period": 60, "last_vault_rotation": "then"}
    snapshot = world.fetch(creds)

    assert world.password(creds) == "one"
    assert 1 <= (snapshot.again_in_seconds or 0) <= 5


@pytest.mark.parametrize("data", [{"ciphertext": "vault:v1:x"}, {"secret_id": "s", "secret_id_ttl": 0}])
def test_what_has_no_end_is_never_asked_for_again(api: VaultApi, world: Issuing, data: dict[str, object]) -> None:
    path = issue("transit/encrypt/app", plaintext="cGxhaW4=")
    api.engines[path.path] = Engine(seconds=0, data=data)
    for _ in range(10):
        world.fetch(path)
        world.pass_time(100_000)

    assert api.engines[path.path].made == 1
    assert world.reading(path).leased_until is None


def test_read_without_a_lease_is_repeated_by_refresh(api: VaultApi, tmp_path: Path) -> None:
    key = Dependency("vault", "issue", "transit/keys/app", CREDS.params)
    api.secrets[key.path] = {"latest_version": 1}
    with issuing(api, tmp_path, refresh="30s") as world:
        for _ in range(3):
            assert 25.5 <= (world.fetch(key).again_in_seconds or 0) <= 28.5
            world.pass_time(29)
        api.secrets[key.path] = {"latest_version": 2}
        world.fetch(key)

        assert world.reading(key).value == {"latest_version": 2}
        del api.secrets[key.path]
        world.pass_time(29)
        world.fetch(key)
        assert world.reading(key) == ABSENT


def test_token_made_by_a_write_gives_its_fields_and_ends_by_its_clock(api: VaultApi, world: Issuing) -> None:
    path = issue("auth/token/create", ttl="100s")
    auth = {"client_token": "t", "lease_duration": 100, "renewable": True}
    api.engines[path.path] = Engine(seconds=0, more={"auth": auth, "data": None})
    snapshot = world.fetch(path)

    assert world.reading(path).value == auth
    assert 85 <= (snapshot.again_in_seconds or 0) <= 95


def test_write_that_makes_no_sense_is_an_error_with_the_servers_reason_and_without_what_was_sent(
    api: VaultApi, world: Issuing
) -> None:
    path = issue("pki/issue/web", common_name="secret.example")
    api.script(path.path, 400, {"errors": ["common name secret.example not allowed by this role"]})
    error = world.fails(path)

    assert isinstance(error, SourceDataError)
    assert "answers 400 to write to pki/issue/web: common name" in str(error)
    assert "secret.example" not in str(error)


def test_refused_write_names_the_policy_it_needs(api: VaultApi, world: Issuing) -> None:
    api.denied = {"pki/issue/web", PATH}
    written, read = world.fails(issue("pki/issue/web")), world.fails()

    assert isinstance(written, SourceDeniedError)
    assert 'path "pki/issue/web" { capabilities = ["update"] }' in str(written)
    assert f'path "{PATH}" {{ capabilities = ["read"] }}' in str(read)
    assert api.count(LOGIN) == 1


def test_kv_that_gives_leases_is_held_as_leased(api: VaultApi, world: Issuing) -> None:
    app = Dependency("vault", "secret", "leased/app")
    api.add_kv("leased", 1)
    api.engines[app.path] = Engine()
    for _ in range(4):
        world.run_until_due(app)

    assert (api.engines[app.path].made, api.count(RENEW)) == (1, 4)
    assert world.reading(app).leased_until is not None


def test_board_shows_what_is_held_and_never_its_values(api: VaultApi, world: Issuing) -> None:
    api.engines["pki/issue/web"] = Engine(seconds=0, data=DATES)
    world.fetch()
    world.fetch(issue("pki/issue/web"))
    copy = world.status.copy()

    assert copy.gauges["vault_leases", "vault"] == 2
    shown = [(lease.path, lease.renewable) for lease in copy.sources["vault"].leases or ()]
    assert shown == [(PATH, True), ("pki/issue/web", False)]
    assert "password" not in repr(copy)


@pytest.mark.parametrize("path", ["a//b", "a/../b", "", "a\nb"])
def test_path_that_could_lead_elsewhere_is_never_asked_for(api: VaultApi, world: Issuing, path: str) -> None:
    assert isinstance(world.fails(issue(path)), SourceDataError)
    assert api.asked == []


def test_trouble_that_lasts_is_one_piece_of_news_although_the_server_names_a_new_moment_each_time(
    api: VaultApi, world: Issuing
) -> None:
    path = issue("pki/issue/web")
    for second in (1, 2):
        text = f"would end at 2026-11-28T08:59:0{second}.5067Z, beyond the authority's end at 2026-11-28T08:58:56Z"
        api.script(path.path, 400, {"errors": [text]})
    first, second_error = world.fails(path), world.fails(path)

    assert str(first) == str(second_error)
    assert "beyond the authority's end at 2026-11-28T08:58:56Z" in str(first)


def test_what_ended_and_nobody_wants_any_more_is_forgotten(api: VaultApi, world: Issuing) -> None:
    for number in range(5):
        path = f"database/creds/role-{number}"
        api.engines[path] = Engine()
        world.fetch(Dependency("vault", "issue", path, CREDS.params))
        world.pass_time(101)
    world.fetch()

    assert list(world.leases._current) == [CREDS]
