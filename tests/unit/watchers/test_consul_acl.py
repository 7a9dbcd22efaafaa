"""What ACLs hide is never taken for something that is not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from confcar.errors import SourceDeniedError
from confcar.model import ABSENT, Snapshot
from confcar.watchers.consul_plan import FolderQuery, KeyQuery
from tests.fakes.consul_api import Asked
from tests.fakes.tcp import answer
from tests.unit.watchers.consul_world import World, want, world

KEY = want("key", "app/port")
FOLDER = want("tree", "app")


@pytest.fixture
def consul() -> Iterator[World]:
    with world() as made:
        yield made


def _hide(consul: World, *prefixes: str) -> None:
    consul.server.put("app/port", b"80")
    consul.server.put("app/private/x", b"1")
    consul.server.put("other/y", b"2")
    consul.server.hidden = prefixes


def _failures(snapshot: Snapshot) -> dict[str, type]:
    return {f"{each.kind} {each.path}": type(error) for each, error in snapshot.failures.items()}


def test_what_a_listing_hides_is_denied_and_not_absent(consul: World) -> None:
    _hide(consul, "app/private/")
    private, none = want("key", "app/private/x"), want("key", "app/none")
    inner = want("ls", "app/private")
    snapshot = consul.fetch(FOLDER, private, none, inner)
    assert snapshot.readings[FOLDER].value == {"port": b"80"}
    assert snapshot.readings[none] == ABSENT
    assert _failures(snapshot) == {"key app/private/x": SourceDeniedError, "ls app/private": SourceDeniedError}
    assert all('policy = "read"' in str(error) for error in snapshot.failures.values())


def test_a_denied_dependency_is_looked_at_again_although_nothing_changed(consul: World) -> None:
    _hide(consul, "app/private/")
    inner = want("ls", "app/private")
    first = consul.fetch(FOLDER, inner)
    consul.server.hidden = ()
    consul.server.end_blocking()
    second = consul.fetch(FOLDER, inner, after=first.version, wait_seconds=50)
    assert second.readings[inner].value == {"x": b"1"}
    assert int(consul.server.asked[2].params["wait"].removesuffix("ms")) <= 5000
    assert not second.failures


@pytest.mark.parametrize("path", ["app", ""])
def test_a_folder_of_which_nothing_may_be_read_is_denied_and_not_empty(path: str, consul: World) -> None:
    _hide(consul, "")
    with pytest.raises(SourceDeniedError):
        consul.watcher._client.read_key("app/port")
    snapshot = consul.fetch(want("ls", path))
    assert _failures(snapshot) == {f"ls {path}": SourceDeniedError}


def test_without_a_token_an_empty_listing_is_doubted_where_the_default_is_deny() -> None:
    with world(token=None) as consul:
        _hide(consul, "app/")
        consul.server.headers["X-Consul-Default-ACL-Policy"] = "deny"
        assert _failures(consul.fetch(FOLDER)) == {"tree app": SourceDeniedError}
        assert consul.value(want("ls", "nowhere")) == {}


def test_keys_go_their_own_way_where_their_folder_may_not_be_listed(consul: World) -> None:
    def no_lists(asked: Asked) -> bytes | None:
        return answer(b"Permission denied", status="403 Forbidden") if "recurse" in asked.params else None

    consul.server.put("app/port", b"80")
    consul.server.fault = no_lists
    snapshot = consul.fetch(FOLDER, KEY)
    assert snapshot.plans_again
    assert snapshot.readings == {}
    assert _failures(snapshot) == {"tree app": SourceDeniedError}
    plan = consul.watcher.plan(frozenset({FOLDER, KEY}))
    assert {query: set(share) for query, share in plan.items()} == {
        KeyQuery("app/port"): {KEY},
        FolderQuery("app"): {FOLDER},
    }
    assert consul.value(KEY) == b"80"
    with pytest.raises(SourceDeniedError, match=r'key_prefix "app/" \{ policy = "read" \}'):
        consul.fetch(FOLDER)


def test_keys_come_back_to_their_folder_once_it_may_be_listed(consul: World) -> None:
    consul.server.put("app/port", b"80")
    consul.server.fault = lambda asked: (
        answer(b"Permission denied", status="403 Forbidden") if "recurse" in asked.params else None
    )
    assert consul.fetch(FOLDER, KEY).plans_again
    consul.server.fault = lambda _: None
    assert consul.fetch(FOLDER).plans_again
    assert consul.query_for(FOLDER, KEY) == FolderQuery("app")
