"""A rollback that a person asks for: what comes back, how long it stays, and what ends it."""

from __future__ import annotations

import pytest

from confcar.bundle_status import BundleStatus
from confcar.errors import PublishError
from confcar.pipeline.bundle import BundlePipeline
from confcar.publishing.publisher import Publisher
from tests.unit.pipeline.stage import (
    ANSWERS_WITHIN_SECONDS,
    NAME,
    Primary,
    Stage,
    acknowledged,
    heard,
    restarted,
)
from tests.waiting import wait_until


def by_hand(stage: Stage) -> tuple[BundlePipeline, Primary]:
    primary = Primary()
    stage.watcher.set(name=b"first")
    pipeline = stage.bundle(NAME, primary=primary)
    stage.start(pipeline)
    wait_until(acknowledged(stage, 1))
    stage.watcher.set(name=b"second")
    wait_until(acknowledged(stage, 2))
    pipeline.ask("rollback").result(ANSWERS_WITHIN_SECONDS)
    return pipeline, primary


def test_by_hand_the_generation_before_comes_back_and_is_reloaded(stage: Stage) -> None:
    _, primary = by_hand(stage)
    seen: BundleStatus = stage.seen()
    assert (heard(primary), stage.text(), seen.state, seen.error) == ([1, 2, 1], "first", "refused", None)
    assert seen.refused is not None
    assert (seen.refused.generation, seen.refused.by_hand, seen.refused.reason) == (2, True, "rolled back by hand")
    assert stage.status.copy().counters[("rollback_total", "web")] == 1


def test_what_was_rolled_back_by_hand_stays_so_over_a_restart_until_a_change(stage: Stage) -> None:
    _, primary = by_hand(stage)
    restarted(stage, primary, None)
    stage.wait_for_state("refused")
    assert (stage.text(), heard(primary)) == ("first", [1, 2, 1])
    stage.watcher.set(name=b"third")
    wait_until(acknowledged(stage, 3))
    assert (stage.text(), stage.seen().refused) == ("third", None)


def test_a_sync_ends_a_rollback_by_hand(stage: Stage) -> None:
    pipeline, primary = by_hand(stage)
    pipeline.ask("sync").result(ANSWERS_WITHIN_SECONDS)
    assert (stage.text(), heard(primary), stage.seen().state) == ("second", [1, 2, 1, 3], "published")


def test_nothing_older_is_an_error_and_changes_nothing(stage: Stage) -> None:
    stage.watcher.set(name=b"first")
    pipeline = stage.bundle(NAME)
    stage.start(pipeline)
    stage.wait_for_text("first")
    with pytest.raises(PublishError, match=r"no generation to go back to in .*: there is no older one"):
        pipeline.ask("rollback").result(ANSWERS_WITHIN_SECONDS)
    assert (stage.text(), stage.seen().state) == ("first", "published")


def test_where_nobody_is_told_what_comes_back_counts_as_known(stage: Stage) -> None:
    stage.watcher.set(name=b"first")
    pipeline = stage.bundle(NAME)
    stage.start(pipeline)
    stage.wait_for_text("first")
    stage.watcher.set(name=b"second")
    stage.wait_for_text("second")
    pipeline.ask("rollback").result(ANSWERS_WITHIN_SECONDS)
    assert stage.text() == "first"
    stage.close()
    publisher = Publisher("web", stage.folder / "web", mode="swap", keep=2)
    assert publisher.open().is_acknowledged
    publisher.close()


def test_by_hand_beyond_a_refused_one_the_newest_data_stays_held_back(stage: Stage) -> None:
    primary, health = Primary(), stage.health("bad")
    stage.watcher.set(name=b"first")
    pipeline = stage.bundle(NAME, primary=primary, health=health)
    stage.start(pipeline)
    wait_until(acknowledged(stage, 1))
    for number, text in ((2, b"second"), (2, b"bad")):
        stage.watcher.set(name=text)
        wait_until(acknowledged(stage, number))
    wait_until(lambda: heard(primary) == [1, 2, 3, 2])
    wait_until(acknowledged(stage, 2))
    pipeline.ask("rollback").result(ANSWERS_WITHIN_SECONDS)
    assert (stage.text(), stage.seen().state) == ("first", "refused")
