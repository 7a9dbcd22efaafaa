"""What others do to published files is put right, and the primary told only where it may have read something else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Publisher
from tests.unit.pipeline.stage import Primary, Stage
from tests.unit.publishing.samples import MODES
from tests.waiting import wait_until

NAME = "{{ key('name') }}"
OFTEN = 0.05
each_mode = pytest.mark.parametrize("mode", MODES)


def drifting(
    stage: Stage, *, mode: PublishMode = "swap", drift: float = OFTEN, primary: Primary | None = None
) -> Primary:
    """Start a bundle whose file 0 is `good` and acknowledged."""
    primary = primary or Primary()
    stage.watcher.set(name=b"good")
    publisher = Publisher("web", stage.folder / "web", mode=mode, keep=2)
    stage.start(stage.bundle(NAME, primary=primary, drift=drift, publisher=publisher))
    wait_until(lambda: stage.seen().reload.acknowledged_generation == 1)
    return primary


def repairs(stage: Stage) -> float:
    return stage.status.copy().counters.get(("drift_repaired_total", "web"), 0)


def _replaced(path: Path) -> None:
    path.unlink()
    path.write_text("evil")


@each_mode
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda path: path.write_text("evil"), id="edited"),
        pytest.param(lambda path: path.resolve().unlink(), id="deleted"),
        pytest.param(_replaced, id="replaced"),
        pytest.param(lambda path: path.parent.rename(path.parent.with_name("moved")), id="directory-gone"),
    ],
)
def test_other_content_is_put_right_by_a_new_generation_and_a_reload(
    stage: Stage, mode: PublishMode, act: Callable[[Path], object]
) -> None:
    primary = drifting(stage, mode=mode)
    act(stage.folder / "web" / "0")
    wait_until(lambda: stage.seen().reload.acknowledged_generation == 2)
    assert (stage.text(), repairs(stage)) == ("good", 1)
    assert [(change.generation, change.changed) for change in primary.heard] == [(1, ("0",)), (2, ("0",))]


@each_mode
def test_another_mode_is_put_right_without_a_reload(stage: Stage, mode: PublishMode) -> None:
    primary = drifting(stage, mode=mode)
    path = stage.folder / "web" / "0"
    path.chmod(0o604)
    wait_until(lambda: repairs(stage) == 1)
    wait_until(lambda: stage.seen().reload.acknowledged_generation == 2)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [change.generation for change in primary.heard] == [1]


def test_what_the_primary_was_not_told_of_yet_is_still_told_after_a_repair(stage: Stage) -> None:
    primary = Primary()
    drifting(stage, primary=primary)
    primary.failures.extend([OSError("away")] * 3)
    stage.watcher.set(name=b"next")
    wait_until(lambda: stage.seen().reload.last_error is not None)
    (stage.folder / "web" / "0").chmod(0o604)
    wait_until(lambda: stage.seen().reload.acknowledged_generation == 3)
    assert primary.heard[-1].changed == ("0",)


def test_drift_is_put_right_while_the_data_is_missing(stage: Stage) -> None:
    drifting(stage)
    stage.watcher.set(name=None)
    stage.wait_for_state("pending")
    (stage.folder / "web" / "0").write_text("evil")
    stage.wait_for_text("good")
    assert stage.seen().state == "pending"


def test_never_looked_for_where_the_config_says_so_but_at_a_sync(stage: Stage) -> None:
    primary = drifting(stage, drift=0.0)
    stage.watcher.set(name=None)
    stage.wait_for_state("pending")
    pipeline, _ = stage._running[0]
    (stage.folder / "web" / "0").write_text("evil")
    assert isinstance(pipeline.ask("sync").exception(10.0), Exception), "the data is missing"
    assert (stage.text(), repairs(stage)) == ("good", 1)
    wait_until(lambda: len(primary.heard) == 2)


def test_a_pass_that_finds_drift_counts_it_as_such(stage: Stage) -> None:
    drifting(stage, drift=0.0)
    stage.watcher.set(other=b"")
    (stage.folder / "web" / "0").write_text("evil")
    pipeline, _ = stage._running[0]
    pipeline.ask("sync").result(10.0)
    assert (stage.text(), repairs(stage), stage.seen().state) == ("good", 1, "published")


def test_drift_while_confcar_was_away_is_put_right_at_the_start(stage: Stage) -> None:
    drifting(stage)
    stage.close()
    (stage.folder / "web" / "0").write_text("evil")
    stage.reset()
    stage.start(stage.bundle(NAME, primary=Primary()))
    stage.wait_for_text("good")
    assert repairs(stage) == 1


def _rolled_back(stage: Stage, mode: PublishMode) -> None:
    drifting(stage, mode=mode)
    stage.watcher.set(name=b"next")
    wait_until(lambda: stage.seen().reload.acknowledged_generation == 2)
    pipeline, _ = stage._running[0]
    pipeline.ask("rollback").result(10.0)
    assert stage.text() == "good"


@each_mode
def test_what_came_back_is_repaired_from_confcars_own_copy(stage: Stage, mode: PublishMode) -> None:
    _rolled_back(stage, mode)
    path = stage.folder / "web" / "0"
    path.chmod(0o604)
    wait_until(lambda: path.stat().st_mode & 0o777 == 0o640)
    assert (stage.text(), stage.seen().state) == ("good", "refused")
    wait_until(lambda: stage.seen().generation == 3)
    assert stage.seen().refused is not None, "it is still held back"


def test_what_nobody_has_any_more_is_told_once(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    _rolled_back(stage, "swap")
    with caplog.at_level(logging.ERROR):
        (stage.folder / "web" / "0").write_text("evil")
        told = "published files were changed by others, and nobody has them any more"
        wait_until(lambda: told in caplog.messages)
        stage.watcher.set(name=b"third")
        stage.wait_for_text("third")
    assert caplog.messages.count(told) == 1
