"""Makes a stored generation the one that readers see, in either mode, and as well the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confcar.publishing import swap
from confcar.publishing.disk import Disk, opened_folder
from confcar.publishing.faults import publishing
from confcar.publishing.layout import Layout
from confcar.publishing.rename import Placer, abandon, check_places_fit, holds, remove_placed
from confcar.publishing.state import PublishedState


class Revealer:
    """Shows generations. Every step may be repeated: what is in place already is left alone."""

    def __init__(self, disk: Disk, layout: Layout) -> None:
        self._disk = disk
        self._layout = layout

    def check_fit(self, destinations: frozenset[str]) -> None:
        """Refuse destinations that something foreign stands in the way of.

        Raises:
            PublishError: Names it.
        """
        with self._opened() as directory:
            if self._layout.mode == "swap":
                swap.check_links_fit(directory, self._layout.visible_links(destinations))
            check_places_fit(directory, [name for name in destinations if self._layout.is_placed(name)])

    def is_switched(self, state: PublishedState) -> bool:
        """Whether `..data` leads to the state's generation, and it is there."""
        if self._layout.mode == "rename" or state.current is None:
            return False
        with self._opened() as directory:
            return swap.read_current(directory) == state.current and self._layout.generation(state.current).is_dir()

    def prepare(self, target: PublishedState) -> list[str]:
        """Write the files to be placed beside their destinations; return those that differ from what is there.

        Raises:
            PublishError: Nothing was changed but that missing folders were made.
        """
        if target.current is None:
            return []
        with self._opened() as directory:
            return self._placer(target, directory).prepare(target.files)

    def complete(self, target: PublishedState, other: PublishedState, *, prepared: Sequence[str]) -> None:
        """Show a prepared generation, and take away what only *other* had. `sync` makes the switch durable.

        Raises:
            PublishError: Readers see the one or the other generation; `take_back`, or call again.
        """
        with self._opened() as directory:
            self._show_all(target, directory, prepared)
            # Without a current generation the other's files were plain ones: it was published by rename.
            all_plain = other.current is None
            stale = [n for n in other.files if n not in target.files and (all_plain or self._layout.is_placed(n))]
            remove_placed(self._disk, directory, stale)

    def reveal(self, target: PublishedState, other: PublishedState) -> None:
        """Do `prepare` and `complete`; what is in place already is left alone.

        Raises:
            PublishError: Readers see the one or the other generation; call again.
        """
        self.complete(target, other, prepared=self.prepare(target))
        self.sync()

    def take_back(self, failed: PublishedState, before: PublishedState) -> None:
        """Show what was published before; new files of the failed one go, but not a stranger's of the same name.

        Raises:
            PublishError: It is not complete; call again.
        """
        prepared = self.prepare(before)
        with self._opened() as directory:
            self._show_all(before, directory, prepared)
            new = {n: r for n, r in failed.files.items() if n not in before.files and self._layout.is_placed(n)}
            remove_placed(self._disk, directory, [n for n, r in new.items() if holds(n, r, directory=directory)])
            self._sync(directory)

    def sync(self) -> None:
        """Wait until what was shown last is on the medium.

        Raises:
            PublishError: It is shown, but a power cut may take it back.
        """
        with self._opened() as directory:
            self._sync(directory)

    def show(self, target: PublishedState) -> None:
        """Mend `..data` and the visible links, and nothing else.

        Raises:
            PublishError: A folder is in the way, or the directory cannot be written.
        """
        with self._opened() as directory:
            self._show(target, directory)
            self._sync(directory)

    def _show(self, target: PublishedState, directory: int) -> None:
        if self._layout.mode == "rename":
            return
        with publishing("switch the generation in", self._layout.directory):
            destinations = frozenset[str]() if target.current is None else frozenset(target.files)
            links = self._layout.visible_links(destinations)
            # What needs space comes before the switch, so that a full disk changes nothing.
            prepared = swap.prepare_links(self._disk, directory, links)
            swap.switch(self._disk, directory, target.current)
            swap.commit_links(self._disk, directory, prepared)
            swap.remove_stale_links(self._disk, directory, links)

    def _show_all(self, target: PublishedState, directory: int, prepared: Sequence[str]) -> None:
        try:
            self._show(target, directory)
            if prepared:
                # One step after the other also over a power cut: first the switch, then what lies outside it.
                self._sync(directory)
        except BaseException:
            abandon(self._disk, directory, prepared)
            raise
        self._placer(target, directory).commit(prepared)

    def _sync(self, directory: int) -> None:
        with publishing("sync", self._layout.directory):
            self._disk.sync_folder(directory)

    def _placer(self, target: PublishedState, directory: int) -> Placer:
        return Placer(self._disk, self._layout, directory, number=target.current or 0)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with publishing("open", self._layout.directory), opened_folder(self._layout.directory, follow=True) as found:
            yield found
