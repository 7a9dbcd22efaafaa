"""The file that tokens and leases are handed over in: only its owner can reach it, or it is not used at all.

The folder is opened first and everything else goes by that descriptor, so no link put in the way later leads anywhere
else. A new content is written beside the old one, synced and renamed over it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FOR_OTHERS = 0o077
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP}
# A few thousand leases; more is not ours.
_MOST_BYTES = 16 * 1024 * 1024


class RefusedError(Exception):
    """The file, or its folder, is not safe for secrets; the text says why and what to do."""


class HandoverFile:
    """One file on disk. Its methods may be called from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes | None:
        """Return the content; None where there is no such file.

        Raises:
            RefusedError: Somebody else could read or could have written it, or it is a link.
            OSError: It cannot be read.
        """
        try:
            with self._folder() as folder:
                return self._read(folder)
        except FileNotFoundError:
            return None

    def write(self, content: bytes) -> None:
        """Replace the content, or create the file with mode 0600, in a folder with mode 0700 where that is missing.

        Raises:
            RefusedError: Somebody else could read it there.
            OSError: It cannot be written; the old content is still whole.
        """
        if not self.path.parent.is_dir():
            self.path.parent.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.path.parent.mkdir(mode=0o700)
        with self._folder() as folder:
            self._write(folder, content)

    @contextmanager
    def _folder(self) -> Iterator[int]:
        parent = self.path.parent
        try:
            descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise RefusedError(f"{parent} is no folder, or a link to one: name the folder itself") from error
            raise
        try:
            found = os.fstat(descriptor)
            if found.st_uid != os.geteuid():
                raise RefusedError(f"{parent} belongs to another user: use a folder of confcar's own")
            if found.st_mode & _FOR_OTHERS:
                mode = stat.S_IMODE(found.st_mode)
                raise RefusedError(f"others can read or enter {parent} (mode {mode:04o}): give it mode 0700")
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(self, folder: int) -> bytes:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path.name, flags, dir_fd=folder)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise RefusedError(f"{self.path} is a link: it is not followed") from error
            raise
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise RefusedError(f"{self.path} is no plain file")
            if found.st_uid != os.geteuid() or found.st_mode & _FOR_OTHERS:
                raise RefusedError(f"{self.path} is not confcar's own, or others may read it")
            if found.st_size > _MOST_BYTES:
                raise RefusedError(f"{self.path} is larger than anything confcar hands over")
            return file.read()

    def _write(self, folder: int, content: bytes) -> None:
        temporary = f".{self.path.name}.new"
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
        try:
            os.fchmod(descriptor, 0o600)
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
            os.rename(temporary, self.path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        finally:
            os.close(descriptor)
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise
