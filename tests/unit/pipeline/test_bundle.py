"""A bundle's pass from changed data to a told primary, and how it gets through every kind of trouble."""

from __future__ import annotations

import os
import time

import pytest

from confcar.config.bundles import TemplateOptions
from confcar.errors import PublishError, SourceDeniedError, SourceUnavailableError
from confcar.log import Redactor
from confcar.publishing.publisher import Publisher
from tests.unit.pipeline.stage import NAME, BrokenCheck, Primary, Stage, elapsed
from tests.waiting import wait_until


def test_first_complete_read_is_published_without_settling(stage: Stage) -> None:
    stage.watcher.set(name=b"first")
    began = time.monotonic()
    stage.start(stage.bundle(NAME, quiet=0.9))
    stage.wait_for_text("first")
    assert elapsed(began) < 0.8


def test_later_changes_settle(stage: Stage) -> None:
    primary = Primary()
    stage.watcher.set(name=b"first")
    stage.start(stage.bundle(NAME, primary=primary, quiet=0.25))
    wait_until(lambda: len(primary.heard) == 1)
    began = time.monotonic()
    for number in range(10):
        stage.watcher.set(name=b"%d" % number)
    stage.wait_for_text("9")
    assert elapsed(began) >= 0.25
    wait_until(lambda: [change.generation for change in primary.heard] == [1, 2])


def test_two_files_of_one_change_are_one_generation_and_one_reload(stage: Stage) -> None:
    primary = Primary()
    stage.watcher.set(name=b"a")
    stage.start(stage.bundle(NAME, f"x {NAME}", primary=primary))
    stage.wait_for_text("x a", "1")
    stage.watcher.set(name=b"b")
    wait_until(lambda: len(primary.heard) == 2)
    assert (stage.text("0"), stage.text("1")) == ("b", "x b")
    assert (primary.heard[1].generation, primary.heard[1].changed) == (2, ("0", "1"))


def test_a_change_that_changes_no_file_publishes_nothing(stage: Stage) -> None:
    primary = Primary()
    stage.watcher.set(name=b"same", other=b"1")
    stage.start(stage.bundle("{{ key('name') }}{% if key('other') %}{% endif %}", primary=primary))
    wait_until(lambda: len(primary.heard) == 1)
    rendered = stage.status.copy().counters[("render_total", "web", "rendered")]
    stage.watcher.set(other=b"2")
    wait_until(lambda: stage.status.copy().counters[("render_total", "web", "rendered")] > rendered)
    assert (stage.seen().generation, len(primary.heard)) == (1, 1)


def test_missing_data_is_pending_and_published_when_it_comes(stage: Stage) -> None:
    stage.start(stage.bundle(NAME))
    seen = stage.wait_for_state("pending")
    assert [(item.path, item.reason) for item in seen.missing] == [("name", "not found")]
    stage.watcher.set(name=b"here")
    stage.wait_for_text("here")
    assert stage.wait_for_state("published").missing == ()


def test_a_key_that_vanishes_keeps_the_last_good_file(stage: Stage) -> None:
    primary = Primary()
    stage.watcher.set(name=b"good")
    stage.start(stage.bundle(NAME, primary=primary))
    stage.wait_for_text("good")
    stage.watcher.set(name=None)
    stage.wait_for_state("pending")
    assert (stage.text(), stage.seen().generation, len(primary.heard)) == ("good", 1, 1)


def test_an_outage_after_the_first_read_changes_nothing(stage: Stage) -> None:
    stage.watcher.set(name=b"good")
    stage.start(stage.bundle(NAME))
    stage.wait_for_text("good")
    stage.watcher.fail(lambda: SourceUnavailableError("away"))
    wait_until(lambda: stage.status.copy().sources["local"].up is False)
    assert (stage.seen().state, stage.text()) == ("published", "good")


def test_a_template_that_fails_on_its_data_keeps_the_last_good_file_and_says_why(stage: Stage) -> None:
    stage.watcher.set(name=b"2")
    stage.start(stage.bundle("{{ 10 // (key('name') | int) }}"))
    stage.wait_for_text("5")
    stage.watcher.set(name=b"0")
    seen = stage.wait_for_state("failed")
    assert seen.error is not None
    assert "content of 0:1" in seen.error
    assert stage.text() == "5"
    stage.watcher.set(name=b"5")
    stage.wait_for_text("2")
    assert stage.wait_for_state("published").error is None


def test_a_directory_that_cannot_be_used_yet_is_tried_again(stage: Stage) -> None:
    (stage.folder / "web").write_text("in the way")
    stage.watcher.set(name=b"a")
    pipeline = stage.bundle(NAME)
    pipeline.open()
    stage.start(pipeline)
    assert "web" in (stage.wait_for_state("failed").error or "")
    (stage.folder / "web").unlink()
    stage.wait_for_text("a")


