"""What a file source takes of the machine: descriptors, watches, reads; and what it does where it gets none."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from confcar.config.sources import FileOptions
from confcar.errors import SourceUnavailableError
from confcar.model import Dependency
from confcar.status import Status
from confcar.watchers.file import FileWatcher
from confcar.watchers.kernel import Kernel
from tests.unit.watchers.file_stage import Open, key, opened_readers, replace_file
from tests.waiting import wait_until


@pytest.fixture
def follow() -> Iterator[Open]:
    with opened_readers() as open_reader:
        yield open_reader


def test_close_ends_the_waiting_at_once_and_gives_descriptors_back(tmp_path: Path, follow: Open) -> None:
    (tmp_path / "a").write_text("1")
    before = open_descriptors()
    reader = follow(tmp_path, "a")
    reader.fetch()
    future = reader.fetch_beside(wait_seconds=60)
    began = time.monotonic()
    reader.watcher.close()
    assert future.result(timeout=5).readings == {}
    assert time.monotonic() - began < 0.5
    reader.watcher.close()
    assert open_descriptors() == before
    with pytest.raises(SourceUnavailableError, match="closed"):
        reader.fetch()


def test_folder_that_comes_and_goes_a_thousand_times_leaks_nothing(tmp_path: Path, follow: Open) -> None:
    folder = tmp_path / "data"
    reader = follow(folder, "a")
    reader.fetch()
    before = open_descriptors()
    watched = kernel_watches()
    for number in range(500):
        folder.mkdir()
        (folder / "a").write_text(str(number))
        reader.fetch(wait_seconds=0.01)
        (folder / "a").unlink()
        folder.rmdir()
        reader.fetch(wait_seconds=0.01)
    wait_until(lambda: bool(reader.fetch(wait_seconds=0.01).failures))
    assert open_descriptors() == before
    assert kernel_watches() == watched


def test_only_changed_files_are_read_again(tmp_path: Path, follow: Open) -> None:
    old = time.time() - 3600
    for number in range(200):
        (tmp_path / f"k{number}").write_text("1")
        os.utime(tmp_path / f"k{number}", (old, old))
    reader = follow(tmp_path, Dependency("local", "tree", ""))
    files = reader.watcher._disk._files
    files._clock = lambda: time.time() + 3600  # the change time cannot be set back
    reader.fetch()
    assert files.reads == 200
    reader.after(lambda: replace_file(tmp_path / "k7", "2"))
    assert files.reads <= 203


@dataclass
class RefusingLibc:
    """The C library where the kernel's limits are used up, until `is_refusing` is taken away."""

    refused: str
    number: int
    is_refusing: bool = True
    real: ctypes.CDLL = field(default_factory=lambda: ctypes.CDLL(None, use_errno=True))

    def _refuses(self, call: str) -> bool:
        if self.is_refusing and call == self.refused:
            ctypes.set_errno(self.number)
            return True
        return False

    def inotify_init1(self, flags: int, /) -> int:
        return -1 if self._refuses("init") else int(self.real.inotify_init1(flags))

    def inotify_add_watch(self, queue: int, directory: bytes, mask: object, /) -> int:
        return -1 if self._refuses("add") else int(self.real.inotify_add_watch(queue, directory, mask))

    def inotify_rm_watch(self, queue: int, number: int, /) -> int:
        return int(self.real.inotify_rm_watch(queue, number))


@pytest.mark.parametrize(
    "libc",
    [
        pytest.param(RefusingLibc("init", errno.EMFILE), id="no instance"),
        pytest.param(RefusingLibc("add", errno.ENOSPC), id="no watch"),
    ],
)
def test_kernel_that_cannot_watch_is_told_once_and_polled_behind(
    tmp_path: Path, follow: Open, caplog: pytest.LogCaptureFixture, libc: RefusingLibc
) -> None:
    (tmp_path / "a").write_text("1")
    reader = follow(tmp_path, "a", kernel=Kernel(libc=libc, poll_seconds=0.1))
    with caplog.at_level(logging.INFO, "confcar"):
        reader.fetch()
        future = reader.fetch_beside(wait_seconds=5)
        replace_file(tmp_path / "a", "2")
        assert reader.values(future.result(timeout=5)) == {"a": b"2"}
        assert [record.getMessage() for record in caplog.records] == ["cannot watch files by inotify, polling instead"]
        libc.is_refusing = False
        wait_until(lambda: len((reader.fetch(wait_seconds=0.15), caplog.records)[1]) > 1)
    assert reader.after(lambda: replace_file(tmp_path / "a", "3")) == {"a": b"3"}


def test_reads_are_counted(tmp_path: Path) -> None:
    status = Status()
    watcher = FileWatcher("local", FileOptions(type="file", path=tmp_path / "none.yaml"), status=status)
    watcher.fetch("all", frozenset({key("a")}), after=None, wait_seconds=0)
    (tmp_path / "none.yaml").write_text("a: 1")
    watcher.fetch("all", frozenset({key("a")}), after=None, wait_seconds=0)
    watcher.close()
    counters = status.copy().counters
    assert counters["source_requests_total", "local", "failed"] == 1
    assert counters["source_requests_total", "local", "ok"] == 1


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def kernel_watches() -> int:
    """Return how many inotify watches this process holds."""
    texts = []
    for info in Path("/proc/self/fdinfo").iterdir():
        try:
            texts.append(info.read_text())
        except OSError:  # the descriptor of the listing itself
            continue
    return sum(text.count("inotify wd:") for text in texts)


def test_a_wake_that_is_forgotten_ends_no_later_wait() -> None:
    kernel = Kernel()
    kernel.wake()
    assert kernel.wait(5.0)
    kernel.forget_wake()
    kernel.forget_wake()
    assert not kernel.wait(0.05)
    kernel.close()
