"""The reload that a bundle's primary is owed: due now, after the splay, or after a back-off, until it is acknowledged.

Acknowledged is what was delivered and, where the config asks for it, verified. The newest generation wins: whatever is
owed when a newer one is published is replaced by it. What is owed is kept in the publisher's state, so that a
restart owes it still.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from confcar.backoff import Backoff
from confcar.errors import PublishError, ReloadError, VerifyFailedError
from confcar.log import fields
from confcar.model import Change
from confcar.pipeline.roles import Delivers, Paces, Remembers
from confcar.pipeline.verifying import Pause, Verification
from confcar.status import Status

_BACKOFF = (0.5, 60.0)
_VERIFY = "verify"
"""What the metrics call it beside the kinds of the reload steps."""
_log = logging.getLogger(__name__)


class OwedReload:
    """What the primary of one bundle is owed. Used by the bundle's thread only.

    Args:
        delivery: Tells the primary.
        memory: Where what was delivered is remembered.
        status: The board.
        splay_seconds: Each reload waits a random time up to this.
        verification: What must hold after the delivery; None where nothing has to.
        pace: Spreads the reloads of a fleet; None where nothing does.
        clock: Seconds.
    """

    def __init__(  # noqa: PLR0913 - all that has a say in when a reload is made and when it counts
        self,
        delivery: Delivers,
        memory: Remembers,
        status: Status,
        *,
        splay_seconds: float = 0.0,
        verification: Verification | None = None,
        pace: Paces | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_held: Callable[[int], bool] = lambda _: False
        self._delivery = delivery
        self._memory = memory
        self._verification = verification
        self._status = status
        self._splay_seconds = splay_seconds
        self._pace = pace
        self._clock = clock
        self._backoff = Backoff(*_BACKOFF)
        self._change: Change | None = None
        self._step = 0
        self._changed_at: float | None = None
        self._error: ReloadError | None = None
        self._is_shown = True
        self._is_undecided = False
        self._is_way_back = False
        self._appointment: float | None = None
        self.refusal: VerifyFailedError | None = None
        """Why what is owed did not hold when it was verified last; None where that was not so."""

    @property
    def is_owing(self) -> bool:
        """Whether anything is owed."""
        return self._appointment is not None

    @property
    def due_at(self) -> float | None:
        """When the next attempt is due, by the clock; None while nothing is owed."""
        again_at = None if self._pace is None else self._pace.look_again_at
        return self._appointment if self._appointment is None or again_at is None else again_at

    def is_due(self) -> bool:
        """Return whether to call `deliver` now; where only the fleet's rollout is against it, wait for that."""
        if self._appointment is None or self._appointment > self._clock() or self._is_held(self._step):
            return False
        return self._pace is None or self._pace.may_reload()

    def wake_by(self, wake: Callable[[], None]) -> None:
        """Have *wake* called, from another thread, when `is_due` has to be asked before `due_at`."""
        if self._pace is not None:
            self._pace.on_news = wake

    def end_turn(self) -> None:
        """Let the next of the fleet reload, unless what takes this reload back is still to be told.

        Also after a failure: a primary in trouble is not to hold up the fleet until its next attempt.
        """
        if self._pace is not None and not self._is_way_back:
            self._pace.done()

    def close(self) -> None:
        """Wait for nothing any longer; what is owed is owed by the next start. Takes a moment at most."""
        if self._pace is not None:
            self._pace.close()

    @property
    def is_instant(self) -> bool:
        """Whether delivering takes no time worth speaking of: nothing but signals."""
        return set(self._delivery.kinds) <= {"signal"}

    def hold_while(self, is_held: Callable[[int], bool]) -> None:
        """Make no step while *is_held*, asked by its number, says that the primary is about to start.

        Asked by the bundle's thread, which has to be woken when that is over.
        """
        self._is_held = is_held

    @property
    def is_verified(self) -> bool:
        """Whether something must hold after the delivery: then `verify` is to be called before `conclude`."""
        return self._verification is not None

    @property
    def deliver_at(self) -> float | None:
        """When to ask `is_due`, by the clock: what `due_at` says, but None while what is owed is held back."""
        return None if self._appointment is not None and self._is_held(self._step) else self.due_at

    def owe(self, change: Change, *, changed_at: float | None, step: int = 0, at_once: bool = False) -> None:
        """Owe the reload of *change* instead of whatever was owed before.

        Args:
            change: A published generation.
            changed_at: When its data first changed, by the clock; None where that was before a restart.
            step: How many steps of it were delivered already.
            at_once: Whether neither a splay nor a back-off is waited for: the primary stands on what was taken back.
        """
        if at_once:
            self._appointment, self._changed_at = self._clock(), changed_at
        elif self._change is None:
            self._appointment = self._clock() + random.uniform(0.0, self._splay_seconds)  # noqa: S311 - spreads load only
            self._changed_at = changed_at
        else:
            # Superseded while splaying or backing off: the newest goes out at once at the old appointment's latest.
            self._appointment = min(self._appointment or self._clock(), self._clock() + self._splay_seconds)
        self._is_way_back = at_once
        self._change, self._step, self._error = change, step, None
        self._backoff.reset()
        self.refusal = None
        self._is_shown = False

    def show(self) -> None:
        """Show on the status board what is owed since the last call."""
        if self._change is not None and not self._is_shown:
            self._is_shown = True
            self._status.update_reload(self._change.bundle, pending=True, attempts=0, last_error=None)

    @property
    def error(self) -> ReloadError | None:
        """Why the last attempt failed, None where nothing is owed or nothing was tried yet."""
        return self._error if self._change is not None else None

    def hasten(self) -> None:
        """Try at once what is in back-off: somebody asks for it. A splay is waited for all the same."""
        if self.error is not None:
            self._appointment = self._clock()

    def deliver(self) -> None:
        """Tell the primary what is owed; `conclude` notes what came of it. Never raises for what the primary does."""
        assert self._change is not None, "nothing is owed"
        self._error, self._is_undecided, self._is_way_back = None, False, False
        try:
            self._delivery.deliver(self._change, self._step, self._note_step)
        except ReloadError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - a bug in a reloader is tried again like any other failure
            _log.exception("unexpected error in a reload", extra=fields(bundle=self._change.bundle))
            self._error = ReloadError(f"unexpected {type(error).__name__} in the reload, see the log")

    def verify(self, pause: Pause) -> None:
        """Wait until what was delivered holds; nothing where the delivery failed or nothing is asked for.

        A stop leaves it open: what was delivered stays pending, and the next start verifies it.
        """
        assert self._change is not None, "nothing was delivered"
        if self._verification is None or self._error is not None:
            return
        try:
            self._is_undecided = not self._verification.run(self._change, pause)
        except VerifyFailedError as error:
            self._error = error
        else:
            if not self._is_undecided:
                self._status.count("reload_total", self._change.bundle, _VERIFY, "success")

    def conclude(self) -> None:
        """Acknowledge what was delivered, or make the next appointment; nothing where a stop left it open.

        Raises:
            PublishError: The acknowledgement could not be written; it holds until the process ends.
        """
        change = self._change
        assert change is not None, "nothing was delivered"
        self.show()
        if self._is_undecided:
            return
        self._status.update_reload(change.bundle, attempts=self._status.bundle(change.bundle).reload.attempts + 1)
        self.refusal = self._error if isinstance(self._error, VerifyFailedError) else None
        if self._error is not None:
            self._failed(change, str(self._error))
        else:
            self._acknowledged(change)
            self._memory.acknowledge(change.generation)

    def _note_step(self, step: int) -> None:
        assert self._change is not None, "only called while delivering"
        self._status.count("reload_total", self._change.bundle, self._delivery.kinds[step - 1], "success")
        self._step = step
        if step < len(self._delivery.kinds) or self.is_verified:
            try:
                self._memory.note_step(self._change.generation, step)
            except PublishError as error:
                # Kept in memory: only after a crash would this step be made again.
                _log.warning("reload step not written down", extra=fields(bundle=self._change.bundle, error=str(error)))

    def _failed(self, change: Change, error: str) -> None:
        delay = self._backoff.next_seconds()
        self._appointment = self._clock() + delay
        kind = self._delivery.kinds[self._step] if self.refusal is None else _VERIFY
        if self.refusal is not None:
            self._step = 0  # perhaps the primary fell over what it was told: it is told all of it again
        self._status.count("reload_total", change.bundle, kind, "failure")
        self._status.update_reload(change.bundle, last_error=error, last_successful=False)
        _log.warning(
            "reload failed",
            extra=fields(bundle=change.bundle, generation=change.generation, error=error, again_in=f"{delay:.1f}s"),
        )

    def _acknowledged(self, change: Change) -> None:
        now = self._clock()
        took = None if self._changed_at is None else now - self._changed_at
        self._change, self._appointment, self._step, self._changed_at = None, None, 0, None
        self._status.update_reload(
            change.bundle,
            pending=False,
            last_error=None,
            last_successful=True,
            acknowledged_generation=change.generation,
            acknowledged_at=time.time(),
        )
        if took is not None:
            self._status.observe("change_to_reload_seconds", change.bundle, seconds=took)
        milliseconds = None if took is None else round(took * 1000, 1)
        _log.info("reloaded", extra=fields(bundle=change.bundle, generation=change.generation, after_ms=milliseconds))
