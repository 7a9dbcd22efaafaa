"""What the reloaders' tests share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.model import Change


class _Listener(logging.Handler):
    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        self._events.append(record.getMessage())


@pytest.fixture
def events() -> Iterator[list[str]]:
    """Return the list that every event logged by the reloaders is added to."""
    found: list[str] = []
    logger, listener = logging.getLogger("confcar.reloaders"), _Listener(found)
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    yield found
    logger.removeHandler(listener)
    logger.setLevel(level)


@pytest.fixture
def change(tmp_path: Path) -> Change:
    """Return a change that was published before anything that a test starts, so that nothing counts as told."""
    return Change("web", 7, tmp_path, ("a.conf", "b.conf"))
