"""What is known of a bundle, as the status board shows it; safe to show. Times are seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from confcar.model import Missing

BundleState = Literal["waiting", "pending", "published", "refused", "failed"]
"""waiting: nothing was rendered yet. pending: data is missing. published: the newest data is on disk. refused: the
check refused the newest render, or it was published and taken back. failed: rendering or publishing failed, or the
primary is not well with what is published. What the primary was told of it is `reload`."""


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """The last check of a bundle; *result* is None before the first."""

    result: Literal["accepted", "refused"] | None = None
    at: float | None = None
    message: str | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """A reload's slot in the fleet's rollout.

    Attributes:
        state: waiting: for a slot. held: the reload runs or is about to. without: it runs without one, after the
            rollout's `timeout`.
        message: The same for people: for what it waits, who has the slots, what is wrong.
        since: When the state began.
        holders: Who has the slots, while waiting.
        error: Why no slot can be had; None where nothing is wrong.
        without_at: When the reload will be made without a slot if *error* lasts; None without an error.
    """

    state: Literal["waiting", "held", "without"]
    message: str
    since: float
    holders: tuple[str, ...] = ()
    error: str | None = None
    without_at: float | None = None


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """The reload of a bundle's current generation. *slot* is None where the reload needs none now."""

    pending: bool = False
    attempts: int = 0
    last_error: str | None = None
    acknowledged_generation: int | None = None
    acknowledged_at: float | None = None
    last_successful: bool | None = None
    slot: SlotStatus | None = None


@dataclass(frozen=True, slots=True)
class RefusedStatus:
    """A generation that was taken back, by itself or *by_hand*; *attempts* counts how often its data was tried."""

    generation: int
    reason: str
    since: float
    attempts: int = 1
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class BundleStatus:
    """One bundle."""

    directory: str = ""
    generation: int | None = None
    published_at: float | None = None
    state: BundleState = "waiting"
    error: str | None = None
    missing: tuple[Missing, ...] = ()
    check: CheckStatus = CheckStatus()
    reload: ReloadStatus = ReloadStatus()
    refused: RefusedStatus | None = None
