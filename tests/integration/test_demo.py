"""`confcar demo` as a person runs it: it shows what it promises, fails where it does not, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.docs.pages import ROOT, code_blocks
from tests.integration.sidecar import command, environment, run_confcar
from tests.waiting import wait_until

ESSENTIAL = [
    r"^1\. A folder with a config",
    r"^     \.\.data -> \.\.generation-000001$",
    r'^   GET http://127\.0\.0\.1:\d+/ -> \{"name": "shop", "port": 8080,.* "reloads": 0\}$',
    r"^   ok no needless reload$",
    r'^   after:  \{"name": "shop", "port": 9090, .*"\.\.generation-000002", "reloads": 1\}$',
    r"^   ok \d+\.\d ms from the change to the primary's SIGHUP",
    r"^   status: pending, key\('app/port'\) from data: not found \(app\.conf\.j2:2\)$",
    r"^   status: refused, check of web refused generation 3: ",
    r"^   the check said: port 99999 is not between 1 and 65535$",
    r'^   after:  \{"name": "shop", "port": 8443,.*"\.\.generation-000003", "reloads": 2\}$',
    r"^   ok confcar ended with 0 after \d+ ms$",
    r"^All of it was seen to work, in \d+\.\d s\. The folder is gone",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the demo makes its folder."""
    return tmp_path


def left_behind(folder: Path) -> list[str]:
    """Return the processes that work below *folder*, and what lies in it."""
    folders = [path.name for path in folder.iterdir() if path.name.startswith("confcar-demo-")]
    processes = psutil.process_iter(["cwd", "pid", "cmdline"])
    inside = [each.info for each in processes if (each.info["cwd"] or "").startswith(str(folder))]
    return [*folders, *(f"{each['pid']} {each['cmdline']}" for each in inside)]


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a demo that prints to a file, which is yielded beside it."""
    printed = folder / "printed"
    with printed.open("w") as out:
        process = subprocess.Popen(
            command("demo"), env=environment({"TMPDIR": str(folder)}), stdout=out, stderr=out, text=True
        )
    try:
        yield process, printed
    finally:
        process.kill()
        process.wait()


def test_it_shows_the_whole_line_and_leaves_nothing(folder: Path) -> None:
    ended = run_confcar("demo", environ={"TMPDIR": str(folder)})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line for line in ESSENTIAL if not re.search(line, ended.stdout, re.MULTILINE)] == []
    assert "\x1b" not in ended.stdout
    assert left_behind(folder) == []


def test_the_readme_shows_what_it_prints(folder: Path) -> None:
    printed = _without_measures(run_confcar("demo", environ={"TMPDIR": str(folder)}).stdout)
    shown = next(block for block in code_blocks(ROOT / "README.md", "text") if "reloads" in block)
    assert _without_measures(shown).strip() in printed


def _without_measures(text: str) -> str:
    """Return a text with what differs from run to run left out: times and ports."""
    return re.sub(r"127\.0\.0\.1:\d{5}", "127.0.0.1:PORT", re.sub(r"\d+\.\d ms", "MS ms", text))


def test_keep_leaves_the_folder_and_no_process(folder: Path) -> None:
    ended = run_confcar("demo", "--keep", environ={"TMPDIR": str(folder)})
    left = left_behind(folder)
    assert ended.returncode == 0
    assert len(left) == 1
    assert f"The folder is left: {folder / left[0]}" in ended.stdout
    assert (folder / left[0] / "published" / "..data").readlink() == Path("..generation-000003")


def test_variables_for_another_confcar_do_not_disturb_it(folder: Path) -> None:
    other = {"CONFCAR_CONFIG": "/nonexistent", "CONFCAR_ADMIN__LISTEN": "off", "TMPDIR": str(folder)}
    assert run_confcar("demo", environ=other).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_leaves_nothing(folder: Path, number: signal.Signals) -> None:
    with running(folder) as (process, printed):
        wait_until(lambda: "4. `confcar run`" in printed.read_text(), timeout=30.0)
        process.send_signal(number)
        assert process.wait(20) == 130
    wait_until(lambda: not left_behind(folder))


def test_a_kill_in_the_middle_leaves_no_process(folder: Path) -> None:
    with running(folder) as (process, printed):
        wait_until(lambda: "4. `confcar run`" in printed.read_text(), timeout=30.0)
        process.kill()
    wait_until(lambda: len(left_behind(folder)) == 1)  # the folder: nobody was left to remove it


def test_a_sidecar_that_dies_fails_it_with_words(folder: Path) -> None:
    with running(folder) as (process, printed):
        wait_until(lambda: "4. `confcar run`" in printed.read_text(), timeout=30.0)
        sidecar = wait_until(lambda: [line for line in left_behind(folder) if "'run'" in line])[0]
        os.kill(int(sidecar.partition(" ")[0]), signal.SIGKILL)
        assert process.wait(20) == 1
    text = printed.read_text()
    assert re.search(r"confcar: demo: (confcar run, process \d+, ended with -9 too early|not seen within)", text)
    assert left_behind(folder) == []
