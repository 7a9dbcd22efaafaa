"""The Consul watcher and the loop that follows it, on a real Consul that is paused, killed, emptied and denied."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from confcar.errors import SourceUnavailableError
from tests.integration.consul_following import following, want, watcher_of
from tests.servers.consul import ConsulServer
from tests.servers.fault_proxy import FaultProxy
from tests.waiting import wait_until


def connections_to(port: int) -> int:
    """How many connections to a loopback port are established, as the kernel has it."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_keys_folders_and_what_is_not_there(consul: ConsulServer, kv_prefix: str) -> None:
    consul.put_many({f"{kv_prefix}/sites/{name}": name for name in ("b", "a", "sub/c")})
    consul.put_many({f"{kv_prefix}/sites/": "", f"{kv_prefix}/sites2/x": "no", f"{kv_prefix}/odd ä?#%": "odd"})
    key, odd, none = (want("key", f"{kv_prefix}/{name}") for name in ("sites/a", "odd ä?#%", "none"))
    ls, tree = want("ls", f"{kv_prefix}/sites"), want("tree", f"{kv_prefix}/sites")
    empty = want("ls", f"{kv_prefix}/none")
    with following(consul.address, key, odd, none, ls, tree, empty) as followed:
        wait_until(lambda: all(answer.is_settled for answer in followed.store.take("test")[1].values()))
        assert followed.value(key) == b"a"
        assert followed.value(odd) == b"odd"
        assert followed.value(none) is None
        assert followed.value(ls) == {"a": b"a", "b": b"b"}
        assert followed.value(tree) == {"a": b"a", "b": b"b", "sub/c": b"sub/c"}
        assert followed.value(empty) == {}


def test_changes_arrive_at_once_and_all_of_them(consul: ConsulServer, kv_prefix: str) -> None:
    keys = [want("key", f"{kv_prefix}/k{number}") for number in range(20)]
    with following(consul.address, *keys) as followed:
        wait_until(lambda: all(followed.value(key) is None for key in keys))
        slowest = 0.0
        for number, key in enumerate(keys):
            consul.put(key.path, f"v{number}")
            started = time.monotonic()
            wait_until(lambda: followed.value(key) == f"v{number}".encode(), step=0.001)  # noqa: B023 - used at once
            slowest = max(slowest, time.monotonic() - started)
        assert slowest < 1
        consul.delete(keys[0].path)
        wait_until(lambda: followed.value(keys[0]) is None)


def test_the_ceiling_holds_and_what_does_not_fit_is_polled(consul: ConsulServer, kv_prefix: str) -> None:
    folders = [want("ls", f"{kv_prefix}/many/{number:03}") for number in range(60)]
    before = connections_to(consul.port)
    with following(consul.address, *folders, max_connections=8) as followed:
        wait_until(lambda: all(followed.value(folder) == {} for folder in folders))
        consul.put_many({f"{folder.path}/a": "new" for folder in folders})
        most = 0

        def all_seen() -> bool:
            nonlocal most
            most = max(most, connections_to(consul.port) - before)
            return all(followed.value(folder) == {"a": b"new"} for folder in folders)

        wait_until(all_seen)
        # The helper's own requests may be among those counted.
        assert most <= 8 + 1
        assert followed.status.copy().sources["consul"].connections <= 8
        assert followed.status.copy().sources["consul"].polled == 54
    wait_until(lambda: connections_to(consul.port) <= before)


def test_a_key_that_is_not_there_costs_little_while_others_are_written(consul: ConsulServer, kv_prefix: str) -> None:
    missing = want("key", f"{kv_prefix}/missing")
    with following(consul.address, missing) as followed:
        wait_until(lambda: followed.value(missing) is None)
        started, before = time.monotonic(), followed.requests
        for number in range(200):
            consul.put(f"{kv_prefix}/other", str(number))
        seconds = time.monotonic() - started
        assert followed.requests - before <= seconds * 10 + 3
        consul.put(missing.path, "here")
        wait_until(lambda: followed.value(missing) == b"here")


