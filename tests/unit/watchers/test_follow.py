"""The loop around every watcher: what it fetches, how it fails and recovers, how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from confcar.config.sources import FileOptions
from confcar.errors import SourceDeniedError, SourceUnavailableError
from confcar.model import Dependency, Reading
from confcar.status import Status
from confcar.store import Store
from confcar.watchers.base import Query
from confcar.watchers.file import FileWatcher
from confcar.watchers.following import Following
from tests.fakes.scripted_watcher import ScriptedWatcher
from tests.unit.watchers.following_stage import Stage, key, make_stage, threads
from tests.waiting import wait_until


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = make_stage(ScriptedWatcher())
    yield stage
    stage.following.close()


def test_wanted_data_arrives_and_changes_follow(stage: Stage) -> None:
    stage.watcher.set(a=b"1")
    stage.want("a")
    assert wait_until(lambda: stage.value("a")) == b"1"
    stage.watcher.set(a=b"2")
    wait_until(lambda: stage.value("a") == b"2")


def test_a_dependency_in_two_plans_is_not_fetched_again(stage: Stage) -> None:
    stage.watcher.set(a=b"1", b=b"2")
    stage.want("a")
    wait_until(lambda: stage.watcher.blocking_now == 1)
    fetched = stage.watcher.fetches[key("a")]
    stage.want("a", "b")
    wait_until(lambda: stage.value("b") == b"2")
    assert stage.watcher.fetches[key("a")] == fetched


def test_what_nobody_wants_any_more_is_forgotten(stage: Stage) -> None:
    stage.watcher.set(a=b"1", b=b"2")
    stage.want("a", "b")
    wait_until(lambda: stage.value("a") and stage.value("b"))
    stage.want("b")
    assert set(stage.following.take("web")[1]) == {key("b")}


def test_queries_beyond_the_ceiling_are_polled_in_turn() -> None:
    watcher = ScriptedWatcher(max_blocking=2, max_polling=1)
    watcher.again_in_seconds = 0.01
    stage = make_stage(watcher)
    watcher.set(a=b"1", b=b"1", c=b"1", d=b"1")
    stage.want("a", "b", "c", "d")
    wait_until(lambda: all(stage.value(path) == b"1" for path in "abcd"))
    watcher.set(a=b"2", b=b"2", c=b"2", d=b"2")
    wait_until(lambda: all(stage.value(path) == b"2" for path in "abcd"))
    assert watcher.most_blocking <= 2
    assert stage.status.copy().sources["local"].polled == 2
    stage.following.close()


def test_an_outage_keeps_the_last_good_value_and_says_why(stage: Stage) -> None:
    stage.watcher.set(a=b"1")
    stage.want("a")
    wait_until(lambda: stage.value("a"))
    stage.watcher.fail(lambda: SourceUnavailableError("connection refused"))
    wait_until(lambda: stage.status.copy().sources["local"].up is False)
    assert stage.value("a") == b"1"
    assert stage.status.copy().sources["local"].error == "connection refused"


def test_the_first_success_after_an_outage_wakes_all_others(stage: Stage) -> None:
    stage.watcher.fail(lambda: SourceUnavailableError("away", retry_after_seconds=3600.0))
    stage.want("a", "b")
    wait_until(lambda: all(stage.error(path) for path in "ab"))
    stage.watcher.fail(None)
    stage.watcher.set(a=b"1", b=b"1", c=b"1")
    stage.want("a", "b", "c")
    wait_until(lambda: all(stage.value(path) == b"1" for path in "abc"))
    assert stage.status.copy().sources["local"].up is True


def test_a_denied_path_leaves_the_source_up_and_the_others_alone(stage: Stage) -> None:
    stage.watcher.set(a=b"1")
    stage.watcher.fail(lambda: SourceDeniedError("no read on b"), path="b")
    stage.want("a", "b")
    wait_until(lambda: stage.value("a") == b"1" and stage.error("b") is not None)
    assert str(stage.error("b")) == "no read on b"
    stage.watcher.set(a=b"2")
    wait_until(lambda: stage.value("a") == b"2")


def test_a_bug_in_a_watcher_does_not_end_the_following(stage: Stage) -> None:
    stage.watcher.fail(lambda: KeyError("s3cret"))
    stage.want("a")
    error = wait_until(lambda: stage.error("a"))
    assert "s3cret" not in str(error)
    stage.watcher.fail(None)
    stage.watcher.set(a=b"1")
    wait_until(lambda: stage.value("a") == b"1")


def test_a_dependency_added_to_a_query_that_blocks_is_read_at_once() -> None:
    stage = make_stage(ScriptedWatcher(is_coalescing=True))
    stage.watcher.set(a=b"1", b=b"2")
    stage.want("a")
    wait_until(lambda: stage.watcher.blocking_now == 1)
    stage.want("a", "b")
    wait_until(lambda: stage.value("b") == b"2", timeout=2.0)
    stage.watcher.set(b=b"3")
    wait_until(lambda: stage.value("b") == b"3")
    stage.following.close()


def test_close_ends_every_thread_at_once(stage: Stage) -> None:
    stage.want("a", "b", "c")
    wait_until(lambda: stage.watcher.blocking_now == 3)
    stage.following.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("confcar-local")]


def test_two_changed_keys_of_one_snapshot_are_never_seen_apart() -> None:
    stage = make_stage(ScriptedWatcher(is_coalescing=True))
    stage.watcher.set(a=b"0", b=b"0")
    stage.want("a", "b")
    wait_until(lambda: stage.value("a"))
    mixed = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            view = stage.following.take("web")[1]
            pair = {answer.reading for answer in view.values()}
            if len(pair) > 1:
                mixed.append(pair)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        stage.watcher.set(a=b"%d" % number, b=b"%d" % number)
    wait_until(lambda: stage.store.take("web")[1][key("a")].reading == Reading(b"199"))
    stop.set()
    reader.join()
    stage.following.close()
    assert mixed == []


def test_a_polled_query_moves_up_when_a_slot_gets_free() -> None:
    watcher = ScriptedWatcher(max_blocking=1, max_polling=1)
    watcher.again_in_seconds = 0.01
    stage = make_stage(watcher)
    watcher.set(a=b"1", b=b"1")
    stage.want("a")
    wait_until(lambda: watcher.blocking_now)
    stage.want("a", "b")
    wait_until(lambda: stage.value("b") == b"1")
    assert stage.status.copy().sources["local"].polled == 1
    stage.want("b")
    watcher.set(a=b"2")
    wait_until(lambda: stage.status.copy().sources["local"].polled == 0)
    watcher.again_in_seconds = None
    watcher.set(b=b"2")
    wait_until(lambda: stage.value("b") == b"2" and watcher.blocking_now == 1)
    fetched = watcher.fetches[key("b")]
    watcher.set(b=b"3")
    wait_until(lambda: stage.value("b") == b"3")
    assert watcher.fetches[key("b")] <= fetched + 1, "it blocks now, and is not polled any more"
    stage.following.close()


def test_what_is_added_to_a_query_that_blocks_with_the_old_question_is_followed_too(tmp_path: Path) -> None:
    document = tmp_path / "data.yaml"
    document.write_text("a: 1\nb: 1\n")
    status = Status()
    watcher = FileWatcher("local", FileOptions(type="file", path=document), status=status)
    following = Following([watcher], store=Store(), status=status)

    def has(path: str, value: str) -> bool:
        return following.take("web")[1][key(path)].reading == Reading(value.encode())

    following.want("web", frozenset({key("a")}), lambda: None)
    wait_until(lambda: has("a", "1"))
    following.want("web", frozenset({key("a"), key("b")}), lambda: None)
    for value in ("1", "2"):
        (tmp_path / "new").write_text(f"a: 1\nb: {value}\n")
        (tmp_path / "new").replace(document)
        wait_until(lambda value=value: has("b", value))  # type: ignore[misc]  # bound at once
    following.close()
    assert has("a", "1")


def test_a_query_that_goes_on_failing_is_not_woken_by_every_success_of_another() -> None:
    watcher = ScriptedWatcher(max_blocking=0, max_polling=1)
    watcher.again_in_seconds = 0.005
    stage = make_stage(watcher)
    watcher.set(a=b"1")
    watcher.fail(lambda: SourceUnavailableError("500"), path="b")
    stage.want("a", "b")
    wait_until(lambda: watcher.fetches[key("a")] > 100)
    assert watcher.fetches[key("b")] < 10
    watcher.fail(None, path="b")
    wait_until(lambda: stage.error("b") is None)
    stage.following.close()


def test_one_query_is_polled_by_one_thread() -> None:
    watcher = ScriptedWatcher(max_blocking=0, max_polling=4)
    watcher.again_in_seconds = 0.005
    stage = make_stage(watcher)
    stage.want("a")
    wait_until(lambda: watcher.fetches[key("a")] > 20)
    assert len(threads()) == 1
    stage.following.close()


def test_what_has_ended_leaves_no_beat_that_would_be_late() -> None:
    watcher = ScriptedWatcher(max_blocking=1, max_polling=1)
    watcher.again_in_seconds = 0.01
    stage = make_stage(watcher)
    stage.want("a", "b", "c")
    wait_until(lambda: all(watcher.fetches[key(path)] for path in "abc"))
    stage.want()
    watcher.set(a=b"1")
    wait_until(lambda: not stage.status._beats)
    stage.following.close()
    assert stage.status._beats == {}


def test_a_plan_that_failed_is_made_again() -> None:
    class Unplanned(ScriptedWatcher):
        faults = 1

        def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
            if self.faults:
                self.faults -= 1
                raise KeyError(wanted)
            return super().plan(wanted)

    stage = make_stage(Unplanned())
    stage.watcher.set(a=b"1")
    with pytest.raises(KeyError):
        stage.want("a")
    stage.want("a")
    wait_until(lambda: stage.value("a") == b"1")
    stage.following.close()
