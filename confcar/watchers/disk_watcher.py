"""Following what lies on disk: read, wait for the kernel, read again. Shared by the file source and `file()`.

One query holds everything that is read from one place, so that what one rename changed arrives in one snapshot. What
cannot be read is told as the snapshot's failures and not raised: the wait for the next event goes on meanwhile, and
nobody who repaired a file has to wait for a back-off.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from confcar.errors import SourceError, SourceUnavailableError
from confcar.log import fields
from confcar.model import Dependency, Reading, Snapshot, Version
from confcar.status import Status
from confcar.watchers.base import Query
from confcar.watchers.disk import Pass
from confcar.watchers.file_cache import FileCache
from confcar.watchers.kernel import Kernel

# For those who do not wait.
_AGAIN_SECONDS = 1.0
_MAX_PASSES = 20
# How often a pass that read a file while it was written is repeated; what is missed then comes with the next event.
_MAX_SETTLES = 3
# Lines of the log that one read may take to say what failed.
_MAX_LINES = 10

_log = logging.getLogger(__name__)

Answer = Callable[[Pass, Dependency], Reading]
"""Answers one dependency from the disk, or raises a SourceError."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the last pass of the blocking fetch saw."""

    dependencies: frozenset[Dependency]
    snapshot: Snapshot
    read_at: float


