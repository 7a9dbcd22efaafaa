"""A splay spreads reloads and holds up nothing else."""

from __future__ import annotations

from tests.unit.pipeline.stage import Primary, Stage
from tests.waiting import wait_until

NAME = "{{ key('name') }}"


def test_a_splay_holds_up_neither_publishing_nor_another_bundle(stage: Stage) -> None:
    slow, fast = Primary(), Primary()
    stage.watcher.set(name=b"first")
    stage.start(stage.bundle(NAME, primary=slow, splay=3600.0))
    stage.wait_for_text("first")
    stage.start(stage.bundle(NAME, name="other", primary=fast))
    stage.watcher.set(name=b"second")
    stage.wait_for_text("second")
    wait_until(lambda: fast.heard and stage.text(name="other") == "second")
    assert slow.heard == []
