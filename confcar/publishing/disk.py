"""The calls by which publishing changes the disk, each one system call or nearly so.

Nothing else in this package changes anything on disk. Tests pass in a disk that records the order of the calls, stops
the process before any of them, or lets any of them fail. Names are relative to an open folder (`at`), so that no
link put in the way later can lead a call elsewhere.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from confcar.publishing.layout import Layout

_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP}


@contextmanager
def opened_folder(path: str | os.PathLike[str], *, at: int | None = None, follow: bool = False) -> Iterator[int]:
    """Yield a readable descriptor of a folder; a symbolic link is refused unless *follow*."""
    descriptor = os.open(path, os.O_RDONLY | _FOLDER | (0 if follow else os.O_NOFOLLOW), dir_fd=at)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_store(layout: Layout) -> Iterator[int]:
    """Yield a descriptor of the folder that holds state and generations."""
    # In swap mode it is the bundle's directory itself, which may be a link that the user made.
    with opened_folder(layout.store, follow=layout.mode == "swap") as store:
        yield store


class Disk:
    """Changes the disk. Stateless; every method may raise OSError."""

    def make_folder(self, name: str, *, at: int, mode: int = 0o700) -> None:
        """Create a folder that its owner can use whatever the umask; FileExistsError where the name is taken."""
        os.mkdir(name, mode, dir_fd=at)
        if os.stat(name, dir_fd=at, follow_symlinks=False).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            # The umask took the owner's own bits. By descriptor, lest the name be swapped for a link meanwhile.
            descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | _FOLDER, dir_fd=at)
            try:
                os.chmod(f"/proc/self/fd/{descriptor}", mode)  # noqa: PTH101 - an O_PATH descriptor has no fchmod
            finally:
                os.close(descriptor)

    def create(self, name: str, *, at: int, mode: int) -> int:
        """Create a file that must not exist yet, and return it open for writing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, mode, dir_fd=at)

    def write(self, descriptor: int, content: bytes) -> None:
        """Write all of *content*."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def set_owner(self, descriptor: int, uid: int, gid: int) -> None:
        """Set owner and group; -1 leaves one as it is. Takes setuid and setgid off a file."""
        os.fchown(descriptor, uid, gid)

    def set_mode(self, descriptor: int, mode: int) -> None:
        """Set the permission bits, whatever the umask."""
        os.fchmod(descriptor, mode)

    def sync(self, descriptor: int) -> None:
        """Wait until a file's content and attributes are on the medium."""
        os.fsync(descriptor)

    def sync_folder(self, descriptor: int) -> None:
        """Wait until a folder's entries are on the medium; some network file systems have no such call."""
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise

    def sync_file_system(self, descriptor: int) -> None:
        """Wait until all of the file system that an open folder is on is on the medium, other programs' data too.

        NotImplementedError where the kernel or the C library has no such call.
        """
        try:
            call = ctypes.CDLL(None, use_errno=True).syncfs
        except (AttributeError, OSError):
            raise NotImplementedError from None
        if call(descriptor) != 0:
            code = ctypes.get_errno()
            if code == errno.ENOSYS:
                raise NotImplementedError
            raise OSError(code, os.strerror(code))

    def rename(self, old: str, new: str, *, at: int) -> None:
        """Rename within one folder, replacing what bears the new name."""
        os.rename(old, new, src_dir_fd=at, dst_dir_fd=at)

    def link(self, target: str, name: str, *, at: int) -> None:
        """Create a symbolic link."""
        os.symlink(target, name, dir_fd=at)

    def remove(self, name: str, *, at: int) -> None:
        """Remove a file or link."""
        os.unlink(name, dir_fd=at)

    def remove_tree(self, name: str, *, at: int) -> None:
        """Remove a folder and all below it, following no links; or the file or link that bears its name instead."""
        if stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=at)
        else:
            os.unlink(name, dir_fd=at)


def remove_if_there(disk: Disk, name: str, *, at: int) -> None:
    """Remove a file or link that may be gone already."""
    try:
        disk.remove(name, at=at)
    except FileNotFoundError:
        return


def remove_leftover(disk: Disk, name: str, *, at: int) -> None:
    """Make way for one of confcar's own temporary names, whatever bears it and where anything does."""
    try:
        remove_if_there(disk, name, at=at)
    except IsADirectoryError:
        disk.remove_tree(name, at=at)
