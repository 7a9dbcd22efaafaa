"""Credentials through their whole life on a clock of the test's own: issued once, renewed, replaced in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.errors import SourceDataError, SourceDeniedError, SourceUnavailableError
from confcar.handover.records import hash_of
from confcar.model import ABSENT, Dependency
from tests.fakes.vault_api import VaultApi, running_vault
from tests.fakes.vault_engines import Engine
from tests.unit.watchers.certificates import certificate
from tests.unit.watchers.lease_world import CREDS, EPOCH, LOOKUP, RENEW, Issuing, issuing

LOGIN, LOOKUP_SELF = "auth/approle/login", "auth/token/lookup-self"
PATH = CREDS.path
# What tells the dates where the certificate itself cannot be read.
DATES = {"certificate": "not one", "expiration": int(EPOCH + 11_000), "not_before": int(EPOCH + 970)}


def issue(path: str, **params: str | int | bool) -> Dependency:
    return Dependency("vault", "issue", path, tuple(sorted(params.items())))


def renewed(api: VaultApi) -> list[int]:
    """Return the numbers of the leases that renewals asked for."""
    return [int(asked.body["lease_id"].rpartition("-")[2]) for asked in api.asked if asked.path == RENEW]


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with running_vault() as api:
        api.auth["lease_duration"] = 1_000_000
        api.engines[PATH] = Engine()
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
    world.fetch()

    assert (api.engines[PATH].made, api.count(RENEW)) == (2, 5)
    assert world.password() == "password-2"


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


def test_superseded_credentials_are_renewed_until_nobody_uses_them(api: VaultApi, world: Issuing) -> None:
    world.fetch()
    old = world.reading().value
    api.script(RENEW, 503)
    world.pass_time(72)
    world.fails()
    world.pass_time(21)
    world.fetch()
    assert world.password() == "password-2"

    world.watcher.retain([old, world.reading().value])
    world.fetch()
    assert renewed(api) == [1, 1]

    world.watcher.retain([world.reading().value])
    world.pass_time(72)
    world.fetch()
    world.fetch()
    assert renewed(api) == [1, 1, 2]


def test_superseded_credentials_that_cannot_be_renewed_disturb_nothing(api: VaultApi, world: Issuing) -> None:
    world.fetch()
    api.script(RENEW, 503, times=9)
    world.pass_time(72)
    world.fails()
    world.pass_time(21)
    for _ in range(5):
        world.fetch()

    assert world.password() == "password-2"
    assert renewed(api) == [1, 1]  # the second one failed too, and waits for its own back-off


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
