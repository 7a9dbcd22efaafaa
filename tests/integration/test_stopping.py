"""Stops at bad moments: nothing that confcar has started outlives it, and no signal is lost or does harm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.sidecar import Sidecar, command, environment
from tests.waiting import is_running, wait_until


def configure(folder: Path, *, primary: list[str] | None = None, **bundle: Any) -> Path:  # noqa: ANN401 - a config
    """Write a config of one bundle and return its path; JSON is YAML."""
    (folder / "data.yaml").write_text("name: first\n")
    web = {"directory": "web", "templates": [{"content": "{{ key('name') }}", "destination": "name"}], **bundle}
    config = folder / "confcar.yaml"
    local = {"type": "file", "path": "data.yaml"}
    settings: dict[str, Any] = {"sources": {"local": local}, "admin": {"listen": "off"}, "bundles": {"web": web}}
    if primary is not None:
        settings["primary"] = {"command": primary}
    config.write_text(json.dumps(settings))
    return config


def hanging(begun: Path) -> list[str]:
    """Return a command that does not end, nor does what it has started, whose PID it leaves in *begun*."""
    return ["sh", "-c", f"sleep 600 & echo $! > {begun}.new; mv {begun}.new {begun}; wait"]


def test_a_second_stop_leaves_nothing_of_a_reload_under_way(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    config = configure(tmp_path, reload={"command": hanging(begun), "timeout": "10m"})
    with Sidecar(config) as sidecar:
        wait_until(begun.exists, timeout=30.0)
        assert sidecar.process is not None
        sidecar.process.send_signal(signal.SIGTERM)
        wait_until(lambda: '"stopping"' in sidecar.log())
        assert sidecar.process.poll() is None, "the reload is waited for"
        assert sidecar.stop() == 128 + signal.SIGTERM
        wait_until(lambda: not is_running(int(begun.read_text())))


def test_once_that_is_stopped_during_a_check_has_published_nothing_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    config = configure(tmp_path, check={"command": hanging(begun), "timeout": "10m"})
    process = subprocess.Popen(command("once", "-c", config), env=environment(None), stderr=subprocess.PIPE, text=True)
    wait_until(begun.exists, timeout=30.0)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=30.0)
    assert process.returncode != 0
    assert "refused" not in told
    assert not list((tmp_path / "web").glob("..generation-*")), "what was staged is taken away"
    wait_until(lambda: not is_running(int(begun.read_text())))


@pytest.mark.parametrize(
    "numbers", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM]]
)
def test_signals_that_come_before_the_config_is_read_are_heard_afterwards(tmp_path: Path, numbers: list[int]) -> None:
    config = configure(tmp_path, primary=["touch", str(tmp_path / "started")])
    subprocess.run(command("once", "-c", config), env=environment(None), check=True, timeout=30.0, capture_output=True)
    regular = config.rename(tmp_path / "regular.yaml")
    os.mkfifo(config)
    process = subprocess.Popen(command("run", "-c", config), env=environment(None), stderr=subprocess.PIPE, text=True)
    with config.open("w") as pipe:  # waits for the reader
        for number in numbers:
            process.send_signal(number)
        assert process.poll() is None
        pipe.write(regular.read_text())
        regular.rename(config)  # for whoever reads it again
    _, told = process.communicate(timeout=30.0)
    assert process.returncode == 0, told
    assert not (tmp_path / "started").exists(), "a primary that would be ended at once is not started"
