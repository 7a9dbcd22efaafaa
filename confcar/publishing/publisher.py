"""The face of publishing: one bundle's directory, from staging over the switch to what the primary was told.

Order of a publish by swap: staged files and folders on the medium; the switch; then, once the primary was told, the
state and the switch on the medium and the sweep (`finish`). A start that finds `..data` ahead of the state knows what a
crash left unwritten. Plain files, which are renamed one by one, need the state first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from confcar import log
from confcar.errors import PublishError
from confcar.model import Change, RenderedFile
from confcar.publishing.destinations import check_destinations
from confcar.publishing.disk import Disk, opened_store
from confcar.publishing.faults import publishing
from confcar.publishing.generation import record_files, stage_generation
from confcar.publishing.hold import DirectoryHold
from confcar.publishing.layout import Layout, PublishMode
from confcar.publishing.reading import PublishedFile, find_differences, read_published, rebuild_state
from confcar.publishing.recovery import recover, sweep, sweep_temporary
from confcar.publishing.reveal import Revealer
from confcar.publishing.state import FileRecord, PublishedState, SavedState, load_state
from confcar.publishing.takeover import find_other_state, remove_other_mode
from confcar.publishing.transaction import Transaction

__all__ = ["PublishedFile", "PublishedState", "Publisher", "Staged"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Staged:
    """A complete generation on disk that no reader sees yet.

    Attributes:
        directory: Its folder, where a check looks.
        change: What a check is told: the number it would get, its folder, and what differs.
        records: What is to be remembered of its files.
    """

    directory: Path
    change: Change
    records: Mapping[str, FileRecord]


class Publisher:
    """Publishes one bundle. Thread-safe: the core publishes while a reload thread notes what it delivered."""

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        mode: PublishMode,
        keep: int,
        clock: Callable[[], float] = time.time,
        disk: Disk | None = None,
    ) -> None:
        self._name = name
        self._layout = Layout(directory, mode)
        self._keep = keep
        self._clock = clock
        self._disk = disk or Disk()
        self._revealer = Revealer(self._disk, self._layout)
        self._transaction = Transaction(self._disk, self._layout, self._revealer)
        self._hold = DirectoryHold(self._layout, self._disk)
        self._mutex = threading.RLock()
        self._state = PublishedState()
        self._staged: Staged | None = None
        self._is_durable = True
        self._is_swept = True
        self._has_published = False

    @property
    def state(self) -> PublishedState:
        """What is published, as of the last call; frozen. Empty before `open`."""
        return self._state

    def reserve(self) -> None:
        """Take hold of the directory and do nothing else; `open` follows.

        Raises:
            LockedError: Another confcar holds it.
            PublishError: It cannot be made or written.
        """
        with self._mutex:
            self._hold.take()

    def take_over(self, before: Publisher) -> None:
        """Take the hold on the same directory from a publisher that is not to be used any more; `open` follows."""
        with self._mutex, before._mutex:
            self._hold.take_over(before._hold)

    def open(self) -> PublishedState:
        """Take hold of the directory, finish or undo what a crash left half-done, sweep, and return the state.

        Creates the directory where it is missing. May be called again after it failed.

        Raises:
            LockedError: Another confcar holds the directory.
            PublishError: The directory cannot be made or written.
        """
        with self._mutex:
            self._hold.take()
            try:
                with publishing("open", self._layout.directory):
                    self._state = self._restore()
                    sweep_temporary(self._disk, self._layout)
                    sweep(self._disk, self._layout, self._state, keep=self._keep)
            except BaseException:
                self._hold.release()
                raise
            return self._state

    def compare(self, files: Sequence[RenderedFile]) -> tuple[str, ...]:
        """Return the destinations, sorted, at which what is published differs from *files*; empty where nothing does.

        Where they differ from what this process published last, the records are enough to tell which: all files are
        written again. Only where they do not is the disk looked at, for what others did to it.

        Raises:
            PublishError: An unknown user or group.
        """
        if not self._has_published:
            return find_differences(self._layout, self._state, files)
        recorded = self._state.files
        wanted = record_files(files)
        differing = {name for name, record in wanted.items() if not record.is_like(recorded.get(name))}
        differing |= recorded.keys() - wanted.keys()
        return tuple(sorted(differing)) or find_differences(self._layout, self._state, files)

    def stage(self, files: Sequence[RenderedFile], *, differing: Sequence[str] | None = None) -> Staged:
        """Write a complete generation beside the published one. It is on the medium only once it is published.

        Args:
            files: All of it.
            differing: What `compare` has just said of them; None to ask it here.

        Raises:
            PublishError: It cannot be written, owned or made visible; nothing of it is left.
        """
        with self._mutex:
            check_destinations(files)
            records = record_files(files)
            differing = self.compare(files) if differing is None else differing
            self._hold.take()
            self._revealer.check_fit(frozenset(records))
            number = self._state.highest + 1
            self._staged = None
            with publishing("stage a generation in", self._layout.store):
                stage_generation(self._disk, self._layout, number, files=files, records=records)
            directory = self._layout.generation(number)
            change = Change(self._name, number, directory, self._untold(differing))
            self._staged = Staged(directory, change, records)
            return self._staged

    def discard(self, staged: Staged) -> None:
        """Remove a staged generation that is not to be published; its number is used again."""
        with self._mutex:
            if staged is self._staged:
                self._staged = None
                self._transaction.remove(staged.change.generation)

    def publish(self, staged: Staged, *, acknowledged: bool) -> Change:
        """Make the staged generation the one that readers see.

        Its files are on the medium before they are seen; the switch itself is after `finish`, which is to be called
        once the primary was told: a power cut before that shows the generation before, and takes the primary along.

        Args:
            staged: The last one that was staged.
            acknowledged: Whether the primary counts as told, because it starts after this.

        Raises:
            PublishError: What was published before is so still, and the staged generation is gone.
        """
        with self._mutex:
            before = self._state
            number = staged.change.generation
            if staged is not self._staged:
                raise PublishError(f"generation {number} of {self._name} is staged no longer: stage it again")
            self._staged = None
            changed = self._untold(staged.change.changed)
            after = PublishedState(
                current=number,
                acknowledged=number if acknowledged else before.acknowledged,
                highest=number,
                published_at=self._clock(),
                changed=() if acknowledged else changed,
                files=staged.records,
            )
            self._transaction.run(after, before)
            self._state = after
            self._is_durable = self._is_swept = False
            self._has_published = True
            return Change(self._name, number, self._layout.directory, changed, after.published_at)

    def finish(self) -> None:
        """Put the last switch and its state on the medium, and remove what is older than `keep`.

        Raises:
            PublishError: The switch holds until the machine ends, but may not survive that.
        """
        with self._mutex:
            if not self._is_durable and any(self._layout.is_placed(name) for name in self._state.files):
                # The state is durable already, and says what to do about plain files that could not be removed.
                self._revealer.sync()
                self._is_durable = True
            elif not self._is_durable:
                self._save(self._state)
            if not self._is_swept:
                self._is_swept = True
                self._sweep_old()

    def note_step(self, number: int, step: int) -> None:
        """Remember that *step* reload steps were delivered for generation *number*; ignored where it is not current.

        Raises:
            PublishError: It could not be written, and holds until the process ends.
        """
        with self._mutex:
            if number == self._state.current and step != self._state.step:
                self._state = replace(self._state, step=step)
                self._save(self._state)

    def acknowledge(self, number: int) -> None:
        """Remember that the primary uses generation *number*; nothing where it is known already.

        Raises:
            PublishError: It could not be written, and holds until the process ends.
        """
        with self._mutex:
            if number == self._state.current:
                after = replace(self._state, acknowledged=number, step=0, changed=())
            else:
                after = replace(self._state, acknowledged=max(number, self._state.acknowledged or 0))
            if after != self._state:
                self._state = after
                self._save(after)

    def read_published(self) -> Mapping[str, PublishedFile]:
        """Return what is published as it lies on disk. Needs no `open`, takes no lock and writes nothing.

        Raises:
            PublishError: It is there and cannot be read.
        """
        return read_published(self._layout)

    def close(self) -> None:
        """Let go of the directory; nothing where it is not held."""
        with self._mutex:
            self._hold.release()

    def _restore(self) -> PublishedState:
        with opened_store(self._layout) as store:
            saved = load_state(self._disk, store)
        if saved is None:
            other = find_other_state(self._layout)
            return other if other is not None else self._adopted(rebuild_state(self._layout))
        state = recover(self._disk, self._layout, saved)
        if saved != SavedState(state):
            self._save(state)
        return state

    def _adopted(self, state: PublishedState) -> PublishedState:
        if state.current is not None:
            _LOG.warning("state rebuilt from disk", extra=log.fields(bundle=self._name, generation=state.current))
            return recover(self._disk, self._layout, SavedState(state))
        return state

    def _save(self, state: PublishedState) -> None:
        self._transaction.save(state)
        # The state file and `..data` lie in one folder, or what was renamed was synced where it lies.
        self._is_durable = True

    def _sweep_old(self) -> None:
        try:
            sweep(self._disk, self._layout, self._state, keep=self._keep)
            remove_other_mode(self._disk, self._layout)
        except OSError as error:
            _LOG.warning("sweep failed", extra=log.fields(bundle=self._name, error=error.strerror))

    def _untold(self, differing: Sequence[str]) -> tuple[str, ...]:
        """Return what the primary would have to be told of: what differs now and what it was not told before."""
        return tuple(sorted({*differing, *self._state.changed}))
