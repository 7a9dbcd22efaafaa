"""Making reloaders from the config."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from confcar.config.bundles import ReloadStep
from confcar.log import Redactor
from confcar.reloaders.base import Reloader, create_reloader


def create(step: dict[str, Any]) -> Reloader:
    return create_reloader(ReloadStep.model_validate(step), environ={}, redactor=Redactor(), own_pid=1)


STEPS = [
    pytest.param("signal", {"signal": "HUP", "pid": 12}, {"signal": "USR1", "pid": 12}, id="pid"),
    pytest.param("signal", {"signal": "HUP", "pid_file": "/a"}, {"signal": "HUP", "pid_file": "/b"}, id="pid_file"),
    pytest.param(
        "signal",
        {"signal": "HUP", "process": {"name": "nginx"}},
        {"signal": "HUP", "process": {"name": "caddy"}},
        id="process",
    ),
    pytest.param("http", {"http": {"url": "http://a/"}}, {"http": {"url": "http://b/"}}, id="http"),
    pytest.param("command", {"command": ["true"]}, {"command": ["true"], "timeout": "1s"}, id="command"),
]


@pytest.mark.parametrize(("kind", "step", "other"), STEPS)
def test_step_becomes_the_reloader_of_its_kind(kind: str, step: dict[str, Any], other: dict[str, Any]) -> None:
    assert create(step).name == kind
    assert create(other).name == kind


@pytest.mark.parametrize(("kind", "step", "other"), STEPS)
def test_reloaders_are_equal_exactly_where_their_options_are(
    kind: str, step: dict[str, Any], other: dict[str, Any]
) -> None:
    assert create(step) == create(step)
    assert create(step) != create(other)


def test_signal_is_the_same_in_its_three_spellings() -> None:
    assert create({"signal": "HUP", "pid": 9}) == create({"signal": "SIGHUP", "pid": 9})
    assert create({"signal": "HUP", "pid": 9}) == create({"signal": 1, "pid": 9})


def test_only_the_module_of_the_kind_is_loaded() -> None:
    """Start-up time: a config with a command loads neither psutil nor the HTTP library."""
    program = (
        "import sys\n"
        "from confcar.config.bundles import ReloadStep\n"
        "from confcar.log import Redactor\n"
        "from confcar.reloaders.base import create_reloader\n"
        "for step in ({'command': ['true']}, {'signal': 1, 'pid_file': '/a'}):\n"
        "    create_reloader(ReloadStep.model_validate(step), environ={}, redactor=Redactor(), own_pid=1)\n"
        "sys.exit(','.join({'psutil', 'urllib3'} & set(sys.modules)) or None)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
