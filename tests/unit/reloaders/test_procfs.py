"""What the kernel says about a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from confcar.reloaders.procfs import WallClock, ancestors_of, read_process
from tests.fakes.processes import running_primary


def test_start_time_is_exact_to_the_kernels_tick(tmp_path: Path) -> None:
    before = time.time()
    with running_primary(tmp_path) as primary:
        process = read_process(primary.pid)
        assert process is not None
        started_at = WallClock().started_at(process)
        # A tick is 10 ms; a boot time in whole seconds would be off by up to 1 s.
        assert before - 0.03 <= started_at <= time.time()
        assert 0 <= process.age_seconds < 10


def test_caught_signal_is_handled_and_another_has_its_default_action(tmp_path: Path) -> None:
    with running_primary(tmp_path, handles="HUP") as primary:
        process = read_process(primary.pid)
        assert process is not None
        assert not process.has_default_action(signal.SIGHUP)
        assert process.has_default_action(signal.SIGUSR1)


def test_blocked_signal_counts_as_handled() -> None:
    script = "import os, signal as s; s.pthread_sigmask(s.SIG_BLOCK, {s.SIGHUP}); os.write(1, b'r'); s.pause()"
    with subprocess.Popen([sys.executable, "-S", "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.read(1)
        process = read_process(child.pid)
        child.kill()
    assert process is not None
    assert not process.has_default_action(signal.SIGHUP)


def test_name_with_brackets_and_blanks_is_read_whole(tmp_path: Path) -> None:
    program = tmp_path / "a) b (c"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "30"]) as child:
        process = read_process(child.pid)
        child.kill()
    assert process is not None
    assert process.name == "a) b (c"
    assert process.parent == os.getpid()


def test_no_such_process_is_none() -> None:
    assert read_process(2**22 + 1) is None


def test_ancestors_begin_with_the_parent() -> None:
    assert ancestors_of(os.getpid())[0] == os.getppid()


@pytest.mark.parametrize("step_seconds", [pytest.param(3600.0, id="forward"), pytest.param(-3600.0, id="backward")])
def test_step_of_the_clock_never_makes_a_process_look_younger(step_seconds: float) -> None:
    process = read_process(os.getpid())
    assert process is not None
    now = WallClock()
    before_the_step = WallClock(first_offset_seconds=now.first_offset_seconds - step_seconds)
    assert before_the_step.started_at(process) <= now.started_at(process) + 0.01
