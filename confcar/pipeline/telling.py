"""Tells the primary what it is owed, waits until it holds, then writes down what came of it: the primary waits now."""

from __future__ import annotations

from confcar.errors import PublishError
from confcar.pipeline.inbox import Inbox
from confcar.pipeline.parts import BundleParts
from confcar.pipeline.reloading import OwedReload
from confcar.pipeline.report import BundleReport
from confcar.pipeline.retries import Retries


class Telling:
    """The last part of a bundle's pass. Used by the bundle's thread only.

    Args:
        parts: Publisher, and what is owed.
        report: The bundle's voice; what it kept back is said here.
        retries: Where a note that could not be written is put off to.
        inbox: Whether a stop is asked for.

    Attributes:
        is_under_way: Whether the primary is being told, or that is being written down. Read by any thread.
    """

    def __init__(
        self,
        parts: BundleParts,
        report: BundleReport,
        retries: Retries,
        *,
        inbox: Inbox,
    ) -> None:
        self.is_under_way = False
        self._owed = parts.owed
        self._publisher = parts.publisher
        self._report = report
        self._retries = retries
        self._inbox = inbox

    def tell(self) -> OwedReload | None:
        """Deliver what is due and verify it, then log and write what is left; return what was delivered, or None."""
        self.is_under_way = True
        try:
            delivered = self._delivered()
            if delivered is not None and delivered.is_verified:
                self._note_down(None)
                # A stop does not wait for what the primary makes of it: the next start verifies it.
                self.is_under_way = False
                delivered.verify(self._inbox.pause)
                self.is_under_way = True
            self._note_down(delivered)
        finally:
            self.is_under_way = False
        return delivered

    def _delivered(self) -> OwedReload | None:
        """Tell the primary what it is owed, where that is due, and return what was delivered."""
        owed = self._owed
        if owed is None or self._inbox.is_stopped or not owed.is_due():
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
            if self._owed is not None:
                self._owed.show()
            if delivered is not None:
                delivered.conclude()
            self._publisher.finish()
            self._retries.written()
        except PublishError as error:
            self._report.unwritten(error)
            self._retries.after_unwritten()
