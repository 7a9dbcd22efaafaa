"""Files as they were last read, so that a folder of thousands is stat'ed, not read, when one of them changes.

Only regular files are opened, and never so that opening could block. Knows nothing of folders, links or watching.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from confcar.errors import SourceDataError, SourceDeniedError, SourceUnavailableError
from confcar.watchers.documents import parse_document
from confcar.watchers.nodes import Node

MAX_FILE_BYTES = 64 * 1024 * 1024
"""No configuration is larger; a file that is was named by mistake and would fill the pod's memory."""
# A file may be changed again within one tick of the clock that stamps it, two seconds on the coarsest file systems, and
# keep its size: until its stamps are older than that they prove nothing.
_STAMP_SECONDS = 2.0

_Signature = tuple[int, int, int, int, int]


@dataclass(slots=True)
class CachedFile:
    """One file's content, and what it says as a document once somebody asked.

    Attributes:
        content: The bytes.
        signature: What the disk said of the file when it was read.
        is_trusted: Whether an equal signature proves that it is unchanged.
        documents: What it says as a document, by suffix; or why it does not parse.
    """

    content: bytes
    signature: _Signature
    is_trusted: bool
    documents: dict[str, Node | SourceDataError] = field(default_factory=dict)

    def document(self, *, suffix: str, shown: str) -> Node:
        """Return the file as a document, parsed once.

        Raises:
            SourceDataError: It does not parse; with `file:line:column`.
        """
        parsed = self.documents.get(suffix)
        if parsed is None:
            try:
                parsed = parse_document(self.content, suffix=suffix, shown=shown)
            except SourceDataError as error:
                parsed = error
            self.documents[suffix] = parsed
        if isinstance(parsed, SourceDataError):
            raise SourceDataError(str(parsed))
        return parsed


class FileCache:
    """The files read so far. Not thread-safe; its owner has a lock."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._files: dict[str, CachedFile] = {}
        self._used: set[str] = set()
        self.reads = 0
        """How many times a file was really read."""

    def read(self, path: str, *, shown: str) -> CachedFile | None:
        """Return a regular file, or None where there is none.

        Args:
            path: Where it lies, links resolved.
            shown: What to call it in messages.

        Raises:
            SourceDeniedError: It may not be read.
            SourceDataError: It is larger than MAX_FILE_BYTES.
            SourceUnavailableError: The disk failed; worth a retry.
        """
        known = self._files.get(path)
        try:
            if known is None or not known.is_trusted or known.signature != _signature(_stat(path)):
                known = self._read_again(path, shown)
        except (FileNotFoundError, NotADirectoryError):
            known = None
        except PermissionError:
            raise SourceDeniedError(
                f"{shown} may not be read by user {os.geteuid()}; change its mode or owner"
            ) from None
        except OSError as error:
            raise SourceUnavailableError(f"cannot read {shown}: {error.strerror}") from error
        if known is None:
            self._files.pop(path, None)
            return None
        self._files[path] = known
        self._used.add(path)
        return known

    def forget_unused(self) -> None:
        """Drop the files that were not asked for since the last call."""
        if len(self._used) < len(self._files):
            self._files = {path: file for path, file in self._files.items() if path in self._used}
        self._used = set()

    def _read_again(self, path: str, shown: str) -> CachedFile | None:
        # O_NONBLOCK: a fifo must not hold up the source; it is no regular file and ignored.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with open(descriptor, "rb", buffering=0) as stream:  # noqa: PTH123 - opened by descriptor
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return None
            began = self._clock()
            content = _read_all(stream.read) if found.st_size <= MAX_FILE_BYTES else None
        if content is None:
            raise SourceDataError(f"{shown} is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB")
        self.reads += 1
        is_trusted = max(found.st_mtime, found.st_ctime) + _STAMP_SECONDS < began
        file = CachedFile(content, _signature(found), is_trusted)
        before = self._files.get(path)
        if before is not None and before.content == content:
            file.documents = before.documents
        return file


def _read_all(read: Callable[[int], bytes | None]) -> bytes | None:
    """Return everything, or None where it is more than MAX_FILE_BYTES: files in /proc do not say how long they are."""
    parts = []
    size = 0
    while part := read(1024 * 1024):
        size += len(part)
        if size > MAX_FILE_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _stat(path: str) -> os.stat_result:
    return os.stat(path)  # noqa: PTH116 - thousands in a row, kept cheap


def _signature(found: os.stat_result) -> _Signature:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
