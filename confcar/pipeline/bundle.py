"""One bundle from changed data to a told primary: collect, settle, render, stage, check, publish, then reload.

Each bundle has a thread of its own and shares nothing with the others but the store and the sources, so a check that
hangs or a primary that is gone holds up nobody else. `run` and `once` are the same pass: `once` ends after the first
that came to an end and never reloads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from confcar.backoff import Backoff
from confcar.errors import CheckRefusedError, ConfcarError, LockedError, MissingDataError, PublishError
from confcar.model import Change
from confcar.pipeline.checking import Check
from confcar.pipeline.collecting import Collector, Follows, PendingError
from confcar.pipeline.inbox import Inbox
from confcar.pipeline.reloading import OwedReload
from confcar.pipeline.report import BundleReport
from confcar.publishing.publisher import Publisher, Staged
from confcar.rendering.renderer import Renderer, Rendering
from confcar.status import Status

_REFUSED_BACKOFF = (1.0, 300.0)
_PUBLISH_BACKOFF = (1.0, 60.0)
_UNWRITTEN_BACKOFF = (1.0, 60.0)
# How much longer than its own time limits a pass may take before liveness doubts the thread.
_BEAT_SECONDS = 600.0


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
        limit_seconds: Sum of the time limits of the check and all reload steps.
    """

    directory: Path
    renderer: Renderer
    check: Check
    publisher: Publisher
    following: Follows
    owed: OwedReload | None
    limit_seconds: float = 0.0


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
        self.is_reloading = False
        """Whether the primary is being told, or that is being written down: not a moment to leave."""
        self._parts = parts
        self._report = BundleReport(name, status)
        self._quiet_seconds = quiet_seconds
        self._max_seconds = max_seconds
        self._clock = clock
        self._inbox = Inbox(clock)
        self._collector = Collector(name, parts.renderer, parts.following, self._inbox)
        # The first pass needs no news: it takes the directory and begins to follow.
        self._retry_at: float | None = clock()
        self._refused = Backoff(*_REFUSED_BACKOFF)
        self._unpublished = Backoff(*_PUBLISH_BACKOFF)
        self._unwritten = Backoff(*_UNWRITTEN_BACKOFF)
        self._is_open = False
        self._is_following = False
        self._has_succeeded = False

    def open(self) -> None:
        """Take the directory, and show in the status what is published there already.

        A directory that cannot be used yet is not the end: the volume may be mounted late, and `run` tries again.

        Raises:
            LockedError: Another confcar has it.
        """
        try:
            self._open()
        except LockedError:
            raise
        except PublishError as error:
            self._retry_at = self._clock() + self._unpublished.next_seconds()
            self._failed(error)

    def run(self, *, until_published: bool = False, deadline: float | None = None) -> None:
        """Pass after pass until stopped, or with *until_published* until one pass came to an end.

        Args:
            until_published: Return as soon as the outcome of a pass is final.
            deadline: Give up when the clock shows this; None: never. There is one pass in any case.
        """
        due_in_seconds: float | None = None
        try:
            self._act()
            while not self._is_over(until_published=until_published, deadline=deadline):
                self._wait(deadline)
                self._act()
        except Exception as error:  # noqa: BLE001 - a thread that dies without a word would look like one that waits
            self._failed(self._report.failed_unexpectedly(error))
            due_in_seconds = 0.0  # liveness is to fail: nobody follows this bundle any more
        finally:
            self._report.beat(due_in_seconds)
            self.close()

    def stop(self) -> None:
        """End the loop after the step that is under way."""
        self._inbox.stop()

    def close(self) -> None:
        """Give the directory back; `run` does so at its end."""
        self._parts.publisher.close()

    def run_pass(self) -> None:
        """Bring what is on disk up to what the sources hold: render, stage, check, publish. Does not wait for data.

        Raises:
            PendingError: Data is missing.
            ConfcarError: A step failed; nothing was published.
        """
        if not self._is_open:
            self._open()
        if not self._is_following:
            self._collector.start()
            self._is_following = True
        rendering = self._render()
        publisher = self._parts.publisher
        differing = publisher.compare(rendering.files)
        if differing or publisher.state.current is None:
            staged = publisher.stage(rendering.files, differing=differing)
            self._check(staged, rendering)
            if self._inbox.is_stopped:
                publisher.discard(staged)
                return
            self._publish(staged)
        self._succeeded()

    def _open(self) -> None:
        state = self._parts.publisher.open()
        self._is_open = True
        self._report.opened(state)
        if self._parts.owed is not None and state.current is not None and state.current != state.acknowledged:
            change = Change(self.name, state.current, self._parts.directory, state.changed, state.published_at)
            self._parts.owed.owe(change, changed_at=None, step=state.step)

    def _is_over(self, *, until_published: bool, deadline: float | None) -> bool:
        is_late = deadline is not None and self._clock() >= deadline
        return self._inbox.is_stopped or is_late or (until_published and self.outcome.is_final)

    def _wait(self, deadline: float | None) -> None:
        due_at = None if self._parts.owed is None else self._parts.owed.due_at
        until = min((at for at in (self._retry_at, due_at, deadline) if at is not None), default=None)
        self._report.beat(None if until is None else until - self._clock() + self._busy_seconds)
        self._inbox.wait(until)

    @property
    def _busy_seconds(self) -> float:
        return _BEAT_SECONDS + self._max_seconds + self._parts.limit_seconds

    def _act(self) -> None:
        self._report.beat(self._busy_seconds)
        if self._inbox.has_news or (self._retry_at is not None and self._retry_at <= self._clock()):
            self._settle()
            if not self._inbox.is_stopped:
                self._guarded_pass()
        self.is_reloading = True
        try:
            self._note_down(self._delivered())
        finally:
            self.is_reloading = False

    def _delivered(self) -> OwedReload | None:
        """Tell the primary what it is owed, where that is due, and return what was delivered."""
        owed = self._parts.owed
        if owed is None or owed.due_at is None or owed.due_at > self._clock() or self._inbox.is_stopped:
            return None
        if not owed.is_instant:
            # It may take its time; meanwhile board, log and state are to say what is published and owed.
            self._note_down(None)
        owed.deliver()
        return owed

    def _note_down(self, delivered: OwedReload | None) -> None:
        """Log and write what a publish and a reload leave for after both, so that the primary hears of it sooner."""
        self._report.catch_up()
        try:
            if self._parts.owed is not None:
                self._parts.owed.show()
            if delivered is not None:
                delivered.conclude()
            if self._parts.owed is None or not self._parts.owed.is_owing:
                self._collector.settled(self._parts.publisher.state.current)
            self._parts.publisher.finish()
            self._unwritten.reset()
        except PublishError as error:
            self._report.unwritten(error)
            again_at = self._clock() + self._unwritten.next_seconds()
            self._retry_at = again_at if self._retry_at is None else min(self._retry_at, again_at)

    def _settle(self) -> None:
        # The first complete read is published at once: nothing is gained by letting the primary wait for it.
        if self._has_succeeded:
            self._inbox.settle(quiet_seconds=self._quiet_seconds, max_seconds=self._max_seconds)

    def _guarded_pass(self) -> None:
        self._retry_at = None
        try:
            self.run_pass()
        except PendingError as error:
            self.outcome = Outcome(error.cause, is_final=error.is_final)
            self._report.pending(error)
        except CheckRefusedError as error:
            self._failed(error, again=self._refused)
        except PublishError as error:
            self._failed(error, again=self._unpublished)
        except ConfcarError as error:
            # Templates that do not compile may be on a volume that is not there yet; what fails on data waits for data.
            self._failed(error, again=None if self._is_following else self._unpublished)
        except Exception as error:  # noqa: BLE001 - one bundle's bug must end neither the bundle nor the others
            self._failed(self._report.failed_unexpectedly(error), again=self._unpublished)

    def _failed(self, error: ConfcarError, *, again: Backoff | None = None) -> None:
        if again is not None:
            self._retry_at = self._clock() + again.next_seconds()
        self.outcome = Outcome(error)
        self._report.failed(error)

    def _render(self) -> Rendering:
        started = self._clock()
        try:
            rendering = self._collector.render()
        except PendingError as error:
            if error.missing:
                self._report.rendered("pending", self._clock() - started)
            raise
        except Exception:
            self._report.rendered("failed", self._clock() - started)
            raise
        self._report.rendered("rendered", self._clock() - started)
        return rendering

    def _check(self, staged: Staged, rendering: Rendering) -> None:
        try:
            is_checked = self._parts.check.run(staged.change, rendering.files)
        except CheckRefusedError as error:
            self._parts.publisher.discard(staged)
            self._report.refused(error)
            raise
        if is_checked:
            self._report.accepted()

    def _publish(self, staged: Staged) -> None:
        owed = self._parts.owed
        change = self._parts.publisher.publish(staged, acknowledged=owed is None)
        self._report.published(change, is_acknowledged=owed is None)
        if owed is not None:
            owed.owe(change, changed_at=self._collector.changed_at)

    def _succeeded(self) -> None:
        self._has_succeeded = True
        self._collector.published(self._parts.publisher.state.current)
        self.outcome = Outcome()
        self._refused.reset()
        self._unpublished.reset()
        self._report.succeeded()
