"""The file source: a folder, a document, and a volume as Kubernetes makes it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from confcar.config.sources import FileOptions
from confcar.model import Dependency, Reading
from confcar.status import Status
from confcar.watchers.file import FileWatcher

_NOBODY = 65534


class FileHarness:
    """Holds the values and writes them all on each change by *publish*."""

    def __init__(self, root: Path, publish: Callable[[Path, dict[str, str]], None]) -> None:
        self.path = root / "data.json" if publish is publish_document else root / "data"
        self.watcher = FileWatcher("local", FileOptions(type="file", path=self.path), status=Status())
        self._publish = publish
        self._values: dict[str, str] = {}
        self._is_root = os.geteuid() == 0
        self.set()

    def dependency(self, path: str) -> Dependency:
        return Dependency("local", "key", path)

    def set(self, **values: str) -> None:
        self._values |= values
        self._publish(self.path, self._values)

    def remove(self, path: str) -> None:
        del self._values[path]
        self._publish(self.path, self._values)

    def text(self, reading: Reading) -> str:
        assert isinstance(reading.value, bytes)
        return reading.value.decode()

    def take_away(self) -> None:
        self.path.rename(self.path.with_name("away"))

    def bring_back(self) -> None:
        self.path.with_name("away").rename(self.path)

    def deny(self) -> None:
        self.path.chmod(0)
        if self._is_root:  # whom no mode binds
            os.seteuid(_NOBODY)

    def allow(self) -> None:
        if self._is_root:
            os.seteuid(0)
        self.path.chmod(0o755)


def publish_folder(path: Path, values: dict[str, str]) -> None:
    """Write one file per value, each by a rename."""
    path.mkdir(exist_ok=True)
    for name, text in values.items():
        (path / ".new").write_text(text)
        (path / ".new").rename(path / name)
    for file in path.iterdir():
        if file.name not in values:
            file.unlink()


def publish_document(path: Path, values: dict[str, str]) -> None:
    """Write one document, by a rename."""
    new = path.with_name("new")
    new.write_text(json.dumps(values))
    new.rename(path)


def publish_volume(path: Path, values: dict[str, str]) -> None:
    """Write one generation and turn `..data` to it."""
    generation = Path(tempfile.mkdtemp(prefix="..", dir=_made(path)))
    generation.chmod(0o755)
    for name, text in values.items():
        (generation / name).write_text(text)
        if not (path / name).is_symlink():
            (path / name).symlink_to(f"..data/{name}")
    (path / "..new").symlink_to(generation.name)
    (path / "..new").rename(path / "..data")
    for other in path.iterdir():
        if other.is_symlink() and not other.exists():
            other.unlink()
        elif other.is_dir() and not other.is_symlink() and other != generation:
            shutil.rmtree(other)


def _made(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


def _opener(publish: Callable[[Path, dict[str, str]], None]) -> object:
    @contextmanager
    def open_harness(request: pytest.FixtureRequest) -> Iterator[FileHarness]:
        # Not in pytest's own folder: that is shut to others as a whole.
        with tempfile.TemporaryDirectory() as root:
            Path(root).chmod(0o755)
            harness = FileHarness(Path(root), publish)
            try:
                yield harness
            finally:
                harness.watcher.close()

    return open_harness


HARNESSES = [
    pytest.param(_opener(publish_folder), id="file-folder"),
    pytest.param(_opener(publish_document), id="file-document"),
    pytest.param(_opener(publish_volume), id="file-volume"),
]
