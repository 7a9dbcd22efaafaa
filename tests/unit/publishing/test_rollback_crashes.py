"""Death before, in the middle of, and after every change that going back makes on disk, and each of them failing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from confcar.errors import PublishError
from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Publisher
from tests.unit.publishing.disks import FailingDisk, Killed, KilledDisk
from tests.unit.publishing.samples import MODES, opened
from tests.unit.publishing.world import World, prepared

MANY = 200


def _with_new(root: Path, mode: PublishMode) -> World:
    """Return a world whose primary knows the old set, and whose readers see the new one."""
    world = prepared(root, mode, with_old=True)
    publisher = opened(world.directory, mode, keep=1)
    publisher.acknowledge(1)
    publisher.publish(publisher.stage(world.new()), acknowledged=False, inputs="new")
    publisher.finish()
    publisher.note_step(2, 1)
    publisher.close()
    return world


def _go_back(world: World, disk: KilledDisk | FailingDisk) -> Publisher:
    publisher = Publisher("web", world.directory, mode=world.mode, keep=1, disk=disk)
    try:
        publisher.open()
        publisher.roll_back(reason="unwell", inputs="", by_hand=False)
        with suppress(PublishError):  # it is shown by now; only a power cut could still take it back
            publisher.finish()
    finally:
        publisher.close()
    return publisher


def _reopen(world: World) -> str:
    """Start again; return which set is there, whole, with all that has to be known of it."""
    publisher = opened(world.directory, world.mode, keep=1)
    state, seen = publisher.state, world.seen()
    publisher.close()
    if seen == world.told(world.new()):
        assert (state.current, state.acknowledged, state.refused) == (2, 1, None), "it is told and verified again"
        assert state.step == 1
        return "new"
    assert seen == world.told(world.old())
    assert (state.current, state.acknowledged, state.highest, state.step) == (1, None, 2, 0), "it is owed a reload"
    assert state.refused is not None
    assert (state.refused.generation, state.refused.inputs) == (2, "new")
    return "old"


@pytest.mark.parametrize("mode", MODES)
def test_killed_at_any_change_readers_see_whole_sets_and_the_next_start_is_before_or_after(
    memory_path: Path, mode: PublishMode
) -> None:
    outcomes = []
    for at in range(MANY):
        world = _with_new(memory_path / str(at), mode)
        disk = KilledDisk(at)
        with suppress(Killed):
            _go_back(world, disk)
        world.assert_no_file_is_torn()
        world.assert_data_is_whole()
        outcomes.append(_reopen(world))
        world.assert_can_go_on()
        if not disk.is_dead:
            break
    assert set(outcomes) == {"old", "new"}
    assert outcomes == sorted(outcomes), "once it is sure to go back it stays so"
    assert len(outcomes) < MANY


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("first_death", range(4, 28, 4))
def test_killed_again_while_recovering_still_ends_whole(memory_path: Path, mode: PublishMode, first_death: int) -> None:
    outcomes = set()
    for at in range(MANY):
        world = _with_new(memory_path / str(at), mode)
        with suppress(Killed):
            _go_back(world, KilledDisk(first_death))
        disk = KilledDisk(at)
        publisher = Publisher("web", world.directory, mode=mode, keep=1, disk=disk)
        with suppress(Killed):
            publisher.open()
        publisher.close()
        world.assert_no_file_is_torn()
        world.assert_data_is_whole()
        outcomes.add(_reopen(world))
        if not disk.is_dead:
            break
    assert len(outcomes) == 1


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for-good"])
@pytest.mark.parametrize("mode", MODES)
def test_any_change_failing_leaves_everything_as_before_or_goes_back(
    memory_path: Path, mode: PublishMode, *, lasting: bool
) -> None:
    for at in range(MANY):
        world = _with_new(memory_path / str(at), mode)
        disk = FailingDisk(at, lasting=lasting)
        with suppress(PublishError):
            _go_back(world, disk)
        world.assert_no_file_is_torn()
        world.assert_data_is_whole()
        _reopen(world)
        world.assert_can_go_on()
        if disk.failed is None:
            break
    else:
        pytest.fail("going back never succeeded")
