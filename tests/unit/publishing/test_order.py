"""What a power cut could lose at each point: the order of changes and syncs, seen by a disk that keeps the books."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from confcar.publishing.layout import PublishMode, temporary_name
from tests.unit.publishing.disks import RecordingDisk
from tests.unit.publishing.samples import MODES, file, opened, publish


def _published(root: Path, mode: PublishMode) -> RecordingDisk:
    """Publish twice, and return the books of the second time."""
    disk = RecordingDisk()
    publisher = opened(root / "web", mode, disk=disk)
    publish(publisher, [file("a", "1"), file("d/b", "1"), file(root / "out" / "c", "1")])
    disk.dirty, disk.log, disk.syncs = set(), [], 0
    publish(publisher, [file("a", "2"), file("d/b", "2"), file(root / "out" / "c", "2")])
    return disk


def test_all_is_durable_before_data_is_switched(tmp_path: Path) -> None:
    disk = _published(tmp_path, "swap")
    # Of the folder outside only the name of the temporary file could be lost, which a start makes again.
    assert disk.dirty_before("link", tmp_path / "web" / "..data.tmp") <= {str(tmp_path / "out")}
    calls = [(name, Path(path).name) for name, path, _ in disk.log]
    switch = calls.index(("rename", "..data"))
    assert calls.index(("rename", "..confcar.json")) < switch
    assert ("sync_folder", "web") in calls[switch:]


@pytest.mark.parametrize("mode", MODES)
def test_all_is_durable_before_the_first_file_is_renamed(tmp_path: Path, mode: PublishMode) -> None:
    disk = _published(tmp_path, mode)
    targets = [tmp_path / "out" / "c", *([tmp_path / "web" / "a", tmp_path / "web" / "d" / "b"] * (mode == "rename"))]
    folders = {str(target.parent) for target in targets}
    first = next(dirty for name, path, dirty in disk.log if name == "rename" and Path(path) in targets)
    # Of the folders themselves only the names of the temporary files could be lost, which a start makes again.
    assert first <= folders
    for target in targets:
        renamed = [at for at, (name, path, _) in enumerate(disk.log) if (name, path) == ("rename", str(target))]
        synced = [
            at for at, (name, path, _) in enumerate(disk.log) if (name, path) == ("sync_folder", str(target.parent))
        ]
        assert len(renamed) == 1
        assert synced[-1] > renamed[0]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_can_be_lost_once_publish_returns(tmp_path: Path, mode: PublishMode) -> None:
    assert _published(tmp_path, mode).dirty == set()


@pytest.mark.parametrize("mode", MODES)
def test_nothing_can_be_lost_once_a_note_returns(tmp_path: Path, mode: PublishMode) -> None:
    disk = RecordingDisk()
    publisher = opened(tmp_path / "web", mode, disk=disk)
    publish(publisher, [file("a")])
    publisher.note_step(1, 1)
    assert disk.dirty == set()
    publisher.acknowledge(1)
    assert disk.dirty == set()


def test_a_small_swap_costs_three_syncs_before_the_primary_can_be_told(tmp_path: Path) -> None:
    """Two files and their folder; then the state and the folder of the switch, once for the acknowledgement as well."""
    disk = RecordingDisk()
    publisher = opened(tmp_path / "web", disk=disk)
    publish(publisher, [file("a", "1"), file("b", "1")])
    disk.syncs = 0
    publisher.publish(publisher.stage([file("a", "2"), file("b", "1")]), acknowledged=False)
    assert disk.syncs == 3
    publisher.acknowledge(2)
    publisher.finish()
    assert disk.syncs == 5
    assert disk.dirty == set()


@pytest.mark.parametrize("mode", MODES)
def test_many_files_are_made_durable_by_one_sync_before_they_are_seen(tmp_path: Path, mode: PublishMode) -> None:
    disk = RecordingDisk()
    publisher = opened(tmp_path / "web", mode, disk=disk)
    publish(publisher, [file(f"d/{number}", "1") for number in range(200)])
    disk.dirty, disk.log, disk.syncs = set(), [], 0
    files = [file(f"d/{number}", "2" if number == 7 else "1") for number in range(200)]
    publisher.publish(publisher.stage(files), acknowledged=False)
    calls = [name for name, _, _ in disk.log]
    assert calls.index("sync_file_system") < calls.index("rename")
    assert disk.syncs < 10
    publisher.finish()
    assert disk.dirty == set()


def test_many_files_are_synced_one_by_one_where_the_kernel_knows_no_other_way(tmp_path: Path) -> None:
    class OldDisk(RecordingDisk):
        def sync_file_system(self, descriptor: int) -> None:
            raise NotImplementedError(descriptor)

        def _step(self, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            if name != "sync_file_system":
                super()._step(name, args, named)

    disk = OldDisk()
    publisher = opened(tmp_path / "web", disk=disk)
    publish(publisher, [file(f"d/{number}", "1") for number in range(100)])
    assert disk.syncs > 100
    assert disk.dirty == set()


def test_files_that_did_not_change_are_not_renamed(tmp_path: Path) -> None:
    disk = RecordingDisk()
    publisher = opened(tmp_path / "web", "rename", disk=disk)
    publish(publisher, [file("a", "1"), file("b", "1")])
    disk.log = []
    publish(publisher, [file("a", "2"), file("b", "1")])
    renamed = [Path(path).name for name, path, _ in disk.log if name == "rename"]
    assert renamed == ["..confcar.json", "a"]
    assert temporary_name("a") != temporary_name("b")
