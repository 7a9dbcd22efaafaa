"""The place that a test configures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.daemon.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
