"""Real file systems that are full or read-only; mounted by the test where it may."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.errors import PublishError
from confcar.publishing.layout import PublishMode
from tests.unit.publishing.samples import MODES, file, files, leftovers, opened, publish, visible

each_mode = pytest.mark.parametrize("mode", MODES)


def _mount(*arguments: str) -> None:
    program = shutil.which("mount")
    if program is None:
        pytest.skip("there is no mount")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount here: {done.stderr.strip() or done.returncode}")


def _unmount(path: Path) -> None:
    subprocess.run([shutil.which("umount") or "umount", "-l", str(path)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    path = tmp_path / "disk"
    path.mkdir()
    _mount("-t", "tmpfs", "-o", "size=1m,nr_inodes=200", "tmpfs", str(path))
    yield path
    _unmount(path)


@each_mode
def test_full_disk_keeps_what_was_published_and_recovers_when_there_is_space(
    small_disk: Path, mode: PublishMode
) -> None:
    publisher = opened(small_disk / "web", mode, keep=0)
    publish(publisher, files(a="1", b="1"))
    (small_disk / "ballast").write_bytes(bytes(700_000))
    big = [file("a", "2" * 100_000), file("b", "2" * 300_000)]
    with pytest.raises(PublishError, match="no space left on device; free some space"):
        publish(publisher, big)
    assert visible(small_disk / "web") == {"a": "1", "b": "1"}
    assert publisher.state.current == 1
    assert leftovers(small_disk) == []
    (small_disk / "ballast").unlink()
    if mode == "swap":
        assert publish(publisher, big).generation == 2
    publisher.close()
    assert opened(small_disk / "web", mode).compare(files(a="1", b="1")) == (() if mode == "rename" else ("a", "b"))


@each_mode
def test_disk_without_inodes_keeps_what_was_published(small_disk: Path, mode: PublishMode) -> None:
    publisher = opened(small_disk / "web", mode, keep=0)
    publish(publisher, files(a="1", b="1"))
    status = os.statvfs(small_disk)
    for spare in range(10):
        for number in range(status.f_favail):
            (small_disk / f"ballast-{number}").touch()
            if os.statvfs(small_disk).f_favail <= spare:
                break
        try:
            publish(publisher, files(a="1", b="2", c="1", d="1"))
        except PublishError:
            assert visible(small_disk / "web") == {"a": "1", "b": "1"}, f"with {spare} inodes"
        else:
            break
        for path in small_disk.glob("ballast-*"):
            path.unlink()
    assert visible(small_disk / "web") == {"a": "1", "b": "2", "c": "1", "d": "1"}


@each_mode
def test_read_only_disk_is_refused_with_words_and_still_read(small_disk: Path, mode: PublishMode) -> None:
    publisher = opened(small_disk / "web", mode)
    publish(publisher, files(a="1"))
    publisher.close()
    _mount("-o", "remount,ro", str(small_disk))
    with pytest.raises(PublishError, match="read-only file system; mount it writable for confcar"):
        opened(small_disk / "web", mode)
    assert publisher.read_published()["a"].content == b"1"


@each_mode
def test_disk_turned_read_only_keeps_what_was_published(small_disk: Path, mode: PublishMode) -> None:
    publisher = opened(small_disk / "web", mode)
    publish(publisher, files(a="1"))
    staged = publisher.stage(files(a="2"))
    publisher.close()  # nothing open for writing, or it could not be remounted
    _mount("-o", "remount,ro", str(small_disk))
    with pytest.raises(PublishError, match="read-only file system"):
        publisher.publish(staged, acknowledged=False)
    assert visible(small_disk / "web") == {"a": "1"}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_destination_that_is_a_mount_point_is_refused_with_words(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("theirs")
    (tmp_path / "source").write_text("theirs")
    _mount("--bind", str(tmp_path / "source"), str(target))
    try:
        publisher = opened(tmp_path / "web")
        publish(publisher, files(a="1"))
        with pytest.raises(PublishError, match="mount its folder instead of the single file"):
            publish(publisher, [file("a", "2"), file(target, "2")])
        assert visible(tmp_path / "web") == {"a": "1"}
    finally:
        _unmount(target)


@each_mode
def test_destination_on_another_file_system_is_placed_there(
    small_disk: Path, tmp_path: Path, mode: PublishMode
) -> None:
    outside = small_disk / "made" / "out"
    publisher = opened(tmp_path / "web", mode)
    for text in "12":
        publish(publisher, [file("a", text), file(outside, text)])
        assert (visible(tmp_path / "web"), outside.read_text()) == ({"a": text}, text)
    publish(publisher, files(a="3"))
    assert not outside.exists()
    assert leftovers(small_disk) == []


@each_mode
def test_full_other_file_system_keeps_the_whole_set_as_it_was(
    small_disk: Path, tmp_path: Path, mode: PublishMode
) -> None:
    outside = small_disk / "out"
    publisher = opened(tmp_path / "web", mode)
    publish(publisher, [file("a", "1"), file(outside, "1")])
    with pytest.raises(PublishError, match=f"cannot write {outside}: no space left on device; free some space"):
        publish(publisher, [file("a", "2"), file(outside, "2" * 2_000_000)])
    assert (visible(tmp_path / "web"), outside.read_text()) == ({"a": "1"}, "1")
    assert leftovers(small_disk) == []
    publish(publisher, [file("a", "3"), file(outside, "3")])
    assert (visible(tmp_path / "web"), outside.read_text()) == ({"a": "3"}, "3")


def test_folder_of_a_bundle_may_be_another_file_system_where_files_are_renamed(
    tmp_path: Path, small_disk: Path
) -> None:
    web = small_disk.parent / "web"
    (web / "sub").mkdir(parents=True)
    _mount("--bind", str(small_disk), str(web / "sub"))
    try:
        publisher = opened(web, "rename")
        publish(publisher, files(a="1", sub__b="1"))
        publish(publisher, files(a="2", sub__b="2"))
        assert (small_disk / "b").read_text() == "2"
        assert leftovers(tmp_path) == []
    finally:
        publisher.close()
        _unmount(web / "sub")
