"""One bundle from changed data to a told primary: collect, settle, render, stage, check, publish, then reload.

Each bundle has a thread of its own and shares nothing with the others but the store and the sources, so a check that
hangs or a primary that is gone holds up nobody else. `run` and `once` are the same pass: `once` ends after the first
that came to an end and never reloads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from confcar.backoff import Backoff
from confcar.errors import CheckRefusedError, ConfcarError, MissingDataError, PublishError
from confcar.log import fields
from confcar.model import Change
from confcar.pipeline.checking import Check
from confcar.pipeline.collecting import Collector, Follows, PendingError
from confcar.pipeline.inbox import Inbox
from confcar.pipeline.reloading import OwedReload
from confcar.publishing.publisher import Publisher, Staged
from confcar.rendering.renderer import Renderer, Rendering
from confcar.status import CheckStatus, Status

_REFUSED_BACKOFF = (1.0, 300.0)
_PUBLISH_BACKOFF = (1.0, 60.0)
# How much longer than its own time limits a pass may take before liveness doubts the thread.
_BEAT_SECONDS = 600.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BundleParts:
    """What a bundle's pass is made of; the daemon puts them together.

    Attributes:
        directory: The bundle's directory.
        renderer: Renders its templates.
        check: Accepts or refuses what is staged.
        publisher: Stages and publishes.
        following: Where the data comes from.
        owed: What the primary is owed; None where nobody is told: in `once`, and where the config names no reload.
    """

    directory: Path
    renderer: Renderer
    check: Check
    publisher: Publisher
    following: Follows
    owed: OwedReload | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a pass ended.

    Attributes:
        error: None where the newest data is on disk; otherwise why not.
        is_final: Whether waiting for the sources cannot help, so that `once` gives up.
    """

    error: ConfcarError | None = None
    is_final: bool = True


