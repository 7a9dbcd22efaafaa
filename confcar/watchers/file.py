"""The file source: a document or a folder on disk, followed by the kernel; and what is behind the function `file()`.

Needs no server. Kubernetes volumes are followed through `..data`; a path that is not there yet, or is replaced, is
picked up when it appears. This module only says what is read from where: `disk_watcher` follows, `file_answers` has the
rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from confcar.config.sources import FileOptions
from confcar.errors import SourceDataError, SourceUnavailableError
from confcar.model import ABSENT, CONFIG_FOLDER, Dependency, Kind, Reading, Snapshot, Version
from confcar.status import Status
from confcar.watchers.base import Query
from confcar.watchers.disk import Entry, Pass
from confcar.watchers.disk_watcher import DiskFollower
from confcar.watchers.documents import SUFFIXES, document_suffix
from confcar.watchers.file_answers import FILE_KINDS, answer
from confcar.watchers.folder import Folder
from confcar.watchers.kernel import Kernel
from confcar.watchers.nodes import Leaf, Node, find


class FileWatcher:
    """Follows one document or folder. See `Watcher` for the members.

    Args:
        name: The source's name in the config.
        options: Where it lies.
        status: Takes the counts of reads.
        kernel: What to wait on; None for inotify.
    """

    kinds: frozenset[Kind] = FILE_KINDS
    max_blocking = 1
    max_polling = 1

    def __init__(self, name: str, options: FileOptions, *, status: Status, kernel: Kernel | None = None) -> None:
        self.name = name
        self._path = str(options.path)
        self._disk = DiskFollower(name, answer=self._answer, status=status, kernel=kernel)

    def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
        """Return one query for everything, so that a snapshot is consistent across keys."""
        return self._disk.plan(wanted)

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        """Return the newest snapshot, waiting on the kernel while nothing changed. Failures are in the snapshot.

        Raises:
            SourceUnavailableError: Closed.
        """
        del query  # there is one only
        return self._disk.fetch(dependencies, after=after, wait_seconds=wait_seconds)

    def interrupt(self, query: Query) -> None:
        """End the fetch that waits on the kernel."""
        del query  # there is one only
        self._disk.interrupt()

    def close(self) -> None:
        """End the fetch under way at once and give all descriptors back. May be called twice, from any thread."""
        self._disk.close()

    def _answer(self, disk: Pass, dependency: Dependency) -> Reading:
        root = disk.resolve(self._path, shown=self._path)
        if root is None:
            raise SourceUnavailableError(f"{self._path} does not exist")
        if root.kind == "folder":
            return answer(dependency, Folder(disk, root).find)
        return answer(dependency, _Document(disk, root).find)


class ConfigFolderWatcher:
    """Follows the files below the config's folder that templates read by `file()`. See `Watcher` for the members.

    Args:
        folder: The config's folder, absolute.
        status: Takes the counts of reads.
    """

    name = CONFIG_FOLDER
    kinds: frozenset[Kind] = frozenset({"file"})
    max_blocking = 1
    max_polling = 1

    def __init__(self, folder: Path, *, status: Status) -> None:
        self._folder = str(folder)
        self._disk = DiskFollower(CONFIG_FOLDER, answer=self._answer, status=status)

    def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
        """Return one query for everything, so that a snapshot is consistent across files."""
        return self._disk.plan(wanted)

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        """Return the newest snapshot, waiting on the kernel while nothing changed. Failures are in the snapshot.

        Raises:
            SourceUnavailableError: Closed.
        """
        del query  # there is one only
        return self._disk.fetch(dependencies, after=after, wait_seconds=wait_seconds)

    def interrupt(self, query: Query) -> None:
        """End the fetch that waits on the kernel."""
        del query  # there is one only
        self._disk.interrupt()

    def close(self) -> None:
        """End the fetch under way at once and give all descriptors back. May be called twice, from any thread."""
        self._disk.close()

    def _answer(self, disk: Pass, dependency: Dependency) -> Reading:
        if ".." in dependency.path.split("/"):
            raise SourceDataError(f"{dependency.path} leads out of the config's folder")
        path = f"{self._folder}/{dependency.path}"
        found = disk.resolve(path, shown=path)
        if found is None:
            return ABSENT
        root = disk.resolve(self._folder, shown=self._folder)
        if root is None or not f"{found.path}/".startswith(root.path.rstrip("/") + "/"):
            # As for includes: whoever may write in the folder is not to hand out what only confcar may read.
            raise SourceDataError(f"{dependency.path} is a link that leads out of the config's folder")
        file = disk.read(found) if found.kind == "file" else None
        return Reading(None, "it is no regular file") if file is None else Reading(file.content)


class _Document:
    """The source's path as one document."""

    def __init__(self, disk: Pass, file: Entry) -> None:
        self._disk = disk
        self._file = file

    def find(self, segments: tuple[str, ...], *, depth: int) -> Node | None:
        """Return what lies at a path of the document; folders have no part in it."""
        del depth
        shown = self._file.shown
        suffix = document_suffix(Path(shown).name)
        if suffix is None:
            raise SourceDataError(f"{shown}: a document's name ends with one of {' '.join(SUFFIXES)}")
        file = self._disk.read(self._file)
        if file is None:
            raise SourceDataError(f"{shown} is neither a file nor a folder")
        root = file.document(suffix=suffix, shown=shown)
        if isinstance(root, Leaf):
            raise SourceDataError(f"{shown}: a mapping is expected at the top")
        return find(root, segments)