class DiskFollower:
    """Reads and waits, for one watcher. `fetch` may block in one thread and read at once in others; `close` in any."""

    def __init__(self, name: str, *, answer: Answer, status: Status, kernel: Kernel | None = None) -> None:
        self._name = name
        self._answer = answer
        self._status = status
        self._kernel = kernel or Kernel()
        self._files = FileCache()
        self._reading = threading.Lock()
        self._blocking = threading.Lock()
        self._counting = threading.Lock()
        self._under_way = 0
        self._is_waiting = False
        self._is_interrupted = False
        self._is_closed = False
        self._is_released = False
        self._was_blind = False
        self._told: frozenset[str] = frozenset()
        self._known: _Known | None = None

    def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
        """Return one query for everything."""
        return {self._name: wanted} if wanted else {}

    def fetch(self, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float) -> Snapshot:
        """Return the newest snapshot; see `Watcher.fetch`. Only one caller at a time may wait.

        Raises:
            SourceUnavailableError: Closed.
        """
        with self._counted():
            if wait_seconds <= 0:
                snapshot = self._read(dependencies, kernel=None)
                return _seen_by(after, snapshot, again_in_seconds=_AGAIN_SECONDS)
            with self._blocking, self._interruptible():
                return self._fetch_blocking(dependencies, after, time.monotonic() + wait_seconds)

    def interrupt(self) -> None:
        """End the fetch that waits; nothing where none does."""
        with self._counting:
            if self._is_waiting:
                self._is_interrupted = True
                self._kernel.wake()

    def close(self) -> None:
        """End the fetch that waits and give all descriptors back. May be called twice."""
        with self._counting:
            if not self._is_closed:
                self._is_closed = True
                self._kernel.wake()
            self._release_if_idle()

    def _fetch_blocking(self, dependencies: frozenset[Dependency], after: Version | None, until: float) -> Snapshot:
        known = self._known
        if known is None or known.dependencies != dependencies or after != known.snapshot.version:
            known = self._read_watching(dependencies)
        while known.snapshot.version == after and (now := time.monotonic()) < until:
            next_poll = known.read_at + self._kernel.poll_seconds
            is_event = self._kernel.wait(min(until, next_poll) - now)
            if self._is_closed or self._is_interrupted:
                break
            if is_event or time.monotonic() >= next_poll:
                known = self._read_watching(dependencies)
        return _seen_by(after, known.snapshot)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        with self._counting:
            self._is_waiting = True
        try:
            yield
        finally:
            with self._counting:
                self._is_waiting = False
                if self._is_interrupted and not self._is_closed:
                    self._kernel.forget_wake()
                self._is_interrupted = False

    def _read_watching(self, dependencies: frozenset[Dependency]) -> _Known:
        attempts = 0
        while True:
            self._kernel.settle()
            read_at = time.monotonic()
            known = _Known(dependencies, self._read(dependencies, kernel=self._kernel), read_at)
            attempts += 1
            if attempts >= _MAX_SETTLES or not self._kernel.is_half_written():
                break
        self._known = known
        self._tell_of_blindness()
        self._tell_of_failures(known.snapshot.failures)
        return known

    def _read(self, dependencies: frozenset[Dependency], *, kernel: Kernel | None) -> Snapshot:
        with self._reading:
            for _ in range(_MAX_PASSES):
                if kernel is not None:
                    kernel.begin_pass()
                disk = Pass(self._files, kernel)
                snapshot = self._read_once(disk, dependencies)
                is_whole = disk.is_unmoved()
                if kernel is not None:
                    kernel.end_pass()
                if is_whole:
                    break
            else:
                error = SourceUnavailableError(f"{self._name}: the files are replaced faster than they can be read")
                snapshot = _snapshot({}, dict.fromkeys(dependencies, error))
            if kernel is not None:
                self._files.forget_unused()
        self._status.count("source_requests_total", self._name, "failed" if snapshot.failures else "ok")
        return snapshot

    def _read_once(self, disk: Pass, dependencies: frozenset[Dependency]) -> Snapshot:
        readings: dict[Dependency, Reading] = {}
        failures: dict[Dependency, Exception] = {}
        for dependency in sorted(dependencies, key=repr):
            try:
                readings[dependency] = self._answer(disk, dependency)
            except SourceError as error:
                failures[dependency] = error
        return _snapshot(readings, failures)

    def _tell_of_blindness(self) -> None:
        is_blind = self._kernel.is_blind
        if is_blind and not self._was_blind:
            _log.warning(
                "cannot watch files by inotify, polling instead",
                extra=fields(source=self._name, error=self._kernel.reason, every=f"{self._kernel.poll_seconds:g}s"),
            )
        elif self._was_blind and not is_blind:
            _log.info("watching files by inotify again", extra=fields(source=self._name))
        self._was_blind = is_blind

    def _tell_of_failures(self, failures: Mapping[Dependency, Exception]) -> None:
        texts = sorted({str(error) for error in failures.values()})
        new = [text for text in texts if text not in self._told]
        for text in new[:_MAX_LINES]:
            _log.warning("cannot read", extra=fields(source=self._name, error=text))
        if len(new) > _MAX_LINES:
            _log.warning("cannot read more", extra=fields(source=self._name, count=len(new) - _MAX_LINES))
        if self._told and not texts:
            _log.info("all can be read again", extra=fields(source=self._name))
        self._told = frozenset(texts)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Keep the descriptors until the last fetch is over: a number given back is soon somebody else's."""
        with self._counting:
            if self._is_closed:
                raise SourceUnavailableError(f"{self._name} is closed")
            self._under_way += 1
        try:
            yield
        finally:
            with self._counting:
                self._under_way -= 1
                self._release_if_idle()

    def _release_if_idle(self) -> None:
        if self._is_closed and not self._under_way and not self._is_released:
            self._is_released = True
            self._kernel.close()


def _snapshot(readings: Mapping[Dependency, Reading], failures: Mapping[Dependency, Exception]) -> Snapshot:
    digest = hashlib.blake2b(digest_size=16)
    for dependency, reading in readings.items():
        digest.update(f"{dependency!r}\0{reading.note}\0{type(reading.value).__name__}\0".encode())
        content = reading.value if isinstance(reading.value, bytes) else repr(reading.value).encode()
        digest.update(f"{len(content)}\0".encode())
        digest.update(content)
    for dependency, error in failures.items():
        digest.update(f"{dependency!r}\0{type(error).__name__}\0{error}\0".encode())
    return Snapshot(digest.digest(), readings, failures=failures)


def _seen_by(after: Version | None, snapshot: Snapshot, *, again_in_seconds: float | None = None) -> Snapshot:
    """Return the snapshot without its readings where the caller has them already; failures go on to be failures."""
    readings = {} if snapshot.version == after else snapshot.readings
    return Snapshot(snapshot.version, readings, again_in_seconds=again_in_seconds, failures=snapshot.failures)
