"""Death before, in the middle of, and after every change that a publish or a start makes on disk.

Once dead, no change reaches the disk any more, whatever handlers still run: that is what kill -9 does.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from confcar.errors import PublishError
from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Publisher
from tests.unit.publishing.disks import FailingDisk, Killed, KilledDisk
from tests.unit.publishing.samples import MODES, opened, publish
from tests.unit.publishing.world import prepared

# No publish or start of this size makes as many changes; the loops end where the first attempt survives.
MANY = 200


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
        world = prepared(memory_path / str(at), mode, with_old=with_old)
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
        world = prepared(memory_path / str(at), mode, with_old=True)
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
        world = prepared(memory_path / str(at), mode, with_old=with_old)
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
        world = prepared(memory_path / str(at), mode, with_old=True)
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
