"""Hold on a bundle's directory: it is there, and this confcar is the only one in it.

The lock is advisory and ends with the process, however that ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from confcar.errors import LockedError
from confcar.publishing.disk import Disk, opened_folder
from confcar.publishing.faults import publishing
from confcar.publishing.layout import LOCK, Layout

_TEXT_LIMIT_BYTES = 400
_DIRECTORY_MODE = 0o755
_ALL_MAY = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO


class DirectoryHold:
    """Exclusive hold on a bundle's directory, whichever way it is published. Not thread-safe."""

    def __init__(self, layout: Layout, disk: Disk) -> None:
        self._layout = layout
        self._disk = disk
        self._path = layout.directory / LOCK
        self._descriptor: int | None = None

    def take(self) -> None:
        """Make the directory where it is missing, also when it went since, and lock it; does not block.

        Raises:
            LockedError: Another confcar holds the directory.
            PublishError: It cannot be made, or the lock file cannot be written.
        """
        with publishing("create", self._layout.directory):
            _make_directories(self._layout.directory)
        if not self._is_in_place():
            self.release()
            with publishing("lock", self._path):
                self._descriptor = self._locked()
        if self._layout.mode == "rename":
            with publishing("create", self._layout.store):
                self._make_store()

    def take_over(self, other: DirectoryHold) -> None:
        """Take the lock that *other* has on the same directory, without a moment in which nobody has it."""
        if other is not self:
            self._descriptor, other._descriptor = other._descriptor, self._descriptor
            other.release()

    def _locked(self) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
        except BlockingIOError:
            holder = _read_holder(descriptor)
            os.close(descriptor)
            raise LockedError(
                f"{self._layout.directory} is held by another confcar{holder}: stop it, or give this bundle a directory"
                " of its own"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _make_store(self) -> None:
        name = self._layout.store.name
        with opened_folder(self._layout.directory, follow=True) as directory:
            with suppress(FileExistsError):
                self._disk.make_folder(name, at=directory)
            with opened_folder(name, at=directory) as store:
                if os.fstat(store).st_mode & _ALL_MAY != stat.S_IRWXU:
                    self._disk.set_mode(store, stat.S_IRWXU)

    def release(self) -> None:
        """Give the lock back; nothing where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _is_in_place(self) -> bool:
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(self._path))
        except OSError:
            return False


def _read_holder(descriptor: int) -> str:
    pid, _, host = os.pread(descriptor, _TEXT_LIMIT_BYTES, 0).decode(errors="replace").strip().partition(" ")
    if not pid.isdecimal():
        return ""
    return f" (PID {pid} on {host})" if host else f" (PID {pid})"


def _make_directories(directory: Path) -> None:
    """Make the directory and its parents, each 0755 whatever the umask."""
    if directory.is_dir():
        return
    if os.path.lexists(directory):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    _make_directories(directory.parent)
    with suppress(FileExistsError):
        directory.mkdir()
        directory.chmod(_DIRECTORY_MODE)
