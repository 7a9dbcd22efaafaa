"""Keeps the state of one bundle, in memory and on disk, and what becomes of it after a publish."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from confcar.model import RenderedFile
from confcar.publishing import succession
from confcar.publishing.generation import record_files
from confcar.publishing.state import FileRecord, PublishedState, Refusal


class StateKeeper:
    """What is published, and how it changes while nothing is. Thread-safe.

    Args:
        write: Puts a state on the medium; raises PublishError.
    """

    def __init__(self, write: Callable[[PublishedState], None]) -> None:
        self._mutex = threading.RLock()
        self._write = write
        self._state = PublishedState()
        self._is_durable = True
        self._recorded: tuple[Sequence[RenderedFile], Mapping[str, FileRecord]] | None = None

    @property
    def state(self) -> PublishedState:
        """What is published, as of the last call; frozen. Empty before `open`."""
        return self._state

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
            after = succession.acknowledged(self._state, number)
            if after != self._state:
                self._state = after
                self._save(after)

    def forget_refusal(self) -> None:
        """Let what was refused be published again; nothing where nothing is refused.

        Raises:
            PublishError: It could not be written, and holds until the process ends.
        """
        with self._mutex:
            if self._state.refused is not None:
                self._state = replace(self._state, refused=None)
                self._save(self._state)

    def note_unwell(self) -> None:
        """Note that the current generation did not hold and stays; written down with the next change of the state."""
        with self._mutex:
            self._state = replace(self._state, is_unwell=True)

    def note_refused_inputs(self, inputs: str) -> Refusal | None:
        """Take over what a refused generation was made of, where a crash left that unknown; return the refusal.

        Written down with the next change of the state.
        """
        with self._mutex:
            if self._state.refused is not None:
                self._state = replace(self._state, refused=replace(self._state.refused, inputs=inputs))
            return self._state.refused

    def note_lease_ends(self, ends: Mapping[str, float]) -> None:
        """Take over when leased values end, in seconds since the epoch, by the digest that generations know them by.

        Written down with the next change of the state.
        """
        with self._mutex:
            self._state = succession.lasting(self._state, ends)

    def note_origin(self, files: Sequence[RenderedFile], inputs: str, *, leases: str = "") -> None:
        """Take over what the current generation would be made of now; written down with the next change of the state.

        Its leased values may have been renewed; and where the state was rebuilt from the disk, it is not known what it
        was made of, nor which modes and owners were asked for.

        Raises:
            PublishError: An unknown user or group.
        """
        records = self._records(files)
        with self._mutex:
            leased_until = succession.earliest_end(files)
            self._state = replace(self._state, files=records, inputs=inputs, leased_until=leased_until, leases=leases)

    def is_published(self, files: Sequence[RenderedFile]) -> bool:
        """Whether *files* are what was published last, whatever has become of that on disk.

        Raises:
            PublishError: An unknown user or group.
        """
        wanted, recorded = self._records(files), self._state.files
        return wanted.keys() == recorded.keys() and all(
            record.is_like(recorded[name]) for name, record in wanted.items()
        )

    def digest(self, files: Sequence[RenderedFile]) -> str:
        """Return a digest of a whole set of files, as a refusal keeps it.

        Raises:
            PublishError: An unknown user or group.
        """
        return succession.digest_of(self._records(files))

    def _records(self, files: Sequence[RenderedFile]) -> Mapping[str, FileRecord]:
        """Return what is to be remembered of each file; one pass asks several times, and hashes once."""
        recorded = self._recorded
        if recorded is None or recorded[0] is not files:
            recorded = files, record_files(files)
            self._recorded = recorded if isinstance(files, tuple) else None
        return recorded[1]

    def _save(self, state: PublishedState) -> None:
        self._write(state)
        # The state file and `..data` lie in one folder, or what was renamed was synced where it lies.
        self._is_durable = True
