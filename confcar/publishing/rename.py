"""Puts plain files in place, one rename each: every file of `publish: rename`, and absolute destinations always.

First all files are written beside their destinations, then all are renamed: what can fail, such as a full disk, has
failed before the first reader sees anything. Within the bundle's directory no symbolic link is followed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from confcar import log
from confcar.errors import PublishError
from confcar.publishing.disk import Disk, opened_folder, remove_if_there, remove_leftover
from confcar.publishing.faults import publishing
from confcar.publishing.generation import write_file
from confcar.publishing.layout import DATA, Layout, stored_name, temporary_name
from confcar.publishing.state import FileRecord

_LOG = logging.getLogger(__name__)
_NEW_FOLDER_MODE = 0o755
_PATH_ONLY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def parent_folder(destination: str, *, directory: int, create_with: Disk | None = None) -> Iterator[tuple[int, str]]:
    """Yield a descriptor of the folder a destination lies in (for names only, not for reading), and its name there.

    Relative destinations start at the open *directory*, and no link is followed. *create_with* makes missing folders.

    Raises:
        OSError: A folder is missing, is a link, or is no folder.
    """
    *folders, name = destination.removeprefix("/").split("/")
    is_absolute = destination.startswith("/")
    descriptor = os.open("/" if is_absolute else ".", _PATH_ONLY, dir_fd=None if is_absolute else directory)
    try:
        for folder in folders:
            if create_with is not None:
                _make_missing(create_with, folder, at=descriptor)
            below = os.open(folder, _PATH_ONLY | (0 if is_absolute else os.O_NOFOLLOW), dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor, name
    finally:
        os.close(descriptor)


def _make_missing(disk: Disk, folder: str, *, at: int) -> None:
    try:
        os.stat(folder, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        with suppress(FileExistsError):
            disk.make_folder(folder, at=at)
            with opened_folder(folder, at=at) as made:
                # For whatever the umask took; a setgid bit inherited from the parent stays.
                disk.set_mode(made, _NEW_FOLDER_MODE | os.fstat(made).st_mode & stat.S_ISGID)
            _sync_folder(disk, at)


def _sync_folder(disk: Disk, names_only: int) -> None:
    with opened_folder(".", at=names_only) as folder:
        disk.sync_folder(folder)


def read_plain(path: str | os.PathLike[str], *, at: int | None = None) -> tuple[os.stat_result, bytes]:
    """Return attributes and content of a regular file; the last component is not followed.

    Raises:
        OSError: It is not there, cannot be read, or is something else.
    """
    with os.fdopen(os.open(path, _READ, dir_fd=at), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            message = "not a regular file"
            raise OSError(message)
        return status, file.read()


def has_attributes(status: os.stat_result, record: FileRecord) -> bool:
    """Whether a file on disk has the mode, and the owner where one was asked for."""
    return (
        stat.S_ISREG(status.st_mode)
        and stat.S_IMODE(status.st_mode) == record.mode
        and record.uid in {None, status.st_uid}
        and record.gid in {None, status.st_gid}
    )


def holds(destination: str, record: FileRecord, *, directory: int) -> bool:
    """Whether the content that was recorded lies at its destination as a plain file."""
    try:
        with parent_folder(destination, directory=directory) as (folder, name):
            _, content = read_plain(name, at=folder)
    except OSError:
        return False
    return hashlib.sha256(content).hexdigest() == record.sha256


def one_per_folder(destinations: Iterable[str]) -> list[str]:
    """Return one destination for each folder that destinations lie in."""
    return list({name.rpartition("/")[0]: name for name in destinations}.values())


class Placer:
    """Places stored files at their destinations.

    Attributes:
        generation: Path of the generation to place from.
    """

    def __init__(self, disk: Disk, layout: Layout, directory: int, *, number: int) -> None:
        self._disk = disk
        self._layout = layout
        self._directory = directory
        self.generation = layout.generation(number)

    def prepare(self, records: Mapping[str, FileRecord]) -> list[str]:
        """Write beside its destination each file that differs from what lies there; return these destinations.

        Raises:
            PublishError: Nothing is left behind and nothing has changed but new folders.
        """
        prepared: list[str] = []
        try:
            for destination, record in records.items():
                if self._layout.is_placed(destination):
                    with publishing("write", destination):
                        content = self._read_stored(destination, record)
                        if not self._lies_there(destination, content, record):
                            prepared.append(destination)
                            self._write_beside(destination, content, record)
        except BaseException:
            abandon(self._disk, self._directory, prepared)
            raise
        return prepared

    def commit(self, prepared: Sequence[str]) -> None:
        """Rename the prepared files into place and make that durable.

        Raises:
            PublishError: Some files are in place, the others are not.
        """
        try:
            for destination in prepared:
                with publishing("publish", destination), self._parent(destination) as (folder, name):
                    self._disk.rename(temporary_name(name), name, at=folder)
        except BaseException:
            abandon(self._disk, self._directory, prepared)
            raise
        for destination in one_per_folder(prepared):
            with publishing("publish", destination), self._parent(destination) as (folder, _):
                _sync_folder(self._disk, folder)

    @contextmanager
    def _parent(self, destination: str) -> Iterator[tuple[int, str]]:
        with parent_folder(destination, directory=self._directory) as found:
            yield found

    def _read_stored(self, destination: str, record: FileRecord) -> bytes:
        _, content = read_plain(self.generation / stored_name(destination))
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise PublishError(f"cannot publish {destination}: its stored copy in {self.generation} was changed")
        return content

    def _lies_there(self, destination: str, content: bytes, record: FileRecord) -> bool:
        try:
            with self._parent(destination) as (folder, name):
                status, present = read_plain(name, at=folder)
        except OSError:
            return False
        return has_attributes(status, record) and present == content

    def _write_beside(self, destination: str, content: bytes, record: FileRecord) -> None:
        if not destination.startswith("/"):
            self._open_old_link(destination)
        with parent_folder(destination, directory=self._directory, create_with=self._disk) as (folder, name):
            temporary = temporary_name(name)
            remove_leftover(self._disk, temporary, at=folder)
            write_file(self._disk, temporary, content, record, at=folder)

    def _open_old_link(self, destination: str) -> None:
        """Make way where the bundle was published by swap before, and a visible link stands for the folder."""
        folder, nested, _ = destination.partition("/")
        with suppress(OSError):
            if nested and os.readlink(folder, dir_fd=self._directory) == f"{DATA}/{folder}":
                remove_if_there(self._disk, folder, at=self._directory)


def abandon(disk: Disk, directory: int, destinations: Iterable[str]) -> None:
    """Remove what was written beside destinations and never renamed, as far as that can be done."""
    for destination in destinations:
        with suppress(OSError), parent_folder(destination, directory=directory) as (folder, name):
            if _exists(temporary_name(name), at=folder):
                disk.remove(temporary_name(name), at=folder)


def remove_placed(disk: Disk, directory: int, destinations: Iterable[str]) -> None:
    """Remove files that are published no longer; what cannot be removed is logged and left."""
    removed = []
    for destination in destinations:
        try:
            with parent_folder(destination, directory=directory) as (folder, name):
                if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    disk.remove(name, at=folder)
                    removed.append(destination)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            _LOG.warning("file not removed", extra=log.fields(destination=destination, error=error.strerror))
    for destination in one_per_folder(removed):
        with suppress(OSError), parent_folder(destination, directory=directory) as (folder, _):
            _sync_folder(disk, folder)


def check_places_fit(directory: int, destinations: Iterable[str]) -> None:
    """Refuse a publish whose files could not be placed.

    Raises:
        PublishError: A folder stands where a file must, or something else where a folder must.
    """
    for destination in destinations:
        with publishing("publish", destination):
            try:
                with parent_folder(destination, directory=directory) as (folder, name):
                    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue
            except NotADirectoryError:
                if _is_old_link(directory, destination):
                    continue
                raise
        if stat.S_ISDIR(status.st_mode):
            raise PublishError(
                f"cannot publish {destination}: is a directory, and a file must stand there; move it away"
            )


def _is_old_link(directory: int, destination: str) -> bool:
    folder = destination.partition("/")[0]
    try:
        return os.readlink(folder, dir_fd=directory) == f"{DATA}/{folder}"
    except OSError:
        return False


def _exists(name: str, *, at: int) -> bool:
    try:
        os.stat(name, dir_fd=at, follow_symlinks=False)
    except OSError:
        return False
    return True
