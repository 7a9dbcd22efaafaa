"""Brings a bundle's files up to a rendering, puts them right where others changed them, and goes back where told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from confcar.errors import CheckRefusedError, VerifyFailedError
from confcar.model import Change
from confcar.pipeline.drifting import DriftWatch
from confcar.pipeline.lease_ends import LeaseEnds
from confcar.pipeline.parts import BundleParts
from confcar.pipeline.report import BundleReport
from confcar.pipeline.rollback import Rollback
from confcar.publishing.publisher import Drift, Refusal, Staged
from confcar.rendering.renderer import Rendering


class Publication:
    """What one bundle has on disk, and owes the primary for it. Used by the bundle's thread only.

    Args:
        parts: Publisher, check, and what is owed.
        report: The bundle's voice.
        lease_ends: When the leases end of what is published and of what is to be.
        is_stopped: Whether a stop is asked for: then nothing is published any more.
        clock: Seconds.
    """

    def __init__(
        self,
        parts: BundleParts,
        report: BundleReport,
        *,
        lease_ends: LeaseEnds,
        is_stopped: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._publisher = parts.publisher
        self._check = parts.check
        self._owed = parts.owed
        self._directory: Path = parts.directory
        self._report = report
        self._lease_ends = lease_ends
        self._is_stopped = is_stopped
        self._rollback = Rollback(parts.publisher, is_automatic=parts.rolls_back, clock=clock)
        self._drift = DriftWatch(parts.publisher, every_seconds=parts.drift_seconds, clock=clock)
        self._inputs = ""
        self._is_open = False
        self.held: Refusal | None = None
        """Why the newest data is not on disk although it was rendered; None where it is."""

    @property
    def retry_at(self) -> float | None:
        """When to bring up again what is held back, by the clock; None for never."""
        return self._rollback.due_at

    @property
    def look_at(self) -> float | None:
        """When to look for drift next, by the clock; None for never."""
        return self._drift.due_at

    def open(self, bundle: str) -> None:
        """Take the directory, unless that was done, and owe what was owed before.

        Raises:
            PublishError: It cannot be used; may be called again.
        """
        if self._is_open:
            return
        state = self._publisher.open()
        self._is_open = True
        self._report.opened(state)
        if self._owed is not None and state.current is not None and state.current != state.acknowledged:
            change = Change(bundle, state.current, self._directory, state.changed, state.published_at)
            self._owed.owe(change, changed_at=None, step=state.step)

    def bring_up(self, rendering: Rendering, inputs: str, *, changed_at: float | None) -> bool:
        """Publish a rendering unless it is published already or held back; return False where a stop came first.

        Args:
            rendering: Complete.
            inputs: Digest of what it was made of, without leased values.
            changed_at: When its data first changed, by the clock; None where that is not known.

        Raises:
            CheckRefusedError: The check refused it.
            PublishError: It could not be published.
        """
        files, publisher = rendering.files, self._publisher
        self._inputs, self.held = inputs, None
        self._note_lease_ends()
        differing = publisher.compare(files)
        is_there = publisher.state.current is not None
        if is_there and self._rollback.holds_back(files, inputs) and differing:
            self.held = self._rollback.refusal
            return True
        if is_there and (not differing or publisher.is_published(files)):
            publisher.note_origin(files, inputs, leases=self._lease_ends.digest)
            self._note_lease_ends()
            self._drift.remember(files)
            self._rollback.forget_unless(inputs)
            if differing:
                found = publisher.find_drift()
                self._mend(found if found.differing else Drift(differing, differing))
            return True
        staged = publisher.stage(files, differing=differing)
        if not self._pass_check(staged, rendering):
            publisher.discard(staged)
            return False
        self._publish(staged, inputs, changed_at=changed_at)
        self._drift.remember(files)
        return True

    def _pass_check(self, staged: Staged, rendering: Rendering) -> bool:
        """Return whether it passed; False where a stop came first: a check killed by that has refused nothing."""
        try:
            is_checked = self._check.run(staged.change, rendering.files)
        except CheckRefusedError as error:
            if self._is_stopped():
                return False
            self._publisher.discard(staged)
            self._report.refused(error)
            raise
        if is_checked:
            self._report.accepted()
        return not self._is_stopped()

    def _publish(self, staged: Staged, inputs: str, *, changed_at: float | None) -> None:
        is_told = self._owed is None
        leases = self._lease_ends.digest
        change = self._publisher.publish(staged, acknowledged=is_told, inputs=inputs, leases=leases)
        # A file that was not rendered anew says when its leases ended before they were renewed.
        self._note_lease_ends()
        self._report.published(change, is_acknowledged=is_told)
        if self._owed is not None:
            self._owed.owe(change, changed_at=changed_at)

    def look_for_drift(self) -> None:
        """Put right what others did to the published files.

        Raises:
            PublishError: It could not be put right.
        """
        self._drift.looked()
        drift = self._publisher.find_drift()
        if drift.differing:
            self._mend(drift)

    def _mend(self, drift: Drift) -> None:
        files = self._drift.files()
        if files is None:
            self._report.not_repaired(drift)
            return
        state = self._publisher.state
        # What readers found was right all the time: the primary has nothing to read again.
        is_told = self._owed is None or (state.is_acknowledged and not drift.content)
        staged = self._publisher.stage(files, differing=drift.differing)
        change = self._publisher.publish(
            staged, acknowledged=is_told, inputs=state.inputs, leases=state.leases, is_repair=True
        )
        self._report.published(change, is_acknowledged=is_told)
        self._report.repaired(change, drift)
        if self._owed is not None and not is_told:
            self._owed.owe(change, changed_at=None)

    def roll_back(self) -> None:
        """Go back to the generation before, because somebody asks for it, and hold the newest data back.

        Raises:
            PublishError: There is none, or it cannot be shown.
        """
        self._note_lease_ends()
        self._came_back(self._rollback.by_hand(self._inputs))

    def take_back(self, error: VerifyFailedError) -> None:
        """Go back to the generation before, because the current one does not hold.

        Raises:
            ConfcarError: The current one stays; says why.
        """
        self._note_lease_ends()
        self._came_back(self._rollback.take_back(error))

    def _note_lease_ends(self) -> None:
        """Leases are renewed without a pass: before it counts, the publisher has to know when they end."""
        self._publisher.note_lease_ends(self._lease_ends.known())

    def _came_back(self, change: Change) -> None:
        self._drift.remember(None)
        self.held = self._rollback.refusal
        assert self.held is not None, "going back leaves a refusal"
        self._report.rolled_back(change, self.held)
        if self._owed is not None:
            self._owed.owe(change, changed_at=None, at_once=True)
        else:
            self._publisher.acknowledge(change.generation)

    def release(self) -> None:
        """Let what was rolled back by hand be published by the next pass.

        Raises:
            PublishError: It is, but a restart before that would hold it back.
        """
        self._rollback.release()
