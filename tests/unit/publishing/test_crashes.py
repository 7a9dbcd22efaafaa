"""Death before, in the middle of, and after every change that a publish or a start makes on disk.

Once dead, no change reaches the disk any more, whatever handlers still run: that is what kill -9 does.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from confcar.errors import PublishError
from confcar.model import RenderedFile
from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Publisher
from tests.unit.publishing.disks import FailingDisk, Killed, KilledDisk
from tests.unit.publishing.samples import MODES, behind_data, file, leftovers, opened, publish, visible

# No publish or start of this size makes as many changes; the loops end where the first attempt survives.
MANY = 200


class World:
    """A bundle of two inside files and one outside, and what its readers may see."""

    def __init__(self, root: Path, mode: PublishMode) -> None:
        self.directory = root / "web"
        self.mode = mode
        self.outside = root / "etc"

    def old(self) -> list[RenderedFile]:
        return [file("a", "old"), file("d/gone", "old"), file(self.outside / "x", "old"), file(self.outside / "gone")]

    def new(self) -> list[RenderedFile]:
        return [file("a", "new"), file("d/added", "new"), file(self.outside / "x", "new"), file(self.outside / "add")]

    def seen(self) -> dict[str, str]:
        return {**visible(self.directory), **{f"outside/{n}": text for n, text in visible(self.outside).items()}}

    def told(self, wanted: list[RenderedFile]) -> dict[str, str]:
        names = {each.destination: each.content.decode() for each in wanted}
        return {name.replace(str(self.outside), "outside"): text for name, text in names.items()}

    def attempt(self, disk: KilledDisk | FailingDisk) -> Publisher:
        """Publish the new set on that disk; return the publisher, dead or alive."""
        publisher = Publisher("web", self.directory, mode=self.mode, keep=1, disk=disk)
        try:
            publisher.open()
            publisher.publish(publisher.stage(self.new()), acknowledged=False)
            with suppress(PublishError):  # it is shown by now; only a power cut could still take it back
                publisher.finish()
        finally:
            publisher.close()
        return publisher

    def assert_no_file_is_torn(self) -> None:
        assert set(self.seen().values()) <= {"old", "new", "text\n", "(dangling)"}

    def assert_data_is_whole(self) -> None:
        inside = [
            {each.destination: each.content.decode() for each in wanted if not each.is_outside}
            for wanted in (self.old(), self.new())
        ]
        assert behind_data(self.directory) in [*inside, None]

    def reopen(self) -> str:
        """Start again; return which set is there, whole."""
        publisher = opened(self.directory, self.mode, keep=1)
        seen = self.seen()
        state = publisher.state
        publisher.close()
        assert leftovers(self.directory) + leftovers(self.outside) == []
        if seen == self.told(self.new()):
            assert state.current == state.highest
            return "new"
        assert seen == (self.told(self.old()) if state.current else {})
        return "old"

    def assert_can_go_on(self) -> None:
        publisher = opened(self.directory, self.mode, keep=1)
        publish(publisher, self.new())
        assert self.seen() == self.told(self.new())
        assert publisher.compare(self.new()) == ()
        publisher.close()


def _prepared(root: Path, mode: PublishMode, *, with_old: bool) -> World:
    root.mkdir()
    world = World(root, mode)
    world.outside.mkdir()
    if with_old:
        publisher = opened(world.directory, mode, keep=1)
        publish(publisher, world.old())
        publisher.close()
    return world


def _without_stale(seen: dict[str, str], disk: FailingDisk) -> dict[str, str]:
    """Leave out what could not be removed: that is logged, and no reason to hold back the new files."""
    if disk.failed != "remove":
        return seen
    return {name: text for name, text in seen.items() if not name.endswith("gone")}


@pytest.mark.parametrize("with_old", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("mode", MODES)
def test_killed_at_any_change_readers_see_whole_sets_and_the_next_start_finishes_or_undoes(
    memory_path: Path, mode: PublishMode, *, with_old: bool
) -> None:
    outcomes = []
    for at in range(MANY):
        world = _prepared(memory_path / str(at), mode, with_old=with_old)
        disk = KilledDisk(at)
        with suppress(Killed):
            world.attempt(disk)
        world.assert_no_file_is_torn()
        world.assert_data_is_whole()
        outcomes.append(world.reopen())
        world.assert_can_go_on()
        if not disk.is_dead:
            break
    assert set(outcomes) == {"old", "new"}
    assert outcomes == sorted(outcomes, reverse=True), "once a publish is sure to be finished it stays so"
    assert len(outcomes) < MANY


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("first_death", range(24, 60, 7))
def test_killed_again_while_recovering_still_ends_whole(memory_path: Path, mode: PublishMode, first_death: int) -> None:
    outcomes = set()
    for at in range(MANY):
        world = _prepared(memory_path / str(at), mode, with_old=True)
        with suppress(Killed):
            world.attempt(KilledDisk(first_death))
        disk = KilledDisk(at)
        publisher = Publisher("web", world.directory, mode=mode, keep=1, disk=disk)
        with suppress(Killed):
            publisher.open()
        publisher.close()
        world.assert_no_file_is_torn()
        world.assert_data_is_whole()
        outcomes.add(world.reopen())
        if not disk.is_dead:
            break
    assert len(outcomes) == 1


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for-good"])
@pytest.mark.parametrize("with_old", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("mode", MODES)
def test_any_change_failing_leaves_everything_as_before_or_publishes(
    memory_path: Path, mode: PublishMode, *, with_old: bool, lasting: bool
) -> None:
    for at in range(MANY):
        world = _prepared(memory_path / str(at), mode, with_old=with_old)
        disk = FailingDisk(at, lasting=lasting)
        try:
            world.attempt(disk)
        except PublishError as error:
            assert "no space left on device; free some space" in str(error)  # noqa: PT017 - either outcome is fine
            # What fails half-way through the renames, on a disk that stays full, is left to the next start.
            if not (lasting and disk.failed in {"rename", "sync_folder"}):
                assert world.seen() == (world.told(world.old()) if with_old else {}), f"{disk.failed} at {at}"
                assert world.reopen() == "old"
            world.assert_data_is_whole()
            world.reopen()
        else:
            assert _without_stale(world.seen(), disk) == world.told(world.new()), f"{disk.failed} at {at}"
        world.assert_can_go_on()
        if disk.failed is None:
            break
    else:
        pytest.fail("no publish survived")


@pytest.mark.parametrize("mode", MODES)
def test_failed_publish_is_possible_again_in_the_same_process(memory_path: Path, mode: PublishMode) -> None:
    for at in range(MANY):
        world = _prepared(memory_path / str(at), mode, with_old=True)
        disk = FailingDisk(at)
        publisher = opened(world.directory, mode, keep=1)
        before = publisher.state
        publisher._disk = disk  # from here on, not while it opens
        publisher._revealer._disk = disk
        with suppress(PublishError):
            publish(publisher, world.new())
        if publisher.state == before:
            assert publisher.compare(world.new()) == publisher.stage(world.new()).change.changed
            publish(publisher, world.new())
        assert _without_stale(world.seen(), disk) == world.told(world.new())
        publisher.close()
        if disk.failed is None:
            break
    else:
        pytest.fail("no publish survived")
