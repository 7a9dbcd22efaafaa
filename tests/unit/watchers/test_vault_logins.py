"""Logins: when one is made, when none is, and what a failed one leads to."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from confcar.clients.vault import VaultClient
from confcar.errors import SourceDataError, SourceDeniedError, SourceError, SourceUnavailableError
from confcar.watchers.vault_keeper import IDLE_SECONDS
from confcar.watchers.vault_token import Token
from tests.fakes.vault_api import SECRET_ID, VaultApi, running_vault
from tests.unit.watchers.vault_world import LOGIN, LOOKUP, Kept, ttl_shown


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with running_vault() as api:
        yield api


@pytest.fixture
def kept(api: VaultApi, tmp_path: Path) -> Iterator[Kept]:
    made = Kept(api, tmp_path)
    yield made
    made.close()


def test_many_readers_cost_one_login(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper()
    with ThreadPoolExecutor(8) as pool:
        tokens = {each.value for each in pool.map(lambda _: keeper.token(), range(40))}

    assert (tokens, api.count(LOGIN)) == ({"login-token-1"}, 1)


def test_login_is_tried_again_after_the_server_is_back(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper()
    api.script(LOGIN, 503, {"errors": ["sealed"]}, times=2)
    for expected in (1, 2):
        with pytest.raises(SourceUnavailableError, match="sealed") as caught:
            keeper.token()
        assert api.count(LOGIN) == expected
        with pytest.raises(SourceUnavailableError) as remembered:
            keeper.token()
        assert api.count(LOGIN) == expected
        assert remembered.value is not caught.value
        assert 0 < (remembered.value.retry_after_seconds or 0) <= 2
        kept.now += 2.0

    assert keeper.token().value == "login-token-1"


def test_refused_login_backs_off_up_to_five_minutes(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper()
    (kept.folder / "secret-id").write_text("a-wrong-secret-id")
    for _ in range(3600):
        with pytest.raises(SourceDeniedError, match="invalid role or secret ID") as caught:
            keeper.token()
        assert "a-wrong" not in str(caught.value)
        kept.now += 1.0

    assert 15 <= api.count(LOGIN) <= 25


def test_new_secret_id_is_used_at_once_although_the_old_one_was_refused(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper()
    (kept.folder / "secret-id").write_text("a-wrong-secret-id")
    for _ in range(5):
        with pytest.raises(SourceDeniedError):
            keeper.token()
    (kept.folder / "secret-id").write_text(SECRET_ID)

    assert keeper.token().value == "login-token-1"
    assert api.count(LOGIN) == 2


def test_new_secret_id_does_not_replace_a_token_that_lives(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper()
    keeper.token()
    (kept.folder / "secret-id").write_text("another-secret-id")

    assert keeper.token().value == "login-token-1"
    assert api.count(LOGIN) == 1


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        pytest.param(None, SourceUnavailableError, "does not exist", id="missing"),
        pytest.param("", SourceUnavailableError, "is empty", id="empty"),
        pytest.param("s.topsecret\nsecond line", SourceDataError, "one line", id="two lines"),
        pytest.param("s.tops\u00e9cret", SourceDataError, "one line", id="not ASCII"),
    ],
)
def test_credential_file_that_cannot_be_used_says_so(
    kept: Kept, content: str | None, error: type[SourceError], text: str
) -> None:
    path = kept.folder / "token"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(error, match=text) as caught:
        kept.keeper("token_file").token()
    assert str(path) in str(caught.value)
    assert "tops" not in str(caught.value)


def test_token_file_that_appears_later_is_used_at_once(api: VaultApi, kept: Kept) -> None:
    api.add_token("file-token-1", ttl=100)
    (kept.folder / "token").unlink()
    keeper = kept.keeper("token_file")
    with pytest.raises(SourceUnavailableError):
        keeper.token()
    (kept.folder / "token").write_text("file-token-1\n")

    assert keeper.token().value == "file-token-1"


def test_token_file_that_changes_is_used_at_once(api: VaultApi, kept: Kept) -> None:
    for name in ("file-token-1", "file-token-22"):
        api.add_token(name, ttl=100)
    keeper = kept.keeper("token_file")
    assert keeper.token().value == "file-token-1"
    (kept.folder / "token").write_text("file-token-22")

    assert keeper.tend() <= IDLE_SECONDS
    assert keeper.token().value == "file-token-22"
    assert api.count(LOOKUP) == 2


def test_token_file_with_a_bad_token_leaves_the_one_that_lives_in_use(api: VaultApi, kept: Kept) -> None:
    api.add_token("file-token-1", ttl=1000)
    keeper = kept.keeper("token_file")
    keeper.token()
    (kept.folder / "token").write_text("file-token-22")
    for _ in range(20):
        assert keeper.token().value == "file-token-1"
        kept.now += 0.1
    assert 2 <= api.count(LOOKUP) <= 4
    api.add_token("file-token-22", ttl=1000)
    kept.now += 10.0

    assert keeper.token().value == "file-token-22"


def test_token_from_outside_that_died_is_reported_and_asked_for_ever_more_slowly(api: VaultApi, kept: Kept) -> None:
    keeper = kept.keeper("token", token="outside")
    for _ in range(3600):
        with pytest.raises(SourceDeniedError, match=r"the token of VAULT_TOKEN.*expired or was revoked"):
            keeper.token()
        kept.now += 1.0

    assert 15 <= api.count(LOOKUP) <= 25


def test_no_token_at_all_says_what_to_set(kept: Kept) -> None:
    with pytest.raises(SourceDeniedError, match="set VAULT_TOKEN"):
        kept.keeper("token").token()


def test_unexpected_error_in_a_login_is_not_the_end(api: VaultApi, kept: Kept) -> None:
    class Broken:
        can_replace, follows_file, is_broken = True, False, True

        def remember(self) -> None:
            pass

        def has_changed(self) -> bool:
            return False

        def log_in(self, _: VaultClient) -> Token:
            if self.is_broken:
                raise ZeroDivisionError
            return Token("s.abc", 100.0, is_renewable=False, full_seconds=100.0)

    login = Broken()
    keeper = kept.keeper(login=login)
    with pytest.raises(SourceError, match="unexpected ZeroDivisionError"):
        keeper.token()
    login.is_broken = False
    kept.now += 1.0
    keeper.token()
    login.is_broken = True
    kept.tend_until(keeper, kept.now + 95.0)
    assert keeper.token().value == "s.abc"
    login.is_broken = False
    kept.tend_until(keeper, kept.now + 95.0)

    assert ttl_shown(kept) > 0


def test_few_uses_are_warned_of(api: VaultApi, kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    api.auth["num_uses"] = 5
    with caplog.at_level(logging.WARNING, logger="confcar"):
        kept.keeper().token()

    assert "token is good for a few requests only" in caplog.text
