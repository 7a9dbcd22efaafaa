"""Which leased values are in use: by what a primary was told last, by what it will be told, and by what comes next.

A credential that was replaced goes on being used until the primary has acknowledged the new one, and only the bundle
that tells it knows when that is.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from confcar.store import View

Values = tuple[object, ...]


@dataclass(slots=True)
class _Use:
    taken: Values = ()
    published: Values = ()
    settled: Values = ()


class LeaseUse:
    """The leased values that each reader uses. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[str, _Use] = {}

    def taken(self, reader: str, view: View) -> None:
        """Note what a reader has before it, to be rendered."""
        readings = (answer.reading for answer in view.values())
        values = tuple(each.value for each in readings if each is not None and each.leased_until is not None)
        with self._lock:
            self._uses.setdefault(reader, _Use()).taken = values

    def published(self, reader: str) -> None:
        """Note that what it had before it last is on disk."""
        with self._lock:
            if (use := self._uses.get(reader)) is not None:
                use.published = use.taken

    def settled(self, reader: str) -> bool:
        """Note that nothing older than what is on disk is used, and return whether that is news."""
        with self._lock:
            use = self._uses.get(reader)
            if use is None or _is_same(use.settled, use.published):
                return False
            use.settled = use.published
            return True

    def forget(self, reader: str) -> None:
        """Note that a reader uses nothing any more."""
        with self._lock:
            self._uses.pop(reader, None)

    def values(self) -> list[object]:
        """Return all that is in use by any reader."""
        with self._lock:
            return [each for use in self._uses.values() for each in (*use.taken, *use.published, *use.settled)]


def _is_same(one: Values, other: Values) -> bool:
    return len(one) == len(other) and all(left is right for left, right in zip(one, other, strict=True))
