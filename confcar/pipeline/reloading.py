"""The reload that a bundle's primary is owed: due now, after the splay, or after a back-off, until it is acknowledged.

The newest generation wins: whatever is owed when a newer one is published is replaced by it. What is owed is kept in
the publisher's state, so a restart owes it still.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Protocol

from confcar.backoff import Backoff
from confcar.errors import PublishError, ReloadError
from confcar.log import fields
from confcar.model import Change
from confcar.status import Status

_BACKOFF = (0.5, 60.0)
_log = logging.getLogger(__name__)


class Delivers(Protocol):
    """Tells the primary, step by step; fulfilled by `reloaders.delivery.Delivery`."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each step, for the metrics."""
        ...

    def deliver(self, change: Change, step: int, on_step: Callable[[int], None]) -> None:
        """Run the reload's steps from *step* on; *on_step* hears how many are delivered. Raises ReloadError."""
        ...


class Remembers(Protocol):
    """Keeps what was delivered over a crash; fulfilled by `publishing.publisher.Publisher`."""

    def note_step(self, number: int, step: int) -> None:
        """Remember that the first *step* steps of the reload of generation *number* were delivered."""
        ...

    def acknowledge(self, number: int) -> None:
        """Remember that generation *number* was acknowledged."""
        ...


class OwedReload:
    """What the primary of one bundle is owed. Used by the bundle's thread only."""

    def __init__(
        self,
        delivery: Delivers,
        memory: Remembers,
        status: Status,
        *,
        splay_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._delivery = delivery
        self._memory = memory
        self._status = status
        self._splay_seconds = splay_seconds
        self._clock = clock
        self._backoff = Backoff(*_BACKOFF)
        self._change: Change | None = None
        self._step = 0
        self._changed_at: float | None = None
        self._error: ReloadError | None = None
        self._is_shown = True
        self.due_at: float | None = None
        """When to call `deliver`, by the clock; None while nothing is owed."""

    @property
    def is_owing(self) -> bool:
        """Whether anything is owed."""
        return self.due_at is not None

    @property
    def is_instant(self) -> bool:
        """Whether delivering takes no time worth speaking of: nothing but signals."""
        return set(self._delivery.kinds) <= {"signal"}

    def owe(self, change: Change, *, changed_at: float | None, step: int = 0) -> None:
        """Owe the reload of *change* instead of whatever was owed before.

        Args:
            change: A published generation.
            changed_at: When its data first changed, by the clock; None where that was before a restart.
            step: How many steps of it were delivered already.
        """
        if self._change is None:
            self.due_at = self._clock() + random.uniform(0.0, self._splay_seconds)  # noqa: S311 - spreads load only
            self._changed_at = changed_at
        else:
            # Superseded while splaying or backing off: the newest goes out at once at the old appointment's latest.
            self.due_at = min(self.due_at or self._clock(), self._clock() + self._splay_seconds)
        self._change, self._step = change, step
        self._backoff.reset()
        self._is_shown = False

    def show(self) -> None:
        """Show on the status board what is owed since the last call."""
        if self._change is not None and not self._is_shown:
            self._is_shown = True
            self._status.update_reload(self._change.bundle, pending=True, attempts=0, last_error=None)

    def deliver(self) -> None:
        """Tell the primary what is owed; `conclude` notes what came of it. Never raises for what the primary does."""
        assert self._change is not None, "nothing is owed"
        self._error = None
        try:
            self._delivery.deliver(self._change, self._step, self._note_step)
        except ReloadError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - a bug in a reloader is tried again like any other failure
            _log.exception("unexpected error in a reload", extra=fields(bundle=self._change.bundle))
            self._error = ReloadError(f"unexpected {type(error).__name__} in the reload, see the log")

    def conclude(self) -> None:
        """Acknowledge what was delivered, or make the next appointment.

        Raises:
            PublishError: The acknowledgement could not be written; it holds until the process ends.
        """
        change = self._change
        assert change is not None, "nothing was delivered"
        self.show()
        self._status.update_reload(change.bundle, attempts=self._status.bundle(change.bundle).reload.attempts + 1)
        if self._error is not None:
            self._failed(change, str(self._error))
        else:
            self._acknowledged(change)
            self._memory.acknowledge(change.generation)

    def _note_step(self, step: int) -> None:
        assert self._change is not None, "only called while delivering"
        self._status.count("reload_total", self._change.bundle, self._delivery.kinds[step - 1], "success")
        self._step = step
        if step < len(self._delivery.kinds):
            try:
                self._memory.note_step(self._change.generation, step)
            except PublishError as error:
                # Kept in memory: only after a crash would this step be made again.
                _log.warning("reload step not written down", extra=fields(bundle=self._change.bundle, error=str(error)))

    def _failed(self, change: Change, error: str) -> None:
        delay = self._backoff.next_seconds()
        self.due_at = self._clock() + delay
        self._status.count("reload_total", change.bundle, self._delivery.kinds[self._step], "failure")
        self._status.update_reload(change.bundle, last_error=error, last_successful=False)
        _log.warning(
            "reload failed",
            extra=fields(bundle=change.bundle, generation=change.generation, error=error, again_in=f"{delay:.1f}s"),
        )

    def _acknowledged(self, change: Change) -> None:
        now = self._clock()
        took = None if self._changed_at is None else now - self._changed_at
        self._change, self.due_at, self._step, self._changed_at = None, None, 0, None
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
