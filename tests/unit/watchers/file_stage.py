"""A file source in front of a test: a reader that fetches beside it, and a folder published as Kubernetes does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confcar.config.sources import FileOptions
from confcar.model import Dependency, Kind, Reading, Snapshot, Version
from confcar.status import Status
from confcar.watchers.file import ConfigFolderWatcher, FileWatcher
from confcar.watchers.kernel import Kernel
from tests.waiting import wait_until

# What is seen by an event takes milliseconds; what only the polls behind the kernel would see takes 1 s or 10 s.
AT_ONCE_SECONDS = 0.9


def key(path: str) -> Dependency:
    return Dependency("local", "key", path)


def replace_file(path: Path, text: str) -> None:
    """Write beside and rename over, as careful writers do."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text)
    beside.replace(path)


@dataclass
class Volume:
    """A folder published as the kubelet does it."""

    root: Path
    generation: int = 0

    def publish(self, **files: str) -> None:
        self.generation += 1
        new = self.root / f"..2026_{self.generation:04}"
        new.mkdir(parents=True)
        for name, text in files.items():
            (new / name.replace("_", ".")).write_text(text)
        link = self.root / "..data_tmp"
        link.symlink_to(new.name)
        old = (self.root / "..data").resolve()
        link.replace(self.root / "..data")
        for entry in new.iterdir():
            visible = self.root / entry.name
            if not visible.is_symlink():
                visible.symlink_to(f"..data/{entry.name}")
        for visible in self.root.iterdir():
            if visible.is_symlink() and not visible.exists():
                visible.unlink()
        if old.name.startswith("..2026"):
            for file in old.iterdir():
                file.unlink()
            old.rmdir()


@dataclass
class Reader:
    """Fetches in another thread, as the follower does."""

    watcher: FileWatcher | ConfigFolderWatcher
    dependencies: frozenset[Dependency]
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    version: Version | None = None

    def fetch(self, *, wait_seconds: float = AT_ONCE_SECONDS) -> Snapshot:
        snapshot = self.watcher.fetch("all", self.dependencies, after=self.version, wait_seconds=wait_seconds)
        self.version = snapshot.version
        return snapshot

    def fetch_beside(self, *, wait_seconds: float = AT_ONCE_SECONDS) -> Future[Snapshot]:
        """Begin a fetch that blocks and return once it runs."""
        future: Future[Snapshot] = self.pool.submit(self.fetch, wait_seconds=wait_seconds)
        wait_until(lambda: future.running() or future.done())
        return future

    def values(self, snapshot: Snapshot) -> dict[str, object]:
        return {dependency.path: reading.value for dependency, reading in snapshot.readings.items()}

    def after(self, change: Callable[[], object]) -> dict[str, object]:
        """Return what a fetch that waits sees of a change, at once."""
        future = self.fetch_beside()
        change()
        return self.values(future.result(timeout=5))


Open = Callable[..., Reader]


@contextmanager
def opened_readers() -> Iterator[Open]:
    """Give a way to open readers, which are closed in the end."""
    readers: list[Reader] = []

    def open_reader(path: Path, *dependencies: str | Dependency, kernel: Kernel | None = None) -> Reader:
        watcher = FileWatcher("local", FileOptions(type="file", path=path), status=Status(), kernel=kernel)
        wanted = frozenset(key(each) if isinstance(each, str) else each for each in dependencies)
        readers.append(Reader(watcher, wanted))
        return readers[-1]

    try:
        yield open_reader
    finally:
        for reader in readers:
            reader.watcher.close()
            reader.pool.shutdown()


def write(root: Path, **files: str) -> None:
    """Write files; `__` in a name stands for `/` and `_` for `.`."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(source: Path, kind: Kind, path: str = "", **params: int | str) -> Reading:
    """Read one dependency once; raises its failure."""
    watcher = FileWatcher("local", FileOptions(type="file", path=source), status=Status())
    dependency = Dependency("local", kind, path, tuple(sorted(params.items())))
    try:
        snapshot = watcher.fetch("local", frozenset({dependency}), after=None, wait_seconds=0)
    finally:
        watcher.close()
    if dependency in snapshot.failures:
        raise snapshot.failures[dependency]
    return snapshot.readings[dependency]
