"""When the leases end that generations were made of.

A renewed lease is the same credential, so it makes no rendering and no generation; but the generations that hold it
can be gone back to for as much longer. Each set of leased values is known by its digest, over restarts too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from confcar.model import Dependency, Reading
from confcar.pipeline.inputs import digest_leases

# A pass that comes to its end tells the publisher of all of them; these are the ones between two such passes.
_MOST_REMEMBERED = 16


class LeaseEnds:
    """The ends of one bundle's leases. Used by the bundle's thread.

    Args:
        moved: Gives the ends that have moved since the newest rendering, in seconds since the epoch.
    """

    def __init__(self, moved: Callable[[], Mapping[Dependency, float]]) -> None:
        self._moved = moved
        self._newest: dict[Dependency, float] = {}
        self._ends: dict[str, float] = {}
        self.digest = ""
        """Of the leased values in the newest rendering; empty where there are none."""

    def rendered(self, leased: Mapping[Dependency, Reading]) -> None:
        """Take over which leased values are in the newest rendering."""
        ends = {each: reading.leased_until for each, reading in leased.items()}
        self._newest = {each: end for each, end in ends.items() if end is not None}
        self.digest = digest_leases(leased)
        self._remember()

    def refresh(self) -> None:
        """Take over what renewals have moved."""
        if self._newest:
            self._newest |= {each: end for each, end in self._moved().items() if each in self._newest}
            self._remember()

    def known(self) -> Mapping[str, float]:
        """Return by digest when the first of a set of leased values ends, as far as is known now."""
        self.refresh()
        return self._ends

    def _remember(self) -> None:
        self._ends.pop(self.digest, None)
        if self._newest:
            self._ends[self.digest] = min(self._newest.values())
        while len(self._ends) > _MOST_REMEMBERED:
            del self._ends[next(iter(self._ends))]
