"""What a bundle's pass says of itself: on the status board and in the log. Decides nothing.

A state that lasts is logged once, when it begins or its reason changes, however often the pass is repeated. What a pass
that goes well has to say waits for `catch_up`, until the primary was told: the board is read every few seconds, the
primary waits now.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from confcar.bundle_status import CheckStatus, RefusedStatus
from confcar.errors import CheckRefusedError, ConfcarError
from confcar.log import fields
from confcar.model import Change
from confcar.pipeline.collecting import PendingError
from confcar.publishing.publisher import Drift, PublishedState, Refusal
from confcar.status import Status

_SHOWN_NAMES = 20
# The end of what a check said, which is where programs say what is wrong; all of it stands in the status.
_LOGGED_OUTPUT = 2000
_log = logging.getLogger(__name__)


class BundleReport:
    """The voice of one bundle. Used by the bundle's thread."""

    def __init__(self, name: str, status: Status) -> None:
        self._name = name
        self._status = status
        self._unsaid: list[Callable[[], None]] = []
        self._unrepaired: Drift | None = None

    def catch_up(self) -> None:
        """Say what was kept back, in its order."""
        unsaid, self._unsaid = self._unsaid, []
        for say in unsaid:
            say()

    def beat(self, due_in_seconds: float | None) -> None:
        """Say that the bundle's thread moves, and by when it will say so again; None: it waits, or has ended."""
        self._status.beat(f"bundle {self._name}", due_in_seconds)

    def opened(self, state: PublishedState) -> None:
        """Say what was published already at the start."""
        self._status.update_bundle(self._name, generation=state.current, published_at=state.published_at)
        self._show_refusal(state.refused)
        self._status.update_reload(self._name, acknowledged_generation=state.acknowledged)

    @contextmanager
    def rendering(self, clock: Callable[[], float]) -> Iterator[None]:
        """Count the pass over the templates that the block makes, by how it ends."""
        started = clock()
        try:
            yield
        except PendingError as error:
            if error.missing:
                self._rendered("pending", clock() - started)
            raise
        except Exception:
            self._rendered("failed", clock() - started)
            raise
        self._rendered("rendered", clock() - started)

    def _rendered(self, result: Literal["rendered", "pending", "failed"], seconds: float) -> None:
        def say() -> None:
            self._status.set_gauge("render_duration_seconds", self._name, value=seconds)
            self._status.count("render_total", self._name, result)

        self._unsaid.append(say)

    def accepted(self) -> None:
        """Say that the check accepted the staged generation."""
        check = CheckStatus("accepted", time.time())

        def say() -> None:
            self._status.count("check_total", self._name, "accepted")
            self._status.update_bundle(self._name, check=check)

        self._unsaid.append(say)

    def refused(self, error: CheckRefusedError) -> None:
        """Say that the check refused the staged generation."""
        self._status.count("check_total", self._name, "refused")
        check = CheckStatus("refused", time.time(), str(error), error.output)
        self._status.update_bundle(self._name, check=check)

    def published(self, change: Change, *, is_acknowledged: bool) -> None:
        """Show and log a new generation."""

        def say() -> None:
            self._status.update_bundle(self._name, generation=change.generation, published_at=change.published_at)
            if is_acknowledged:
                self._status.update_reload(self._name, acknowledged_generation=change.generation)
            more = len(change.changed) - _SHOWN_NAMES
            changed = [*change.changed[:_SHOWN_NAMES], *([f"and {more} more"] if more > 0 else [])]
            _log.info("published", extra=fields(bundle=self._name, generation=change.generation, changed=changed))

        self._unsaid.append(say)

    def succeeded(self) -> None:
        """Say that the newest data is on disk."""

        def say() -> None:
            self._status.update_bundle(self._name, state="published", error=None, missing=(), refused=None)

        self._unsaid.append(say)

    def rolled_back(self, change: Change, refusal: Refusal) -> None:
        """Say that an older generation is shown again."""
        self._status.count("rollback_total", self._name)
        self._status.update_bundle(self._name, generation=change.generation, published_at=change.published_at)
        say = _log.warning if refusal.by_hand else _log.error
        about = fields(
            bundle=self._name, generation=change.generation, refused=refusal.generation, reason=refusal.reason
        )
        say("rolled back", extra=about)
        self._status.update_bundle(self._name, state="refused")  # and need not be said again
        self.held_back(refusal)

    def held_back(self, refusal: Refusal) -> None:
        """Say that the newest data is not published, because it was refused."""
        reason = None if refusal.by_hand else refusal.reason
        if self._status.bundle(self._name).state != "refused":
            about = fields(bundle=self._name, refused=refusal.generation, reason=refusal.reason)
            _log.warning("newest data held back", extra=about)
        self._status.update_bundle(self._name, state="refused", error=reason, missing=())
        self._show_refusal(refusal)

    def repaired(self, change: Change, drift: Drift) -> None:
        """Say that published files were put right again."""
        self._status.count("drift_repaired_total", self._name)
        shown = [*drift.differing[:_SHOWN_NAMES]]
        about = fields(bundle=self._name, generation=change.generation, files=len(drift.differing), first=shown)
        _log.warning("published files were changed by others, repaired", extra=about)

    def not_repaired(self, drift: Drift) -> None:
        """Say that what others did to published files cannot be put right; once for as long as it lasts."""
        if drift == self._unrepaired:
            return
        self._unrepaired = drift
        about = fields(bundle=self._name, files=[*drift.differing[:_SHOWN_NAMES]])
        _log.error("published files were changed by others, and nobody has them any more", extra=about)

    def _show_refusal(self, refusal: Refusal | None) -> None:
        shown = refusal and RefusedStatus(
            refusal.generation, refusal.reason, refusal.since, refusal.attempts, refusal.by_hand
        )
        self._status.update_bundle(self._name, refused=shown)

    def pending(self, error: PendingError) -> None:
        """Say what the bundle waits for; nothing while its sources have not answered at all."""
        if not error.missing:
            return
        if self._status.bundle(self._name).missing != error.missing:
            first = error.missing[0]
            _log.warning(
                "waiting for data",
                extra=fields(
                    bundle=self._name,
                    missing=len(error.missing),
                    first=f"{first.function}({first.path!r}) from {first.source}: {first.reason}",
                    at=f"{first.template}:{first.line}",
                ),
            )
        self._status.update_bundle(self._name, state="pending", error=None, missing=error.missing)

    def failed(self, error: ConfcarError) -> None:
        """Say why nothing is published of the newest data."""
        is_refused = isinstance(error, CheckRefusedError)
        state: Literal["refused", "failed"] = "refused" if is_refused else "failed"
        if self._status.bundle(self._name).error != str(error):
            output = error.output[-_LOGGED_OUTPUT:] if isinstance(error, CheckRefusedError) else None
            _log.error(f"bundle {state}", extra=fields(bundle=self._name, error=str(error), output=output))
        self._status.update_bundle(self._name, state=state, error=str(error), missing=())

    def failed_unexpectedly(self, error: Exception) -> ConfcarError:
        """Log a bug with its frames and return what may be shown of it."""
        _log.error("unexpected error in a bundle", exc_info=error, extra=fields(bundle=self._name))
        return ConfcarError(f"unexpected {type(error).__name__} in the bundle {self._name}, see the log")

    def unwritten(self, error: ConfcarError) -> None:
        """Log that a note for the next start could not be written yet."""
        _log.error("not written down", extra=fields(bundle=self._name, error=str(error)))
