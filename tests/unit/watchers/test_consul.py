"""The rules of blocking queries, against a server that breaks them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from confcar.errors import SourceDataError, SourceUnavailableError
from confcar.model import ABSENT
from tests.fakes.tcp import answer
from tests.unit.watchers.consul_world import World, want, world
from tests.waiting import wait_until

KEY = want("key", "app/port")
FOLDER = want("tree", "app")


@pytest.fixture
def consul() -> Iterator[World]:
    with world() as made:
        yield made


def _elapsed(started: float) -> float:
    return time.monotonic() - started


def test_a_key_a_folder_and_what_is_not_there(consul: World) -> None:
    consul.server.put("app/port", b"\x00\xff80")
    consul.server.put("app/empty", None)
    consul.server.put("app/", None)
    consul.server.put("application/x", b"no")
    assert consul.value(KEY) == b"\x00\xff80"
    assert consul.value(FOLDER) == {"empty": b"", "port": b"\x00\xff80"}
    assert consul.value(want("key", "app/empty")) == b""
    assert consul.fetch(want("key", "none")).readings == {want("key", "none"): ABSENT}
    assert consul.value(want("ls", "none")) == {}


@pytest.mark.parametrize("path", ["a b/ä", "100%", "a?b=c", "a#b", "a+b", "%2e%2e/x", "a&recurse"])
def test_any_path_is_sent_as_it_is(path: str, consul: World) -> None:
    consul.server.put(path, b"v")
    assert consul.value(want("key", path)) == b"v"
    assert consul.server.asked[-1].key == path


def test_a_bad_path_fails_alone_and_is_never_sent(consul: World) -> None:
    bad = want("key", "../agent/self")
    (query,) = consul.watcher.plan(frozenset({bad}))
    snapshot = consul.watcher.fetch(query, frozenset({bad}), after=None, wait_seconds=50)
    assert isinstance(snapshot.failures[bad], SourceDataError)
    assert snapshot.readings == {}
    assert snapshot.again_in_seconds
    assert consul.server.asked == []


def test_a_fetch_blocks_until_the_key_changes(consul: World) -> None:
    consul.server.put("app/port", b"1")
    first = consul.fetch(KEY)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(consul.fetch, KEY, after=first.version, wait_seconds=50)
        wait_until(lambda: len(consul.server.asked) == 2)
        assert not waiting.done()
        consul.server.put("app/port", b"2")
        second = waiting.result(1)
    assert second.readings[KEY].value == b"2"
    assert second.version != first.version
    assert second.again_in_seconds is None
    sent = consul.server.asked[1].params
    assert sent["index"] == "11"
    assert 47_500 <= int(sent["wait"].removesuffix("ms")) <= 50_000


def test_nothing_new_within_the_wait_is_the_same_version(consul: World) -> None:
    consul.server.put("app/port", b"1")
    first = consul.fetch(KEY)
    started = time.monotonic()
    again = consul.fetch(KEY, after=first.version, wait_seconds=0.3)
    assert 0.28 < _elapsed(started) < 1
    assert (again.version, again.readings, again.again_in_seconds) == (first.version, {}, None)


def test_waits_are_spread(consul: World) -> None:
    version = consul.fetch(KEY).version
    consul.server.end_blocking()
    for _ in range(8):
        consul.fetch(KEY, after=version, wait_seconds=50)
    assert len({asked.params.get("wait") for asked in consul.server.asked}) > 4


def test_the_first_read_and_one_without_a_wait_do_not_block(consul: World) -> None:
    first = consul.fetch(KEY, wait_seconds=50)
    consul.fetch(KEY, after=first.version, wait_seconds=0)
    assert [asked.params for asked in consul.server.asked] == [{}, {}]


def test_an_index_of_0_is_never_blocked_on_and_never_spins(consul: World) -> None:
    consul.server.put("app/port", b"1")
    consul.server.headers["X-Consul-Index"] = "0"
    first = consul.fetch(KEY, wait_seconds=50)
    consul.server.put("app/port", b"2")
    second = consul.fetch(KEY, after=first.version, wait_seconds=50)
    third = consul.fetch(KEY, after=second.version, wait_seconds=50)
    assert second.readings[KEY].value == b"2"
    assert third.readings == {}
    assert all("index" not in asked.params for asked in consul.server.asked)
    assert all((each.again_in_seconds or 0) >= 1 for each in (first, second, third))


def test_an_index_going_backwards_starts_over(consul: World) -> None:
    consul.server.put("app/port", b"1")
    first = consul.fetch(KEY)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(consul.fetch, KEY, after=first.version, wait_seconds=50)
        wait_until(lambda: len(consul.server.asked) == 2)
        consul.server.restore({"app/port": b"restored"}, index=3)
        consul.server.end_blocking()
        second = waiting.result(1)
    assert second.readings[KEY].value == b"restored"
    assert consul.server.asked[2].params == {"consistent": "1"}
    consul.fetch(KEY, after=second.version, wait_seconds=0.05)
    assert consul.server.asked[3].params["index"] == "3"


def test_a_query_that_is_let_go_early_with_nothing_new_is_followed_by_a_plain_read(consul: World) -> None:
    """A restored snapshot does that, and a query on the old index would sleep through the new state."""
    consul.server.put("app/port", b"1")
    first = consul.fetch(KEY)
    let_go = answer(
        json.dumps([{"Key": "app/port", "Value": "MQ==", "ModifyIndex": 11}]).encode(),
        headers="X-Consul-Index: 11\r\nX-Consul-LastContact: 0\r\n",
    )
    consul.server.restore({"app/port": b"restored"}, index=3)
    consul.server.fault = lambda asked: let_go if "index" in asked.params else None
    assert consul.fetch(KEY, after=first.version, wait_seconds=50).readings[KEY].value == b"restored"


def test_a_stale_answer_of_a_server_that_lags_is_not_taken_for_a_restored_one() -> None:
    with world(consistency="stale") as consul:
        consul.server.put("app/port", b"1")
        consul.server.put("app/port", b"2")
        first = consul.fetch(KEY)
        behind = json.dumps([{"Key": "app/port", "Value": "MQ==", "ModifyIndex": 11}]).encode()
        lagging = answer(behind, headers="X-Consul-Index: 11\r\nX-Consul-LastContact: 9\r\n")
        consul.server.fault = lambda asked: lagging if "stale" in asked.params else None
        # The same after a failure, which makes the follower forget the version.
        for after in (first.version, None):
            again = consul.fetch(KEY, after=after)
            assert again.readings[KEY].value == b"2"
            assert "consistent" in consul.server.asked[-1].params


def test_the_same_index_with_other_content_is_news(consul: World) -> None:
    consul.server.put("app/port", b"1")
    first = consul.fetch(KEY)
    consul.server.restore({"app/port": b"2"}, index=11)
    second = consul.fetch(KEY, after=first.version)
    assert second.readings[KEY].value == b"2"
    assert second.version != first.version


def test_a_busy_store_wakes_a_missing_key_but_does_not_make_it_spin(consul: World) -> None:
    missing = want("key", "missing")
    snapshot = consul.fetch(missing, wait_seconds=50)
    pauses = []
    for number in range(5):
        consul.server.put(f"other/{number}", b"x")
        before, snapshot = snapshot, consul.fetch(missing, after=snapshot.version, wait_seconds=50)
        assert snapshot.version != before.version
        assert snapshot.readings == {missing: ABSENT}
        pauses.append(snapshot.again_in_seconds or 0.0)
    # Each pause begins where the one before would end, which this test does not wait for.
    assert sum(pauses[1:]) >= 0.35
    consul.server.put("missing", b"here")
    found = consul.fetch(missing, after=snapshot.version, wait_seconds=50)
    assert (found.readings[missing].value, found.again_in_seconds) == (b"here", None)


def test_a_server_that_does_not_block_is_not_asked_without_a_pause(consul: World) -> None:
    consul.server.put("app/port", b"1")
    consul.server.end_blocking()
    snapshots = [consul.fetch(KEY, wait_seconds=50)]
    for _ in range(4):
        snapshots.append(consul.fetch(KEY, after=snapshots[-1].version, wait_seconds=50))
    assert all(each.version == snapshots[0].version for each in snapshots)
    assert sum(each.again_in_seconds or 0 for each in snapshots[2:]) >= 0.25


def test_a_changing_key_is_never_delayed(consul: World) -> None:
    snapshot = consul.fetch(KEY)
    for number in range(5):
        consul.server.put("app/port", str(number).encode())
        snapshot = consul.fetch(KEY, after=snapshot.version, wait_seconds=50)
        assert snapshot.again_in_seconds is None


def test_no_leader_is_an_outage_unless_stale_reads_are_asked_for(consul: World) -> None:
    consul.server.headers["X-Consul-KnownLeader"] = "false"
    with pytest.raises(SourceUnavailableError, match="no leader"):
        consul.fetch(KEY)
    with world(consistency="stale") as stale:
        stale.server.headers["X-Consul-KnownLeader"] = "false"
        assert stale.fetch(KEY).readings == {KEY: ABSENT}
        assert stale.server.asked[0].params == {"stale": "1"}


def test_a_paused_server_is_noticed_after_the_wait_and_a_little(consul: World) -> None:
    version = consul.fetch(KEY).version
    consul.server.fault = lambda _: _hang(consul)
    started = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="does not answer in time"):
        consul.fetch(KEY, after=version, wait_seconds=0.1)
    assert _elapsed(started) < 3
    consul.server.server.stopping.set()


def _hang(consul: World) -> bytes:
    consul.server.server.stopping.wait(10)
    return b""


def test_close_ends_a_blocking_fetch_at_once(consul: World) -> None:
    version = consul.fetch(KEY).version
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(consul.fetch, KEY, after=version, wait_seconds=50)
        wait_until(lambda: len(consul.server.asked) == 2)
        consul.watcher.close()
        assert isinstance(waiting.exception(1), SourceUnavailableError)
    assert consul.status.copy().sources["consul"].connections == 0


def test_requests_and_connections_are_counted(consul: World) -> None:
    consul.server.put("app/port", b"1")
    consul.fetch(KEY)
    consul.fetch(want("key", "none"))
    consul.server.fault = lambda _: b""
    for _ in range(2):
        with pytest.raises(SourceUnavailableError):
            consul.fetch(KEY)
    copy = consul.status.copy()
    assert copy.sources["consul"].connections == 0
    counted = {labels[2]: count for labels, count in copy.counters.items()}
    assert counted == {"200": 1, "404": 1, "error": 2}


@pytest.mark.parametrize(
    ("connections", "blocking", "polling"), [(2, 1, 1), (7, 6, 1), (8, 6, 2), (32, 30, 2), (1000, 190, 2)]
)
def test_blocking_and_polling_stay_below_the_ceiling(connections: int, blocking: int, polling: int) -> None:
    with world(max_connections=connections) as made:
        assert (made.watcher.max_blocking, made.watcher.max_polling) == (blocking, polling)


def test_what_another_query_has_read_is_first_read_from_the_leader() -> None:
    with world(consistency="stale") as consul:
        consul.server.put("app/port", b"1")
        consul.fetch(FOLDER, KEY)
        assert consul.value(KEY) == b"1"
        assert [("consistent" in asked.params) for asked in consul.server.asked] == [False, True]
        consul.fetch(KEY)
        assert "stale" in consul.server.asked[-1].params


def test_an_interrupted_fetch_is_counted_apart_and_makes_no_outage(consul: World) -> None:
    version = consul.fetch(KEY).version
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(consul.fetch, KEY, after=version, wait_seconds=50)
        wait_until(lambda: len(consul.server.asked) == 2)
        consul.watcher.interrupt(consul.query_for(KEY))
        assert isinstance(waiting.exception(1), SourceUnavailableError)
    counters = consul.status.copy().counters
    assert counters["source_requests_total", "consul", "cancelled"] == 1
    assert ("source_requests_total", "consul", "error") not in counters
