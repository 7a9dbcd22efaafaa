"""Which processes fit a `process:` of the config."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from confcar.config.bundles import ProcessOptions
from confcar.errors import ReloadError
from confcar.reloaders.matching import describe, find_topmost
from tests.waiting import wait_until

LONG_NAME = "a-program-with-a-long-name"


@contextmanager
def running(program: Path, *arguments: str) -> Iterator[int]:
    with subprocess.Popen([program, *arguments], stderr=subprocess.DEVNULL) as child:
        wait_until(lambda: psutil.Process(child.pid).cmdline())
        yield child.pid
        child.kill()


def pids(options: ProcessOptions, of: int) -> list[int]:
    return [process.pid for process in find_topmost(options, [of])]


def test_name_is_matched_as_the_kernel_has_it() -> None:
    with running(Path("/bin/sleep"), "30") as pid:
        assert pids(ProcessOptions(name="sleep"), pid) == [pid]
        assert pids(ProcessOptions(name="slee"), pid) == []


def test_name_longer_than_the_kernel_keeps_is_matched_whole(tmp_path: Path) -> None:
    program = tmp_path / LONG_NAME
    program.symlink_to("/bin/sleep")
    with running(program, "30") as pid:
        assert pids(ProcessOptions(name=LONG_NAME), pid) == [pid]
        assert pids(ProcessOptions(name=LONG_NAME[:15]), pid) == [pid], "as `ps` shows it"
        assert pids(ProcessOptions(name=LONG_NAME + "-2"), pid) == []


def test_script_with_a_long_name_is_matched_by_its_argument(tmp_path: Path) -> None:
    script = tmp_path / LONG_NAME
    script.write_text("#!/bin/sh\nread line\n")
    script.chmod(0o755)
    with subprocess.Popen([script], stdin=subprocess.PIPE) as child:
        wait_until(lambda: LONG_NAME in " ".join(psutil.Process(child.pid).cmdline()))
        assert pids(ProcessOptions(name=LONG_NAME), child.pid) == [child.pid]


def test_all_that_is_given_must_match() -> None:
    with running(Path("/bin/sleep"), "30") as pid:
        assert pids(ProcessOptions(name="sleep", cmdline="30$", user=str(os.geteuid())), pid) == [pid]
        assert pids(ProcessOptions(name="sleep", cmdline="31$"), pid) == []
        assert pids(ProcessOptions(name="cat", cmdline="30$"), pid) == []
        assert pids(ProcessOptions(name="sleep", user="4242"), pid) == []


def test_user_is_taken_by_name_too() -> None:
    import pwd

    with running(Path("/bin/sleep"), "30") as pid:
        assert pids(ProcessOptions(name="sleep", user=pwd.getpwuid(os.geteuid()).pw_name), pid) == [pid]


def test_user_that_is_not_known_here_is_an_error_with_a_way_out() -> None:
    with pytest.raises(ReloadError, match="'nobody-of-that-name' is not known here; give its number"):
        find_topmost(ProcessOptions(name="sleep", user="nobody-of-that-name"), [])


def test_description_holds_what_is_given() -> None:
    assert describe(ProcessOptions(name="nginx", user="app")) == "name 'nginx', user 'app'"


def test_program_that_calls_itself_otherwise_is_matched_by_its_file() -> None:
    program = Path(sys.executable).resolve()
    script = "import pathlib as p; p.Path('/proc/self/comm').write_text('other'); print('ready', flush=True); input()"
    with subprocess.Popen(
        ["/a/title", "-S", "-c", script],
        executable=program,
        env={"PYTHONHOME": sys.base_prefix},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        for name in ("other", "title", program.name):
            assert pids(ProcessOptions(name=name), child.pid) == [child.pid]
        child.kill()
