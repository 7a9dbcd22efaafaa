"""A whole run, killed at every change it makes on disk: publish, reload, verify, the way back, the reload after it.

The next start ends where an undisturbed run would have: with the last good files, a primary that knows them, and the
bad data held back.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from confcar.model import Change
from confcar.publishing.disk import Disk
from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Publisher
from tests.unit.pipeline.stage import Health, Primary, Stage
from tests.unit.publishing.disks import Killed, KilledDisk
from tests.unit.publishing.samples import MODES, leftovers
from tests.waiting import wait_until

NAME = "{{ key('name') }}"
# No run of this size makes as many changes; the loop ends where the first run survives.
MANY = 400


@dataclass
class ReadingPrimary(Primary):
    """Reads its file when it is told to."""

    path: Path = Path()
    read: list[str] = field(default_factory=list)

    def deliver(self, change: Change, step: int, on_step: Callable[[int], None]) -> None:
        if step < len(self.kinds):
            self.read.append(self.path.read_text())
        super().deliver(change, step, on_step)


class World:
    """One bundle in one folder, process after process."""

    def __init__(self, folder: Path, mode: PublishMode) -> None:
        self.stage = Stage(folder)
        self.mode = mode
        self.directory = folder / "web"
        self.primary = ReadingPrimary(path=self.directory / "0")
        self.stage.watcher.set(name=b"good")

    def run(self, disk: Disk | None = None, *, until: Callable[[], bool]) -> None:
        """Be one process: run until killed, or until all is as it should be."""
        publisher = Publisher("web", self.directory, mode=self.mode, keep=2, disk=disk)
        health = Health(self.directory / "0", {"bad"}, within_seconds=0.001)
        pipeline = self.stage.bundle(NAME, primary=self.primary, health=health, publisher=publisher)

        def live() -> None:
            with suppress(Killed):
                pipeline.run()

        thread = threading.Thread(target=live, name="confcar-bundle-web")
        thread.start()
        wait_until(lambda: not thread.is_alive() or until(), step=0.002)
        pipeline.stop()
        self.stage.close()
        thread.join(10.0)
        assert not thread.is_alive()
        assert not self.directory.exists() or self.stage.text() in {"good", "bad"}, "a reader finds a whole file"

    def is_good(self) -> bool:
        return self.stage.seen().reload.acknowledged_generation == 1

    def is_taken_back(self) -> bool:
        seen = self.stage.seen()
        return seen.state == "refused" and not seen.reload.pending and seen.reload.acknowledged_generation == 1

    def next_process(self) -> None:
        self.stage.reset()
        self.stage.watcher.set(name=b"bad")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MODES)
def test_killed_at_any_change_the_next_start_ends_with_the_last_good_files_told(
    memory_path: Path, mode: PublishMode
) -> None:
    first = World(memory_path / "first", mode)
    first.run(until=first.is_good)
    for at in range(MANY):
        world = World(memory_path / str(at), mode)
        shutil.copytree(first.directory, world.directory, symlinks=True)
        world.stage.close()
        world.next_process()
        disk = KilledDisk(at)
        world.run(disk, until=world.is_taken_back)
        world.next_process()
        world.run(until=world.is_taken_back)
        assert (world.stage.text(), world.primary.read[-1]) == ("good", "good"), f"killed at {at}"
        refused = world.stage.seen().refused
        assert refused is not None
        assert (world.stage.seen().generation, refused.generation) == (1, 2), "the bad data was not published again"
        assert leftovers(world.directory) == []
        shutil.rmtree(world.stage.folder)
        if not disk.is_dead:
            assert at > 40, "publish, notes, the way back and notes again"
            break
    else:
        pytest.fail("no run survived")
