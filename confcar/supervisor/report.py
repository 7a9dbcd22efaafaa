"""What the primary's thread says of it, on the status board and in the log. Decides nothing."""

from __future__ import annotations

import logging
from typing import Literal

from confcar.log import fields
from confcar.primary_status import ExitStatus, PrimaryStatus
from confcar.status import Status

_log = logging.getLogger(__name__)


class PrimaryReport:
    """The voice of the primary. Used by its thread."""

    def __init__(self, mode: Literal["command", "pid_file", "process"], status: Status) -> None:
        self._status = status
        status.show_primary(PrimaryStatus(mode))

    def waits(self, waits_for: str | None) -> None:
        """Say what it waits for; logged once, however often the words change meanwhile."""
        before = self._shown.waits_for
        if before == waits_for:
            return
        self._status.update_primary(waits_for=waits_for)
        if before is None:
            _log.info("primary waits", extra=fields(waits_for=waits_for))

    def started(self, pid: int, started_at: float, *, program: str) -> None:
        """Say that it runs."""
        _log.info("primary started", extra=fields(pid=pid, program=program))
        self._status.update_primary(state="running", pid=pid, started_at=started_at, error=None)

    def found(self, pid: int, name: str, started_at: float) -> None:
        """Say which process is followed."""
        _log.info("primary found", extra=fields(pid=pid, name=name))
        restarts = self._shown.restarts + (self._shown.started_at is not None)
        self._status.update_primary(
            state="running", pid=pid, started_at=started_at, restarts=restarts, waits_for=None, error=None
        )

    def ended(self, ended: ExitStatus, state: Literal["restarting", "ended"], *, error: str | None = None) -> None:
        """Say how it ended, and whether it comes back."""
        restarts = self._shown.restarts + (state == "restarting")
        self._status.update_primary(
            state=state, pid=None, started_at=None, last_exit=ended, restarts=restarts, error=error
        )

    @property
    def _shown(self) -> PrimaryStatus:
        shown = self._status.primary
        assert shown is not None, "shown since this was made"
        return shown
