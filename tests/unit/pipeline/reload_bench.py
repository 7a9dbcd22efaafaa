"""An owed reload on a fake clock, with a scripted delivery, memory and probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from confcar.bundle_status import ReloadStatus
from confcar.errors import PublishError, ReloadError
from confcar.model import Change
from confcar.pipeline.reloading import OwedReload
from confcar.pipeline.verifying import Verification
from confcar.status import Status
from tests.fakes.clock import FakeClock

# How often a verify of a quarter of a second asks.
TRIES = 2
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 0.5, 60.0


@dataclass
class ScriptedDelivery:
    """Two steps, each of which fails as often as it was told to."""

    kinds: tuple[str, ...] = ("signal", "http")
    told: list[tuple[int, int]] = field(default_factory=list)
    failures: dict[int, list[Exception]] = field(default_factory=dict)

    def deliver(self, change: Change, step: int, on_step: Callable[[int], None]) -> None:
        for position in range(step, len(self.kinds)):
            if self.failures.get(position):
                raise self.failures[position].pop(0)
            self.told.append((change.generation, position))
            on_step(position + 1)


@dataclass
class Memory:
    """What the next start would know."""

    steps: list[tuple[int, int]] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    error: PublishError | None = None

    def note_step(self, number: int, step: int) -> None:
        self.steps.append((number, step))
        if self.error is not None:
            raise self.error

    def acknowledge(self, number: int) -> None:
        self.acknowledged.append(number)
        if self.error is not None:
            raise self.error


@dataclass
class ScriptedProbe:
    """Says what it was told to say, then that all is well."""

    failures: list[ReloadError] = field(default_factory=list)

    def attempt(self, change: Change, *, timeout_seconds: float) -> None:
        del change, timeout_seconds
        if self.failures:
            raise self.failures.pop(0)


class Bench:
    def __init__(self, *, splay_seconds: float = 0.0, probe: ScriptedProbe | None = None) -> None:
        self.clock, self.delivery, self.memory, self.board = FakeClock(), ScriptedDelivery(), Memory(), Status()
        self.board.add_bundle("web", "/shared/web")
        self.is_stopped = False
        verification = (
            None
            if probe is None
            else Verification(probe, within_seconds=0.25, stable_for_seconds=0.0, clock=self.clock)
        )
        self.owed = OwedReload(
            self.delivery,
            self.memory,
            self.board,
            splay_seconds=splay_seconds,
            verification=verification,
            clock=self.clock,
        )

    def owe(self, generation: int, *, step: int = 0, changed_at: float | None = None) -> None:
        change = Change("web", generation, Path("/shared/web"))
        self.owed.owe(change, changed_at=changed_at, step=step)
        self.owed.show()

    def attempt(self) -> None:
        self.owed.deliver()
        self.owed.verify(self.pause)
        self.owed.conclude()

    def pause(self, seconds: float) -> bool:
        self.clock.now += seconds
        return not self.is_stopped

    def fail(self, *errors: Exception, step: int = 0) -> None:
        self.delivery.failures.setdefault(step, []).extend(errors)

    @property
    def status(self) -> ReloadStatus:
        return self.board.bundle("web").reload

    @property
    def due_in(self) -> float:
        assert self.owed.due_at is not None
        return self.owed.due_at - self.clock.now
