"""What the kernel says about folders: inotify by ctypes, and a way to end the waiting from another thread.

Folders are watched, never files: a file that is replaced takes its watch with it. In each pass over the disk the reader
names every folder that it looked into, before it looks; what the next pass does not name is no longer watched. Nothing
here reads a file's content.
"""

from __future__ import annotations

import ctypes
import os
import select
import stat
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

_IN_MODIFY, _IN_ATTRIB, _IN_CLOSE_WRITE = 0x2, 0x4, 0x8
_IN_MOVED_FROM, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x40, 0x80, 0x100, 0x200
_IN_DELETE_SELF, _IN_MOVE_SELF, _IN_Q_OVERFLOW, _IN_IGNORED = 0x400, 0x800, 0x4000, 0x8000
_IN_ONLYDIR, _IN_MASK_ADD, _IN_ISDIR = 0x1000000, 0x20000000, 0x40000000
_NAMES = _IN_ATTRIB | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_DELETE_SELF | _IN_MOVE_SELF
_CONTENT = _NAMES | _IN_MODIFY | _IN_CLOSE_WRITE
_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
_EVENT = struct.Struct("iIII")
# Room for several hundred events at a time; one event takes at most 272 bytes.
_READ_BYTES = 65536
# A writer that opened a file for writing gets this long between two writes, and that long in all, to close it. Nothing
# is lost where it takes longer: each further write is an event too.
_QUIET_SECONDS = 0.25
_SETTLE_SECONDS = 1.0
KUBERNETES_LINK = "..data"
"""The link that Kubernetes, and confcar itself, turns to publish a folder's files all at once."""


@dataclass(slots=True)
class _Watched:
    """What matters below one watched folder: single names, or all that can be listed."""

    directory: str
    mask: int = 0
    names: set[str] = field(default_factory=set)
    is_listed: bool = False

    def matters(self, name: str) -> bool:
        return (
            not name or name in self.names or (self.is_listed and (name == KUBERNETES_LINK or not name.startswith(".")))
        )


class Libc(Protocol):
    """The three calls, as the C library has them: -1 and `ctypes.get_errno()` where one fails."""

    def inotify_init1(self, flags: int, /) -> int:
        """Return a new queue's descriptor."""
        ...

    def inotify_add_watch(self, queue: int, directory: bytes, mask: object, /) -> int:
        """Return the number of a folder's watch."""
        ...

    def inotify_rm_watch(self, queue: int, number: int, /) -> int:
        """End a watch."""
        ...


