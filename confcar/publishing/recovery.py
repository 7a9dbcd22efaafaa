"""Decides at the start what a crash left to do: finish the publish that was under way, or take it back.

Finishing comes first: what was staged is complete and had passed its check. It is taken back only where its stored
generation is not whole.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import replace

from confcar import log
from confcar.publishing import swap
from confcar.publishing.disk import Disk, opened_folder, opened_store, remove_if_there
from confcar.publishing.generation import list_generations
from confcar.publishing.layout import (
    DATA,
    DATA_TEMPORARY,
    STATE_TEMPORARY,
    TEMPORARY_PREFIX,
    Layout,
    generation_name,
)
from confcar.publishing.reading import is_whole, scan_generation
from confcar.publishing.rename import abandon
from confcar.publishing.reveal import Revealer
from confcar.publishing.state import PublishedState, SavedState
from confcar.publishing.succession import Origin, published

_LOG = logging.getLogger(__name__)


def recover(disk: Disk, layout: Layout, saved: SavedState, *, keep: int) -> PublishedState:
    """Bring the disk into a state that is whole, and return it.

    Raises:
        PublishError: It could not be done; the next attempt starts from the same place.
    """
    revealer = Revealer(disk, layout)
    if saved.before is None:
        return _repair(revealer, layout, _switched_since(layout, saved.state, keep=keep))
    with opened_folder(layout.directory, follow=True) as directory:
        abandon(disk, directory, [name for name in (*saved.state.files, *saved.before.files) if layout.is_placed(name)])
    if saved.state.current is not None and is_whole(layout, saved.state.current, saved.state.files):
        revealer.reveal(saved.state, saved.before)
        return saved.state
    if revealer.is_switched(saved.state):
        # Readers have it already, and somebody changed its files since: drift, which a new generation mends.
        return _repair(revealer, layout, saved.state)
    _LOG.warning("publish undone", extra=log.fields(generation=saved.state.current, reason="it was not complete"))
    if saved.before.current is None or layout.generation(saved.before.current).is_dir():
        revealer.take_back(saved.state, saved.before)
    return _repair(revealer, layout, saved.before)


def _switched_since(layout: Layout, state: PublishedState, *, keep: int) -> PublishedState:
    """Return the state after a switch that was not written down any more, else *state*."""
    if layout.mode == "rename":
        return state
    with opened_folder(layout.directory, follow=True) as directory:
        number = swap.read_current(directory)
        if number is None or number <= state.highest or not layout.generation(number).is_dir():
            return state
        switched_at = os.stat(DATA, dir_fd=directory, follow_symlinks=False).st_mtime
    _LOG.info("publish found that was not written down", extra=log.fields(generation=number))
    found = scan_generation(layout, number)
    before = state.files
    same = {name for name in found.keys() & before.keys() if found[name].sha256 == before[name].sha256}
    records = {name: before[name] if name in same else record for name, record in found.items()}
    changed = tuple(sorted({*state.changed, *(found.keys() | before.keys()) - same}))
    # What it was made of is not known; the next render tells.
    after = published(state, records=records, at=switched_at, changed=changed, origin=Origin(), keep=keep)
    return replace(after, current=number, highest=number)


def _repair(revealer: Revealer, layout: Layout, state: PublishedState) -> PublishedState:
    """Mend `..data` and the links; placed files are left as they are, for drift is the pipeline's to mend."""
    if layout.mode == "rename" or state.current is None:
        return state
    if not layout.generation(state.current).is_dir():
        _LOG.warning("published generation is gone", extra=log.fields(generation=state.current))
        return replace(state, current=None, published_at=None, step=0)
    revealer.show(state)
    return state


def sweep(disk: Disk, layout: Layout, state: PublishedState, *, keep: int) -> None:
    """Remove all generations but the current one, *keep* before it, and what can be gone back to.

    One that was taken back is none of these. What cannot be removed is logged and left.
    """
    refused = None if state.refused is None else state.refused.generation
    with opened_store(layout) as store:
        numbers = list_generations(store)
        newest = state.highest if state.current is None else state.current - 1
        before = [number for number in numbers if number <= newest and number != refused]
        kept = {state.current, *before[:keep], *(older.number for older in state.older)}
        for number in numbers:
            if number not in kept:
                _remove_generation(disk, number, store)


def sweep_temporary(disk: Disk, layout: Layout) -> None:
    """Remove the temporary files and links that a crash left in the directory and the store."""
    with opened_folder(layout.directory, follow=True) as directory:
        names = os.listdir(directory)  # noqa: PTH208 - a descriptor, not a path
        links = [name for name in names if name.startswith(TEMPORARY_PREFIX)]
        for name in (DATA_TEMPORARY, STATE_TEMPORARY, *links):
            with suppress(OSError):
                remove_if_there(disk, name, at=directory)
    if layout.mode == "rename":
        with opened_folder(layout.store) as store, suppress(OSError):
            remove_if_there(disk, STATE_TEMPORARY, at=store)


def _remove_generation(disk: Disk, number: int, store: int) -> None:
    try:
        disk.remove_tree(generation_name(number), at=store)
    except FileNotFoundError:
        return
    except OSError as error:
        _LOG.warning("old generation not removed", extra=log.fields(generation=number, error=error.strerror))
