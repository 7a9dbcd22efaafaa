"""A bundle whose primary is not well with what was published: taken back, held back, tried again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from confcar.errors import VerifyFailedError
from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Publisher
from tests.unit.pipeline.stage import (
    ANSWERS_WITHIN_SECONDS,
    NAME,
    Health,
    Primary,
    Stage,
    acknowledged,
    heard,
    restarted,
)
from tests.unit.publishing.samples import MODES
from tests.waiting import wait_until


def start_and_break(stage: Stage, primary: Primary, health: Health, *, publisher: Publisher | None = None) -> None:
    """Publish `good`, then `bad`, with which the primary is not well, and wait until the primary has `good` again."""
    stage.watcher.set(name=b"good")
    stage.start(stage.bundle(NAME, primary=primary, health=health, publisher=publisher))
    wait_until(acknowledged(stage, 1))
    stage.watcher.set(name=b"bad")
    wait_until(lambda: len(primary.heard) >= 3)
    wait_until(acknowledged(stage, 1))


def passes(stage: Stage) -> float:
    return stage.status.copy().counters[("render_total", "web", "rendered")]


def wait_for_a_pass(stage: Stage, act: Callable[[], object]) -> None:
    before = passes(stage)
    act()
    wait_until(lambda: passes(stage) > before)


@pytest.mark.parametrize("mode", MODES)
def test_what_does_not_hold_is_taken_back_and_the_primary_told(
    stage: Stage, mode: PublishMode, caplog: pytest.LogCaptureFixture
) -> None:
    primary = Primary()
    publisher = Publisher("web", stage.folder / "web", mode=mode, keep=2)
    with caplog.at_level(logging.INFO):
        start_and_break(stage, primary, stage.health("bad"), publisher=publisher)
    assert (heard(primary), stage.text()) == ([1, 2, 1], "good")
    seen = stage.seen()
    assert (seen.state, seen.generation, seen.reload.last_successful) == ("refused", 1, True)
    assert seen.refused is not None
    assert (seen.refused.generation, seen.refused.by_hand, seen.refused.attempts) == (2, False, 1)
    assert seen.refused.reason == seen.error == "verify did not hold within 0.3 s: the primary is unwell"
    assert stage.status.copy().counters[("rollback_total", "web")] == 1
    assert caplog.messages.count("rolled back") == 1


def test_what_was_refused_is_not_tried_again_until_the_data_changes(stage: Stage) -> None:
    primary = Primary()
    start_and_break(stage, primary, stage.health("bad"))
    wait_for_a_pass(stage, lambda: stage.watcher.set(name=b"good"))
    wait_until(lambda: stage.seen().state == "published")
    assert stage.seen().refused is None, "the data is what is published"
    stage.watcher.set(name=b"better")
    wait_until(acknowledged(stage, 3))
    assert (heard(primary), stage.text(), stage.seen().state) == ([1, 2, 1, 3], "better", "published")


def test_the_same_data_again_is_held_back(stage: Stage) -> None:
    primary = Primary()
    stage.watcher.set(name=b"good", other=b"1")
    pipeline = stage.bundle(NAME + "{% if key('other') %}{% endif %}", primary=primary, health=stage.health("bad"))
    stage.start(pipeline)
    wait_until(acknowledged(stage, 1))
    stage.watcher.set(name=b"bad")
    wait_until(lambda: heard(primary) == [1, 2, 1])
    wait_for_a_pass(stage, lambda: stage.watcher.set(other=b"2"))
    with pytest.raises(VerifyFailedError, match="generation 2 was refused and waits for other data: verify did not"):
        pipeline.ask("sync").result(ANSWERS_WITHIN_SECONDS)
    assert (heard(primary), stage.text(), stage.seen().state) == ([1, 2, 1], "good", "refused")


def test_a_restart_remembers_what_was_refused(stage: Stage) -> None:
    primary = Primary()
    start_and_break(stage, primary, stage.health("bad"))
    restarted(stage, primary, stage.health("bad"))
    seen = stage.wait_for_state("refused")
    assert seen.refused is not None
    assert (seen.generation, seen.refused.generation, stage.text(), heard(primary)) == (1, 2, "good", [1, 2, 1])
    stage.watcher.set(name=b"better")
    wait_until(acknowledged(stage, 3))


def test_another_way_of_verifying_tries_what_was_refused_again(stage: Stage) -> None:
    primary = Primary()
    start_and_break(stage, primary, stage.health("bad"))
    restarted(stage, primary, stage.health(), settings="another")
    wait_until(acknowledged(stage, 3))
    assert (stage.text(), stage.seen().state) == ("bad", "published")


def test_once_leaves_the_last_good_files_and_is_content(stage: Stage) -> None:
    start_and_break(stage, Primary(), stage.health("bad"))
    stage.close()
    stage.reset()
    pipeline = stage.bundle(NAME)
    pipeline.run(until_published=True)
    assert (pipeline.outcome.error, stage.text()) == (None, "good")


def test_a_first_generation_that_does_not_hold_stays_and_is_told_and_verified_again(stage: Stage) -> None:
    primary, health = Primary(), stage.health("bad")
    stage.watcher.set(name=b"bad")
    stage.start(stage.bundle(NAME, primary=primary, health=health))
    seen = stage.wait_for_state("failed")
    assert seen.error is not None
    assert seen.error.endswith("there is no older one")
    assert (seen.generation, seen.reload.pending, seen.refused, stage.text()) == (1, True, None, "bad")
    wait_until(lambda: len(primary.heard) >= 2)
    health.unwell.clear()
    wait_until(acknowledged(stage, 1))
    stage.wait_for_state("published")
    assert stage.seen().error is None


def test_a_pass_that_changes_nothing_does_not_hide_that_the_primary_is_not_well(stage: Stage) -> None:
    stage.watcher.set(name=b"bad", other=b"1")
    pipeline = stage.bundle(NAME + "{% if key('other') %}{% endif %}", primary=Primary(), health=stage.health("bad"))
    stage.start(pipeline)
    stage.wait_for_state("failed")
    why = stage.seen().error
    wait_for_a_pass(stage, lambda: stage.watcher.set(other=b"2"))
    assert stage.seen().state == "failed"
    stage.watcher.set(other=None)
    stage.wait_for_state("pending")
    stage.watcher.set(other=b"3")
    assert stage.wait_for_state("failed").error == why
    with pytest.raises(VerifyFailedError):
        pipeline.ask("sync").result(ANSWERS_WITHIN_SECONDS)


def test_keep_stays_with_what_does_not_hold(stage: Stage) -> None:
    primary, health = Primary(), replace(stage.health("bad"), rolls_back=False)
    stage.watcher.set(name=b"good")
    stage.start(stage.bundle(NAME, primary=primary, health=health))
    wait_until(acknowledged(stage, 1))
    stage.watcher.set(name=b"bad")
    seen = stage.wait_for_state("failed")
    assert (stage.text(), seen.generation, seen.refused) == ("bad", 2, None)
    health.unwell.clear()
    wait_until(acknowledged(stage, 2))
    stage.wait_for_state("published")


def test_what_came_back_is_not_taken_back_further(stage: Stage) -> None:
    primary, health = Primary(), stage.health("bad")
    stage.watcher.set(name=b"first")
    stage.start(stage.bundle(NAME, primary=primary, health=health))
    wait_until(acknowledged(stage, 1))
    stage.watcher.set(name=b"second")
    wait_until(acknowledged(stage, 2))
    health.unwell.add("second")  # the cause lies outside: what held before does not hold any more
    stage.watcher.set(name=b"bad")
    seen = stage.wait_for_state("failed")
    assert seen.error is not None
    assert seen.error.endswith("it is the generation that came back after 3 was refused")
    assert (stage.text(), seen.generation) == ("second", 2)
    health.unwell.clear()
    wait_until(acknowledged(stage, 2))
    assert stage.wait_for_state("refused").refused is not None


def test_a_newer_generation_ends_the_trouble_with_the_one_that_stays(stage: Stage) -> None:
    stage.watcher.set(name=b"bad")
    stage.start(stage.bundle(NAME, primary=Primary(), health=stage.health("bad")))
    stage.wait_for_state("failed")
    stage.watcher.set(name=b"good")
    wait_until(acknowledged(stage, 2))
    assert stage.seen().state == "published"


def test_one_that_never_held_is_not_gone_back_to(stage: Stage) -> None:
    stage.watcher.set(name=b"bad")
    stage.start(stage.bundle(NAME, primary=Primary(), health=stage.health("bad", "worse")))
    stage.wait_for_state("failed")
    stage.watcher.set(name=b"worse")
    wait_until(lambda: stage.seen().generation == 2 and stage.seen().state == "failed")
    seen = stage.seen()
    assert seen.error is not None
    assert seen.error.endswith("no older one had verified")
    assert (stage.text(), seen.refused) == ("worse", None)


def test_files_that_were_only_repaired_are_not_taken_back(stage: Stage) -> None:
    primary, health = Primary(), stage.health()
    stage.watcher.set(name=b"first")
    pipeline = stage.bundle(NAME, primary=primary, health=health)
    stage.start(pipeline)
    wait_until(acknowledged(stage, 1))
    stage.watcher.set(name=b"second")
    wait_until(acknowledged(stage, 2))
    health.unwell.add("second")
    (stage.folder / "web" / "0").write_text("evil")
    with pytest.raises(VerifyFailedError, match="the same files had held before, so the cause lies elsewhere"):
        pipeline.ask("sync").result(ANSWERS_WITHIN_SECONDS)
    assert (stage.text(), stage.seen().generation, stage.seen().refused) == ("second", 3, None)
    health.unwell.clear()
    wait_until(acknowledged(stage, 3))


def test_a_stop_cuts_a_verify_short_and_the_next_start_verifies_again(stage: Stage) -> None:
    primary, health = Primary(), replace(stage.health("good"), within_seconds=60.0)
    stage.watcher.set(name=b"good")
    pipeline = stage.bundle(NAME, primary=primary, health=health)
    thread = stage.start(pipeline)
    wait_until(lambda: health.asked > 0)
    assert not pipeline.is_reloading, "it may be left"
    pipeline.stop()
    thread.join(10.0)
    assert not thread.is_alive(), "it has a minute to verify"
    assert stage.seen().reload.pending
    asked = health.asked
    health.unwell.clear()
    restarted(stage, primary, health)
    wait_until(acknowledged(stage, 1))
    assert health.asked > asked
    assert heard(primary) == [1], "the step was noted: it is only verified"


def test_a_request_does_not_cut_a_verify_short(stage: Stage) -> None:
    health = replace(stage.health(), stable_for_seconds=0.2)
    stage.watcher.set(name=b"good")
    pipeline = stage.bundle(NAME, primary=Primary(), health=health)
    stage.start(pipeline)
    wait_until(lambda: health.asked > 0)
    pipeline.ask("sync").result(ANSWERS_WITHIN_SECONDS)
    assert stage.seen().reload.acknowledged_generation == 1


def test_another_bundle_does_not_wait_for_a_verify(stage: Stage) -> None:
    health = replace(stage.health("good"), within_seconds=60.0)
    stage.watcher.set(name=b"good")
    stage.start(stage.bundle(NAME, primary=Primary(), health=health))
    wait_until(lambda: health.asked > 0)
    other = Primary()
    stage.start(stage.bundle(NAME, name="other", primary=other))
    wait_until(lambda: heard(other) == [1])
