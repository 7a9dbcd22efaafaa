"""Signals: the right process gets the right one, once."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from confcar.config.bundles import ProcessOptions
from confcar.errors import PrimaryNotFoundError, ReloadError
from confcar.model import Change
from confcar.reloaders.finder import ProcessFinder, Target
from confcar.reloaders.process import SignalReloader
from confcar.reloaders.procfs import read_process
from tests.fakes.processes import Primary, running_primary
from tests.waiting import wait_until


def reloader_for(target: Target, signal_number: int = signal.SIGHUP) -> SignalReloader:
    return SignalReloader(ProcessFinder(target, os.getpid()), signal_number)


def published(change: Change, at: float) -> Change:
    return Change(change.bundle, change.generation, change.directory, change.changed, at)


@pytest.mark.parametrize("way", ["pid", "pid_file", "process"])
def test_signal_arrives_once(tmp_path: Path, change: Change, way: str) -> None:
    with running_primary(tmp_path, handles="HUP,USR1", marker="arrives") as primary:
        (tmp_path / "pid").write_text(f"{primary.pid}\n")
        targets: dict[str, Target] = {
            "pid": primary.pid,
            "pid_file": tmp_path / "pid",
            "process": ProcessOptions(cmdline="arrives$"),
        }
        reloader_for(targets[way]).reload(change)
        wait_until(primary.signals)
        reloader_for(primary.pid, signal.SIGUSR1).reload(change)
        wait_until(lambda: len(primary.signals()) == 2)
        assert primary.signals() == ["SIGHUP", "SIGUSR1"]


def test_stale_pid_file_sends_nothing_to_the_stranger(tmp_path: Path, change: Change) -> None:
    with running_primary(tmp_path) as stranger:
        path = tmp_path / "pid"
        path.write_text(str(stranger.pid))
        os.utime(path, (time.time() - 60, time.time() - 60))
        with pytest.raises(PrimaryNotFoundError, match="stale"):
            reloader_for(path).reload(change)
        assert_untouched(stranger)


def test_pid_file_that_changes_meanwhile_signals_nobody(tmp_path: Path, change: Change) -> None:
    path = tmp_path / "pid"
    with running_primary(tmp_path, marker="one") as one, running_primary(tmp_path, marker="two") as two:
        path.write_text(str(one.pid))
        reloader = reloader_for(path)

        def open_late(pid: int) -> int:
            path.write_text(str(two.pid))
            return os.pidfd_open(pid)

        reloader.open_pidfd = open_late
        with pytest.raises(PrimaryNotFoundError, match="was replaced by"):
            reloader.reload(change)
        assert_untouched(one)
        assert_untouched(two)


@pytest.mark.skipif(not os.access("/proc/sys/kernel/ns_last_pid", os.W_OK), reason="needs root to force a PID")
def test_recycled_pid_is_not_hit_even_between_the_look_up_and_the_signal(tmp_path: Path, change: Change) -> None:
    """The handle is open when the primary dies and a stranger gets its PID."""
    stranger: list[subprocess.Popen[bytes]] = []
    with running_primary(tmp_path) as primary:
        reloader = reloader_for(primary.pid)

        def open_and_recycle(pid: int) -> int:
            handle = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not primary.is_running())
            wait_until(lambda: _start_with_pid(pid, stranger))
            return handle

        reloader.open_pidfd = open_and_recycle
        with pytest.raises(PrimaryNotFoundError):
            reloader.reload(change)
        assert stranger[0].pid == primary.pid
        assert stranger[0].poll() is None, "sleep does not handle SIGHUP and would be dead"
        stranger[0].kill()
        stranger[0].wait()


def _start_with_pid(pid: int, started: list[subprocess.Popen[bytes]]) -> bool:
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
    child = subprocess.Popen(["/bin/sleep", "30"], start_new_session=True)
    if child.pid == pid:
        started.append(child)
        return True
    child.kill()
    child.wait()
    return False


def test_primary_that_dies_meanwhile_is_not_found(tmp_path: Path, change: Change) -> None:
    with running_primary(tmp_path) as primary:
        reloader = reloader_for(primary.pid)

        def open_late(pid: int) -> int:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not primary.is_running())
            return os.pidfd_open(pid)

        reloader.open_pidfd = open_late
        with pytest.raises(PrimaryNotFoundError, match="no such process is running"):
            reloader.reload(change)


def test_kernel_without_pidfd_gets_the_signal_by_pid_and_says_so_once(
    tmp_path: Path, change: Change, events: list[str]
) -> None:
    def open_nothing(pid: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    with running_primary(tmp_path) as primary:
        reloader = reloader_for(primary.pid)
        reloader.open_pidfd = open_nothing
        reloader.reload(change)
        wait_until(primary.signals)
        reloader.reload(change)
        wait_until(lambda: len(primary.signals()) == 2)
    assert [event for event in events if "no pidfd" in event] == [
        "no pidfd in this kernel, signals go by PID right after the check"
    ]


def test_primary_started_after_the_publish_counts_as_told(tmp_path: Path, change: Change, events: list[str]) -> None:
    with running_primary(tmp_path) as primary:
        reloader_for(primary.pid).reload(published(change, time.time() - 60))
        assert events == ["primary started after the publish, no signal needed"]
        assert_untouched(primary)


@pytest.mark.parametrize(
    "seconds_after_start",
    [
        pytest.param(-0.03, id="just before its start"),
        pytest.param(0.0, id="at its start"),
        pytest.param(60.0, id="after"),
    ],
)
def test_primary_started_before_or_with_the_publish_is_signalled(
    tmp_path: Path, change: Change, seconds_after_start: float
) -> None:
    with running_primary(tmp_path) as primary:
        finder = ProcessFinder(primary.pid, os.getpid())
        started_at = finder.clock.started_at(finder.find())
        SignalReloader(finder, signal.SIGHUP).reload(published(change, started_at + seconds_after_start))
        wait_until(primary.signals)
        assert primary.signals() == ["SIGHUP"]


@pytest.mark.parametrize("name", ["HUP", "USR1", "USR2"])
def test_young_process_without_a_handler_is_spared_and_tried_again(tmp_path: Path, change: Change, name: str) -> None:
    with running_primary(tmp_path, handles="") as primary:
        with pytest.raises(ReloadError, match=f"s ago and does not handle SIG{name} yet") as caught:
            reloader_for(primary.pid, signal.Signals[f"SIG{name}"]).reload(change)
        assert caught.value.retryable
        assert primary.is_running()


def test_signal_that_is_meant_to_end_a_process_is_sent_as_asked(tmp_path: Path, change: Change) -> None:
    with running_primary(tmp_path, handles="") as primary:
        reloader_for(primary.pid, signal.SIGTERM).reload(change)
        wait_until(lambda: not primary.is_running())
        assert not primary.is_running()


def test_older_process_without_a_handler_gets_what_was_asked(tmp_path: Path, change: Change) -> None:
    with running_primary(tmp_path, handles="") as primary:
        process = read_process(primary.pid)
        assert process is not None
        older = type(process)(
            **{name: getattr(process, name) for name in process.__slots__}
            | {"started_seconds": process.started_seconds - 60}
        )
        reloader_for(primary.pid)._refuse_while_starting(older)
        assert older.age_seconds > 60


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv to be two other users"
)
def test_process_of_another_user_is_explained_with_both_users(change: Change) -> None:
    command = ["setpriv", "--reuid=65533", "--clear-groups", "/bin/sleep", "30"]
    with subprocess.Popen(command) as child:
        wait_until(lambda: (found := read_process(child.pid)) is not None and found.user == 65533)
        reloader = reloader_for(child.pid, signal.SIGTERM)
        os.seteuid(65534)
        try:
            with pytest.raises(ReloadError, match=r"runs as uid 65533.*confcar as uid 65534.*CAP_KILL"):
                reloader.reload(change)
        finally:
            os.seteuid(0)
            child.kill()


def assert_untouched(primary: Primary) -> None:
    """Signals are delivered in order: one of ours that arrives proves that none before it is under way."""
    os.kill(primary.pid, signal.SIGHUP)
    wait_until(primary.signals)
    assert primary.signals() == ["SIGHUP"]
