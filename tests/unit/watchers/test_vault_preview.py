"""A preview: it takes what was left, creates and renews nothing, and asks whether it would be allowed to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.errors import SourceDeniedError
from confcar.model import Dependency
from tests.fakes.vault_api import VaultApi
from tests.unit.watchers.lease_heirs import DYNAMIC, WEB, made, prepare, three_engines
from tests.unit.watchers.lease_world import CREDS, RENEW, issuing


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with three_engines() as api:
        yield api


def test_preview_takes_what_was_left_and_creates_and_renews_nothing(api: VaultApi, tmp_path: Path) -> None:
    before = prepare(api, tmp_path, CREDS)
    with issuing(api, tmp_path, life="preview") as world:
        world.fetch()
        world.fetch(WEB)
        assert world.reading() == before.reading()
        assert world.reading(WEB) == DYNAMIC
        world.pass_time(710)
        world.fetch()

    assert made(api) == [1, 0, 0]
    assert api.count(RENEW) == 0


def test_preview_of_what_has_died_is_dynamic(api: VaultApi, tmp_path: Path) -> None:
    prepare(api, tmp_path, CREDS)
    api.leases.living.clear()
    with issuing(api, tmp_path, life="preview") as world:
        world.fetch()
        assert world.reading() == DYNAMIC

    assert made(api)[0] == 1


@pytest.mark.parametrize(
    ("dependency", "allowed", "is_enough"),
    [
        pytest.param(CREDS, ["read"], True, id="read may read"),
        pytest.param(CREDS, ["update", "create"], False, id="read may only write"),
        pytest.param(WEB, ["update"], True, id="write may update"),
        pytest.param(WEB, ["create", "list"], True, id="write may create"),
        pytest.param(WEB, ["read"], False, id="write may only read"),
        pytest.param(WEB, ["deny"], False, id="denied"),
        pytest.param(WEB, ["root"], True, id="root"),
    ],
)
def test_preview_asks_whether_it_would_be_allowed(
    api: VaultApi, tmp_path: Path, dependency: Dependency, *, allowed: list[str], is_enough: bool
) -> None:
    api.capabilities[dependency.path] = allowed
    with issuing(api, tmp_path, life="preview") as world:
        if is_enough:
            world.fetch(dependency)
            assert world.reading(dependency) == DYNAMIC
        else:
            error = world.fails(dependency)
            assert isinstance(error, SourceDeniedError)
            assert f'path "{dependency.path}"' in str(error)


def test_preview_that_may_not_ask_what_it_may_do_assumes_it_may(api: VaultApi, tmp_path: Path) -> None:
    api.script("sys/capabilities-self", 400, {"errors": ["no"]})
    with issuing(api, tmp_path, life="preview") as world:
        world.fetch()
        assert world.reading() == DYNAMIC
