"""When a bundle says that what it published before is in use no longer: never before its primary has acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from confcar.errors import ReloadError
from confcar.status import Status
from confcar.store import Store
from confcar.watchers.base import Watcher
from confcar.watchers.following import Following
from tests.unit.pipeline.stage import Primary, Stage
from tests.waiting import wait_until


class Listening(Following):
    """Remembers what it was told."""

    def __init__(self, watchers: Sequence[Watcher], *, store: Store, status: Status) -> None:
        super().__init__(watchers, store=store, status=status)
        self.said: list[str] = []

    def published(self, reader: str) -> None:
        self.said.append("published")
        super().published(reader)

    def settled(self, reader: str) -> None:
        if self.said[-1] != "settled":
            self.said.append("settled")
        super().settled(reader)


@pytest.fixture
def listening(stage: Stage) -> Listening:
    stage.following = Listening([stage.watcher], store=Store(), status=stage.status)
    return stage.following


def test_settled_comes_after_the_reload_that_worked(stage: Stage, listening: Listening) -> None:
    stage.watcher.set(a=b"1")
    primary = Primary(failures=[ReloadError("not yet")])
    stage.start(stage.bundle("{{ key('a') }}", primary=primary))
    stage.wait_for_text("1")
    wait_until(lambda: stage.seen().reload.attempts == 1)
    assert listening.said == ["published"]

    wait_until(lambda: listening.said == ["published", "settled"])
    assert len(primary.heard) == 1


def test_bundle_without_a_reload_settles_with_its_publish(stage: Stage, listening: Listening) -> None:
    stage.watcher.set(a=b"1")
    stage.start(stage.bundle("{{ key('a') }}"))

    wait_until(lambda: listening.said == ["published", "settled"])


def test_pending_bundle_settles_nothing(stage: Stage, listening: Listening, tmp_path: Path) -> None:
    stage.watcher.set(a=None)
    stage.start(stage.bundle("{{ key('a') }}"))
    stage.wait_for_state("pending")

    assert listening.said == []
