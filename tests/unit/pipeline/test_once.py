"""`once`: the same pass, to its first end; what it says when that end is none."""

from __future__ import annotations

import time

import pytest

from confcar.errors import (
    CheckRefusedError,
    ConfcarError,
    LockedError,
    MissingDataError,
    PublishError,
    SourceDeniedError,
    SourceUnavailableError,
    TemplateError,
)
from confcar.log import Redactor
from confcar.pipeline.bundle import BundlePipeline
from tests.unit.pipeline.stage import BrokenCheck, Stage
from tests.waiting import wait_until

NAME = "{{ key('name') }}"


def ended(stage: Stage, pipeline: BundlePipeline, *, within: float = 5.0) -> ConfcarError | None:
    thread = stage.start(pipeline, until_published=True, deadline=time.monotonic() + within)
    thread.join(within + 5.0)
    assert not thread.is_alive()
    return pipeline.outcome.error


def test_it_ends_once_everything_is_published(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    assert ended(stage, stage.bundle(NAME)) is None
    assert stage.text() == "a"


def test_what_it_published_counts_as_known_to_the_primary(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    ended(stage, stage.bundle(NAME))
    assert stage.seen().reload.acknowledged_generation == 1
    assert stage.seen().reload.pending is False


def test_a_second_one_with_the_same_data_publishes_nothing(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    ended(stage, stage.bundle(NAME))
    assert ended(stage, stage.bundle(NAME)) is None
    assert stage.seen().generation == 1


def test_it_waits_for_data_that_is_not_there_yet(stage: Stage) -> None:
    pipeline = stage.bundle(NAME)
    thread = stage.start(pipeline, until_published=True)
    stage.wait_for_state("pending")
    stage.watcher.set(name=b"a")
    thread.join(5.0)
    assert (pipeline.outcome.error, stage.text()) == (None, "a")


def test_it_never_settles(stage: Stage) -> None:
    pipeline = stage.bundle(NAME, quiet=0.9)
    thread = stage.start(pipeline, until_published=True)
    stage.wait_for_state("pending")
    began = time.monotonic()
    stage.watcher.set(name=b"a")
    thread.join(5.0)
    assert time.monotonic() - began < 0.8


def test_data_still_missing_at_the_deadline_ends_with_4(stage: Stage) -> None:
    error = ended(stage, stage.bundle(NAME), within=0.2)
    assert isinstance(error, MissingDataError)
    assert (error.exit_code, str(error)) == (4, "missing: key('name') from local")


def test_a_source_still_away_at_the_deadline_ends_with_3(stage: Stage) -> None:
    stage.watcher.fail(lambda: SourceUnavailableError("connection refused"))
    error = ended(stage, stage.bundle(NAME), within=0.2)
    assert (type(error), str(error)) == (SourceUnavailableError, "connection refused")


def test_a_source_that_never_answered_at_all_ends_with_3(stage: Stage) -> None:
    # Wanted of nobody: the answer does not come.
    pipeline = stage.bundle(NAME)
    stage.following.close()
    error = ended(stage, pipeline, within=0.1)
    assert isinstance(error, SourceUnavailableError)
    assert error.exit_code == 3


def test_a_denied_path_ends_it_without_waiting_for_the_deadline(stage: Stage) -> None:
    stage.watcher.fail(lambda: SourceDeniedError("no read"))
    assert isinstance(ended(stage, stage.bundle(NAME)), SourceDeniedError)


def test_a_refused_check_ends_it_with_5(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    error = ended(stage, stage.bundle(NAME, command="false"))
    assert isinstance(error, CheckRefusedError)


@pytest.mark.parametrize("template", ["{{ 1 // (key('name') | int) }}", "{% if %}"], ids=["fails", "does not compile"])
def test_a_template_that_cannot_work_ends_it_with_4(stage: Stage, template: str) -> None:
    stage.watcher.set(name=b"0")
    assert isinstance(ended(stage, stage.bundle(template)), TemplateError)


def test_a_directory_that_cannot_be_used_ends_it_with_6(stage: Stage) -> None:
    (stage.folder / "web").write_text("in the way")
    stage.watcher.set(name=b"a")
    assert isinstance(ended(stage, stage.bundle(NAME)), PublishError)


def test_a_directory_that_another_one_holds_ends_it_with_6(stage: Stage) -> None:
    first = stage.bundle(NAME)
    first.open()
    stage.watcher.set(name=b"a")
    error = ended(stage, stage.bundle(NAME))
    first.close()
    assert isinstance(error, LockedError)


def test_a_bug_ends_it_with_1(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    broken = BrokenCheck(None, {}, Redactor(), [KeyError("s3cret")])
    error = ended(stage, stage.bundle(NAME, check=broken))
    assert error is not None
    assert error.exit_code == 1
    assert "s3cret" not in str(error)


def test_stop_ends_it_at_once_with_what_it_waited_for(stage: Stage) -> None:
    pipeline = stage.bundle(NAME)
    thread = stage.start(pipeline, until_published=True)
    stage.wait_for_state("pending")
    pipeline.stop()
    thread.join(1.0)
    assert not thread.is_alive()
    assert isinstance(pipeline.outcome.error, MissingDataError)


def test_one_bundle_that_fails_leaves_the_other_to_be_published(stage: Stage) -> None:
    stage.watcher.set(name=b"a")
    assert isinstance(ended(stage, stage.bundle(NAME, name="bad", command="false")), CheckRefusedError)
    assert ended(stage, stage.bundle(NAME, name="good")) is None
    wait_until(lambda: stage.text(name="good") == "a")
    assert stage.text(name="bad") is None
