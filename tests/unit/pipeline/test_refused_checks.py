"""A check of a bundle that refuses or hangs: what stays published, when it is tried again, whom it holds up."""

from __future__ import annotations

import time

from tests.unit.pipeline.stage import NAME, Primary, Stage, elapsed


def test_a_refused_check_publishes_nothing_and_shows_what_it_said(stage: Stage) -> None:
    primary = Primary()
    stage.start(stage.bundle(NAME, command="echo port is taken; exit 3", primary=primary))
    stage.watcher.set(name=b"a")
    seen = stage.wait_for_state("refused")
    assert seen.check.result == "refused"
    assert seen.check.output == "port is taken"
    assert seen.error == "check of web refused generation 1: sh ended with status 3"
    assert (seen.generation, stage.text(), primary.heard) == (None, None, [])
    assert not list((stage.folder / "web").glob("..generation-*"))


def test_a_refused_check_is_tried_again_on_the_same_data_and_accepted_later(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    stage.start(stage.bundle(NAME, command=f"test -e {stage.folder}/ok"))
    stage.wait_for_state("refused")
    (stage.folder / "ok").touch()
    stage.wait_for_text("a")
    assert stage.wait_for_state("published").check.result == "accepted"
    assert stage.seen().generation == 1


def test_a_refused_check_does_not_keep_other_data_from_being_tried_at_once(stage: Stage) -> None:
    stage.watcher.set(name=b"bad")
    stage.start(stage.bundle(NAME, command='test "$(cat {directory}/0)" = good'))
    stage.wait_for_state("refused")
    began = time.monotonic()
    stage.watcher.set(name=b"good")
    stage.wait_for_text("good")
    assert elapsed(began) < 0.7


def test_data_that_goes_back_to_what_is_published_ends_the_refusal(stage: Stage) -> None:
    stage.watcher.set(name=b"good")
    stage.start(stage.bundle(NAME, command='test "$(cat {directory}/0)" = good'))
    stage.wait_for_text("good")
    stage.watcher.set(name=b"bad")
    stage.wait_for_state("refused")
    stage.watcher.set(name=b"good")
    assert stage.wait_for_state("published").generation == 1


def test_a_check_that_hangs_does_not_delay_another_bundle(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    stage.start(stage.bundle(NAME, name="slow", command=f"while ! test -e {stage.folder}/go; do sleep 0.02; done"))
    stage.start(stage.bundle(NAME, name="quick"))
    stage.wait_for_text("a", name="quick")
    stage.watcher.set(name=b"b")
    stage.wait_for_text("b", name="quick")
    assert stage.text(name="slow") is None
    (stage.folder / "go").touch()
    stage.wait_for_text("b", name="slow")
