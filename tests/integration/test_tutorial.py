"""The tutorial's commands print what it shows."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, code_blocks
from tests.integration.sidecar import Sidecar, run_confcar
from tests.waiting import wait_until

TUTORIAL = DOCS / "tutorial" / "first-sync.md"


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """Return a folder with the files that the tutorial has one write."""
    data, config = code_blocks(TUTORIAL, "yaml")
    (template,) = code_blocks(TUTORIAL, "jinja")
    (primary,) = code_blocks(TUTORIAL, "python")
    files = {"data.yaml": data, "confcar.yaml": config, "app.conf.j2": template, "primary.py": primary}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def tutorial_primary(lesson: Path) -> Iterator[Path]:
    """Start the tutorial's primary where the files are published; yield what it prints."""
    assert run_confcar("once", "-c", lesson / "confcar.yaml").returncode == 0
    with (lesson / "printed").open("w") as out:
        process = subprocess.Popen([sys.executable, "primary.py"], cwd=lesson, stdout=out)
    try:
        wait_until((lesson / "primary.pid").exists)
        yield lesson / "printed"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def told(text: str) -> str:
    """Return output with what differs from run to run made equal."""
    text = re.sub(r"\d\d:\d\d:\d\d", "12:00:00", text)
    return re.sub(r"after_ms=[\d.]+", "after_ms=1", text)


@pytest.mark.parametrize(("name", "code"), [("render", 0), ("diff", 10)])
def test_tutorial_shows_what_the_command_prints(lesson: Path, name: str, code: int) -> None:
    console = [block for block in code_blocks(TUTORIAL, "console") if block.startswith(f"$ confcar {name}\n")]
    ended = run_confcar(name, "-c", lesson / "confcar.yaml")
    assert ended.returncode == code
    assert console == [f"$ confcar {name}\n{ended.stdout}"]


def test_tutorial_shows_the_mistakes_that_check_finds(lesson: Path) -> None:
    config = lesson / "confcar.yaml"
    config.write_text(config.read_text().replace("templates:", "template:"))
    ended = run_confcar("check", "-c", config)
    assert ended.returncode == 2
    assert f"$ confcar check\n{ended.stderr}".replace(f"{lesson}/", "") in code_blocks(TUTORIAL, "console")


def test_tutorial_shows_what_the_sidecar_and_the_primary_say(lesson: Path, tutorial_primary: Path) -> None:
    data = lesson / "data.yaml"
    page = told(TUTORIAL.read_text())
    with Sidecar(lesson / "confcar.yaml", environ={"CONFCAR_LOG__FORMAT": "console"}) as sidecar:
        for old, new, state in (("8080", "9090", "published"), ("  port: 9090\n", "", "pending")):
            (lesson / "data.new").write_text(data.read_text().replace(old, new))
            (lesson / "data.new").replace(data)
            wait_until(
                lambda state=state: (  # type: ignore[misc]  # bound in the loop
                    (bundle := sidecar.bundle("app"))["state"] == state
                    and bundle["reload"]["acknowledged_generation"] == 2
                )
            )
        assert sidecar.get("/readyz")[0] == 200
    lines = [line for line in told(sidecar.log()).splitlines() if "published" in line or "reloaded" in line]
    lines += [line for line in told(sidecar.log()).splitlines() if "waiting for data" in line]
    assert len(lines) == 3
    assert [line for line in lines if line not in page] == []
    first, second = tutorial_primary.read_text().split("primary: I read\n")[1:]
    assert f"primary: I read\n{first}" in page
    assert f"primary: I read\n{second}" in page
