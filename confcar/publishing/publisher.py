"""The face of publishing: one bundle's directory, from staging over the switch to what the primary was told.

Order of a publish by swap: staged files and folders on the medium; the switch; then, once the primary was told, the
state and the switch on the medium and the sweep (`finish`). A start that finds `..data` ahead of the state knows what a
crash left unwritten. Plain files, which are renamed one by one, need the state first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from confcar import log
from confcar.errors import PublishError
from confcar.model import Change, RenderedFile
from confcar.publishing import succession
from confcar.publishing.destinations import check_destinations
from confcar.publishing.disk import Disk
from confcar.publishing.drift import NO_DRIFT, Drift, find_drift, recall
from confcar.publishing.faults import publishing
from confcar.publishing.generation import stage_generation
from confcar.publishing.hold import DirectoryHold
from confcar.publishing.keeper import StateKeeper
from confcar.publishing.layout import Layout, PublishMode
from confcar.publishing.reading import PublishedFile, find_differences, read_published
from confcar.publishing.recovery import sweep, sweep_temporary
from confcar.publishing.restoring import restore
from confcar.publishing.reveal import Revealer
from confcar.publishing.rollback import find_target
from confcar.publishing.state import FileRecord, PublishedState, Refusal
from confcar.publishing.succession import Origin
from confcar.publishing.takeover import remove_other_mode
from confcar.publishing.transaction import Transaction

__all__ = ["Drift", "Origin", "PublishedFile", "PublishedState", "Publisher", "Refusal", "Staged"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Staged:
    """A complete generation on disk that no reader sees yet.

    Attributes:
        directory: Its folder, where a check looks.
        change: What a check is told: the number it would get, its folder, and what differs.
        records: What is to be remembered of its files.
        leased_until: When the first leased value in it dies, seconds since the epoch; None where it holds none.
    """

    directory: Path
    change: Change
    records: Mapping[str, FileRecord]
    leased_until: float | None = None


class Publisher(StateKeeper):
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
        super().__init__(self._transaction.save)
        self._hold = DirectoryHold(self._layout, self._disk)
        self._staged: Staged | None = None
        self._is_swept = True
        self._has_published = False

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
                    self._state = restore(self._disk, self._layout, self._name, keep=self._keep, save=self._save)
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
        wanted = self._records(files)
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
            records = self._records(files)
            differing = self.compare(files) if differing is None else differing
            self._hold.take()
            self._revealer.check_fit(frozenset(records))
            number = self._state.highest + 1
            self._staged = None
            with publishing("stage a generation in", self._layout.store):
                stage_generation(self._disk, self._layout, number, files=files, records=records)
            directory = self._layout.generation(number)
            change = Change(self._name, number, directory, self._untold(differing))
            self._staged = Staged(directory, change, records, succession.earliest_end(files))
            return self._staged

    def discard(self, staged: Staged) -> None:
        """Remove a staged generation that is not to be published; its number is used again."""
        with self._mutex:
            if staged is self._staged:
                self._staged = None
                self._transaction.remove(staged.change.generation)

    def publish(
        self, staged: Staged, *, acknowledged: bool, inputs: str = "", leases: str = "", is_repair: bool = False
    ) -> Change:
        """Make the staged generation the one that readers see.

        Its files are on the medium before they are seen; the switch itself is after `finish`, which is to be called
        once the primary was told: a power cut before that shows the generation before, and takes the primary along.

        Args:
            staged: The last one that was staged.
            acknowledged: Whether the primary counts as told, because it starts after this.
            inputs: Digest of what it was made of, without leased values.
            leases: Digest of the leased values in it; empty where there are none.
            is_repair: Whether it holds what was published already and changed on disk since.

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
            origin = Origin(inputs, staged.leased_until, leases, is_repair=is_repair)
            after = succession.published(
                before, records=staged.records, at=self._clock(), changed=changed, origin=origin, keep=self._keep
            )
            if acknowledged:
                after = succession.acknowledged(after, number)
            self._transaction.run(after, before)
            return self._shown(after, changed)

    def roll_back(self, *, reason: str, inputs: str, by_hand: bool) -> Change:
        """Show the generation before again, under its own number, and remember what is not to be published again.

        That is the newest older one that the primary had acknowledged, else the newest; never one whose leased values
        have died or whose files were changed on disk. The taken back one goes with the next `finish`.

        Args:
            reason: Why, for people.
            inputs: Digest of what is refused; empty: what the current generation was made of.
            by_hand: Whether somebody asked for it.

        Raises:
            PublishError: There is nothing to go back to, or it could not be shown: all is as it was.
        """
        with self._mutex:
            before = self._state
            self._hold.take()
            now = self._clock()
            target = find_target(self._layout, before, now=now)
            refused = succession.refusal(before, reason=reason, inputs=inputs, by_hand=by_hand, at=now)
            changed = succession.find_changed(before, target)
            after = succession.rolled_back(before, target, at=now, changed=changed, refused=refused)
            self._transaction.revert(after, before)
            return self._shown(after, changed)

    def _shown(self, after: PublishedState, changed: tuple[str, ...]) -> Change:
        assert after.current is not None, "something was shown"
        self._state = after
        self._is_durable = self._is_swept = False
        self._has_published = True
        return Change(self._name, after.current, self._layout.directory, changed, after.published_at)

    def find_drift(self) -> Drift:
        """Return what others did to the published files, as readers find them now. Reads all of them.

        Nothing where nothing is published, or where it is not known yet what that was made of.
        """
        is_known = self._state.current is not None and self._state.inputs
        return find_drift(self._layout, self._state) if is_known else NO_DRIFT

    def recall(self) -> tuple[RenderedFile, ...] | None:
        """Return the files of the current generation from confcar's own copy; None where that was changed too."""
        return recall(self._layout, self._state)

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

    def _sweep_old(self) -> None:
        try:
            sweep(self._disk, self._layout, self._state, keep=self._keep)
            remove_other_mode(self._disk, self._layout)
        except OSError as error:
            _LOG.warning("sweep failed", extra=log.fields(bundle=self._name, error=error.strerror))

    def _untold(self, differing: Sequence[str]) -> tuple[str, ...]:
        """Return what the primary would have to be told of: what differs now and what it was not told before."""
        return tuple(sorted({*differing, *self._state.changed}))
