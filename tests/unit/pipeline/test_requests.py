"""What a bundle is asked for from outside, and what it takes over from the one before it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from confcar.errors import CheckRefusedError, ConfcarError, EndpointRefusedError, MissingDataError, ReloadError
from confcar.pipeline.requests import Requests
from confcar.publishing.publisher import Publisher
from tests.unit.pipeline.stage import Primary, Stage
from tests.waiting import wait_until

_ANSWERS_WITHIN_SECONDS = 10.0


def test_a_sync_ends_well_where_all_is_published(stage: Stage) -> None:
    stage.watcher.set(name=b"first")
    pipeline = stage.bundle("{{ key('name') }}")
    stage.start(pipeline)
    stage.wait_for_text("first")
    assert pipeline.ask("sync").result(_ANSWERS_WITHIN_SECONDS) is None


def test_a_sync_repairs_what_somebody_did_to_a_published_file(stage: Stage) -> None:
    stage.watcher.set(name=b"first")
    pipeline = stage.bundle("{{ key('name') }}")
    stage.start(pipeline)
    stage.wait_for_text("first")
    published = stage.folder / "web" / "0"
    published.chmod(0o640)
    published.resolve().write_text("edited")
    pipeline.ask("sync").result(_ANSWERS_WITHIN_SECONDS)
    assert stage.text() == "first"


def test_a_sync_does_not_wait_until_changes_have_settled(stage: Stage) -> None:
    stage.watcher.set(name=b"first")
    pipeline = stage.bundle("{{ key('name') }}", quiet=1.0)
    stage.start(pipeline)
    stage.wait_for_text("first")
    stage.watcher.set(name=b"second")
    wait_until(lambda: pipeline._inbox.has_news)
    pipeline.ask("sync").result(_ANSWERS_WITHIN_SECONDS)
    assert stage.text() == "second"


def test_a_sync_says_what_is_missing(stage: Stage) -> None:
    pipeline = stage.bundle("{{ key('name') }}")
    stage.start(pipeline)
    stage.wait_for_state("pending")
    with pytest.raises(MissingDataError, match="name"):
        pipeline.ask("sync").result(_ANSWERS_WITHIN_SECONDS)


def test_a_sync_tries_a_refused_check_again_at_once(stage: Stage) -> None:
    go = stage.folder / "go"
    stage.watcher.set(name=b"first")
    pipeline = stage.bundle("{{ key('name') }}", command=f"test -e {go}")
    stage.start(pipeline)
    stage.wait_for_state("refused")
    with pytest.raises(CheckRefusedError):
        pipeline.ask("sync").result(_ANSWERS_WITHIN_SECONDS)
    go.touch()
    assert pipeline.ask("sync").result(_ANSWERS_WITHIN_SECONDS) is None
    assert stage.text() == "first"


def test_a_sync_tries_a_failed_reload_again_at_once_and_says_how_that_went(stage: Stage) -> None:
    stage.watcher.set(name=b"first")
    primary = Primary(failures=[EndpointRefusedError("no")] * 12)
    pipeline = stage.bundle("{{ key('name') }}", primary=primary)
    stage.start(pipeline)
    wait_until(lambda: stage.seen().reload.attempts > 0)
    with pytest.raises(ReloadError, match="no"):
        pipeline.ask("sync").result(_ANSWERS_WITHIN_SECONDS)
    primary.failures.clear()
    assert pipeline.ask("sync").result(_ANSWERS_WITHIN_SECONDS) is None
    assert [change.generation for change in primary.heard] == [1]


def test_whoever_asks_a_bundle_that_has_ended_is_told(stage: Stage) -> None:
    stage.watcher.set(name=b"first")
    pipeline = stage.bundle("{{ key('name') }}")
    thread = stage.start(pipeline)
    stage.wait_for_text("first")
    pipeline.stop()
    thread.join(_ANSWERS_WITHIN_SECONDS)
    with pytest.raises(ConfcarError, match="web"):
        pipeline.ask("sync").result(0)


def test_no_request_is_lost_when_the_bundle_ends() -> None:
    requests = Requests("web", lambda: None)
    begun = threading.Barrier(5)

    def ask_often() -> list[bool]:
        begun.wait()
        return [requests.ask("sync").done() for _ in range(200)]

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask_often) for _ in range(4)]
        begun.wait()
        requests.close()
        for each in asking:
            each.result(_ANSWERS_WITHIN_SECONDS)
    assert requests.take() == []
    assert requests.ask("sync").done()


def test_a_successor_takes_the_directory_over_without_a_gap(stage: Stage) -> None:
    stage.watcher.set(name=b"first")
    before = stage.bundle("{{ key('name') }}")
    thread = stage.start(before)
    stage.wait_for_text("first")
    before.stop(hands_over=True)
    thread.join(_ANSWERS_WITHIN_SECONDS)
    other = Publisher("web", stage.folder / "web", mode="swap", keep=2)
    with pytest.raises(ConfcarError, match="held by another confcar"):
        other.open()
    after = stage.bundle("{{ key('name') | upper }}")
    after.take_over(before)
    stage.start(after)
    stage.wait_for_text("FIRST")
    assert stage.seen().generation == 2


def test_a_successor_owes_the_reload_that_was_owed_before_it(stage: Stage) -> None:
    stage.watcher.set(name=b"first")
    gone, there = Primary(failures=[EndpointRefusedError("no")] * 1000), Primary()
    before = stage.bundle("{{ key('name') }}", primary=gone)
    thread = stage.start(before)
    wait_until(lambda: stage.seen().reload.attempts > 0)
    before.stop(hands_over=True)
    thread.join(_ANSWERS_WITHIN_SECONDS)
    after = stage.bundle("{{ key('name') }}", primary=there)
    after.take_over(before)
    stage.start(after)
    wait_until(lambda: [change.generation for change in there.heard] == [1])


def test_what_a_predecessor_read_is_followed_until_the_primary_was_told_of_its_successors_files(stage: Stage) -> None:
    stage.watcher.set(name=b"first")
    before = stage.bundle("{{ key('name') }}")
    thread = stage.start(before)
    stage.wait_for_text("first")
    before.stop(hands_over=True)
    thread.join(_ANSWERS_WITHIN_SECONDS)
    gone = Primary(failures=[EndpointRefusedError("no")] * 1000)
    after = stage.bundle("{{ key('other') }}", primary=gone)
    after.take_over(before)
    stage.start(after)
    stage.wait_for_state("pending")
    assert before._collector.followed is not None
    stage.watcher.set(other=b"second")
    stage.wait_for_text("second")
    wait_until(lambda: stage.seen().reload.attempts > 0)
    assert before._collector.followed is not None
    gone.failures.clear()
    wait_until(lambda: before._collector.followed is None)
