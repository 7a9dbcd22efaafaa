"""One bundle from changed data to a told primary: collect, settle, render, stage, check, publish, then reload.

Each bundle has a thread of its own and shares nothing with the others but the store and the sources, so a check that
hangs or a primary that is gone holds up nobody else. `run` and `once` are the same pass: `once` ends after the first
that came to an end and never reloads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future

from confcar.errors import CheckRefusedError, ConfcarError, LockedError, PublishError
from confcar.model import Dependency
from confcar.pipeline.collecting import Collector, PendingError
from confcar.pipeline.inbox import Inbox
from confcar.pipeline.parts import BundleParts, Outcome
from confcar.pipeline.publication import Publication
from confcar.pipeline.report import BundleReport
from confcar.pipeline.requests import Asked, Request, Requests
from confcar.pipeline.retries import Retries
from confcar.pipeline.standing import Standing
from confcar.pipeline.telling import Telling
from confcar.status import Status

# How much longer than its own time limits a pass may take before liveness doubts the thread.
_BEAT_SECONDS = 600.0


class BundlePipeline:
    """The pass of one bundle and the loop around it. Any thread may `ask` and `stop`, all else is for its own."""

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
        self._parts = parts
        self._report = BundleReport(name, status)
        self._quiet_seconds = quiet_seconds
        self._max_seconds = max_seconds
        self._clock = clock
        self.inbox = self._inbox = Inbox(clock)
        self._requests = Requests(name, self._inbox.call)
        self._collector = Collector(name, parts.renderer, parts.following, self._inbox)
        self._retries = Retries(clock)
        self._publication = Publication(
            parts,
            self._report,
            lease_ends=self._collector.lease_ends,
            is_stopped=lambda: self._inbox.is_stopped,
            clock=clock,
        )
        self._standing = Standing(self._publication, self._report, parts.owed)
        self._telling = Telling(parts, self._report, self._retries, inbox=self._inbox)
        if parts.owed is not None:
            parts.owed.wake_by(self._inbox.wake)
        self._has_succeeded = False
        self._hands_over = False
        self._before: list[BundlePipeline] = []

    @property
    def outcome(self) -> Outcome:
        """How the last pass ended. Any thread."""
        return self._standing.outcome

    @property
    def is_reloading(self) -> bool:
        """Whether the primary is being told, or that is being written down: not a moment to leave. Any thread."""
        return self._telling.is_under_way

    def open(self) -> None:
        """Take the directory, and show in the status what is published there already.

        A directory that cannot be used yet is not the end: the volume may be mounted late, and `run` tries again.

        Raises:
            LockedError: Another confcar has it.
        """
        try:
            self._publication.open(self.name)
        except LockedError:
            raise
        except PublishError as error:
            self._failed(error, is_tried_again=True)

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
            self._failed(self._report.failed_unexpectedly(error), is_tried_again=False)
            due_in_seconds = 0.0  # liveness is to fail: nobody follows this bundle any more
        finally:
            self._report.beat(due_in_seconds)
            self._requests.close()
            if self._parts.owed is not None:
                self._parts.owed.close()
            if not self._hands_over:
                self.close()

    @property
    def followed(self) -> frozenset[Dependency]:
        """All that is followed for it now. Any thread."""
        return self._collector.followed or frozenset()

    def ask(self, request: Request) -> Future[None]:
        """Ask for something to be done by the bundle's own thread, and return the promise of its outcome.

        The promise ends with None, or raises the ConfcarError that says what went wrong. Does not block.
        """
        return self._requests.ask(request)

    def stop(self, *, hands_over: bool = False) -> None:
        """End the loop after the step that is under way; with *hands_over* the directory stays held."""
        self._hands_over = hands_over
        self._inbox.stop()

    def take_over(self, before: BundlePipeline) -> None:
        """Take the directory from a pipeline that was stopped to hand it over, and whose thread has ended.

        Its data goes on being followed until this one has published what it makes of its own.
        """
        self._parts.publisher.take_over(before._parts.publisher)
        # One that has published nothing of its own does not count: what counts is the one before it.
        self._before, before._before = before._before or [before], []
        if before not in self._before:
            before.withdraw()

    def withdraw(self) -> None:
        """Follow nothing any more, nor what was taken over; to be called once the thread has ended."""
        self._collector.withdraw()
        while self._before:
            self._before.pop().withdraw()

    def close(self) -> None:
        """Give the directory back; `run` does so at its end."""
        self._parts.publisher.close()

    def run_pass(self) -> None:
        """Bring what is on disk up to what the sources hold: render, stage, check, publish. Does not wait for data.

        Raises:
            PendingError: Data is missing.
            ConfcarError: A step failed; nothing was published.
        """
        self._publication.open(self.name)
        if self._collector.followed is None:
            self._collector.start()
        with self._report.rendering(self._clock):
            rendering = self._collector.render()
        inputs = self._collector.inputs(rendering, settings=self._parts.settings)
        if self._publication.bring_up(rendering, inputs, changed_at=self._collector.changed_at):
            self._succeeded()

    def _is_over(self, *, until_published: bool, deadline: float | None) -> bool:
        is_done = self._inbox.is_stopped or (until_published and self.outcome.is_final)
        return is_done or (deadline is not None and self._clock() >= deadline)

    def _wait(self, deadline: float | None) -> None:
        due_at = None if self._parts.owed is None else self._parts.owed.deliver_at
        appointments = (self._retries.due_at, due_at, self._publication.retry_at, self._publication.look_at, deadline)
        until = min((at for at in appointments if at is not None), default=None)
        self._report.beat(None if until is None else until - self._clock() + self._busy_seconds)
        self._inbox.wait(until)

    @property
    def _busy_seconds(self) -> float:
        return _BEAT_SECONDS + self._max_seconds + self._parts.limit_seconds

    def _act(self) -> None:
        self._report.beat(self._busy_seconds)
        is_due = self._inbox.has_news or self._retries.is_due or self._is_time(self._publication.retry_at)
        if is_due:
            self._settle()
        self._inbox.answer()
        asked = self._requests.take()
        if not self._inbox.is_stopped:
            self._do(asked, is_due=is_due)
        self._tell()
        self._let_go()
        for each in asked:
            each.conclude(self._standing.shortfall)

    def _do(self, asked: list[Asked], *, is_due: bool) -> None:
        for each in asked:
            if each.request == "rollback":
                try:
                    self._roll_back()
                except ConfcarError as error:
                    each.conclude(error)
        if is_sync := any(each.request == "sync" for each in asked):
            self._sync_asked()
            is_due = True
        if is_due:
            self._guarded(self._pass)
        if is_sync or self._is_time(self._publication.look_at):
            self._guarded(self._publication.look_for_drift)
        if asked and self._parts.owed is not None:
            self._parts.owed.hasten()

    def _let_go(self) -> None:
        """Once the primary knows what this one made, nothing older is in use, nor what the one before it read."""
        if self._parts.owed is not None and self._parts.owed.is_owing:
            return
        self._collector.settled(self._parts.publisher.state.current)
        while self._before and self._has_succeeded:
            self._before.pop().withdraw()

    def _is_time(self, at: float | None) -> bool:
        return at is not None and at <= self._clock()

    def _roll_back(self) -> None:
        self._publication.roll_back()
        self._standing.went_back()

    def _sync_asked(self) -> None:
        """Take a sync's word for it that everything is to be tried now, whatever was put off."""
        self._retries.reset()
        self._guarded(self._publication.release)

    def _tell(self) -> None:
        """Tell the primary what it is owed, and take back what does not hold."""
        owed = self._parts.owed
        was_unwell = owed is not None and owed.refusal is not None
        delivered = self._telling.tell()
        if delivered is not None and delivered.refusal is not None:
            self._standing.take_back(delivered.refusal)
        elif delivered is not None and was_unwell and delivered.due_at is None:
            self._standing.settle()
            self._report.catch_up()
        if delivered is not None:
            delivered.end_turn()

    def _settle(self) -> None:
        # The first complete read is published at once: nothing is gained by letting the primary wait for it.
        if self._has_succeeded:
            self._inbox.settle(quiet_seconds=self._quiet_seconds, max_seconds=self._max_seconds)

    def _pass(self) -> None:
        self._retries.begin()
        self.run_pass()

    def _guarded(self, step: Callable[[], None]) -> None:
        """Do a step, and let no failure of it end more than the step."""
        try:
            step()
        except PendingError as error:
            self._standing.waits(error)
        except (CheckRefusedError, PublishError) as error:
            self._failed(error, is_tried_again=True)
        except ConfcarError as error:
            # Templates that do not compile may be on a volume that is not there yet; what fails on data waits for data.
            self._failed(error, is_tried_again=self._collector.followed is None)
        except Exception as error:  # noqa: BLE001 - one bundle's bug must end neither the bundle nor the others
            self._failed(self._report.failed_unexpectedly(error), is_tried_again=True)

    def _failed(self, error: ConfcarError, *, is_tried_again: bool) -> None:
        if is_tried_again:
            self._retries.after(error)
        self._standing.failed(error)

    def _succeeded(self) -> None:
        self._has_succeeded = True
        # What is held back is on no disk: what was read for it is in nobody's use.
        self._collector.published(None if self._publication.held else self._parts.publisher.state.current)
        self._retries.reset()
        self._standing.settle()
