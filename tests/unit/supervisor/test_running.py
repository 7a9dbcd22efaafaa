"""One process of the primary: its group, its signals, its end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from confcar.primary_status import ExitStatus
from confcar.supervisor.running import RunningPrimary, StartError, exit_code
from tests.waiting import wait_until


@contextmanager
def running(
    *argv: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[RunningPrimary, threading.Event]]:
    ended = threading.Event()
    process = RunningPrimary.start(argv, environment or {"PATH": os.environ["PATH"]}, on_end=ended.set)
    try:
        yield process, ended
    finally:
        process.kill()
        ended.wait(10.0)
        process.finish(kills_group=True)


def script(folder: Path, body: str) -> list[str]:
    path = folder / "primary.py"
    path.write_text(f"import os, signal, subprocess, sys, time\n{body}")
    return [sys.executable, "-S", str(path)]


def test_it_has_a_process_group_of_its_own_and_the_environment_it_was_given(tmp_path: Path) -> None:
    body = f"open({str(tmp_path / 'seen')!r}, 'w').write(f'{{os.getpgrp() == os.getpid()}} {{sorted(os.environ)}}')"
    with running(*script(tmp_path, body), environment={"ONLY": "this"}) as (process, ended):
        assert ended.wait(20.0)
        assert process.finish(kills_group=False).code == 0
    seen = (tmp_path / "seen").read_text()
    assert seen.startswith("True ")
    assert "'ONLY'" in seen
    assert "'HOME'" not in seen


def test_its_end_is_seen_and_its_pid_stays_its_own_until_it_is_finished() -> None:
    with running("sh", "-c", "exit 7") as (process, ended):
        assert ended.wait(20.0)
        assert Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        assert process.finish(kills_group=False).code == 7
        process.send(signal.SIGTERM)  # reaches nobody


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        pytest.param(ExitStatus(7, None, 0.0), 7, id="code"),
        pytest.param(ExitStatus(None, "SIGTERM", 0.0), 143, id="signal"),
        pytest.param(ExitStatus(None, "36", 0.0), 164, id="real-time"),
    ],
)
def test_the_exit_code_hands_on_how_it_ended(ended: ExitStatus, code: int) -> None:
    assert exit_code(ended) == code


def test_what_ignores_the_stop_is_killed_with_its_group_when_the_time_is_up(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    child = f"trap '' TERM; echo $$ > {ready}.new; mv {ready}.new {ready}; while :; do sleep 0.05; done"
    with running("sh", "-c", f"trap '' TERM; sh -c \"{child.replace('$$', chr(92) + '$' + chr(92) + '$')}\"") as (
        process,
        _,
    ):
        wait_until(ready.exists)
        process.end(signal.SIGTERM, 0.2)
        assert process.finish(kills_group=True).signal == "SIGKILL"
        left = Path(f"/proc/{ready.read_text().strip()}/stat")
        wait_until(lambda: not left.exists() or left.read_text().rpartition(")")[2].split()[0] == "Z")


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        pytest.param("no-such-program", 127, "no-such-program: No such file or directory", id="missing"),
        pytest.param("/etc/passwd", 126, "/etc/passwd: Permission denied", id="no-program"),
        pytest.param("a\0b", 126, "holds a zero byte", id="zero-byte"),
    ],
)
def test_what_cannot_be_started_is_told_with_the_code_of_a_shell(program: str, code: int, words: str) -> None:
    with pytest.raises(StartError, match=words) as raised:
        RunningPrimary.start([program], {"PATH": "/usr/bin"}, on_end=lambda: None)
    assert raised.value.code == code
