"""Takes a generation back that does not hold, and keeps its data from being published again until it changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from confcar.backoff import Backoff
from confcar.errors import ConfcarError, PublishError, VerifyFailedError
from confcar.model import Change, RenderedFile
from confcar.publishing.publisher import Publisher, Refusal

# A renewed credential is tried with what was refused, but not at the pace of short leases.
_LEASED_BACKOFF = (10.0, 300.0)
BY_HAND = "rolled back by hand"


class Rollback:
    """What one bundle does not publish, and the way back from what it did. Used by the bundle's thread only.

    Args:
        publisher: Remembers what was refused, over a restart too.
        is_automatic: Whether the generation before comes back where verify fails.
        clock: Seconds, for appointments.
        wall_clock: Seconds since the epoch, for the ends of leases.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        is_automatic: bool,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._publisher = publisher
        self._is_automatic = is_automatic
        self._clock = clock
        self._wall_clock = wall_clock
        self._backoff = Backoff(*_LEASED_BACKOFF)
        self._waits_for: Refusal | None = None
        self.due_at: float | None = None
        """When what is held back may be tried again although its data did not change, by the clock; None for never."""

    @property
    def refusal(self) -> Refusal | None:
        """What was taken back last, and did not change or succeed since."""
        return self._publisher.state.refused

    def holds_back(self, files: Sequence[RenderedFile], inputs: str) -> bool:
        """Whether a rendering is not to be published, because what it was made of was refused.

        Args:
            files: All of it.
            inputs: Digest of what it was made of, without leased values.
        """
        refusal, self.due_at = self.refusal, None
        if refusal is not None and not refusal.inputs and self._publisher.digest(files) == refusal.content:
            # It was taken back after a crash, before anything was rendered.
            refusal = self._publisher.note_refused_inputs(inputs)
        if refusal is None or refusal.inputs != inputs:
            return False
        if refusal.by_hand:
            return self._holds_by_hand()
        if self._publisher.digest(files) == refusal.content:
            return True
        # Only leased values are others. The appointment is made once, however often these are renewed until then.
        if self._waits_for != refusal:
            self._waits_for = refusal
            self._backoff.attempts = refusal.attempts - 1
            self._try_at = self._clock() + self._backoff.next_seconds()
        self.due_at = self._try_at
        return self._clock() < self._try_at

    def _holds_by_hand(self) -> bool:
        """What was asked for is kept, unless it cannot work any more."""
        ends_at, self.due_at = self._publisher.state.leased_until, None
        if ends_at is None:
            return True
        left = ends_at - self._wall_clock()
        self.due_at = self._clock() + max(left, 0.0)
        return left > 0

    def forget_unless(self, inputs: str) -> None:
        """Forget what was refused where the data is other data now.

        Raises:
            PublishError: It is forgotten, but a restart would remember it.
        """
        if self.refusal is not None and self.refusal.inputs != inputs:
            self._publisher.forget_refusal()

    def release(self) -> None:
        """Let what was rolled back by hand be published again.

        Raises:
            PublishError: It may be, but a restart would hold it back.
        """
        if self.refusal is not None and self.refusal.by_hand:
            self._publisher.forget_refusal()

    def take_back(self, error: VerifyFailedError) -> Change:
        """Show the generation before again, because the current one does not hold.

        What came back itself, or was only repaired, is not taken back further: it held before, so the cause lies
        elsewhere.

        Raises:
            ConfcarError: The current one stays; says why it does not hold, and why it stays.
        """
        try:
            return self._taken_back(error)
        except ConfcarError:
            self._publisher.note_unwell()
            raise

    def _taken_back(self, error: VerifyFailedError) -> Change:
        state = self._publisher.state
        if not self._is_automatic:
            raise error
        if state.refused is not None and state.refused.inputs != state.inputs:
            message = f"{error}; it is the generation that came back after {state.refused.generation} was refused"
            raise VerifyFailedError(message)
        if state.is_proven:
            raise VerifyFailedError(f"{error}; the same files had held before, so the cause lies elsewhere")
        try:
            return self._publisher.roll_back(reason=str(error), inputs="", by_hand=False)
        except PublishError as reason:
            raise VerifyFailedError(f"{error}; {reason}") from reason

    def by_hand(self, inputs: str) -> Change:
        """Show the generation before again, because somebody asks for it.

        Args:
            inputs: Digest of the newest data, which is held back from now on; empty where it was not rendered yet.

        Raises:
            PublishError: There is none to go back to, or it cannot be shown.
        """
        if not inputs and self.refusal is not None:
            inputs = self.refusal.inputs
        change = self._publisher.roll_back(reason=BY_HAND, inputs=inputs, by_hand=True)
        self._holds_by_hand()  # makes the appointment: nothing else may happen until the leases end
        return change


def why_held(refusal: Refusal) -> ConfcarError | None:
    """Return the error of a bundle whose newest data is held back; None where somebody wanted that."""
    if refusal.by_hand:
        return None
    return VerifyFailedError(f"generation {refusal.generation} was refused and waits for other data: {refusal.reason}")
