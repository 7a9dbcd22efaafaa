"""Many keys on few connections, on a real Consul: followed together where cheap, read in turn where not."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from confcar.model import Dependency
from tests.integration.consul_following import Followed, following, want
from tests.servers.consul import ConsulServer
from tests.servers.fault_proxy import FaultProxy
from tests.waiting import wait_until


def _keys(folder: str, numbers: Sequence[int]) -> list[Dependency]:
    return [want("key", f"{folder}/k{number:06}") for number in numbers]


def _fill(consul: ConsulServer, keys: Sequence[Dependency], text: str) -> None:
    consul.put_many({key.path: text for key in keys})


def _all_are(followed: Followed, keys: Sequence[Dependency], text: str) -> bool:
    view = followed.store.take("test")[1]
    readings = (view[key].reading for key in keys)
    return all(reading is not None and reading.value == text.encode() for reading in readings)


def _connections(followed: Followed) -> int:
    return followed.status.copy().sources["consul"].connections


def _polled(followed: Followed) -> int:
    return followed.status.copy().sources["consul"].polled


def _whole(proxy: FaultProxy, folder: str) -> int:
    """How often everything in the folder was asked for."""
    return sum("recurse" in seen.path for seen in proxy.seen(rf"/v1/kv/{folder}/\?"))


def test_many_keys_of_one_folder_are_followed_by_one_query(
    consul: ConsulServer, consul_proxy: FaultProxy, kv_prefix: str
) -> None:
    keys, other = _keys(kv_prefix, range(300)), want("key", f"{kv_prefix}/other")
    _fill(consul, keys, "1")
    with following(consul_proxy.address, *keys, other) as followed:
        wait_until(lambda: _all_are(followed, keys, "1") and followed.value(other) is None)
        assert _connections(followed) <= 4
        assert _polled(followed) == 0
        assert consul_proxy.count() <= 3, "one look at the names, one read, one that waits"
        for number, key in enumerate(keys[:20]):
            consul.put(key.path, f"new {number}")
            wait_until(lambda key=key, number=number: followed.value(key) == f"new {number}".encode())  # type: ignore[misc]
        consul.put(other.path, "here")
        wait_until(lambda: followed.value(other) == b"here")
        consul.delete(keys[0].path)
        wait_until(lambda: followed.value(keys[0]) is None)
        assert followed.value(keys[1]) == b"new 1"


def test_thousands_of_small_values_stay_with_one_query(
    consul: ConsulServer, consul_proxy: FaultProxy, kv_prefix: str
) -> None:
    keys = _keys(kv_prefix, range(3_000))
    _fill(consul, keys, "1")
    with following(consul_proxy.address, *keys) as followed:
        wait_until(lambda: _all_are(followed, keys, "1"))
        for text in ("2", "3"):
            consul.put(keys[7].path, text)
            wait_until(lambda text=text: followed.value(keys[7]) == text.encode())  # type: ignore[misc]  # bound at once
        assert _connections(followed) <= 4
        assert consul_proxy.count() <= 5, "the names, all of it, and one more for each change"
        assert _polled(followed) == 0


def test_keys_scattered_over_many_folders_are_followed_together_too(consul: ConsulServer, kv_prefix: str) -> None:
    keys = [want("key", f"{kv_prefix}/{number:03}/port") for number in range(100)]
    _fill(consul, keys, "1")
    with following(consul.address, *keys) as followed:
        wait_until(lambda: _all_are(followed, keys, "1"))
        assert _connections(followed) <= 4
        consul.put(keys[50].path, "2")
        wait_until(lambda: followed.value(keys[50]) == b"2")


def test_a_folder_that_holds_far_more_than_is_read_is_not_followed_as_a_whole(
    consul: ConsulServer, consul_proxy: FaultProxy, kv_prefix: str
) -> None:
    _fill(consul, _keys(kv_prefix, range(5_000)), "x" * 100)
    keys = _keys(kv_prefix, range(0, 5_000, 250))
    with following(consul_proxy.address, *keys) as followed:
        wait_until(lambda: _all_are(followed, keys, "x" * 100))
        _fill(consul, keys, "new")
        wait_until(lambda: _all_are(followed, keys, "new"))
        assert _whole(consul_proxy, kv_prefix) == 0


def test_what_does_not_fit_is_read_in_batches_and_no_change_is_missed(
    consul: ConsulServer, consul_proxy: FaultProxy, kv_prefix: str
) -> None:
    _fill(consul, _keys(kv_prefix, range(6_000)), "1")
    keys, missing = _keys(kv_prefix, range(0, 6_000, 40)), _keys(f"{kv_prefix}/none", range(3))
    with following(consul_proxy.address, *keys, *missing, max_connections=5) as followed:
        wait_until(lambda: _all_are(followed, keys, "1") and all(followed.value(each) is None for each in missing))
        assert _polled(followed) == len(keys) + len(missing) - 4
        before = consul_proxy.count("/v1/kv/")
        for text in ("2", "3"):
            _fill(consul, keys, text)
            wait_until(lambda text=text: _all_are(followed, keys, text))  # type: ignore[misc]  # bound at once
        assert _connections(followed) <= 5
        assert consul_proxy.count("/v1/kv/") - before <= 3 * 4, "the batches are read by transactions"
        consul.put(missing[0].path, "here")
        wait_until(lambda: followed.value(missing[0]) == b"here")


def test_a_folder_that_grows_beyond_its_use_is_given_up_and_loses_nothing(
    consul: ConsulServer, consul_proxy: FaultProxy, kv_prefix: str
) -> None:
    keys = _keys(kv_prefix, range(6))
    _fill(consul, keys, "0")
    seen: list[int] = []
    with following(consul_proxy.address, *keys) as followed:

        def is_there(number: int) -> bool:
            value = followed.value(keys[0])
            assert isinstance(value, bytes)
            seen.append(int(value))
            return seen[-1] == number

        wait_until(lambda: _all_are(followed, keys, "0"))
        assert _whole(consul_proxy, kv_prefix) > 0
        for number in range(1, 40):
            _fill(consul, _keys(kv_prefix, range(number * 100, number * 100 + 64)), "more")
            consul.put(keys[0].path, f"{number}")
            wait_until(lambda number=number: is_there(number), step=0.001)  # type: ignore[misc]  # bound at once
        assert seen == sorted(seen), "no value goes back to what it was before"
        # What waits on the folder is over; nobody asks for all of it again.
        before = _whole(consul_proxy, kv_prefix)
        consul.put(keys[1].path, "last")
        wait_until(lambda: followed.value(keys[1]) == b"last")
        assert _whole(consul_proxy, kv_prefix) == before


def test_changing_what_is_wanted_a_hundred_times_leaves_connections_threads_and_descriptors_as_they_were(
    consul_program: Path, tmp_path: Path
) -> None:
    # Consul keeps the query of a connection that has ended until its wait is over, and counts it.
    settings = {"limits": {"http_max_conns_per_client": 10_000}}
    with ConsulServer(tmp_path / "consul", consul_program, settings=settings) as consul:
        folders = {name: _keys(name, range(300)) for name in ("one", "two")}
        for keys in folders.values():
            _fill(consul, keys, "1")
        with following(consul.address, *folders["one"]) as followed:

            def follow(name: str) -> None:
                wanted = frozenset(folders[name])
                followed.store.subscribe("test", wanted, lambda: None)
                followed.follower.follow(wanted)
                wait_until(lambda: _all_are(followed, folders[name], "1"))

            def counts() -> tuple[int, int, int]:
                return _connections(followed), threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

            follow("two")
            follow("one")
            before = counts()
            for _ in range(50):
                follow("two")
                follow("one")
            wait_until(lambda: all(now <= then for now, then in zip(counts(), before, strict=True)))


def test_a_query_that_is_no_longer_wanted_ends_its_connection_at_once(
    consul: ConsulServer, consul_proxy: FaultProxy, kv_prefix: str
) -> None:
    keys = _keys(kv_prefix, range(3))
    _fill(consul, keys, "1")
    with following(consul_proxy.address, *keys) as followed:
        wait_until(lambda: _all_are(followed, keys, "1") and consul_proxy.count() == 6 and followed.is_up is True)
        followed.store.subscribe("test", frozenset(keys[:1]), lambda: None)
        followed.follower.follow(frozenset(keys[:1]))
        wait_until(lambda: _connections(followed) == 1, timeout=3.0)
        assert followed.is_up, "what was ended on purpose is no failure"
        consul.put(keys[0].path, "2")
        wait_until(lambda: followed.value(keys[0]) == b"2")
