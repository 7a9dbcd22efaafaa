"""The check command on a staged generation."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from confcar.config.bundles import CheckOptions
from confcar.errors import CheckRefusedError
from confcar.publishing.checks import run_check
from confcar.publishing.layout import PublishMode
from tests.unit.publishing.samples import MODES, files, opened, publish, visible


def _options(script: str, *arguments: str, timeout: str = "10s") -> CheckOptions:
    return CheckOptions.model_validate({"command": [sys.executable, "-c", script, *arguments], "timeout": timeout})


@pytest.mark.parametrize("mode", MODES)
def test_sees_the_staged_generation_and_what_changed(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path / "web", mode)
    publish(publisher, files(a="old", b="1"), acknowledged=True)
    staged = publisher.stage(files(a="new", b="1", d__c="1"))
    script = """
import os, sys
from pathlib import Path
told = [os.environ[f"CONFCAR_{name}"] for name in ("BUNDLE", "GENERATION", "CHANGED")]
told += [sys.argv[2], Path(sys.argv[1], "a").read_text(), Path(os.environ["CONFCAR_CHANGED_FILE"]).read_text()]
sys.exit(repr(told))
"""
    with pytest.raises(CheckRefusedError) as caught:
        run_check(_options(script, "{directory}", "no {generation}"), staged.change, environ=os.environ)
    assert caught.value.output == repr(["web", "2", "a\nd/c", "no 2", "new", "a\nd/c\n"])
    assert visible(tmp_path / "web") == {"a": "old", "b": "1"}


def test_status_zero_accepts(tmp_path: Path) -> None:
    staged = opened(tmp_path).stage(files(a="1"))
    run_check(_options("pass"), staged.change, environ=os.environ)
    assert staged.directory.is_dir()


@pytest.mark.parametrize(
    ("script", "timeout", "how"),
    [
        pytest.param("raise SystemExit(3)", "10s", "ended with status 3", id="status"),
        pytest.param("import os; os.kill(os.getpid(), 9)", "10s", "was ended by signal 9", id="signal"),
        pytest.param(
            "import signal; signal.pause()", "200ms", "did not end within 0.2 s and was killed", id="time-out"
        ),
    ],
)
def test_refusal_says_how_it_ended(tmp_path: Path, script: str, timeout: str, how: str) -> None:
    staged = opened(tmp_path).stage(files(a="1"))
    with pytest.raises(CheckRefusedError, match=f"check of web refused generation 1: .* {how}"):
        run_check(_options(script, timeout=timeout), staged.change, environ=os.environ)


def test_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    staged = opened(tmp_path).stage(files(a="1"))
    options = CheckOptions.model_validate({"command": ["/no/such/checker"]})
    with pytest.raises(CheckRefusedError, match="/no/such/checker could not be started"):
        run_check(options, staged.change, environ=os.environ)


def test_output_is_masked_and_credentials_are_not_handed_on(tmp_path: Path) -> None:
    staged = opened(tmp_path).stage(files(a="1"))
    script = "import os; raise SystemExit(f'password {os.environ.get(\"VAULT_TOKEN\")} hunter2')"
    with pytest.raises(CheckRefusedError) as caught:
        run_check(
            _options(script),
            staged.change,
            environ={**os.environ, "VAULT_TOKEN": "t0ken"},
            mask=lambda text: text.replace("hunter2", "****"),
        )
    assert caught.value.output == "password None ****"
