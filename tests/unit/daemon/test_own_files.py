"""Noticing changes of confcar's own files: what counts as one, and how often it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.daemon.own_files import OwnFiles
from confcar.status import Status
from tests.unit.daemon.script import eventually


class Watched:
    """A folder whose files are watched, and what was told of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = {"confcar.yaml", "a.j2", "b.j2"}
        self.changes = self.touches = self.looks = 0
        self.write("one")
        self.status = Status()
        self.files = OwnFiles(
            self._files, changed=self._changed, touched=self._touched, looked=self._looked, status=self.status
        )
        self.files.start()
        eventually(lambda: self.touches == 1)

    def write(self, text: str, name: str = "confcar.yaml") -> None:
        """Replace a file at once."""
        (self.folder / "new").write_text(text)
        (self.folder / "new").replace(self.folder / name)

    def _files(self) -> frozenset[Path]:
        return frozenset(self.folder / name for name in self.names)

    def _changed(self) -> None:
        self.changes += 1

    def _looked(self) -> None:
        self.looks += 1

    def _touched(self) -> None:
        self.touches += 1


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.files.close()


def test_what_lies_there_at_the_start_is_no_change(watched: Watched) -> None:
    assert (watched.changes, watched.touches) == (0, 1)


def test_a_change_is_told_once(watched: Watched) -> None:
    watched.write("two")
    eventually(lambda: watched.changes == 1)
    watched.write("three")
    eventually(lambda: watched.changes == 2)


def test_several_files_written_one_after_the_other_are_one_change(watched: Watched) -> None:
    for text in ("two", "three"):
        for name in sorted(watched.names):
            watched.write(text, name)
        eventually(lambda: watched.changes == int(text == "three") + 1)  # noqa: B023 - used at once
    assert watched.changes == 2


def test_a_file_that_is_named_later_is_watched_from_then_on(watched: Watched) -> None:
    watched.write("one", "later.j2")
    watched.names.add("later.j2")
    eventually(lambda: watched.touches == 2)
    watched.write("two", "later.j2")
    eventually(lambda: watched.changes == 1)


def test_a_file_that_comes_and_goes_changes_twice(watched: Watched) -> None:
    (watched.folder / "confcar.yaml").unlink()
    eventually(lambda: watched.changes == 1)
    watched.write("one")
    eventually(lambda: watched.changes == 2)


def test_while_nothing_happens_it_says_so_every_few_seconds(watched: Watched) -> None:
    eventually(lambda: watched.looks > 0)
    assert (watched.changes, watched.touches) == (0, 1)


def test_its_loop_is_watched_until_it_is_closed(watched: Watched) -> None:
    assert "own files" in watched.status._beats
    watched.files.close()
    eventually(lambda: "own files" not in watched.status._beats)
    assert not [thread for thread in threading.enumerate() if thread.name == "confcar-own-files"]
