"""What is known of a source, as the status board shows it; safe to show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """Something that a source gave and that ends. *ends_at* is None where that is not known."""

    path: str
    renewable: bool
    ends_at: float | None


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source.

    *up* is None before the first answer or failure; *trouble* is what is wrong with it although it answers, None where
    nothing is; *details* are numbers of its own kind, by name.
    """

    type: str
    up: bool | None = None
    last_success: float | None = None
    error: str | None = None
    trouble: str | None = None
    connections: int = 0
    polled: int = 0
    details: tuple[tuple[str, float], ...] = ()
    leases: tuple[LeaseStatus, ...] | None = None
    """What it gave and ends; None for a source that gives nothing of the kind."""
