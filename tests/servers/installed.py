"""Programs that no wheel carries and nothing builds: they are used where the system's package is installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

_ADMIN_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def installed(name: str) -> Path:
    """Return a program of the distribution; skips the test where it is not installed."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_ADMIN_PATH}")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return Path(found)
