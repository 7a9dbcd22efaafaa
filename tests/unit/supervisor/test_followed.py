"""A primary that somebody else starts: found, followed, missed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from confcar.config.primary import PrimaryOptions
from confcar.primary_status import PrimaryStatus
from confcar.status import Status
from confcar.supervisor.followed import FollowedPrimary
from tests.fakes.processes import running_primary
from tests.waiting import wait_until


class Followed:
    """One that is followed by its PID file, and the processes that were started for it."""

    def __init__(self, folder: Path) -> None:
        self.pid_file = folder / "primary.pid"
        self.status = Status()
        self.codes: list[int] = []
        self.started: list[subprocess.Popen[bytes]] = []
        self.primary: FollowedPrimary | None = None

    def follow(self, **options: Any) -> None:  # noqa: ANN401 - a config
        """Begin to follow the PID file, or what *options* say."""
        target = {} if "process" in options else {"pid_file": str(self.pid_file)}
        chosen = PrimaryOptions.model_validate(target | options)
        self.primary = FollowedPrimary(chosen, status=self.status, own_pid=os.getpid())
        self.primary.start(self.codes.append)

    def launch(self, *, lives: bool = True) -> int:
        """Start a process that writes its PID file, and return its PID; with *lives* false it has ended by then."""
        process = subprocess.Popen(["/bin/sleep", "60"])
        self.started.append(process)
        if not lives:
            process.kill()
            process.wait()
        new = self.pid_file.with_suffix(".new")
        new.write_text(f"{process.pid}\n")
        new.rename(self.pid_file)
        return process.pid

    @property
    def shown(self) -> PrimaryStatus:
        """What the board says."""
        assert self.status.primary is not None, "shown from the beginning"
        return self.status.primary

    def close(self) -> None:
        """End all."""
        if self.primary is not None:
            self.primary.stop()
        for process in self.started:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    made = Followed(tmp_path)
    yield made
    made.close()


def test_one_that_is_not_there_yet_is_waited_for(followed: Followed) -> None:
    followed.follow()
    wait_until(lambda: "does not exist" in (followed.shown.waits_for or ""))
    pid = followed.launch()
    wait_until(lambda: (followed.shown.state, followed.shown.pid) == ("running", pid))
    assert followed.shown.waits_for is None


def test_its_end_is_confcars_with_0(followed: Followed) -> None:
    followed.launch()
    followed.follow()
    wait_until(lambda: followed.shown.state == "running")
    followed.started[0].kill()  # not reaped: the end counts, not the reaping
    wait_until(lambda: followed.codes == [0])
    assert (followed.shown.state, followed.shown.pid) == ("ended", None)


def test_a_successor_is_followed_in_its_place(followed: Followed) -> None:
    followed.launch()
    followed.follow()
    wait_until(lambda: followed.shown.state == "running")
    followed.started[0].kill()
    followed.started[0].wait()
    pid = followed.launch()
    wait_until(lambda: followed.shown.pid == pid)
    assert (followed.codes, followed.shown.restarts) == ([], 1)


def test_with_on_exit_stay_it_is_waited_for_again(followed: Followed) -> None:
    followed.launch()
    followed.follow(on_exit="stay")
    wait_until(lambda: followed.shown.state == "running")
    followed.started[0].kill()
    followed.started[0].wait()
    wait_until(lambda: followed.shown.state == "ended")
    pid = followed.launch()
    wait_until(lambda: (followed.shown.state, followed.shown.pid) == ("running", pid))
    assert followed.codes == []


def test_one_that_came_and_went_between_two_looks_has_ended(followed: Followed) -> None:
    followed.follow()
    wait_until(lambda: followed.shown.waits_for)
    followed.launch(lives=False)
    wait_until(lambda: followed.codes == [0])


def test_a_pid_file_of_an_earlier_life_is_no_end(followed: Followed) -> None:
    followed.launch(lives=False)
    os.utime(followed.pid_file, (time.time() - 60, time.time() - 60))
    followed.follow()
    wait_until(lambda: "no such process is running" in (followed.shown.waits_for or ""))
    pid = followed.launch()
    wait_until(lambda: followed.shown.pid == pid)
    assert followed.codes == []


@pytest.mark.parametrize("ends", [True, False], ids=["ends", "stays"])
def test_one_is_followed_by_what_it_looks_like(
    followed: Followed,
    tmp_path: Path,
    ends: bool,  # noqa: FBT001 - a table
) -> None:
    with running_primary(tmp_path, marker="followed-by-looks") as primary:
        followed.follow(process={"cmdline": "followed-by-looks$"})
        wait_until(lambda: followed.shown.pid == primary.pid)
        if ends:
            primary.end_unreaped()
            wait_until(lambda: followed.codes == [0])
    assert followed.codes == ([0] if ends else [])


def test_signals_are_passed_on(followed: Followed, tmp_path: Path) -> None:
    with running_primary(tmp_path, handles="USR2") as primary:
        followed.pid_file.write_text(f"{primary.pid}\n")
        followed.follow()
        wait_until(lambda: followed.shown.state == "running")
        assert followed.primary is not None
        followed.primary.send(signal.SIGUSR2)
        wait_until(lambda: primary.signals() == ["SIGUSR2"])


def test_a_signal_to_nobody_is_told(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    followed.follow()
    assert followed.primary is not None
    followed.primary.send(signal.SIGUSR2)
    assert "signal not passed on" in caplog.text


def test_a_stop_leaves_it_running(followed: Followed) -> None:
    followed.launch()
    followed.follow()
    wait_until(lambda: followed.shown.state == "running")
    assert followed.primary is not None
    followed.primary.stop()
    followed.primary = None
    assert followed.started[0].poll() is None