class Kernel:
    """Watches folders. One thread waits and names folders; any thread may `wake`.

    Args:
        libc: The system calls; None for the C library's.
        poll_seconds: See the property; where the kernel is blind.
        slow_poll_seconds: The same where it is not.
        linger_seconds: How long `wait` lets events gather before it looks at them; 0 for not at all. For who is in no
            hurry and must not disturb those who are: each look takes the interpreter from the thread that publishes.

    Attributes:
        is_blind: Whether something that was named cannot be watched, so that the reader has to poll.
        reason: Why, for people; empty where it is not blind.
    """

    def __init__(
        self,
        *,
        libc: Libc | None = None,
        poll_seconds: float = 1.0,
        slow_poll_seconds: float = 10.0,
        linger_seconds: float = 0.0,
    ) -> None:
        self._poll_seconds = poll_seconds
        self._slow_poll_seconds = slow_poll_seconds
        self._linger_seconds = linger_seconds
        self.is_blind = False
        self.reason = ""
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._inotify = -1
        self._libc: Libc = libc or ctypes.CDLL(None, use_errno=True)
        self._by_directory: dict[str, int] = {}
        self._named: dict[int, _Watched] = {}
        self._watched: dict[int, _Watched] = {}
        self._half_written: set[tuple[int, str]] = set()
        self._is_pending = False

    @property
    def poll_seconds(self) -> float:
        """How often the reader has to look for itself, above 0.

        Seldom where the kernel watches: network file systems, some overlays and hard links lose events. Often where it
        is blind.
        """
        return self._poll_seconds if self.is_blind else self._slow_poll_seconds

    def begin_pass(self) -> None:
        """Begin to name the folders anew. Events of before are taken off the queue: the pass sees their outcome."""
        self._read_events()
        self._is_pending = False
        self.is_blind, self.reason = False, ""
        self._by_directory, self._named = {}, {}
        if self._inotify < 0:
            self._inotify = self._libc.inotify_init1(_FLAGS)
            if self._inotify < 0:
                self._go_blind(ctypes.get_errno())

    def watch(self, directory: str, *, name: str | None = None, content: bool = False) -> None:
        """Wake for changes below a folder from now on.

        Args:
            directory: The folder.
            name: The one entry that matters, None for all whose name does not start with a dot.
            content: Whether writing into the entry matters, beside its coming, going and being replaced. A folder that
                cannot be watched makes the kernel blind only where it does; else the slow poll is enough.
        """
        mask = _CONTENT if content or name is None else _NAMES
        number = self._by_directory.get(directory, -1)
        watched = self._named.get(number)
        if watched is None or mask & ~watched.mask:
            number = self._add(directory, mask)
            if number < 0:
                return
            watched = self._named.setdefault(number, _Watched(directory))
            watched.mask |= mask
        if name is None:
            watched.is_listed = True
        else:
            watched.names.add(name)

    def end_pass(self) -> None:
        """Stop watching what this pass did not name."""
        for number in self._watched.keys() - self._named.keys():
            # Fails where the folder is gone, and its watch with it.
            self._libc.inotify_rm_watch(self._inotify, number)
        self._watched = self._named
        self._half_written = {(number, name) for number, name in self._half_written if number in self._watched}

    def wait(self, seconds: float) -> bool:
        """Return whether something that matters happened, at once or within *seconds*. True too after `wake`."""
        until = time.monotonic() + seconds
        while not self._read_events():
            left = until - time.monotonic()
            ready = self._poll(left)
            if ready is not None and self._linger_seconds:
                ready = self._poll(self._linger_seconds, only_wake=True) or ready
            if ready == self._wake:
                return True
            if left <= 0 and ready is None:
                return False
        return True

    def is_half_written(self) -> bool:
        """Return whether a file that matters was written to and not closed yet, as far as the kernel said by now."""
        self._is_pending = self._read_events()
        return bool(self._half_written)

    def settle(self) -> None:
        """Wait until no file that matters is half written, as far as the kernel said; bounded, and ended by `wake`.

        A file replaced by a rename is complete and waits for nothing.
        """
        until = time.monotonic() + _SETTLE_SECONDS
        while self._half_written and (left := until - time.monotonic()) > 0:
            if self._poll(min(left, _QUIET_SECONDS)) != self._inotify:
                break
            self._read_events()
        self._half_written.clear()

    def wake(self) -> None:
        """End every wait, now and from now on. Any thread."""
        os.eventfd_write(self._wake, 1)

    def forget_wake(self) -> None:
        """Let `wait` wait again after a `wake`."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def close(self) -> None:
        """Give the descriptors back; nobody may be waiting. May be called twice."""
        for descriptor in (self._inotify, self._wake):
            if descriptor >= 0:
                os.close(descriptor)
        self._inotify = self._wake = -1
        self._watched, self._named = {}, {}

    def _poll(self, seconds: float, *, only_wake: bool = False) -> int | None:
        """Return a descriptor that can be read, the waking one first; None where there was none within *seconds*."""
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        if self._inotify >= 0 and not only_wake:
            poller.register(self._inotify, select.POLLIN)
        ready = [descriptor for descriptor, _ in poller.poll(max(0.0, seconds) * 1000)]
        return self._wake if self._wake in ready else next(iter(ready), None)

    def _add(self, directory: str, mask: int) -> int:
        if self._inotify < 0:
            return -1
        number = self._libc.inotify_add_watch(
            self._inotify, os.fsencode(directory), ctypes.c_uint32(mask | _IN_ONLYDIR | _IN_MASK_ADD)
        )
        if number >= 0:
            self._by_directory[directory] = number
            return number
        error = ctypes.get_errno()
        # Gone, or no folder any more: what leads there is watched, and says so when it is back.
        if mask == _CONTENT and not isinstance(OSError(error, ""), FileNotFoundError | NotADirectoryError):
            self._go_blind(error)
        return -1

    def _go_blind(self, error: int) -> None:
        self.is_blind, self.reason = True, os.strerror(error)

    def _read_events(self) -> bool:
        """Take all events off the queue and return whether one of them matters, or of those taken since the pass."""
        matters = self._is_pending
        while self._inotify >= 0:
            try:
                events = os.read(self._inotify, _READ_BYTES)
            except BlockingIOError:
                break
            position = 0
            while position < len(events):
                number, mask, _, length = _EVENT.unpack_from(events, position)
                position += _EVENT.size + length
                name = os.fsdecode(events[position - length : position].rstrip(b"\0"))
                matters = self._take_event(number, mask, name) or matters
        return matters

    def _take_event(self, number: int, mask: int, name: str) -> bool:
        if mask & _IN_Q_OVERFLOW:
            self._half_written.clear()
            return True
        watched = self._watched.get(number)
        if watched is None or not watched.matters(name):
            return False
        if mask & _IN_IGNORED:
            # The number may be given to another folder; a pass follows and names this one again if it is back.
            del self._watched[number]
        if mask & _IN_MODIFY or (mask & _IN_CREATE and not mask & _IN_ISDIR and _is_new_file(watched, name)):
            self._half_written.add((number, name))
        elif mask & (_IN_CLOSE_WRITE | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_DELETE):
            self._half_written.discard((number, name))
        return True


def _is_new_file(watched: _Watched, name: str) -> bool:
    """Whether a writer will still close it; a link comes complete."""
    try:
        found = os.lstat(os.path.join(watched.directory, name))  # noqa: PTH118 - one call per event, kept cheap
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1
