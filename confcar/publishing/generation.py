"""Stages a generation: a complete folder of files with their final owners and modes; and puts it on the medium.

Files are born with no more permission than they end with, and their folders stay closed until all is in them. Staging
does not wait for the medium: `sync_generation` does, once for everything, right before the generation is shown. A
journalling file system then has one commit to make, not one for each file.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from confcar.model import RenderedFile
from confcar.publishing.disk import Disk, opened_folder, opened_store
from confcar.publishing.faults import publish_error
from confcar.publishing.layout import OUTSIDE, Layout, generation_name, generation_number, stored_name
from confcar.publishing.owners import chown_arguments, find_owner
from confcar.publishing.state import FileRecord

# From here on one wait for the whole file system, which then is one commit of its journal, costs less than one wait for
# each file: 1,000 small files took 26 ms instead of 2 s. For fewer it is not worth waiting for what others wrote.
_MANY_FILES = 16
_READ_FOLDER = {"group": 0o050, "all": 0o055}


@dataclass(slots=True)
class _Folder:
    files: dict[str, tuple[bytes, FileRecord]] = field(default_factory=dict)
    folders: dict[str, _Folder] = field(default_factory=dict)

    def add(self, path: str, content: bytes, record: FileRecord) -> None:
        *parents, name = path.split("/")
        folder = self
        for parent in parents:
            folder = folder.folders.setdefault(parent, _Folder())
        folder.files[name] = (content, record)


def record_files(files: Sequence[RenderedFile]) -> dict[str, FileRecord]:
    """Return what is to be remembered of each file, by destination.

    Raises:
        PublishError: An unknown user or group.
    """
    records = {}
    for file in files:
        uid, gid = find_owner(file)
        digest = hashlib.sha256(file.content).hexdigest()
        records[file.destination] = FileRecord(digest, file.mode, file.secret, uid, gid)
    return records


def write_file(disk: Disk, name: str, content: bytes, record: FileRecord, *, at: int, syncs: bool = True) -> None:
    """Create a file with its owner and mode; at no moment is it open to more than it ends with.

    Args:
        disk: What makes the calls.
        name: Its name in the open folder *at*.
        content: All of it.
        record: Its owner and mode.
        at: The open folder.
        syncs: Whether it is on the medium on return.

    Raises:
        PublishError: The owner may not be set.
        OSError: Anything else; a part of the file may be left.
    """
    descriptor = disk.create(name, at=at, mode=record.mode & 0o600)
    try:
        owner = chown_arguments(record.uid, record.gid)
        if owner:
            try:
                disk.set_owner(descriptor, *owner)
            except PermissionError as error:
                action = f"give {name} to user {record.uid} and group {record.gid}"
                raise publish_error(action.replace("None", "(unchanged)"), error) from error
        disk.write(descriptor, content)
        # After owner and content: both take setuid and setgid away.
        disk.set_mode(descriptor, record.mode)
        if syncs:
            disk.sync(descriptor)
    finally:
        os.close(descriptor)


def stage_generation(
    disk: Disk, layout: Layout, number: int, *, files: Sequence[RenderedFile], records: Mapping[str, FileRecord]
) -> None:
    """Write a generation's folder below the store; `sync_generation` makes it durable.

    A leftover of that number is removed first.

    Raises:
        PublishError: An owner may not be set.
        OSError: Anything else; what was written is removed again where that is possible.
    """
    root = _Folder()
    for file in files:
        record = records[file.destination]
        if layout.is_placed(file.destination):
            # A copy to place from, for confcar alone: what is placed gets owner and mode of its own.
            record = FileRecord(record.sha256, record.mode & 0o700 | 0o600, record.secret)
        root.add(stored_name(file.destination), file.content, record)
    name = generation_name(number)
    with opened_store(layout) as store:
        with suppress(FileNotFoundError):
            disk.remove_tree(name, at=store)
        try:
            _write_folder(disk, name, root, at=store, is_open=layout.mode == "swap")
        except BaseException:
            with suppress(OSError):
                disk.remove_tree(name, at=store)
            raise


def _write_folder(disk: Disk, name: str, folder: _Folder, *, at: int, is_open: bool) -> int:
    """Write a folder; return the permission bits it needs so that whoever may read a file can reach it."""
    disk.make_folder(name, at=at)
    with opened_folder(name, at=at) as descriptor:
        needed = 0
        for file, (content, record) in folder.files.items():
            write_file(disk, file, content, record, at=descriptor, syncs=not _can_be_reopened(record))
        status = os.fstat(descriptor)
        for _, record in folder.files.values():
            needed |= _needed_by(record, status)
        for child, below in folder.folders.items():
            needed |= _write_folder(disk, child, below, at=descriptor, is_open=is_open and child != OUTSIDE)
        if not is_open:
            needed = 0
        elif not folder.files and not folder.folders:
            needed = _READ_FOLDER["all"]
        # Named again because chmod drops a setgid bit that is left out.
        disk.set_mode(descriptor, 0o700 | needed | status.st_mode & stat.S_ISGID)
    return needed


def _can_be_reopened(record: FileRecord) -> bool:
    """Whether the file may be opened again to be synced; one that may not is synced while it is open."""
    return bool(record.mode & 0o400) and record.uid in {None, os.geteuid()}


def sync_generation(disk: Disk, layout: Layout, number: int, records: Mapping[str, FileRecord]) -> None:
    """Wait until all of a staged generation is on the medium, all but its own entry in the store.

    Raises:
        OSError: It is not; nothing was changed.
    """
    if len(records) >= _MANY_FILES:
        with opened_folder(layout.generation(number)) as root, suppress(NotImplementedError):
            disk.sync_file_system(root)
            return
    kept = {stored_name(name) for name, record in records.items() if not _can_be_reopened(record)}
    with opened_folder(layout.generation(number)) as root:
        folders = []
        for path, _, names, folder in os.fwalk(".", dir_fd=root):
            below = path.removeprefix(".").removeprefix("/")
            for name in names:
                if (f"{below}/{name}" if below else name) not in kept:
                    _sync_file(disk, name, at=folder)
            folders.append(below or ".")
        # Folders after what is in them, the root last.
        for below in reversed(folders):
            with opened_folder(below, at=root) as folder:
                disk.sync_folder(folder)


def _sync_file(disk: Disk, name: str, *, at: int) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    try:
        disk.sync(descriptor)
    finally:
        os.close(descriptor)


def _needed_by(record: FileRecord, folder: os.stat_result) -> int:
    needed = 0
    if record.mode & 0o040:
        needed |= _READ_FOLDER["group" if record.gid in {None, folder.st_gid} else "all"]
    if record.mode & 0o004 or (record.mode & 0o400 and record.uid not in {None, folder.st_uid}):
        needed |= _READ_FOLDER["all"]
    return needed


def list_generations(store: int) -> list[int]:
    """Return the numbers of all generation folders, highest first."""
    numbers = (generation_number(name) for name in os.listdir(store))
    return sorted((number for number in numbers if number is not None), reverse=True)