def test_a_paused_server_is_noticed_and_what_it_missed_arrives_when_it_goes_on(own_consul: ConsulServer) -> None:
    own_consul.put("a", "1")
    key = want("key", "a")
    with watcher_of(own_consul.address) as watcher:
        (query,) = watcher.plan(frozenset({key}))
        first = watcher.fetch(query, frozenset({key}), after=None, wait_seconds=1)
        own_consul.pause()
        try:
            started = time.monotonic()
            with pytest.raises(SourceUnavailableError, match="does not answer in time"):
                watcher.fetch(query, frozenset({key}), after=first.version, wait_seconds=1)
            assert time.monotonic() - started < 4
        finally:
            own_consul.resume()
        own_consul.put("a", "2")
        assert watcher.fetch(query, frozenset({key}), after=None, wait_seconds=1).readings[key].value == b"2"


def test_close_ends_queries_that_a_paused_server_holds(own_consul: ConsulServer) -> None:
    key = want("key", "a")
    with watcher_of(own_consul.address) as watcher, ThreadPoolExecutor(1) as pool:
        (query,) = watcher.plan(frozenset({key}))
        version = watcher.fetch(query, frozenset({key}), after=None, wait_seconds=50).version
        waiting = pool.submit(watcher.fetch, query, frozenset({key}), after=version, wait_seconds=50)
        own_consul.pause()
        try:
            watcher.close()
            assert isinstance(waiting.exception(1), SourceUnavailableError)
        finally:
            own_consul.resume()


def test_a_killed_server_is_caught_up_with_and_the_last_values_stay_meanwhile(own_consul: ConsulServer) -> None:
    own_consul.put("app/a", "1")
    key, tree = want("key", "app/a"), want("tree", "app")
    with following(own_consul.address, key, tree, want("key", "b")) as followed:
        wait_until(lambda: followed.value(tree) == {"a": b"1"} and followed.value(want("key", "b")) is None)
        own_consul.kill()
        wait_until(lambda: followed.is_up is False)
        assert followed.value(key) == b"1"
        own_consul.start()
        own_consul.put("app/a", "2")
        wait_until(lambda: followed.value(key) == b"2" and followed.value(tree) == {"a": b"2"}, timeout=15)
        wait_until(lambda: followed.is_up is True)


def test_a_server_that_comes_back_empty_is_followed_from_its_own_index(consul_program: Path, tmp_path: Path) -> None:
    key, none = want("key", "app/a"), want("key", "never")
    with ConsulServer(tmp_path / "consul", consul_program) as forgetful:
        for number in range(30):
            forgetful.put("app/a", str(number))
        with following(forgetful.address, key, none, empty_guard=False) as followed:
            wait_until(lambda: followed.value(key) == b"29")
            forgetful.kill()
            forgetful.start()
            wait_until(lambda: followed.value(key) is None, timeout=15)
            forgetful.put("app/a", "again")
            wait_until(lambda: followed.value(key) == b"again", timeout=3)


def test_a_proxy_that_fails_in_between_costs_no_change(
    consul: ConsulServer, consul_proxy: FaultProxy, kv_prefix: str
) -> None:
    key = want("key", f"{kv_prefix}/a")
    with following(consul_proxy.address, key) as followed:
        wait_until(lambda: followed.value(key) is None)
        for number in range(5):
            consul_proxy.cut_connections()
            consul.put(key.path, str(number))
            wait_until(lambda: followed.value(key) == str(number).encode(), timeout=15)  # noqa: B023 - used at once


def test_an_unknown_datacenter_is_named(consul: ConsulServer) -> None:
    key = want("key", "a")
    with watcher_of(consul.address, datacenter="nowhere") as watcher:
        (query,) = watcher.plan(frozenset({key}))
        with pytest.raises(SourceUnavailableError, match="no path to the datacenter 'nowhere'"):
            watcher.fetch(query, frozenset({key}), after=None, wait_seconds=0)


@pytest.mark.parametrize("consistency", ["default", "stale", "consistent"])
def test_every_consistency_is_followed(consistency: str, consul: ConsulServer, kv_prefix: str) -> None:
    key = want("key", f"{kv_prefix}/a")
    with following(consul.address, key, consistency=consistency) as followed:
        wait_until(lambda: followed.value(key) is None)
        consul.put(key.path, "1")
        wait_until(lambda: followed.value(key) == b"1")
