"""What is revoked at the end of a run, and that nothing is at the end of any other life."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.model import Dependency
from tests.fakes.vault_api import VaultApi
from tests.unit.watchers.lease_heirs import WEB, made, three_engines
from tests.unit.watchers.lease_world import PATH, REVOKE, issuing


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with three_engines() as api:
        yield api


def test_revoke_on_exit_revokes_the_token_and_leases_of_older_ones(api: VaultApi, tmp_path: Path) -> None:
    api.auth.update(lease_duration=100, renewable=False)
    with issuing(api, tmp_path, revoke_on_exit=True) as world:
        world.fetch()
        world.pass_time(92)
        world.watcher._keeper.tend()
        world.fetch(Dependency("vault", "issue", PATH, (("a", "b"),)))

    assert [asked.body["lease_id"] for asked in api.asked if asked.path == REVOKE] == [f"{PATH}/lease-1"]
    assert api.count("auth/token/revoke-self") == 1


def test_revoke_on_exit_with_a_token_of_somebody_else_revokes_the_leases_only(api: VaultApi, tmp_path: Path) -> None:
    api.add_token("given", ttl=10_000)
    with issuing(api, tmp_path, token="given", revoke_on_exit=True) as world:
        world.fetch()
        world.fetch(WEB)

    assert api.count(REVOKE) == 1
    assert api.leases.living == {}
    with issuing(api, tmp_path, token="given") as world:
        world.fetch()
        world.fetch(WEB)
    assert made(api)[:2] == [2, 1]  # the certificate is good still
    assert api.count("auth/token/revoke-self") == 0


@pytest.mark.parametrize("life", ["once", "preview"])
def test_nothing_is_revoked_but_by_run(api: VaultApi, tmp_path: Path, life: str) -> None:
    with issuing(api, tmp_path, life=life, revoke_on_exit=True) as world:
        world.fetch()

    assert api.count(REVOKE) == 0