class BundlePipeline:
    """The pass of one bundle and the loop around it. `stop` may be called from any thread, all else from its own."""

    def __init__(
        self,
        name: str,
        parts: BundleParts,
        status: Status,
        *,
        quiet_seconds: float,
        max_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.outcome = Outcome(MissingDataError("nothing was rendered yet"), is_final=False)
        self._parts = parts
        self._status = status
        self._quiet_seconds = quiet_seconds
        self._max_seconds = max_seconds
        self._clock = clock
        self._inbox = Inbox(clock)
        self._collector = Collector(name, parts.renderer, parts.following, self._inbox)
        self._retry_at: float | None = None
        self._refused = Backoff(*_REFUSED_BACKOFF)
        self._unpublished = Backoff(*_PUBLISH_BACKOFF)
        self._is_open = False
        self._has_succeeded = False
        self._published: Change | None = None

    def open(self) -> None:
        """Take the directory, and show in the status what is published there already.

        Raises:
            LockedError: Another confcar has it; final.
            PublishError: It cannot be used now; `run` tries again.
        """
        state = self._parts.publisher.open()
        self._is_open = True
        self._status.update_bundle(self.name, generation=state.current, published_at=state.published_at)
        self._status.update_reload(self.name, acknowledged_generation=state.acknowledged)
        if self._parts.owed is not None and state.current is not None and state.current != state.acknowledged:
            change = Change(self.name, state.current, self._parts.directory, state.changed, state.published_at)
            self._parts.owed.owe(change, changed_at=None, step=state.step)

    def run(self, *, until_published: bool = False, deadline: float | None = None) -> None:
        """Pass after pass until stopped, or with *until_published* until one pass came to an end.

        Args:
            until_published: Return as soon as the outcome of a pass is final.
            deadline: Give up when the clock shows this; None: never.
        """
        try:
            if not self._prepare(opens=until_published):
                return
            while not self._inbox.is_stopped and not (until_published and self.outcome.is_final):
                self._beat(deadline)
                self._inbox.wait(self._next_appointment(deadline))
                if self._inbox.is_stopped or (deadline is not None and self._clock() >= deadline):
                    return
                self._act()
        finally:
            self._status.beat(f"bundle {self.name}", None)
            self._parts.publisher.close()

    def stop(self) -> None:
        """End the loop after the step that is under way."""
        self._inbox.stop()

    def run_pass(self) -> None:
        """Bring what is on disk up to what the sources hold: render, stage, check, publish. Does not wait for data.

        Raises:
            PendingError: Data is missing.
            ConfcarError: A step failed; nothing was published.
        """
        rendering = self._render()
        if not self._is_open:
            self.open()
        publisher = self._parts.publisher
        differing = publisher.compare(rendering.files)
        if differing or publisher.state.current is None:
            staged = publisher.stage(rendering.files, differing=differing)
            self._check(staged, rendering)
            self._publish(staged)
        self._succeeded()

    def _prepare(self, *, opens: bool) -> bool:
        try:
            if opens:
                self.open()
            self._collector.start()
        except ConfcarError as error:
            self._failed(error)
            return False
        return True

    def _beat(self, deadline: float | None) -> None:
        until = self._next_appointment(deadline)
        self._status.beat(f"bundle {self.name}", None if until is None else until - self._clock() + _BEAT_SECONDS)

    def _next_appointment(self, deadline: float | None) -> float | None:
        due_at = None if self._parts.owed is None else self._parts.owed.due_at
        return min((at for at in (self._retry_at, due_at, deadline) if at is not None), default=None)

    def _act(self) -> None:
        now = self._clock()
        if self._inbox.has_news or (self._retry_at is not None and self._retry_at <= now):
            self._settle()
            self._guarded_pass()
        owed = self._parts.owed
        is_due = owed is not None and owed.due_at is not None and owed.due_at <= self._clock()
        delivered = owed if is_due and not self._inbox.is_stopped else None
        if delivered is not None:
            delivered.deliver()
        self._note_down(delivered)

    def _note_down(self, delivered: OwedReload | None) -> None:
        """Log and write what a publish and a reload leave for after both, so that the primary hears of it sooner."""
        if self._published is not None:
            _log.info("published", extra=_published_fields(self._published))
            self._published = None
        try:
            if delivered is not None:
                delivered.conclude()
            self._parts.publisher.finish()
        except PublishError as error:
            _log.error("not written down", extra=fields(bundle=self.name, error=str(error)))

    def _settle(self) -> None:
        # The first complete read is published at once: nothing is gained by letting the primary wait for it.
        if self._has_succeeded:
            self._inbox.settle(quiet_seconds=self._quiet_seconds, max_seconds=self._max_seconds)

    def _guarded_pass(self) -> None:
        self._retry_at = None
        try:
            self.run_pass()
        except PendingError as error:
            self._pending(error)
        except CheckRefusedError as error:
            self._retry_at = self._clock() + self._refused.next_seconds()
            self._failed(error)
        except PublishError as error:
            self._retry_at = self._clock() + self._unpublished.next_seconds()
            self._failed(error)
        except ConfcarError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - one bundle's bug must end neither the bundle nor the others
            _log.exception("unexpected error in a bundle", extra=fields(bundle=self.name))
            self._retry_at = self._clock() + self._unpublished.next_seconds()
            self._failed(ConfcarError(f"unexpected {type(error).__name__}, see the log"))

    def _render(self) -> Rendering:
        started = self._clock()
        result = "failed"
        try:
            rendering = self._collector.render()
            result = "rendered"
        except PendingError:
            result = "pending"
            raise
        finally:
            self._status.set_gauge("render_duration_seconds", self.name, value=self._clock() - started)
            self._status.count("render_total", self.name, result)
        return rendering

    def _check(self, staged: Staged, rendering: Rendering) -> None:
        try:
            is_checked = self._parts.check.run(staged.change, rendering.files)
        except CheckRefusedError as error:
            self._parts.publisher.discard(staged)
            self._status.count("check_total", self.name, "refused")
            refused = CheckStatus("refused", time.time(), str(error), error.output)
            self._status.update_bundle(self.name, check=refused)
            raise
        if is_checked:
            self._status.count("check_total", self.name, "accepted")
            self._status.update_bundle(self.name, check=CheckStatus("accepted", time.time()))

    def _publish(self, staged: Staged) -> None:
        owed = self._parts.owed
        change = self._parts.publisher.publish(staged, acknowledged=owed is None)
        self._status.update_bundle(self.name, generation=change.generation, published_at=change.published_at)
        self._published = change
        if owed is None:
            self._status.update_reload(self.name, acknowledged_generation=change.generation)
        else:
            owed.owe(change, changed_at=self._collector.changed_at)

    def _succeeded(self) -> None:
        self._has_succeeded = True
        self._collector.published()
        self.outcome = Outcome()
        self._refused.reset()
        self._unpublished.reset()
        self._status.update_bundle(self.name, state="published", error=None, missing=())

    def _pending(self, error: PendingError) -> None:
        self.outcome = Outcome(error.cause, is_final=error.is_final)
        if not error.missing:
            return
        if self._status.bundle(self.name).missing != error.missing:
            first = error.missing[0]
            _log.warning(
                "waiting for data",
                extra=fields(
                    bundle=self.name,
                    missing=len(error.missing),
                    first=f"{first.function}({first.path!r}) from {first.source}: {first.reason}",
                    at=f"{first.template}:{first.line}",
                ),
            )
        self._status.update_bundle(self.name, state="pending", error=None, missing=error.missing)

    def _failed(self, error: ConfcarError) -> None:
        self.outcome = Outcome(error)
        state: Literal["refused", "failed"] = "refused" if isinstance(error, CheckRefusedError) else "failed"
        if self._status.bundle(self.name).error != str(error):
            output = error.output if isinstance(error, CheckRefusedError) else None
            _log.error(f"bundle {state}", extra=fields(bundle=self.name, error=str(error), output=output))
        self._status.update_bundle(self.name, state=state, error=str(error), missing=())


def _published_fields(change: Change) -> dict[str, dict[str, object]]:
    shown = 20
    more = len(change.changed) - shown
    changed = [*change.changed[:shown], *([f"and {more} more"] if more > 0 else [])]
    return fields(bundle=change.bundle, generation=change.generation, changed=changed)
