"""From one published state to another: all on the medium, then the switch, and the way back where that fails."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress

from confcar import log
from confcar.errors import PublishError
from confcar.publishing.disk import Disk, opened_store
from confcar.publishing.faults import publishing
from confcar.publishing.generation import sync_generation
from confcar.publishing.layout import Layout, generation_name
from confcar.publishing.reveal import Revealer
from confcar.publishing.state import PublishedState, SavedState, save_state

_LOG = logging.getLogger(__name__)


class Transaction:
    """Replaces what is published. A kill at any point leaves what the next start finishes or undoes."""

    def __init__(self, disk: Disk, layout: Layout, revealer: Revealer) -> None:
        self._disk = disk
        self._layout = layout
        self._revealer = revealer

    def run(self, after: PublishedState, before: PublishedState) -> None:
        """Show the staged generation of *after* instead of *before*.

        Raises:
            PublishError: *before* is shown still or again, and the staged generation is gone.
        """
        prepared: Sequence[str] = ()
        try:
            self._revealer.check_fit(frozenset(after.files))
            self._commit(after, before)
            prepared = self._revealer.prepare(after)
        except BaseException:
            self._forget(after, before)
            raise
        try:
            self._revealer.complete(after, before, prepared=prepared)
        except BaseException:
            if self._take_back(after, before):
                self._forget(after, before)
            raise

    def revert(self, after: PublishedState, before: PublishedState) -> None:
        """Show the kept generation of *after* again instead of *before*.

        The state comes first: `..data` leads to a lower number afterwards, which does not tell by itself.

        Raises:
            PublishError: *before* is shown still or again.
        """
        prepared: Sequence[str] = ()
        try:
            self._revealer.check_fit(frozenset(after.files))
            self.save(after, before)
            prepared = self._revealer.prepare(after)
        except BaseException:
            self._return_to(before)
            raise
        try:
            self._revealer.complete(after, before, prepared=prepared)
        except BaseException:
            if self._take_back(after, before):
                self._return_to(before)
            raise

    def _return_to(self, before: PublishedState) -> None:
        with suppress(PublishError):
            self.save(before)

    def _commit(self, after: PublishedState, before: PublishedState) -> None:
        """Put the staged files on the medium, and where plain files are placed the state first of all.

        A set of plain files that are renamed one by one is made whole by what the state says. A mere switch says of
        itself what is published: `..data` leads to a number above all that were written down. So its state may wait
        until the primary was told.
        """
        with publishing("publish in", self._layout.store):
            sync_generation(self._disk, self._layout, after.highest, after.files)
        if any(self._layout.is_placed(name) for name in (*after.files, *before.files)):
            self.save(after, before)

    def _take_back(self, failed: PublishedState, before: PublishedState) -> bool:
        try:
            self._revealer.take_back(failed, before)
        except PublishError as error:
            # The state still says what was under way: the next publish, or the next start, makes it whole.
            _LOG.error(
                "publish not taken back", extra=log.fields(directory=str(self._layout.directory), error=str(error))
            )
            return False
        return True

    def _forget(self, failed: PublishedState, before: PublishedState) -> None:
        # First the files: without them the next start cannot finish what the state may still call for.
        self.remove(failed.highest)
        self._return_to(before)

    def remove(self, number: int) -> None:
        """Remove a generation that nobody sees; what cannot be removed is left to the next sweep."""
        with suppress(OSError), opened_store(self._layout) as store:
            self._disk.remove_tree(generation_name(number), at=store)

    def save(self, state: PublishedState, before: PublishedState | None = None) -> None:
        """Write the state file; durable on return.

        Raises:
            PublishError: The old one is still whole.
        """
        with publishing("write the state in", self._layout.store), opened_store(self._layout) as store:
            save_state(self._disk, store, SavedState(state, before))
