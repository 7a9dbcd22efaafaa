"""How what a bundle has on disk stands to its newest data: the outcome for `once` and for commands, and the status.

What was published and does not hold when it is verified goes back, or stays and is in trouble; both are said here.
"""

from __future__ import annotations

from confcar.errors import ConfcarError, MissingDataError, VerifyFailedError
from confcar.pipeline.collecting import PendingError
from confcar.pipeline.parts import Outcome
from confcar.pipeline.publication import Publication
from confcar.pipeline.reloading import OwedReload
from confcar.pipeline.report import BundleReport
from confcar.pipeline.rollback import why_held


class Standing:
    """Used by the bundle's thread; `outcome` is read by any.

    Args:
        publication: What is on disk, and what is held back.
        report: The bundle's voice.
        owed: What the primary is owed; None where nobody is told.

    Attributes:
        outcome: How the last pass ended.
    """

    def __init__(self, publication: Publication, report: BundleReport, owed: OwedReload | None) -> None:
        self.outcome = Outcome(MissingDataError("nothing was rendered yet"), is_final=False)
        self._publication = publication
        self._report = report
        self._owed = owed
        self._trouble: ConfcarError | None = None  # why what is published does not hold and stays all the same

    @property
    def shortfall(self) -> ConfcarError | None:
        """Why not all is well, for who asked for something; None where it is."""
        return self.outcome.error or (self._owed.error if self._owed is not None else None)

    def waits(self, error: PendingError) -> None:
        """Say that data is missing."""
        self.outcome = Outcome(error.cause, is_final=error.is_final)
        self._report.pending(error)

    def failed(self, error: ConfcarError) -> None:
        """Say that a step failed."""
        self.outcome = Outcome(error)
        self._report.failed(error)

    def went_back(self) -> None:
        """Say that somebody's wish to go back was done."""
        self.outcome = Outcome()

    def take_back(self, refusal: VerifyFailedError) -> None:
        """Go back to the generation before, because the current one does not hold, or say why it stays."""
        self._trouble = None
        try:
            self._publication.take_back(refusal)
        except ConfcarError as error:
            self._trouble = error
        self.settle()

    def settle(self) -> None:
        """Say how it stands, after a pass that came to its end and after the primary was told."""
        held, owed = self._publication.held, self._owed
        if owed is not None and owed.refusal is not None:
            self.failed(self._trouble or owed.refusal)
            return
        # In `once` nobody is told, and what is held back is no failure: the last good files are there.
        self.outcome = Outcome(None if held is None or owed is None else why_held(held))
        if held is not None:
            self._report.held_back(held)
        else:
            self._report.succeeded()
