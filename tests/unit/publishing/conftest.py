"""Lets go of the directories that a test's publishers hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.publishing.samples import OPENED


@pytest.fixture(autouse=True)
def publishers_closed() -> Iterator[None]:
    """Close every publisher that `opened` returned."""
    yield
    while OPENED:
        OPENED.pop().close()
