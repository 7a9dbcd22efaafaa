"""How a file source notices changes: renames, volume swaps, slow writers, folders that go and come."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.errors import SourceDataError, SourceUnavailableError
from confcar.model import Dependency
from confcar.status import Status
from confcar.watchers.file import ConfigFolderWatcher
from confcar.watchers.kernel import Kernel
from tests.unit.watchers.file_stage import AT_ONCE_SECONDS, Open, Reader, Volume, key, opened_readers, replace_file


@pytest.fixture
def follow() -> Iterator[Open]:
    with opened_readers() as open_reader:
        yield open_reader


def test_renamed_document_is_seen_at_once(tmp_path: Path, follow: Open) -> None:
    document = tmp_path / "data.yaml"
    document.write_text("a: 1\nb: 1")
    reader = follow(document, "a", "b")
    assert reader.values(reader.fetch()) == {"a": b"1", "b": b"1"}
    assert reader.after(lambda: replace_file(document, "a: 2\nb: 2")) == {"a": b"2", "b": b"2"}


def test_content_written_again_is_nothing_new(tmp_path: Path, follow: Open) -> None:
    document = tmp_path / "data.yaml"
    document.write_text("a: 1")
    reader = follow(document, "a")
    version = reader.fetch().version
    future = reader.fetch_beside(wait_seconds=0.2)
    replace_file(document, "a: 1  # the same")
    os.utime(document)
    snapshot = future.result(timeout=5)
    assert snapshot.version == version
    assert snapshot.readings == {}


def test_equal_content_has_an_equal_version_in_another_watcher(tmp_path: Path, follow: Open) -> None:
    (tmp_path / "a").write_text("1")
    tree = Dependency("local", "tree", "")
    assert follow(tmp_path, tree, "a").fetch().version == follow(tmp_path, tree, "a").fetch().version


def test_waiting_ends_after_wait_seconds(tmp_path: Path, follow: Open) -> None:
    (tmp_path / "a").write_text("1")
    reader = follow(tmp_path, "a")
    reader.fetch()
    began = time.monotonic()
    assert reader.fetch(wait_seconds=0.1).readings == {}
    assert 0.1 <= time.monotonic() - began < AT_ONCE_SECONDS


def test_events_that_do_not_matter_do_not_end_the_waiting(tmp_path: Path, follow: Open) -> None:
    (tmp_path / "data.yaml").write_text("a: 1")
    reader = follow(tmp_path / "data.yaml", "a")
    reader.fetch()
    future = reader.fetch_beside(wait_seconds=0.3)
    began = time.monotonic()
    for number in range(50):
        (tmp_path / f"other{number}").write_text("x")
    assert future.result(timeout=5).readings == {}
    assert time.monotonic() - began > 0.2


@pytest.mark.parametrize("hops", ["folder", "file in it", "link to the folder", "link to the file"])
def test_volume_swap_is_seen_at_once_and_whole(tmp_path: Path, follow: Open, hops: str) -> None:
    volume = Volume(tmp_path / "volume")
    volume.publish(data_yaml="a: 0\nb: 0")
    paths = {
        "folder": volume.root,
        "file in it": volume.root / "data.yaml",
        "link to the folder": tmp_path / "folder",
        "link to the file": tmp_path / "link.yaml",
    }
    (tmp_path / "folder").symlink_to("volume")
    (tmp_path / "link.yaml").symlink_to("folder/data.yaml")
    below = "data/" if "folder" in hops else ""
    reader = follow(paths[hops], f"{below}a", f"{below}b")
    reader.fetch()
    for number in (1, 2, 3):
        text = f"a: {number}\nb: {number}"
        value = str(number).encode()
        seen = reader.after(lambda text=text: volume.publish(data_yaml=text))  # type: ignore[misc]  # bound per turn
        assert seen == {f"{below}a": value, f"{below}b": value}


def test_keys_added_and_removed_by_one_swap_come_and_go_together(tmp_path: Path, follow: Open) -> None:
    volume = Volume(tmp_path)
    volume.publish(a="1", old="1")
    reader = follow(tmp_path, Dependency("local", "tree", ""))
    assert reader.values(reader.fetch()) == {"": {"a": b"1", "old": b"1"}}
    assert reader.after(lambda: volume.publish(a="2", new="2")) == {"": {"a": b"2", "new": b"2"}}


def test_no_snapshot_mixes_two_swaps(tmp_path: Path, follow: Open) -> None:
    volume = Volume(tmp_path)
    names = [f"k{number}" for number in range(10)]
    volume.publish(**dict.fromkeys(names, "0"))
    reader = follow(tmp_path, *names)
    seen = [reader.values(reader.fetch())]
    is_over = threading.Event()

    def swap() -> None:
        for number in range(1, 60):
            volume.publish(**dict.fromkeys(names, str(number)))
        is_over.set()

    writer = threading.Thread(target=swap)
    writer.start()
    while not (is_over.is_set() and seen[-1]["k0"] == b"59"):
        snapshot = reader.fetch(wait_seconds=0.1)
        assert not snapshot.failures
        if snapshot.readings:
            seen.append(reader.values(snapshot))
    writer.join()
    assert all(len(set(values.values())) == 1 for values in seen)
    assert len(seen) > 2


def test_link_to_a_release_that_is_turned_is_seen_at_once(tmp_path: Path, follow: Open) -> None:
    for release in ("one", "two"):
        (tmp_path / release / "conf").mkdir(parents=True)
        (tmp_path / release / "conf" / "a").write_text(release)
    current = tmp_path / "current"
    current.symlink_to("one")
    reader = follow(current / "conf", "a")
    assert reader.values(reader.fetch()) == {"a": b"one"}

    def turn() -> None:
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").replace(current)

    assert reader.after(turn) == {"a": b"two"}


@pytest.mark.parametrize("depth", [1, 3])
def test_missing_path_is_told_and_picked_up_when_it_appears(tmp_path: Path, follow: Open, depth: int) -> None:
    document = tmp_path.joinpath(*["sub"] * (depth - 1), "data.yaml")
    reader = follow(document, "a")
    failure = reader.fetch().failures[key("a")]
    assert isinstance(failure, SourceUnavailableError)

    def create() -> None:
        document.parent.mkdir(parents=True, exist_ok=True)
        replace_file(document, "a: 1")  # whole from the first look: an empty document would be an answer, too

    assert reader.after(create) == {"a": b"1"}


def test_folder_deleted_and_made_again_is_followed(tmp_path: Path, follow: Open) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_text("1")
    reader = follow(folder, "a")
    reader.fetch()
    future = reader.fetch_beside()
    (folder / "a").unlink()
    folder.rmdir()
    snapshot = future.result(timeout=5)
    while not snapshot.failures:  # the file went first
        snapshot = reader.fetch()
    assert isinstance(snapshot.failures[key("a")], SourceUnavailableError)

    def create() -> None:
        folder.mkdir()
        replace_file(folder / "a", "2")

    values = reader.after(create)
    while values != {"a": b"2"}:
        snapshot = reader.fetch()
        assert snapshot.readings, "not seen at once"
        values = reader.values(snapshot)
    assert reader.after(lambda: replace_file(folder / "a", "3")) == {"a": b"3"}


def test_new_folder_below_is_followed(tmp_path: Path, follow: Open) -> None:
    reader = follow(tmp_path, Dependency("local", "tree", ""))
    assert reader.values(reader.fetch()) == {"": {}}
    future = reader.fetch_beside(wait_seconds=0.1)
    (tmp_path / "sub").mkdir()
    assert future.result(timeout=5).readings == {}
    values = reader.after(lambda: replace_file(tmp_path / "sub" / "a", "1"))
    while values != {"": {"sub/a": b"1"}}:  # a first answer may still be of the folder alone
        snapshot = reader.fetch()
        assert snapshot.readings, "not seen at once"
        values = reader.values(snapshot)


def test_key_that_vanishes_is_absent(tmp_path: Path, follow: Open) -> None:
    (tmp_path / "a").write_text("1")
    reader = follow(tmp_path, "a")
    reader.fetch()
    assert reader.after((tmp_path / "a").unlink) == {"a": None}


def test_broken_document_fails_and_recovers_at_the_next_write(tmp_path: Path, follow: Open) -> None:
    document = tmp_path / "data.yaml"
    document.write_text("a: 1")
    reader = follow(document, "a")
    reader.fetch()
    future = reader.fetch_beside()
    document.write_text("a: [")
    snapshot = future.result(timeout=5)
    assert snapshot.readings == {}
    assert isinstance(snapshot.failures[key("a")], SourceDataError)
    again = reader.fetch(wait_seconds=0.05)
    assert again.version == snapshot.version
    assert set(again.failures) == {key("a")}, "a failure goes on to be one"
    assert reader.after(lambda: document.write_text("a: 2")) == {"a": b"2"}


def test_slow_writer_in_place_is_not_read_half_way(tmp_path: Path, follow: Open) -> None:
    document = tmp_path / "data.env"
    document.write_text("A=1\nB=1\n")
    reader = follow(document, "A", "B")
    reader.fetch()
    future = reader.fetch_beside(wait_seconds=5)
    paused = threading.Event()
    with document.open("w") as stream:
        stream.write("A=2\n")
        stream.flush()
        paused.wait(0.1)
        stream.write("B=2\n")
    assert reader.values(future.result(timeout=5)) == {"A": b"2", "B": b"2"}


def test_second_write_in_the_same_clock_tick_is_not_missed(tmp_path: Path, follow: Open) -> None:
    """The stamps of a file that keeps its size say nothing within one tick, which is several milliseconds."""
    file = tmp_path / "a"
    reader = follow(tmp_path, "a")
    for number in range(200):
        file.write_text(str(number % 10))
        snapshot = reader.watcher.fetch("all", reader.dependencies, after=None, wait_seconds=0)
        assert reader.values(snapshot) == {"a": str(number % 10).encode()}


def test_change_that_the_kernel_does_not_tell_is_found_by_the_slow_poll(tmp_path: Path, follow: Open) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "a").write_text("1")
    (tmp_path / "data" / "a").hardlink_to(tmp_path / "a")
    reader = follow(tmp_path / "data", "a", kernel=Kernel(slow_poll_seconds=0.1))
    reader.fetch()
    assert reader.after(lambda: (tmp_path / "a").write_text("2")) == {"a": b"2"}


def test_read_without_waiting_leaves_the_one_that_waits_alone(tmp_path: Path, follow: Open) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    reader = follow(tmp_path, "a")
    reader.fetch()
    future = reader.fetch_beside()
    beside = reader.watcher.fetch("all", frozenset({key("b")}), after=None, wait_seconds=0)
    assert beside.readings[key("b")].value == b"1"
    assert beside.again_in_seconds is not None
    replace_file(tmp_path / "a", "2")
    assert reader.values(future.result(timeout=5)) == {"a": b"2"}


def test_what_fails_is_logged_once_and_again_when_it_is_over(
    tmp_path: Path, follow: Open, caplog: pytest.LogCaptureFixture
) -> None:
    document = tmp_path / "data.yaml"
    document.write_text("a: [hunter2")
    reader = follow(document, "a", "b")
    with caplog.at_level(logging.INFO, "confcar"):
        reader.fetch()
        reader.fetch(wait_seconds=0.05)
        reader.after(lambda: document.write_text("a: 1"))
    assert [record.getMessage() for record in caplog.records] == ["cannot read", "all can be read again"]
    assert "hunter2" not in str([record.__dict__ for record in caplog.records])


def test_file_function_follows_only_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    watcher = ConfigFolderWatcher(tmp_path, status=Status())
    reader = Reader(watcher, frozenset({Dependency(watcher.name, "file", "sub/a")}))
    try:
        assert reader.values(reader.fetch()) == {"sub/a": None}
        assert reader.after(lambda: (tmp_path / "sub" / "a").write_text("1")) == {"sub/a": b"1"}
        future = reader.fetch_beside(wait_seconds=0.2)
        (tmp_path / "sub" / "other").write_text("x")
        assert future.result(timeout=5).readings == {}
    finally:
        watcher.close()
        reader.pool.shutdown()
