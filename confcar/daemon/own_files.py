"""Notices changes of confcar's own files: the config, the templates, and what these include.

Only notices: what has changed, and whether it can be used, is found out by who is told. The kernel says when; where it
cannot, and for files that are found only while templates are compiled, the files are looked at every few seconds.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from confcar.errors import SourceError
from confcar.model import ABSENT, Dependency, Reading, Snapshot, Version
from confcar.status import Status
from confcar.watchers.disk import Pass
from confcar.watchers.disk_watcher import DiskFollower
from confcar.watchers.kernel import Kernel

_NAME = "own files"
_LOOK_SECONDS = 5.0
_BEAT_SECONDS = 60.0
# Several files are often written one after the other.
_QUIET_SECONDS = 0.3
_MAX_MOMENTS = 20
# A bundle that is published beside the config makes events, too, while its primary waits.
_LINGER_SECONDS = 0.05
_JOIN_SECONDS = 1.0
_log = logging.getLogger(__name__)


class OwnFiles:
    """Watches in a thread of its own until `close`.

    Args:
        files: Returns what to watch now; called in the thread.
        changed: Called in the thread after files that were watched already have changed.
        touched: Called in the thread after *files* has named other files than before, and after something happened to
            them although they are what they were.
        looked: Called in the thread every few seconds while nothing happens.
        status: Where the thread says that it moves.
    """

    def __init__(
        self,
        files: Callable[[], frozenset[Path]],
        *,
        changed: Callable[[], None],
        touched: Callable[[], None],
        looked: Callable[[], None],
        status: Status,
    ) -> None:
        self._files = files
        self._changed = changed
        self._touched = touched
        self._looked = looked
        self._status = status
        # Its reads are none of a source's: they are counted nowhere.
        self._disk = DiskFollower(_NAME, answer=_answer, status=Status(), kernel=Kernel(linger_seconds=_LINGER_SECONDS))
        self._known: Mapping[Dependency, Reading | None] = {}
        self._version: Version | None = None
        self._thread = threading.Thread(target=self._run, name="confcar-own-files", daemon=True)

    def start(self) -> None:
        """Begin to watch. Does not block: what it finds first counts as touched."""
        self._thread.start()

    def close(self) -> None:
        """End the watching; blocks for a moment."""
        self._disk.close()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        try:
            while True:
                self._status.beat(_NAME, _BEAT_SECONDS)
                self._look()
        except SourceError:
            self._status.beat(_NAME, None)  # closed
        except Exception:  # noqa: BLE001 - liveness is to fail: the beat is not renewed
            _log.exception("unexpected error while watching the config and the templates")

    def _look(self) -> None:
        wanted = frozenset(Dependency(_NAME, "file", str(path)) for path in self._files())
        after = self._version if wanted == self._known.keys() else None
        snapshot = self._disk.fetch(wanted, after=after, wait_seconds=_LOOK_SECONDS)
        if snapshot.version == after:
            self._looked()
            return
        if after is not None:
            snapshot = self._settled(wanted, snapshot)
        before, self._known = self._known, {each: snapshot.readings.get(each) for each in wanted}
        self._version = snapshot.version
        if any(each in before and before[each] != reading for each, reading in self._known.items()):
            self._changed()
        else:
            self._touched()

    def _settled(self, wanted: frozenset[Dependency], snapshot: Snapshot) -> Snapshot:
        """Return what lies there once it has been the same for a moment."""
        for _ in range(_MAX_MOMENTS):
            later = self._disk.fetch(wanted, after=snapshot.version, wait_seconds=_QUIET_SECONDS)
            if later.version == snapshot.version:
                break
            snapshot = later
        return snapshot


def _answer(disk: Pass, dependency: Dependency) -> Reading:
    found = disk.resolve(dependency.path, shown=dependency.path)
    file = disk.read(found) if found is not None and found.kind == "file" else None
    return ABSENT if file is None else Reading(hashlib.blake2b(file.content).digest())
