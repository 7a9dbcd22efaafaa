"""A wrapped secret id: proven before it is spent, spent once, and a refused one never tried again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from confcar.config.sources import VaultOptions
from confcar.config.vault_auth import ApproleAuth
from confcar.errors import SourceDeniedError, SourceUnavailableError
from confcar.watchers.vault_auth import create_login
from confcar.watchers.vault_keeper import TokenKeeper
from tests.fakes.vault_api import ROLE_ID, SECRET_ID, VaultApi, running_vault
from tests.unit.watchers.vault_world import LOGIN, Kept

CREATION_PATH = "auth/approle/role/web/secret-id"
WRAPPING_LOOKUP, UNWRAP = "sys/wrapping/lookup", "sys/wrapping/unwrap"
ANSWER = {"data": {"secret_id": SECRET_ID, "secret_id_accessor": "x"}}


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with running_vault() as api:
        api.script(WRAPPING_LOOKUP, 200, {"data": {"creation_path": CREATION_PATH, "creation_ttl": 60}})
        yield api


@pytest.fixture
def kept(api: VaultApi, tmp_path: Path) -> Iterator[Kept]:
    made = Kept(api, tmp_path)
    (tmp_path / "secret-id").write_text("s.wrapping-token\n")
    yield made
    made.close()


def options_of(kept: Kept) -> VaultOptions:
    auth = {
        "method": "approle",
        "role_id": ROLE_ID,
        "secret_id_file": kept.folder / "secret-id",
        "wrapped": True,
        "creation_path": CREATION_PATH,
    }
    return VaultOptions.model_validate({"type": "vault", "address": kept.api.address, "auth": auth})


def keeper_of(kept: Kept, *, is_preview: bool = False) -> TokenKeeper:
    return kept.keeper(login=create_login(options_of(kept), is_preview=is_preview))


def refuse_for(kept: Kept, keeper: TokenKeeper, seconds: int, *, match: str) -> None:
    for _ in range(seconds):
        with pytest.raises(SourceDeniedError, match=match) as caught:
            keeper.token()
        assert "s.wrapping" not in str(caught.value)
        kept.now += 1.0


def test_secret_id_is_unwrapped_with_the_wrapping_token_in_the_header_only(api: VaultApi, kept: Kept) -> None:
    api.script(UNWRAP, 200, ANSWER)
    assert keeper_of(kept).token().value == "login-token-1"

    assert [asked.path for asked in api.asked] == [WRAPPING_LOOKUP, UNWRAP, LOGIN]
    unwrap = api.asked[1]
    assert (unwrap.method, unwrap.headers["x-vault-token"], unwrap.body) == ("PUT", "s.wrapping-token", None)


@pytest.mark.parametrize("is_deleted", [True, False], ids=["file taken away", "file left there"])
def test_secret_id_is_kept_in_memory_for_later_logins(api: VaultApi, kept: Kept, *, is_deleted: bool) -> None:
    api.script(UNWRAP, 200, ANSWER)
    api.auth["renewable"] = False
    keeper = keeper_of(kept)
    keeper.token()
    if is_deleted:
        (kept.folder / "secret-id").unlink()
    kept.tend_until(keeper, 1300.0)

    assert api.logins >= 3
    assert (api.count(WRAPPING_LOOKUP), api.count(UNWRAP)) == (1, 1)


@pytest.mark.parametrize(
    "path", ["auth/approle/role/web/secret-id/", "auth/approle/role/other/secret-id", "sys/wrapping/wrap", None]
)
def test_secret_id_made_elsewhere_is_not_unwrapped(kept: Kept, path: str | None) -> None:
    with running_vault() as api:
        kept.api = api
        api.script(WRAPPING_LOOKUP, 200, {"data": {"creation_path": path}})
        keeper = keeper_of(kept)
        refuse_for(kept, keeper, 600, match=r"POSSIBLE THEFT.*creation_path")

        assert [asked.path for asked in api.asked] == [WRAPPING_LOOKUP]


@pytest.mark.parametrize("status", [400, 403])
def test_used_wrapping_token_is_loud_and_not_tried_again(
    kept: Kept, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with running_vault() as api:
        kept.api = api
        api.script(WRAPPING_LOOKUP, status, {"errors": ["wrapping token is not valid or does not exist"]}, times=99)
        keeper = keeper_of(kept)
        with caplog.at_level(logging.ERROR, logger="confcar"):
            refuse_for(kept, keeper, 600, match=r"POSSIBLE THEFT.*used already or has expired")

        assert len(api.asked) == 1
    assert [record.getMessage() for record in caplog.records] == ["login failed"]


def test_wrapping_token_used_between_proof_and_unwrapping_is_not_tried_again(api: VaultApi, kept: Kept) -> None:
    api.script(UNWRAP, 400, {"errors": ["wrapping token is not valid or does not exist"]})
    refuse_for(kept, keeper_of(kept), 600, match="POSSIBLE THEFT")

    assert len(api.asked) == 2


def test_new_wrapping_token_is_unwrapped_at_once(api: VaultApi, kept: Kept) -> None:
    api.script(UNWRAP, 400, {"errors": ["wrapping token is not valid or does not exist"]})
    keeper = keeper_of(kept)
    refuse_for(kept, keeper, 10, match="POSSIBLE THEFT")
    api.script(WRAPPING_LOOKUP, 200, {"data": {"creation_path": CREATION_PATH}})
    api.script(UNWRAP, 200, ANSWER)
    (kept.folder / "secret-id").write_text("s.another-wrapping-token\n")

    assert keeper.token().value == "login-token-1"
    assert api.asked[-2].headers["x-vault-token"] == "s.another-wrapping-token"


def test_own_unwrapping_without_an_answer_is_mentioned(api: VaultApi, kept: Kept) -> None:
    api.script(UNWRAP, 503, {"errors": ["no active node"]})
    keeper = keeper_of(kept)
    with pytest.raises(SourceUnavailableError):
        keeper.token()
    api.script(WRAPPING_LOOKUP, 400, {"errors": ["wrapping token is not valid or does not exist"]})
    kept.now += 5.0

    with pytest.raises(SourceDeniedError, match="of confcar's own that got no answer"):
        keeper.token()


def test_something_else_within_is_refused(api: VaultApi, kept: Kept) -> None:
    api.script(UNWRAP, 200, {"data": {"password": "p"}})
    refuse_for(kept, keeper_of(kept), 600, match="holds no secret id")

    assert api.count(UNWRAP) == 1


def test_preview_leaves_the_wrapping_token_alone(api: VaultApi, kept: Kept) -> None:
    with pytest.raises(SourceDeniedError, match="left to `once` and `run`"):
        keeper_of(kept, is_preview=True).token()

    assert api.asked == []


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"wrapped": True, "creation_path": "p"}, id="no file"),
        pytest.param({"wrapped": True, "secret_id_file": "f"}, id="no creation path"),
        pytest.param({"creation_path": "p", "secret_id_file": "f"}, id="not wrapped"),
    ],
)
def test_half_of_a_wrapping_is_refused_in_the_config(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="wrapped"):
        ApproleAuth.model_validate({"method": "approle", "role_id": "r", **options})
