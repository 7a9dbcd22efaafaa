"""One consistent look at the disk: paths resolved link by link, folders listed, files read, and all of it watched.

Every folder is named to the kernel before it is looked into, so that no change can fall between the look and the watch.
What was passed on the way (links, folders, missing names) is noted and compared at the end: where a link was turned in
the meantime, as Kubernetes does with `..data`, the whole pass is to be repeated.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Literal

from confcar.errors import SourceDeniedError, SourceUnavailableError
from confcar.watchers.file_cache import CachedFile, FileCache
from confcar.watchers.kernel import KUBERNETES_LINK, Kernel

EntryKind = Literal["folder", "file", "other"]
_MAX_LINKS = 40  # the kernel's own limit


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder that is there.

    Attributes:
        path: Where it lies, links resolved.
        shown: How the user knows it, for messages.
        kind: `other` is a device, a fifo or a socket; no folder's entries hold one.
    """

    path: str
    shown: str
    kind: EntryKind


@dataclass(frozen=True, slots=True)
class _Look:
    """What one name in one folder was: *mark* differs when something else stands there."""

    kind: Literal["missing", "link"] | EntryKind
    mark: tuple[int, ...] = ()
    target: str = ""


class Pass:
    """One pass. Used by one thread; `kernel` is None where nothing is to be watched."""

    def __init__(self, files: FileCache, kernel: Kernel | None) -> None:
        self._files = files
        self._kernel = kernel
        self._looks: dict[tuple[str, str], _Look] = {}
        self._listed: dict[str, dict[str, Entry]] = {}
        self._read: dict[str, CachedFile | None] = {}

    def resolve(self, path: str, *, shown: str) -> Entry | None:
        """Return what an absolute path leads to through all links, or None where it leads nowhere.

        Raises:
            SourceDeniedError: A folder on the way may not be entered.
            SourceUnavailableError: The disk failed, or links lead in circles.
        """
        current, links = "/", 0
        kind: EntryKind = "folder"
        pending = path.split("/")[::-1]
        while pending:
            name = pending.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                current, kind = os.path.dirname(current), "folder"  # noqa: PTH120 - resolved strings, kept cheap
                continue
            look = self._look(current, name, shown)
            if look.kind == "missing":
                return None
            if look.kind == "link":
                links += 1
                if links > _MAX_LINKS:
                    raise SourceUnavailableError(f"{shown}: its links lead in circles")
                pending.extend(look.target.split("/")[::-1])
                current = "/" if look.target.startswith("/") else current
            else:
                current, kind = _join(current, name), look.kind
        return Entry(current, shown, kind)

    def entries(self, folder: Entry) -> dict[str, Entry]:
        """Return the files and folders in a folder by name, links followed; never a name that starts with `..`.

        Where the folder is published through `..data`, that is resolved once and listed instead of the links to it.

        Raises:
            SourceDeniedError: The folder may not be listed.
            SourceUnavailableError: The disk failed.
        """
        listed = self._listed.get(folder.path)
        if listed is None:
            published = None
            if self._look(folder.path, KUBERNETES_LINK, folder.shown).kind == "link":
                published = self.resolve(_join(folder.path, KUBERNETES_LINK), shown=folder.shown)
            listed = self._list(folder, is_published=published is not None)
            if published is not None and published.kind == "folder":
                listed |= self._list(published, is_published=False)
            self._listed[folder.path] = listed
        return listed

    def read(self, file: Entry) -> CachedFile | None:
        """Return a file's content, the same for the whole pass, or None where it is gone or no regular file.

        Raises:
            SourceDeniedError: It may not be read.
            SourceDataError: It is too large.
            SourceUnavailableError: The disk failed.
        """
        if file.path not in self._read:
            self._read[file.path] = self._files.read(file.path, shown=file.shown)
        return self._read[file.path]

    def is_unmoved(self) -> bool:
        """Whether all links, folders and names that were passed still are what they were."""
        try:
            return all(look.mark == _mark(_lstat(folder, name)) for (folder, name), look in self._looks.items())
        except OSError:
            return False

    def _look(self, folder: str, name: str, shown: str) -> _Look:
        look = self._looks.get((folder, name))
        if look is None:
            if self._kernel is not None:
                self._kernel.watch(folder, name=name)
            look = self._looks[folder, name] = _look_at(folder, name, shown)
            if look.kind in {"file", "missing"} and self._kernel is not None:
                # A file that is not there yet will be written: its closing is to be seen.
                self._kernel.watch(folder, name=name, content=True)
        return look

    def _list(self, folder: Entry, *, is_published: bool) -> dict[str, Entry]:
        if self._kernel is not None:
            self._kernel.watch(folder.path)
        found: dict[str, Entry] = {}
        try:
            with os.scandir(folder.path) as entries:
                for entry in entries:
                    if _can_be_key(entry.name) and not (is_published and _leads_to_published(entry)):
                        shown = _join(folder.shown, entry.name)
                        target = self._entry(entry, shown)
                        if target is not None:
                            found[entry.name] = target
        except (FileNotFoundError, NotADirectoryError):
            return {}  # it went away during the pass; the kernel says so, and the next pass sees what is there
        except PermissionError:
            raise SourceDeniedError(
                f"{folder.shown} may not be listed by user {os.geteuid()}; change its mode"
            ) from None
        except OSError as error:
            raise SourceUnavailableError(f"cannot list {folder.shown}: {error.strerror}") from error
        return found

    def _entry(self, entry: os.DirEntry[str], shown: str) -> Entry | None:
        if entry.is_dir(follow_symlinks=False):
            return Entry(entry.path, shown, "folder")
        if not entry.is_symlink():
            return Entry(entry.path, shown, "file") if entry.is_file(follow_symlinks=False) else None
        try:
            target = self.resolve(entry.path, shown=shown)
        except SourceUnavailableError:
            return None  # a link to itself is nothing, and no reason to fail its neighbours
        return None if target is None or target.kind == "other" else target


