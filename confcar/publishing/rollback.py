"""Finds the generation to go back to."""

from __future__ import annotations

from confcar.errors import NothingOlderError
from confcar.publishing import succession
from confcar.publishing.layout import Layout
from confcar.publishing.reading import is_whole
from confcar.publishing.state import KeptGeneration, PublishedState


def find_target(layout: Layout, state: PublishedState, *, now: float) -> KeptGeneration:
    """Return the newest older generation that the primary had acknowledged, else the newest one.

    None is one that did not hold when it was current, whose leased values have died by *now* (seconds since the epoch),
    or whose stored files are not what they were.

    Raises:
        NothingOlderError: Says why.
    """
    found = succession.candidates(state)
    living = [kept for kept in found if kept.leased_until is None or kept.leased_until > now]
    for kept in living:
        if is_whole(layout, kept.number, kept.files):
            return kept
    why = "no older one had verified" if state.older else "there is no older one"
    if found:
        why = "the files of older ones were changed on disk" if living else "the leases in older ones have ended"
    raise NothingOlderError(f"no generation to go back to in {layout.directory}: {why}")