def test_what_is_published_is_shown_although_the_data_is_not_there(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    stage.start(stage.bundle(NAME), until_published=True).join(5.0)
    stage.watcher.set(name=None)
    stage.start(stage.bundle(NAME))
    assert stage.wait_for_state("pending").generation == 1


def test_an_unexpected_error_in_a_part_does_not_end_the_bundle(stage: Stage) -> None:
    broken = BrokenCheck(None, {}, Redactor(), [KeyError("s3cret")])
    stage.watcher.set(name=b"a")
    stage.start(stage.bundle(NAME, check=broken))
    assert stage.wait_for_state("failed").error == "unexpected KeyError in the bundle web, see the log"
    stage.wait_for_text("a")


def test_an_unexpected_error_outside_of_the_pass_fails_liveness_and_says_so(stage: Stage) -> None:
    class BrokenPublisher(Publisher):
        def finish(self) -> None:
            raise KeyError("s3cret")  # noqa: EM101 - a value that a library quotes

    stage.watcher.set(name=b"a")
    publisher = BrokenPublisher("web", stage.folder / "web", mode="swap", keep=2)
    pipeline = stage.bundle(NAME, publisher=publisher)
    stage.start(pipeline).join(5.0)
    assert stage.seen().error == "unexpected KeyError in the bundle web, see the log"
    assert pipeline.outcome.error is not None
    assert pipeline.outcome.error.exit_code == 1
    wait_until(lambda: stage.status.copy().late == ("bundle web",))


def test_what_cannot_be_written_down_after_a_publish_is_tried_again(stage: Stage) -> None:
    class FullPublisher(Publisher):
        attempts = 0

        def finish(self) -> None:
            self.attempts += 1
            if self.attempts == 2:  # the first finds nothing to do
                raise PublishError("no space")  # noqa: EM101 - as short as it gets
            super().finish()

    stage.watcher.set(name=b"a")
    publisher = FullPublisher("web", stage.folder / "web", mode="swap", keep=2)
    stage.start(stage.bundle(NAME, publisher=publisher))
    wait_until(lambda: publisher.attempts >= 3)
    assert (stage.text(), stage.seen().state) == ("a", "published")


def test_a_template_that_is_mounted_late_is_picked_up(stage: Stage) -> None:
    source = stage.folder / "late.j2"
    stage.watcher.set(name=b"a")
    stage.start(stage.bundle(templates=[TemplateOptions(source=source, destination="0")]))
    assert "late.j2" in (stage.wait_for_state("failed").error or "")
    source.write_text(NAME)
    stage.wait_for_text("a")


def test_stop_during_a_back_off_is_immediate(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    pipeline = stage.bundle(NAME, command="false")
    thread = stage.start(pipeline)
    stage.wait_for_state("refused")
    began = time.monotonic()
    pipeline.stop()
    thread.join(5.0)
    assert elapsed(began) < 0.3


def test_stop_while_settling_publishes_nothing_more(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    pipeline = stage.bundle(NAME, quiet=0.9)
    thread = stage.start(pipeline)
    stage.wait_for_state("published")
    stage.watcher.set(name=b"b")
    wait_until(lambda: pipeline._inbox.has_news)
    pipeline.stop()
    thread.join(5.0)
    assert stage.text() == "a"


def test_its_end_leaves_the_directory_to_others_and_no_beat_behind(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    first = stage.bundle(NAME)
    thread = stage.start(first)
    stage.wait_for_text("a")
    first.stop()
    thread.join(5.0)
    second = stage.bundle(NAME)
    second.open()
    second.close()
    assert not [loop for loop in stage.status._beats if loop.startswith("bundle")]


def test_a_bundle_that_works_says_by_when_it_moves_again_and_one_that_waits_does_not(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    go = stage.folder / "go"
    stage.start(stage.bundle(NAME, command=f"touch {go}.here; while ! test -e {go}; do sleep 0.02; done"))
    wait_until(lambda: os.path.exists(f"{go}.here"))  # noqa: PTH110 - a name, not a place
    assert "bundle web" in stage.status._beats
    go.touch()
    stage.wait_for_text("a")
    wait_until(lambda: "bundle web" not in stage.status._beats)


@pytest.mark.parametrize("state", ["rendered", "pending", "failed"])
def test_passes_are_counted_by_how_they_ended(stage: Stage, state: str) -> None:
    value = {"rendered": b"1", "pending": None, "failed": b"0"}[state]
    stage.watcher.set(name=value)
    stage.start(stage.bundle("{{ 1 // (key('name') | int) }}"))
    wait_until(lambda: stage.status.copy().counters.get(("render_total", "web", state)))
    assert stage.status.copy().counters[("render_total", "web", state)] == 1
    assert ("render_duration_seconds", "web") in stage.status.copy().gauges


def test_a_denied_path_is_told_with_its_reason(stage: Stage) -> None:
    stage.watcher.fail(lambda: SourceDeniedError("no read on name"))
    stage.start(stage.bundle(NAME))
    assert [item.reason for item in stage.wait_for_state("pending").missing] == ["no read on name"]