def _look_at(folder: str, name: str, shown: str) -> _Look:
    try:
        found = _lstat(folder, name)
        if found is None:
            return _Look("missing")
        if stat.S_ISLNK(found.st_mode):
            return _Look("link", _mark(found), os.readlink(_join(folder, name)))  # noqa: PTH115 - resolved by hand
    except FileNotFoundError:
        return _Look("missing")
    except PermissionError:
        raise SourceDeniedError(f"{shown}: user {os.geteuid()} may not enter {folder}; change its mode") from None
    except OSError as error:
        raise SourceUnavailableError(f"cannot read {shown}: {error.strerror}") from error
    if stat.S_ISDIR(found.st_mode):
        return _Look("folder", _mark(found))
    return _Look("file" if stat.S_ISREG(found.st_mode) else "other", _mark(found))


def _lstat(folder: str, name: str) -> os.stat_result | None:
    try:
        return os.lstat(_join(folder, name))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _mark(found: os.stat_result | None) -> tuple[int, ...]:
    if found is None:
        return ()
    if stat.S_ISLNK(found.st_mode):
        # A new link may get the old one's number.
        return found.st_dev, found.st_ino, found.st_ctime_ns
    return found.st_dev, found.st_ino


def _can_be_key(name: str) -> bool:
    if name.startswith(".."):
        return False
    # A name that is not UTF-8 comes with surrogates and cannot be written in a template.
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def _leads_to_published(entry: os.DirEntry[str]) -> bool:
    if not entry.is_symlink():
        return False
    try:
        return os.readlink(entry.path).startswith(KUBERNETES_LINK + "/")  # noqa: PTH115 - thousands in a row, kept cheap
    except OSError:
        return False


def _join(folder: str, name: str) -> str:
    return f"/{name}" if folder == "/" else f"{folder}/{name}"
