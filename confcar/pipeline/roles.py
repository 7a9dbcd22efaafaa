"""Who has a say in a reload: who makes it, who remembers it, and who says when a fleet may make the next one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from confcar.model import Change


class Delivers(Protocol):
    """Tells the primary, step by step; fulfilled by `reloaders.delivery.Delivery`."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each step, for the metrics."""
        ...

    def deliver(self, change: Change, step: int, on_step: Callable[[int], None]) -> None:
        """Run the reload's steps from *step* on; *on_step* hears how many are delivered. Raises ReloadError."""
        ...


class Remembers(Protocol):
    """Keeps what was delivered over a crash; fulfilled by `publishing.publisher.Publisher`."""

    def note_step(self, number: int, step: int) -> None:
        """Remember that the first *step* steps of the reload of generation *number* were delivered."""
        ...

    def acknowledge(self, number: int) -> None:
        """Remember that generation *number* was acknowledged."""
        ...


class Paces(Protocol):
    """Spreads the reloads of a fleet; fulfilled by `reloaders.rollout.Rollout`. Blocks nobody."""

    on_news: Callable[[], None]
    """Called from another thread when `may_reload` is worth another question."""

    @property
    def look_again_at(self) -> float | None:
        """When to ask again at the latest, by the monotonic clock; None while nothing is waited for."""
        ...

    def may_reload(self) -> bool:
        """Return whether to reload now, and wait for the time when that is so where it is not."""
        ...

    def done(self) -> None:
        """Let the next of the fleet reload; nothing where it was not asked for."""
        ...

    def close(self) -> None:
        """Wait no longer, and let the next of the fleet reload. Takes a moment at most."""
        ...
