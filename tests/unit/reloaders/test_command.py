"""Command reloads."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from confcar.errors import ReloadError
from confcar.log import MASK, Redactor
from confcar.model import Change
from confcar.reloaders.command import CommandReloader


def reloader_for(*command: str, timeout_seconds: float = 10.0, secret: str = "") -> CommandReloader:
    redactor = Redactor()
    redactor.learn([secret])
    return CommandReloader(command, timeout_seconds, {"PATH": os.defpath, "VAULT_TOKEN": "root"}, redactor)


def test_command_learns_what_changed(change: Change, tmp_path: Path) -> None:
    script = 'env > "$1/env"; cp "$CONFCAR_CHANGED_FILE" "$1/all"; echo "$2" > "$1/generation"'
    reloader_for("sh", "-c", script, "sh", "{directory}", "{generation}").reload(change)
    environment = (tmp_path / "env").read_text()
    assert "CONFCAR_BUNDLE=web\n" in environment
    assert "CONFCAR_GENERATION=7\n" in environment
    assert "CONFCAR_CHANGED=a.conf\nb.conf\n" in environment
    assert "VAULT_TOKEN" not in environment
    assert (tmp_path / "all").read_text() == "a.conf\nb.conf\n"
    assert (tmp_path / "generation").read_text() == "7\n"


def test_status_other_than_zero_is_a_failure_with_the_end_of_its_output_masked(change: Change) -> None:
    script = "seq 1 500; echo 'password is hunter2-hunter2'; exit 3"
    with pytest.raises(ReloadError) as caught:
        reloader_for("sh", "-c", script, secret="hunter2-hunter2").reload(change)
    message = str(caught.value)
    assert message.startswith("the command sh ended with status 3: ...")
    assert message.endswith(f"499 500 password is {MASK}")
    assert len(message) < 300


def test_arguments_are_not_shown_because_they_may_hold_secrets(change: Change) -> None:
    with pytest.raises(ReloadError) as caught:
        reloader_for("false", "--password=open-sesame").reload(change)
    assert str(caught.value) == "the command false ended with status 1"


def test_signal_that_ended_it_is_named(change: Change) -> None:
    with pytest.raises(ReloadError, match="was ended by SIGKILL"):
        reloader_for("sh", "-c", "kill -9 $$").reload(change)


def test_program_that_is_not_there_is_named(change: Change) -> None:
    with pytest.raises(ReloadError, match="no-such-program: No such file or directory"):
        reloader_for("no-such-program").reload(change)


def test_command_that_does_not_end_is_killed_in_time(change: Change) -> None:
    started = time.monotonic()
    with pytest.raises(ReloadError, match=r"did not end within 0\.2 s and was killed with all it started"):
        reloader_for(sys.executable, "-S", "-c", "import signal; signal.pause()", timeout_seconds=0.2).reload(change)
    assert time.monotonic() - started < 1.5
