"""Delivery of one published generation to everything that a bundle's `reload` names, in order.

Holds no time, no thread and no memory of attempts: the pipeline notes the step that `on_step` reports, and calls again
from there after a failure or a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from confcar.errors import ReloadError
from confcar.model import Change
from confcar.reloaders.base import Reloader


class Delivery:
    """The reload steps of one bundle.

    A step equal to an earlier one is not run again: the primary was already told by it. Positions are those of the
    config's list, so that the step noted on disk means the same after a restart.

    Args:
        reloaders: One per step of the config, in its order; may be empty, then every delivery succeeds at once.
    """

    def __init__(self, reloaders: Sequence[Reloader]) -> None:
        self._reloaders = tuple(reloaders)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The name of each step's reloader; `kinds[step]` is what fails or succeeds at that step."""
        return tuple(reloader.name for reloader in self._reloaders)

    def deliver(self, change: Change, step: int, on_step: Callable[[int], None]) -> None:
        """Run the steps from *step* on until all are delivered or one fails.

        Blocks for at most the sum of the steps' time limits. Not thread-safe: one thread per bundle.

        Args:
            change: What to tell.
            step: How many steps were delivered before, 0 for a new generation. At or above the number of steps there is
                nothing left to do, which is the case when the config lost steps since.
            on_step: Called after each delivered step with the number of steps that are delivered now; pass that as
                *step* to go on from there. What it raises ends the delivery.

        Raises:
            ReloadError: The first step that failed, of the class its reloader raised, its position in the words; the
                steps after it were not run. Worth a retry from the step that `on_step` reported last.
        """
        for position in range(step, len(self._reloaders)):
            reloader = self._reloaders[position]
            if reloader not in self._reloaders[:position]:
                try:
                    reloader.reload(change)
                except ReloadError as error:
                    raise type(error)(f"{self._place(position)}: {error}") from error
            on_step(position + 1)

    def _place(self, position: int) -> str:
        kind = self._reloaders[position].name
        total = len(self._reloaders)
        return f"reload by {kind}" if total == 1 else f"reload step {position + 1} of {total} (by {kind})"
