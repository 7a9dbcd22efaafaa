"""What a bundle's directory holds at the start: from the state file, from the other mode's, or from the disk alone."""

from __future__ import annotations

import logging
from collections.abc import Callable

from confcar import log
from confcar.publishing.disk import Disk, opened_store
from confcar.publishing.layout import Layout
from confcar.publishing.reading import rebuild_state
from confcar.publishing.recovery import recover
from confcar.publishing.state import PublishedState, SavedState, load_state
from confcar.publishing.takeover import find_other_state

_LOG = logging.getLogger(__name__)


def restore(
    disk: Disk, layout: Layout, bundle: str, *, keep: int, save: Callable[[PublishedState], None]
) -> PublishedState:
    """Finish or undo what a crash left half-done and return the state; *save* writes it where that changed it.

    Raises:
        PublishError: It could not be done, or not be written.
        OSError: The directory cannot be read.
    """
    with opened_store(layout) as store:
        saved = load_state(disk, store)
    if saved is None:
        other = find_other_state(layout)
        return other if other is not None else _adopted(disk, layout, bundle, keep=keep)
    state = recover(disk, layout, saved, keep=keep)
    if saved != SavedState(state):
        save(state)
    return state


def _adopted(disk: Disk, layout: Layout, bundle: str, *, keep: int) -> PublishedState:
    state = rebuild_state(layout)
    if state.current is None:
        return state
    _LOG.warning("state rebuilt from disk", extra=log.fields(bundle=bundle, generation=state.current))
    return recover(disk, layout, SavedState(state), keep=keep)
