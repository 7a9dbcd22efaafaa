"""The handover as the parts of one process share it: read once, kept current, and never a reason not to start.

Whatever is wrong with the file is one line in the log; then there is nothing to take over, or nothing is written.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from confcar.handover.file import HandoverFile, RefusedError
from confcar.handover.records import HandedLease, HandedSource, HandedToken, SourceKey, dump, parse
from confcar.log import fields

Life = Literal["run", "once", "preview"]
"""Which process this is: the sidecar, the init container, or one that shows what these would do and changes nothing."""

_NOTHING = HandedSource()
_log = logging.getLogger(__name__)


class Handover:
    """What earlier processes left, and what this one leaves. Thread-safe; no method raises.

    Args:
        path: The file; None where nothing is handed over: then nothing is held and nothing written.
        life: Which process this is; a preview reads and never writes.
        sources: Names of the configured sources; what belongs to others is left out.

    Attributes:
        life: As given.
        is_going_on: Whether the process is between `begin` and `end`.
    """

    def __init__(self, path: Path | None, *, life: Life, sources: Collection[str] = ()) -> None:
        self.life: Life = life
        self.is_going_on = False
        self._file = HandoverFile(path) if path is not None else None
        self._sources = frozenset(sources)
        self._lock = threading.Lock()
        self._held: dict[SourceKey, HandedSource] | None = None
        self._trouble = ""

    @property
    def is_on(self) -> bool:
        """Whether there is a file to hand over by."""
        return self._file is not None

    def begin(self) -> None:
        """Note that the process goes on whatever source is closed from now on: nothing in use may be given back."""
        self.is_going_on = True

    def end(self) -> None:
        """Note that the process ends, so that what nobody takes over may be given back."""
        self.is_going_on = False

    def serve(self, sources: Collection[str]) -> None:
        """Replace the names of the configured sources; what is held for others is left out of the next write."""
        with self._lock:
            self._sources = frozenset(sources)
            held = self._load()
            for key in [each for each in held if each.source not in self._sources]:
                del held[key]

    def take(self, key: SourceKey) -> HandedSource | None:
        """Return what is held for a source and this way to log in; None for nothing. It stays in the file.

        The token is not known to live, and a lease may have ended or its token may have: that is for the caller to find
        out. May be called more than once. Blocks for reading the file the first time.
        """
        with self._lock:
            held = self._load()
            for other in [each for each in held if each.source == key.source and each != key]:
                _log.warning("handover ignored", extra=fields(source=key.source, reason=_difference(other, key)))
                del held[other]
            return held.get(key)

    def put_token(self, key: SourceKey, token: HandedToken | None) -> None:
        """Hold a source's token, None for none any more; durable on return where the disk allows it."""
        with self._lock:
            self._put(key, replace(self._load().get(key, _NOTHING), token=token))

    def put_leases(self, key: SourceKey, leases: Iterable[HandedLease]) -> None:
        """Hold all of a source's leases, in place of those before; durable on return where the disk allows it."""
        with self._lock:
            self._put(key, replace(self._load().get(key, _NOTHING), leases=tuple(leases)))

    def remove(self, key: SourceKey) -> None:
        """Hold nothing of a source any more."""
        with self._lock:
            self._put(key, _NOTHING)

    def _load(self) -> dict[SourceKey, HandedSource]:
        if self._held is None:
            self._held = {}
            try:
                content = self._file.read() if self._file is not None else None
                found = parse(content) if content is not None else {}
            except (RefusedError, OSError, ValueError) as error:
                self._warn("handover ignored", error)
                found = {}
            self._held = {key: held for key, held in found.items() if key.source in self._sources}
            for key in found.keys() - self._held.keys():
                reason = "there is no such source in the config"
                _log.warning("handover ignored", extra=fields(source=key.source, reason=reason))
        return self._held

    def _put(self, key: SourceKey, changed: HandedSource) -> None:
        held = self._load()
        if self._file is None or held.get(key, _NOTHING) == changed:
            return
        for other in [each for each in held if each.source == key.source]:
            del held[other]
        if changed != _NOTHING:
            held[key] = changed
        if self.life == "preview":
            return
        try:
            self._file.write(dump(held))
            self._trouble = ""
        except (RefusedError, OSError) as error:
            self._warn("handover not written", error)

    def _warn(self, event: str, error: Exception) -> None:
        """Say what is wrong, once while it stays so."""
        assert self._file is not None
        text = str(error)
        if isinstance(error, OSError):
            text = f"{self._file.path}: {error.strerror or type(error).__name__}"
        if (event + text) != self._trouble:
            self._trouble = event + text
            _log.warning(event, extra=fields(file=str(self._file.path), reason=text))


def _difference(found: SourceKey, wanted: SourceKey) -> str:
    names = ("address", "namespace", "method", "mount", "role")
    other = [name for name in names if getattr(found, name) != getattr(wanted, name)]
    return f"it was written for another {', '.join(other)}"
