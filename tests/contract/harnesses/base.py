"""What a source has to offer so that the contract test can drive it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import pytest

from confcar.model import Dependency, Reading
from confcar.watchers.base import Watcher


class Harness(Protocol):
    """A watcher and the means to change what it follows. Every method returns when the change is made."""

    watcher: Watcher

    def dependency(self, path: str) -> Dependency:
        """Return what reads the value set at *path*, a single word."""
        ...

    def set(self, **values: str) -> None:
        """Hold these values, by path; others stay. All in one change where the source can do that."""
        ...

    def remove(self, path: str) -> None:
        """Hold nothing at *path* any more."""
        ...

    def text(self, reading: Reading) -> str | None:
        """Return what `set` wrote, from what the watcher read of it; None for a list that holds nothing."""
        ...

    def take_away(self) -> None:
        """Make the whole source unreachable."""
        ...

    def bring_back(self) -> None:
        """Undo `take_away`; the data is as before."""
        ...

    def deny(self) -> None:
        """Refuse the watcher what `dependency` reads."""
        ...

    def allow(self) -> None:
        """Undo `deny`."""
        ...


OpenHarness = Callable[[pytest.FixtureRequest], AbstractContextManager[Harness]]
"""Opens a harness that holds nothing yet and cleans up after it. The request is there to get at fixtures."""
