"""What the tests of the config share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.workbench import Workbench


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """Return a folder to write configs to."""
    return Workbench(tmp_path)
