"""What a real Consul with ACLs refuses or hides, and what confcar makes of it."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from confcar.errors import SourceDeniedError
from confcar.model import ABSENT, Dependency, Reading
from confcar.watchers.reading_round import ReadingRound
from tests.integration.consul_following import following, want, watcher_of
from tests.servers.consul import ConsulServer
from tests.waiting import wait_until


def _read(address: str, token: str, *wanted: Dependency) -> tuple[dict[Dependency, Reading], dict[Dependency, str]]:
    with watcher_of(address, token=token) as watcher:
        while True:
            readings: dict[Dependency, Reading] = {}
            failures: dict[Dependency, str] = {}
            plans_again = False
            for query, share in watcher.plan(frozenset(wanted)).items():
                try:
                    snapshot = watcher.fetch(query, share, after=None, wait_seconds=0)
                except SourceDeniedError as error:
                    failures |= dict.fromkeys(share, str(error))
                else:
                    readings |= snapshot.readings
                    failures |= {each: str(error) for each, error in snapshot.failures.items()}
                    plans_again = plans_again or snapshot.plans_again
            if not plans_again:
                return readings, failures


def test_what_the_token_may_not_read_is_denied_and_never_empty(consul_acl: ConsulServer) -> None:
    consul_acl.put_many({"acl/open/a": "1", "acl/open/shut/b": "2", "acl/closed/c": "3"})
    rules = 'key_prefix "acl/open/" { policy = "read" } key_prefix "acl/open/shut/" { policy = "deny" }'
    token = consul_acl.create_token(rules)
    tree, inner, shut = want("tree", "acl/open"), want("ls", "acl/open/shut"), want("key", "acl/open/shut/b")
    none, closed, key = want("key", "acl/open/none"), want("ls", "acl/closed"), want("key", "acl/closed/c")
    readings, failures = _read(consul_acl.address, token, tree, inner, shut, none, closed, key)
    assert readings == {tree: Reading({"a": b"1"}), none: ABSENT}
    assert failures.keys() == {inner, shut, closed, key}
    assert 'key_prefix "acl/closed/" { policy = "read" }' in failures[closed]
    assert 'key "acl/closed/c" { policy = "read" }' in failures[key]
    assert token not in repr(failures)


def test_without_a_token_nothing_is_read_as_empty(consul_acl: ConsulServer) -> None:
    consul_acl.put("acl/closed/c", "3")
    folder, everything, key = want("ls", "acl/closed"), want("tree", ""), want("key", "acl/closed/c")
    for wanted in (folder, everything, key):
        readings, failures = _read(consul_acl.address, "", wanted)
        assert readings == {}
        assert "token_file" in failures[wanted]


def test_a_deleted_token_is_denied_with_words(consul_acl: ConsulServer) -> None:
    token = consul_acl.create_token('key_prefix "" { policy = "read" }')
    consul_acl.delete_token(token)
    key = want("key", "acl/x")
    _, failures = _read(consul_acl.address, token, key)
    assert "does not know the token" in failures[key]
    assert token not in failures[key]


def test_a_new_policy_is_noticed_without_a_write(consul_acl: ConsulServer, tmp_path: Path) -> None:
    consul_acl.put("acl/later", "1")
    token_file = tmp_path / "token"
    token_file.write_text(consul_acl.create_token('key "acl/other" { policy = "read" }'))
    key = want("key", "acl/later")
    with following(consul_acl.address, key, token_file=token_file) as followed:
        wait_until(lambda: followed.is_up is False)
        token_file.write_text(consul_acl.create_token('key "acl/later" { policy = "read" }'))
        wait_until(lambda: followed.value(key) == b"1", timeout=15)


def test_a_folder_that_may_be_read_but_not_listed_leaves_its_keys_readable(
    consul_program: Path, tmp_path: Path
) -> None:
    token = str(uuid.uuid4())
    tokens = {"initial_management": token, "agent": token}
    settings = {"enabled": True, "default_policy": "deny", "enable_key_list_policy": True, "tokens": tokens}
    strict = ConsulServer(tmp_path / "consul", consul_program, acl=True, settings={"acl": settings})
    strict.token = token
    with strict:
        strict.put("app/a", "1")
        token = strict.create_token('key_prefix "app/" { policy = "read" }')
        tree, key = want("tree", "app"), want("key", "app/a")
        readings, failures = _read(strict.address, token, tree, key)
        assert readings == {key: Reading(b"1")}
        assert 'key_prefix "app/" { policy = "list" }' in failures[tree]


def test_many_keys_of_a_folder_that_may_not_be_listed_are_read_one_by_one(consul_program: Path, tmp_path: Path) -> None:
    token = str(uuid.uuid4())
    tokens = {"initial_management": token, "agent": token}
    settings = {"enabled": True, "default_policy": "deny", "enable_key_list_policy": True, "tokens": tokens}
    strict = ConsulServer(tmp_path / "consul", consul_program, acl=True, settings={"acl": settings})
    strict.token = token
    keys = [want("key", f"app/k{number}") for number in range(10, 50)]
    with strict:
        strict.put_many({key.path: "1" for key in keys[:30]})
        token_file = tmp_path / "token"
        token_file.write_text(strict.create_token('key_prefix "app/" { policy = "read" }'))
        with following(strict.address, *keys, token_file=token_file, max_connections=6) as followed:
            wait_until(lambda: [followed.value(key) for key in keys] == [b"1"] * 30 + [None] * 10)
            strict.put_many({key.path: "2" for key in keys})
            wait_until(lambda: all(followed.value(key) == b"2" for key in keys))
            assert followed.is_up


@pytest.mark.parametrize("connections", [pytest.param(32, id="one-by-one"), pytest.param(4, id="in-batches")])
def test_keys_that_a_listing_hides_are_denied_and_the_others_of_the_folder_are_read(
    connections: int, consul_acl: ConsulServer
) -> None:
    keys = [want("key", f"acl/many/{name}{number}") for name in ("open", "shut") for number in range(8)]
    consul_acl.put_many({key.path: "1" for key in keys})
    token = consul_acl.create_token('key_prefix "acl/many/open" { policy = "read" }')
    missing = want("key", "acl/many/open-none")
    with following(consul_acl.address, *keys, missing, token=token, max_connections=connections) as followed:
        wait_until(lambda: all(followed.value(key) == b"1" for key in keys[:8]))
        wait_until(lambda: followed.value(missing) is None)
        wait_until(lambda: all(isinstance(followed.error(key), SourceDeniedError) for key in keys[8:]))
        for key in keys[:8]:
            consul_acl.put(key.path, "2")
        wait_until(lambda: all(followed.value(key) == b"2" for key in keys[:8]))
        assert all(followed.value(key) == "not read yet" for key in keys[8:])


def test_a_source_of_which_nothing_can_be_read_any_more_is_down_and_says_so_once(
    consul_acl: ConsulServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [want("key", f"acl/lost/{name}{number}") for name in ("open", "shut") for number in range(8)]
    consul_acl.put_many({key.path: "1" for key in keys})
    token_file = tmp_path / "token"
    token_file.write_text(consul_acl.create_token('key_prefix "acl/lost/open" { policy = "read" }'))
    with following(consul_acl.address, *keys, token_file=token_file) as followed:
        # From here on the folder is not followed as a whole, but listed again at times.
        wait_until(lambda: all(isinstance(followed.error(key), SourceDeniedError) for key in keys[8:]))
        token = consul_acl.create_token('key_prefix "acl/lost/" { policy = "read" }')
        token_file.write_text(token)
        wait_until(lambda: all(followed.value(key) == b"1" for key in keys), timeout=30)
        caplog.clear()
        consul_acl.delete_token(token)
        consul_acl.put_many({key.path: "2" for key in keys})
        wait_until(lambda: followed.is_up is False)
        round_ = ReadingRound()
        followed.follower.read_all(round_)
        assert round_.wait(time.monotonic() + 30)
        assert followed.is_up is False
        warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert warnings == ["source failed"]  # that the source is back may be said a moment after the values are there
