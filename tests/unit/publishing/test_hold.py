"""One confcar per directory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from confcar.errors import LockedError
from confcar.publishing.disk import Disk
from confcar.publishing.hold import DirectoryHold
from confcar.publishing.layout import Layout, PublishMode
from confcar.publishing.publisher import Publisher
from tests.unit.publishing.samples import MODES, files, opened, publish

HOLDER = """
import sys
from pathlib import Path
from confcar.publishing.publisher import Publisher
publisher = Publisher("web", Path(sys.argv[1]), mode="swap", keep=1)
publisher.open()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("second", MODES)
def test_second_publisher_is_refused_whichever_the_modes(
    tmp_path: Path, first: PublishMode, second: PublishMode
) -> None:
    publisher = opened(tmp_path, first)
    publish(publisher, files(a="1"))
    with pytest.raises(LockedError, match=rf"held by another confcar \(PID {os.getpid()} on {socket.gethostname()}\)"):
        opened(tmp_path, second)
    publisher.close()
    assert opened(tmp_path, first).state.current == 1


def test_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=f"PID {holder.pid} ") as caught:
            opened(tmp_path)
        holder.kill()
        holder.wait()
    assert (caught.value.exit_code, caught.value.retryable) == (6, False)
    assert opened(tmp_path).state.current is None


def test_open_may_be_tried_again_after_it_was_refused(tmp_path: Path) -> None:
    first = opened(tmp_path)
    second = Publisher("web", tmp_path, mode="swap", keep=1)
    with pytest.raises(LockedError):
        second.open()
    first.close()
    second.open()
    with pytest.raises(LockedError):
        first.open()
    second.close()


def test_holder_whose_directory_was_replaced_does_not_write_beside_the_new_one(tmp_path: Path) -> None:
    first = opened(tmp_path / "web")
    publish(first, files(a="1"))
    (tmp_path / "web").rename(tmp_path / "gone")
    second = opened(tmp_path / "web")
    publish(second, files(a="2"))
    with pytest.raises(LockedError):
        first.stage(files(a="3"))
    assert (tmp_path / "web" / "a").read_text() == "2"


def test_a_hold_is_taken_over_without_a_moment_in_which_another_could_have_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "web", "swap")
    first, second, other = (DirectoryHold(layout, Disk()) for _ in range(3))
    first.take()
    second.take_over(first)
    first.release()
    with pytest.raises(LockedError):
        other.take()
    second.take()
    second.release()
    other.take()
    other.release()


def test_a_hold_that_nobody_has_can_be_taken_over_and_taken_then(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "web", "swap")
    first, second = DirectoryHold(layout, Disk()), DirectoryHold(layout, Disk())
    second.take_over(first)
    second.take()
    with pytest.raises(LockedError):
        first.take()
    second.release()
