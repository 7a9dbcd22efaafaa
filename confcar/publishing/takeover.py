"""A bundle whose `publish` was changed: go on with the numbers of the other mode, then take its leftovers away."""

from __future__ import annotations

import logging
from contextlib import suppress

from confcar import log
from confcar.publishing import swap
from confcar.publishing.disk import Disk, opened_folder, remove_if_there
from confcar.publishing.generation import list_generations
from confcar.publishing.layout import DATA, STATE, STORE, Layout, generation_name
from confcar.publishing.state import PublishedState, read_state

_LOG = logging.getLogger(__name__)


def _other(layout: Layout) -> Layout:
    return Layout(layout.directory, "rename" if layout.mode == "swap" else "swap")


def find_other_state(layout: Layout) -> PublishedState | None:
    """Return the state to start from where the directory was published in the other mode; None where it was not.

    Nothing is current in it, so that everything is published anew; its files are known, so that stale ones go.
    """
    other = _other(layout)
    try:
        with opened_folder(other.store, follow=other.mode == "swap") as store:
            saved = read_state(store)
    except (OSError, ValueError):
        return None
    _LOG.info("way of publishing changed", extra=log.fields(directory=str(layout.directory), mode=layout.mode))
    state = saved.state
    return PublishedState(acknowledged=state.acknowledged, highest=state.highest, files=state.files)


def remove_other_mode(disk: Disk, layout: Layout) -> None:
    """Remove generations, state and links of the other mode; called once everything is published in this one.

    Raises:
        OSError: Something is left; the next publish tries again.
    """
    with opened_folder(layout.directory, follow=True) as directory:
        if layout.mode == "swap":
            with suppress(FileNotFoundError):
                disk.remove_tree(STORE, at=directory)
            return
        with suppress(FileNotFoundError):
            disk.remove(STATE, at=directory)
        numbers = list_generations(directory)
        if numbers or swap.read_current(directory) is not None:
            remove_if_there(disk, DATA, at=directory)
            swap.remove_stale_links(disk, directory, frozenset())
            for number in numbers:
                disk.remove_tree(generation_name(number), at=directory)
