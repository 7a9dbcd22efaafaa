"""Completion in a real bash, installed into an empty home as the reference says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.sidecar import ROOT

_COMPLETE = """
source "$HOME/.bashrc"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_confcar_completion "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home in which `confcar --install-completion` was run once, from bash."""
    installed = in_bash("confcar --install-completion; exit $?", tmp_path)
    assert installed.returncode == 0, installed.stderr
    return tmp_path


def in_bash(script: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {"PATH": path, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    bash = shutil.which("bash") or pytest.skip("no bash on this machine")
    return subprocess.run(
        [bash, "-c", script, "bash", *arguments], env=environment, text=True, capture_output=True, check=False
    )


def completed(home: Path, *words: str) -> set[str]:
    ended = in_bash(_COMPLETE, home, *words)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.split())


def test_bash_completes_commands(home: Path) -> None:
    assert completed(home, "confcar", "he") == {"healthcheck"}
    assert {"run", "once", "check"} <= completed(home, "confcar", "")


def test_bash_completes_the_options_of_a_command(home: Path) -> None:
    assert completed(home, "confcar", "once", "--t") == {"--timeout"}


def test_completion_is_printed_for_the_shell_that_asks(tmp_path: Path) -> None:
    shown = in_bash("confcar --show-completion; exit $?", tmp_path)
    assert shown.returncode == 0
    assert "complete -o default -F _confcar_completion confcar" in shown.stdout
    assert list(tmp_path.iterdir()) == []
