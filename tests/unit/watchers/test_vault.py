"""The Vault watcher as the loop sees it: snapshots, what a refusal leads to, and how many requests that takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from confcar.config.sources import VaultOptions
from confcar.errors import ConfigError, SourceDeniedError, SourceUnavailableError
from confcar.handover.handover import Handover, Life
from confcar.model import ABSENT, Dependency, Reading, Snapshot
from confcar.status import Status
from confcar.watchers.vault import MAX_POLLING, VaultWatcher
from tests.fakes.tcp import serving
from tests.fakes.vault_api import ROLE_ID, SECRET_ID, VaultApi, running_vault
from tests.waiting import free_port, wait_until

APP = Dependency("vault", "secret", "secret/app")
LOGIN, LOOKUP = "auth/approle/login", "auth/token/lookup-self"


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with running_vault() as api:
        api.add_kv("secret", 2)
        api.put("secret/data/app", {"password": "p"})
        api.secrets["secret/metadata/web"] = {"keys": ["a"]}
        yield api


@contextmanager
def watcher_of(
    address: str, status: Status | None = None, *, token: str = "", **options: object
) -> Iterator[VaultWatcher]:
    auth = {"method": "token"} if token else {"method": "approle", "role_id": ROLE_ID}
    made = VaultOptions.model_validate({"type": "vault", "address": address, "auth": auth, **options})
    if token:
        made = made.model_copy(update={"token": SecretStr(token)})
    watcher = VaultWatcher("vault", made, status=status or Status())
    try:
        yield watcher
    finally:
        watcher.close()


@pytest.fixture
def secret_id(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ids") / "secret-id"
    path.write_text(SECRET_ID)
    return str(path)


@pytest.fixture
def status() -> Status:
    made = Status()
    made.add_source("vault", "vault")
    return made


@pytest.fixture
def watcher(api: VaultApi, secret_id: str, status: Status) -> Iterator[VaultWatcher]:
    auth = {"method": "approle", "role_id": ROLE_ID, "secret_id_file": secret_id}
    with watcher_of(api.address, status, auth=auth) as made:
        yield made


def fetch(watcher: VaultWatcher, dependency: Dependency = APP, after: object = None) -> Snapshot:
    return watcher.fetch(dependency, frozenset({dependency}), after=after, wait_seconds=0)


def age_the_token(watcher: VaultWatcher) -> None:
    """Let the token be older than a refusal is blamed on its youth."""
    watcher._keeper._life.born_at -= 10.0


def test_snapshot_comes_again_before_refresh_is_over(watcher: VaultWatcher) -> None:
    delays = [fetch(watcher).again_in_seconds or 0 for _ in range(30)]

    assert 25.5 <= min(delays) < max(delays) <= 28.5


def test_same_data_is_the_same_version_without_readings(api: VaultApi, watcher: VaultWatcher) -> None:
    first = fetch(watcher)
    again = fetch(watcher, after=first.version)
    api.put("secret/data/app", {"password": "q"})
    changed = fetch(watcher, after=first.version)

    assert first.readings[APP].value == {"password": "p"}
    assert (again.version, again.readings) == (first.version, {})
    assert changed.version != first.version
    assert changed.readings[APP].value == {"password": "q"}


def test_names_and_absent_secrets_are_read_too(watcher: VaultWatcher) -> None:
    names, none = Dependency("vault", "secrets", "secret/web"), Dependency("vault", "secret", "secret/none")

    assert fetch(watcher, names).readings == {names: Reading(("a",))}
    assert fetch(watcher, none).readings == {none: ABSENT}


def test_each_secret_is_a_query_of_its_own(watcher: VaultWatcher) -> None:
    other = Dependency("vault", "secret", "secret/app", (("version", 1),))
    plan = watcher.plan(frozenset({APP, other}))

    assert sorted(plan.values(), key=str) == sorted([frozenset({APP}), frozenset({other})], key=str)


def test_requests_are_counted_by_code(api: VaultApi, watcher: VaultWatcher, status: Status) -> None:
    fetch(watcher)
    api.script("secret/data/app", 500)
    with pytest.raises(SourceUnavailableError):
        fetch(watcher)

    counters = status.copy().counters
    assert counters["source_requests_total", "vault", "200"] == 3
    assert counters["source_requests_total", "vault", "500"] == 1
    assert status.copy().sources["vault"].connections >= 1


def test_nobody_there_is_unavailable_and_counted(status: Status) -> None:
    with watcher_of(f"http://127.0.0.1:{free_port()}", status, token="t") as watcher:
        with pytest.raises(SourceUnavailableError, match="cannot reach Vault"):
            fetch(watcher)
        assert status.copy().counters["source_requests_total", "vault", "error"] == 1


def test_address_that_is_no_url_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"sources\.vault\.address"), watcher_of("ftp://x", token="t"):
        pass


def test_denied_path_costs_one_lookup_and_no_login(api: VaultApi, watcher: VaultWatcher) -> None:
    api.denied.add("secret/data/app")
    for expected in (1, 2, 3):
        with pytest.raises(SourceDeniedError, match="read on secret/data/app"):
            fetch(watcher)
        age_the_token(watcher)
        assert api.count(LOOKUP) == expected

    assert api.logins == 1


def test_dead_token_is_replaced_within_the_fetch(api: VaultApi, watcher: VaultWatcher) -> None:
    fetch(watcher)
    age_the_token(watcher)
    api.tokens.clear()

    assert fetch(watcher).readings[APP].value == {"password": "p"}
    assert (api.logins, api.count(LOOKUP)) == (2, 1)


def test_many_reads_with_a_dead_token_cost_one_login(api: VaultApi, watcher: VaultWatcher) -> None:
    fetch(watcher)
    age_the_token(watcher)
    api.tokens.clear()
    with ThreadPoolExecutor(MAX_POLLING) as pool:
        snapshots = list(pool.map(lambda _: fetch(watcher), range(20)))

    assert all(each.readings[APP].value == {"password": "p"} for each in snapshots)
    assert api.logins == 2


def test_new_token_that_a_standby_does_not_know_yet_gets_a_second_chance(api: VaultApi, watcher: VaultWatcher) -> None:
    api.script("sys/internal/ui/mounts/secret/app", 403, {"errors": ["permission denied"]})

    assert fetch(watcher).readings[APP].value == {"password": "p"}
    assert (api.logins, api.count(LOOKUP)) == (1, 0)


def test_token_that_may_not_look_itself_up_is_not_replaced_for_a_denied_path(
    api: VaultApi, watcher: VaultWatcher
) -> None:
    api.denied |= {LOOKUP, "secret/data/app"}
    for _ in range(5):
        with pytest.raises(SourceDeniedError):
            fetch(watcher)
        age_the_token(watcher)

    assert api.logins == 2  # once on suspicion; the new token's refusal shows that it is the policy


def test_token_that_may_not_look_itself_up_is_replaced_when_it_is_old(api: VaultApi, watcher: VaultWatcher) -> None:
    api.denied |= {LOOKUP, "secret/data/app"}
    with pytest.raises(SourceDeniedError):
        fetch(watcher)
    api.tokens.clear()
    api.denied.remove("secret/data/app")
    watcher._keeper._life.born_at -= 301.0

    assert fetch(watcher).readings[APP].value == {"password": "p"}


def test_server_that_does_not_say_whether_the_token_lives_is_unavailable(api: VaultApi, watcher: VaultWatcher) -> None:
    fetch(watcher)
    age_the_token(watcher)
    api.denied.add("secret/data/app")
    api.script(LOOKUP, 500)
    with pytest.raises(SourceUnavailableError):
        fetch(watcher)
    assert api.logins == 1


def test_token_reaches_no_login_and_no_url(api: VaultApi, watcher: VaultWatcher) -> None:
    fetch(watcher)

    logins = [asked for asked in api.asked if asked.path == LOGIN]
    assert all("x-vault-token" not in asked.headers for asked in logins)
    assert all("login-token" not in f"{asked.path}{asked.query}" for asked in api.asked)


def test_environment_is_not_read_by_the_libraries(
    api: VaultApi, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home-with-token")
    (home / ".vault-token").write_text("stranger")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("VAULT_TOKEN", "stranger")
    api.add_token("mine")
    with watcher_of(api.address, token="mine") as watcher:
        fetch(watcher)
    assert {asked.headers["x-vault-token"] for asked in api.asked} == {"mine"}


def test_requests_keep_under_the_ceiling_over_all_threads(api: VaultApi) -> None:
    api.add_token("mine")
    started = time.monotonic()
    with watcher_of(api.address, token="mine", max_requests_per_second=20) as watcher, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fetch(watcher), range(24)))

    assert len(api.asked) >= 26
    assert time.monotonic() - started >= 0.95


def test_close_ends_a_fetch_that_waits_for_the_server(status: Status) -> None:
    asked = threading.Event()

    def hang(sock: object) -> None:
        asked.set()
        server.stopping.wait(10)

    with serving(hang) as server, watcher_of(f"http://127.0.0.1:{server.port}", status, token="t") as watcher:
        with ThreadPoolExecutor(1) as pool:
            fetched = pool.submit(fetch, watcher)
            assert asked.wait(5)
            started = time.monotonic()
            watcher.close()
            with pytest.raises(SourceUnavailableError, match="no longer followed"):
                fetched.result(2)
        assert time.monotonic() - started < 1.0
        with pytest.raises(SourceUnavailableError, match="no longer followed"):
            fetch(watcher)


def test_close_ends_a_fetch_that_waits_for_its_turn(api: VaultApi) -> None:
    api.add_token("mine")
    with watcher_of(api.address, token="mine", max_requests_per_second=0.01) as watcher, ThreadPoolExecutor(1) as pool:
        fetched = pool.submit(fetch, watcher)
        wait_until(lambda: api.asked)
        watcher.close()
        with pytest.raises(SourceUnavailableError, match="no longer followed"):
            fetched.result(2)
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("life", "revokes"), [("run", True), ("once", False), ("preview", True)], ids=["run", "once", "preview"]
)
def test_token_is_revoked_at_the_end_by_whom_it_belongs_to(
    api: VaultApi, secret_id: str, life: Life, *, revokes: bool
) -> None:
    auth = {"method": "approle", "role_id": ROLE_ID, "secret_id_file": secret_id}
    options = {"type": "vault", "address": api.address, "auth": auth, "revoke_on_exit": True}
    handover = Handover(None, life=life)
    watcher = VaultWatcher("vault", VaultOptions.model_validate(options), status=Status(), handover=handover)
    watcher.fetch(APP, frozenset({APP}), after=None, wait_seconds=0)
    watcher.close()

    assert (api.tokens == {}) == revokes


def test_source_that_is_closed_while_the_process_goes_on_keeps_its_token(api: VaultApi, secret_id: str) -> None:
    auth = {"method": "approle", "role_id": ROLE_ID, "secret_id_file": secret_id}
    options = {"type": "vault", "address": api.address, "auth": auth, "revoke_on_exit": True}
    handover = Handover(None, life="run")
    handover.begin()
    watcher = VaultWatcher("vault", VaultOptions.model_validate(options), status=Status(), handover=handover)
    watcher.fetch(APP, frozenset({APP}), after=None, wait_seconds=0)
    watcher.close()

    assert "login-token-1" in api.tokens
