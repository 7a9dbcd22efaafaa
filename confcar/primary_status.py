"""What the status board shows of the primary. Plain values; never one that was rendered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from confcar.model import Missing

PrimaryState = Literal["waiting", "running", "stopping", "restarting", "ended"]
"""waiting: not started yet, or not found. running: it runs. stopping: it was asked to end. restarting: it has ended and
is started again, after a back-off where it ended by itself. ended: for good."""


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a primary ended: by itself with *code*, or by *signal*, the name of one; when."""

    code: int | None
    signal: str | None
    at: float


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """The rendered variables of the primary: what they wait for, or why they could not be rendered; never a value."""

    pending: bool = True
    missing: tuple[Missing, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class PrimaryStatus:
    """The primary. *waits_for* says what its start waits for; *environment* is None where none is rendered."""

    mode: Literal["command", "pid_file", "process"]
    state: PrimaryState = "waiting"
    pid: int | None = None
    started_at: float | None = None
    restarts: int = 0
    last_exit: ExitStatus | None = None
    waits_for: str | None = None
    error: str | None = None
    environment: EnvironmentStatus | None = None
