"""A bundle's reload within its passes: tried again, behind a change, and owed from before."""

from __future__ import annotations

import threading

from confcar.errors import PrimaryNotFoundError
from tests.unit.pipeline.stage import NAME, Primary, Stage
from tests.waiting import wait_until


def test_a_failed_reload_is_tried_again(stage: Stage) -> None:
    primary = Primary(failures=[PrimaryNotFoundError("nobody"), PrimaryNotFoundError("nobody")])
    stage.watcher.set(name=b"a")
    stage.start(stage.bundle(NAME, primary=primary))
    wait_until(lambda: stage.seen().reload.acknowledged_generation == 1)
    assert stage.seen().reload.attempts == 3


def test_a_change_during_a_reload_is_published_after_it(stage: Stage) -> None:
    primary = Primary(hold=threading.Event())
    stage.watcher.set(name=b"a")
    stage.start(stage.bundle(NAME, primary=primary))
    wait_until(lambda: primary.heard)
    stage.watcher.set(name=b"b")
    assert stage.text() == "a", "the files under a reload do not change"
    assert primary.hold is not None
    primary.hold.set()
    wait_until(lambda: [change.generation for change in primary.heard] == [1, 2])
    assert stage.text() == "b"


def test_a_reload_owed_from_before_is_made_although_the_data_is_not_there(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    lost = stage.bundle(NAME, primary=Primary(failures=[PrimaryNotFoundError("nobody")] * 99))
    thread = stage.start(lost)
    wait_until(lambda: stage.seen().reload.attempts >= 1)
    lost.stop()
    thread.join(5.0)
    stage.watcher.set(name=None)
    primary = Primary()
    stage.start(stage.bundle(NAME, primary=primary))
    wait_until(lambda: primary.heard)
    assert (primary.heard[0].generation, primary.heard[0].changed) == (1, ("0",))


def test_a_reload_owed_from_before_is_shown_as_pending_at_once(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    lost = stage.bundle(NAME, primary=Primary(failures=[PrimaryNotFoundError("nobody")] * 99))
    thread = stage.start(lost)
    wait_until(lambda: stage.seen().reload.attempts >= 1)
    lost.stop()
    thread.join(5.0)
    again = stage.bundle(NAME, name="web", primary=Primary())
    again.open()
    assert stage.seen().reload.pending is True
    again.close()
