"""What others do to published files: found, told apart by whether readers see other content, and put right."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Drift, Publisher
from tests.unit.publishing.samples import MODES, files, opened, visible

each_mode = pytest.mark.parametrize("mode", MODES)
WANTED = files(a="one", d__b="two")


def drifting(directory: Path, mode: PublishMode) -> Publisher:
    publisher = opened(directory, mode)
    publisher.publish(publisher.stage(WANTED), acknowledged=True, inputs="known")
    publisher.finish()
    return publisher


def _set_back(path: Path) -> None:
    """Write other content of the same length, and set size and times back to what they were."""
    before = path.stat()
    path.write_text("eno")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _replace(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)
    path.chmod(0o640)


@each_mode
def test_nothing_drifts_by_itself(tmp_path: Path, mode: PublishMode) -> None:
    assert drifting(tmp_path, mode).find_drift() == Drift()


@each_mode
@pytest.mark.parametrize(
    ("act", "drift"),
    [
        pytest.param(lambda root: (root / "a").write_text("x"), Drift(("a",), ("a",)), id="content"),
        pytest.param(lambda root: _set_back(root / "a"), Drift(("a",), ("a",)), id="times-set-back"),
        pytest.param(lambda root: (root / "a").chmod(0o604), Drift(("a",), ()), id="mode"),
        pytest.param(lambda root: (root / "d/b").resolve().unlink(), Drift(("d/b",), ("d/b",)), id="deleted"),
        pytest.param(lambda root: _replace(root / "a", "x"), Drift(("a",), ("a",)), id="replaced"),
        pytest.param(
            lambda root: ((root / "x").write_text("x"), (root / "a").unlink(), (root / "a").symlink_to("x")),
            Drift(("a",), ("a",)),
            id="link-elsewhere",
        ),
        pytest.param(
            lambda root: _make_fifo((root / "d/b").resolve()),
            Drift(("d/b",), ("d/b",)),
            id="fifo",
        ),
    ],
)
def test_what_others_do_is_found(
    tmp_path: Path, mode: PublishMode, act: Callable[[Path], object], drift: Drift
) -> None:
    publisher = drifting(tmp_path, mode)
    act(tmp_path)
    assert publisher.find_drift() == drift


def test_a_link_replaced_by_a_copy_shows_readers_the_same_content(tmp_path: Path) -> None:
    publisher = drifting(tmp_path, "swap")
    _replace(tmp_path / "a", "one")
    assert publisher.find_drift() == Drift(("a",), ())


def test_a_plain_file_replaced_by_a_link_to_the_same_content_is_drift_too(tmp_path: Path) -> None:
    publisher = drifting(tmp_path, "rename")
    (tmp_path / "a").rename(tmp_path / "moved")
    (tmp_path / "a").symlink_to("moved")
    assert publisher.find_drift() == Drift(("a",), ())


def test_data_that_leads_elsewhere_hides_all_files(tmp_path: Path) -> None:
    publisher = drifting(tmp_path, "swap")
    publisher.publish(publisher.stage(files(a="one", d__b="new")), acknowledged=True, inputs="known")
    (tmp_path / "..data").unlink()
    (tmp_path / "..data").symlink_to("..generation-000001")
    assert publisher.find_drift() == Drift(("a", "d/b"), ("d/b",))


@each_mode
def test_a_directory_that_is_gone_is_all_drift(tmp_path: Path, mode: PublishMode) -> None:
    publisher = drifting(tmp_path / "web", mode)
    shutil.rmtree(tmp_path / "web")
    assert publisher.find_drift() == Drift(("a", "d/b"), ("a", "d/b"))
    publisher.publish(publisher.stage(WANTED), acknowledged=False, inputs="known", is_repair=True)
    assert visible(tmp_path / "web") == {"a": "one", "d/b": "two"}


@each_mode
def test_what_it_was_made_of_must_be_known_before_it_can_drift(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publisher.publish(publisher.stage(WANTED), acknowledged=True)
    (tmp_path / "a").write_text("x")
    assert publisher.find_drift() == Drift()
    publisher.note_origin(WANTED, "known")
    assert publisher.find_drift() == Drift(("a",), ("a",))


@each_mode
def test_a_repair_is_a_new_generation_and_no_way_back_to_the_damaged_one(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publisher.publish(publisher.stage(files(a="old")), acknowledged=True, inputs="old")
    publisher.publish(publisher.stage(WANTED), acknowledged=True, inputs="known")
    for number in (3, 4, 5):
        (tmp_path / "a").write_text("x")
        publisher.publish(publisher.stage(WANTED), acknowledged=True, inputs="known", is_repair=True)
        publisher.finish()
        assert publisher.state.current == number
        assert visible(tmp_path) == {"a": "one", "d/b": "two"}
    assert publisher.roll_back(reason="", inputs="", by_hand=True).generation == 1
    assert visible(tmp_path) == {"a": "old"}


@each_mode
def test_files_are_recalled_from_confcars_own_copy_as_long_as_that_is_whole(tmp_path: Path, mode: PublishMode) -> None:
    publisher = drifting(tmp_path, mode)
    (tmp_path / "a").chmod(0o604)
    recalled = publisher.recall()
    assert recalled is not None
    assert [(each.destination, each.content, each.mode) for each in recalled] == [
        ("a", b"one", 0o640),
        ("d/b", b"two", 0o640),
    ]
    (tmp_path / "a").write_text("x")
    assert (publisher.recall() is None) is (mode == "swap"), "in a swap the reader's file is the only one"
