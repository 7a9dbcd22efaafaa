"""Which process a config means."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from confcar.config.bundles import ProcessOptions
from confcar.errors import PrimaryNotFoundError
from confcar.reloaders.finder import ProcessFinder, Target
from tests.fakes.processes import running_primary

NOBODY_PID = 2**22 + 1


def find(target: Target, own_pid: int | None = None) -> int:
    return ProcessFinder(target, own_pid or os.getpid()).find().pid


def test_pid_file_leads_to_its_process(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with running_primary(tmp_path) as primary:
        path.write_text(f"{primary.pid}\n")
        assert find(path) == primary.pid


def test_pid_file_is_read_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    finder = ProcessFinder(path, os.getpid())
    with running_primary(tmp_path, marker="one") as one, running_primary(tmp_path, marker="two") as two:
        path.write_text(str(one.pid))
        assert finder.find().pid == one.pid
        path.write_text(str(two.pid))
        assert finder.find().pid == two.pid


def test_process_that_started_long_after_the_file_is_a_stranger(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with running_primary(tmp_path) as primary:
        path.write_text(str(primary.pid))
        os.utime(path, (time.time() - 60, time.time() - 60))
        with pytest.raises(PrimaryNotFoundError, match=r"stale: process .* started .* s after it was written"):
            find(path)


def test_process_that_started_a_second_after_the_file_is_still_the_one(tmp_path: Path) -> None:
    """Clocks tick apart: the file's time may be a little before the start."""
    path = tmp_path / "pid"
    with running_primary(tmp_path) as primary:
        path.write_text(str(primary.pid))
        os.utime(path, (time.time() - 1, time.time() - 1))
        assert find(path) == primary.pid


def test_dead_pid_is_not_found(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(str(NOBODY_PID))
    with pytest.raises(PrimaryNotFoundError, match="no such process is running"):
        find(path)


def test_zombie_is_not_found(tmp_path: Path) -> None:
    with running_primary(tmp_path) as primary:
        primary.end_unreaped()
        with pytest.raises(PrimaryNotFoundError, match="has ended and was not reaped"):
            find(primary.pid)


def test_thread_is_not_a_process() -> None:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        with pytest.raises(PrimaryNotFoundError, match=f"which is a thread of process {os.getpid()}"):
            find(thread.native_id)
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("by_file", [pytest.param(True, id="pid_file"), pytest.param(False, id="pid")])
def test_confcar_itself_is_never_found(tmp_path: Path, by_file: bool) -> None:  # noqa: FBT001 - a table's column
    path = tmp_path / "pid"
    path.write_text(str(os.getpid()))
    with pytest.raises(PrimaryNotFoundError, match="which is confcar itself and is never signalled"):
        find(path if by_file else os.getpid())


def test_process_above_confcar_is_never_found(tmp_path: Path) -> None:
    with running_primary(tmp_path) as confcar, pytest.raises(PrimaryNotFoundError, match="a process above confcar"):
        find(os.getpid(), own_pid=confcar.pid)


def test_matching_leaves_out_confcar_and_what_is_above_it(tmp_path: Path) -> None:
    options = ProcessOptions(cmdline="self-and-above")
    with running_primary(tmp_path, marker="self-and-above") as confcar:
        with pytest.raises(PrimaryNotFoundError, match="no process with cmdline 'self-and-above' is running"):
            find(options, own_pid=confcar.pid)
        assert find(options) == confcar.pid


def test_master_is_found_and_not_its_workers(tmp_path: Path) -> None:
    with running_primary(tmp_path, workers=3, marker="with-workers") as master:
        assert find(ProcessOptions(cmdline="with-workers$")) == master.pid


def test_several_are_an_error_that_names_them_without_their_command_lines(tmp_path: Path) -> None:
    with running_primary(tmp_path, marker="twin-a") as one, running_primary(tmp_path, marker="twin-b") as two:
        with pytest.raises(PrimaryNotFoundError, match="2 processes have cmdline 'twin-") as caught:
            find(ProcessOptions(cmdline="twin-[ab]$"))
        assert f"{one.pid} (" in str(caught.value)
        assert f"{two.pid} (" in str(caught.value)
        assert "signals" not in str(caught.value)


def test_none_says_what_was_looked_for() -> None:
    options = ProcessOptions(name="no-such-program", user=str(os.getuid()))
    with pytest.raises(PrimaryNotFoundError, match=r"name 'no-such-program', user '\d+' is running; looked at \d+"):
        find(options)


def test_no_hint_on_shared_processes_where_confcar_sees_the_whole_machine(tmp_path: Path) -> None:
    if Path("/proc/self/ns/pid").readlink().name != "pid:[4026531836]":
        assert find(os.getpid(), own_pid=1) == os.getpid()
        return
    with pytest.raises(PrimaryNotFoundError) as caught:
        find(NOBODY_PID)
    assert "shareProcessNamespace" not in str(caught.value)


def test_confcar_as_first_process_of_its_container_is_told_to_share_processes() -> None:
    with pytest.raises(PrimaryNotFoundError, match="shareProcessNamespace: true"):
        find(NOBODY_PID, own_pid=1)


def test_process_that_was_replaced_is_not_found_by_the_old_pid(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    finder = ProcessFinder(path, os.getpid())
    with running_primary(tmp_path, marker="one") as one, running_primary(tmp_path, marker="two") as two:
        path.write_text(str(one.pid))
        located = finder.locate()
        assert finder.find(located).pid == one.pid
        path.write_text(str(two.pid))
        with pytest.raises(PrimaryNotFoundError, match=r"was replaced by .* while it was looked up"):
            finder.find(located)


def test_process_that_does_not_fit_any_more_is_not_found_by_its_pid(tmp_path: Path) -> None:
    with running_primary(tmp_path, marker="changing") as primary:
        located = ProcessFinder(ProcessOptions(cmdline="changing"), os.getpid()).locate()
        assert located == primary.pid
        with pytest.raises(PrimaryNotFoundError, match="became another one"):
            ProcessFinder(ProcessOptions(cmdline="something else"), os.getpid()).find(located)
